# pyright: basic
"""Which hosts a description reaches: those that the user typed or allowed, and no others."""

from __future__ import annotations

import dataclasses

import pytest

from codeact_kernel import AllowedDomain
from codeact_kernel.errors import UserError
from codeact_kernel.tools import ToolCallError

from .conftest import names, parameter, send


def tool_call_of(description):
    """What runs when the tool is called."""
    [call] = [cell.cell_contents for cell in description.tools[0].function.__closure__]
    assert "headers" in {field.name for field in dataclasses.fields(call)}
    return call


class Key:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


async def test_the_host_that_the_user_typed_needs_no_other_permission(api):
    api.add(operationId="look")
    await api.load(api.url)
    assert await api.path_of("look") == "/pets"


async def test_a_server_on_another_host_is_not_reached(api, canary):
    api.more = {"servers": [{"url": f"http://127.0.0.1:{canary.port}"}]}
    api.add(operationId="look")
    with pytest.raises(UserError) as raised:
        await api.load(api.url)
    where = f"http://127.0.0.1:{canary.port}"
    assert f"they are at {where}, which you have not allowed" in str(raised.value)
    assert f"add --server {where}" in str(raised.value)
    assert f"{where} to allowed_domains" in str(raised.value)


@pytest.mark.parametrize("where", ["operation", "path"])
async def test_a_server_of_one_operation_is_not_reached_either(api, canary, where):
    server = {"servers": [{"url": f"http://127.0.0.1:{canary.port}"}]}
    api.add("/good", operationId="good")
    api.add("/bad", operationId="bad", **(server if where == "operation" else {}))
    api.paths["/bad"].update(server if where == "path" else {})
    description = await api.load(api.url)
    assert names(description) == ["good"]
    assert "which you have not allowed" in description.notices[0]


async def test_a_server_that_the_settings_allow_is_reached(api, new_server):
    other = new_server()
    api.more = {"servers": [{"url": f"{other.url}/v1"}]}
    api.add(operationId="look")
    await api.load(api.url, allowed=[other.url])
    assert await api.path_of("look") == "/v1/pets"
    assert len(other.seen) == 1


async def test_the_server_that_the_user_names_takes_the_place_of_all_in_the_description(api, canary):
    api.more = {"servers": [{"url": f"http://127.0.0.1:{canary.port}"}]}
    api.add(operationId="look")
    description = await api.load(api.file, server=f"{api.server.url}/v2/")
    assert description.servers == [f"{api.server.url}/v2/"]
    assert await api.path_of("look") == "/v2/pets"


async def test_a_description_in_a_file_reaches_nothing_that_was_not_allowed(api):
    api.add(operationId="look")
    with pytest.raises(UserError, match="which you have not allowed"):
        await api.load(api.file)
    await api.load(api.file, allowed=[api.server.url])
    assert await api.path_of("look") == "/pets"


@pytest.mark.parametrize(
    "url",
    ["/v1", "//127.0.0.1:1", "http://user@127.0.0.1:1", "file:///etc", "http://[::1", "", "{x}", 3, "http://*.a.b"],
)
async def test_a_server_of_a_file_that_is_no_url_is_not_used(api, url):
    api.more = {"servers": [{"url": url}]}
    api.add(operationId="look")
    with pytest.raises(UserError, match="not offered, because their server is no URL"):
        await api.load(api.file)


async def test_a_relative_server_is_on_the_host_of_the_description(api):
    api.more = {"servers": [{"url": "/{base}/x", "variables": {"base": {"default": "v3"}}}]}
    api.add(operationId="look")
    await api.load(api.url)
    assert await api.path_of("look") == "/v3/x/pets"


async def test_a_server_with_a_query_is_rejected(api):
    with pytest.raises(UserError, match="leave out what follows the path"):
        await api.load(api.file, server=f"{api.server.url}?x=")


async def test_many_reasons_are_few_notices(api):
    api.add("/good", operationId="good")
    for number in range(100):
        api.add(f"/p{number}", operationId=f"op{number}", servers=[{"url": f"https://h{number}.example"}] * 1_000)
    description = await api.load(api.url)
    assert len(description.notices) == 11
    assert description.notices[-1].startswith("90 operations are not offered, because of other reasons: op10,")


async def test_a_variable_cannot_change_the_host(api, canary):
    variables = {"host": {"default": f"127.0.0.1:{canary.port}"}}
    api.more = {"servers": [{"url": "http://{host}", "variables": variables}]}
    api.add(operationId="look")
    with pytest.raises(UserError, match="which you have not allowed"):
        await api.load(api.url)


@pytest.mark.parametrize("path", ["@127.0.0.1:1/x", ".evil.example/x", ":1/x", "\\evil.example/x"])
async def test_a_path_cannot_change_the_host(api, path):
    api.add("/fine", operationId="fine")
    api.add(path, operationId="look")
    description = await api.load(api.url)
    assert names(description) == ["fine"]


async def test_a_path_with_two_slashes_stays_on_the_host(api):
    api.add("//evil.example/x", operationId="look")
    await api.load(api.url)
    assert await api.path_of("look") == "/evil.example/x"  # this server reads two as one


async def test_an_entry_of_the_settings_is_stronger_than_the_typed_url(api):
    for method in ("get", "post"):
        api.add("/pets", method, operationId=f"{method}_it")
    only_get = AllowedDomain(api.server.url, "GET", approval_mode="always_require", source="untrusted")
    description = await api.load(api.file, server=api.server.url, allowed=[only_get])
    [spec] = [tool.spec for tool in description.tools]
    assert (spec.own_name, spec.approval_mode, spec.source) == ("get_it", "always_require", "untrusted")
    assert f"allowed_domains does not allow POST for {api.server.url}: post_it." in description.notices[0]


async def test_a_redirect_of_a_call_to_another_host_is_not_followed(api, canary):
    api.add(operationId="look")
    await api.load(api.url)
    api.server.redirects["/pets"] = (302, f"http://127.0.0.1:{canary.port}/secret")
    with pytest.raises(ToolCallError, match=f"redirects, and http://127.0.0.1:{canary.port} is not allowed"):
        await api.call("look")


async def test_a_redirect_of_the_description_to_another_host_is_not_followed(api, canary):
    api.server.redirects["/openapi.json"] = (302, f"http://127.0.0.1:{canary.port}/openapi.json")
    with pytest.raises(UserError, match="was not loaded: .* is not allowed"):
        await api.load(f"{api.server.url}/openapi.json")


async def test_a_name_that_leads_to_this_machine_is_refused_although_the_user_typed_it(api, monkeypatch):
    async def to_loopback(host, port):
        return ["127.0.0.1"]

    monkeypatch.setattr("codeact_kernel.sources.openapi_access.Fetcher.__init__.__defaults__", (to_loopback,))
    with pytest.raises(UserError, match="resolves to an address that is not public"):
        await api.load(f"http://intranet.example:{api.server.port}/openapi.json")


@pytest.mark.parametrize("status", [404, 500])
async def test_a_description_that_is_not_there_is_reported(api, status):
    with pytest.raises(UserError, match=f"the server answered {status}"):
        await api.load(f"{api.server.url}/status/{status}")


@pytest.mark.parametrize("url", ["ftp://example.com/x", "https://user:secret@example.com/x", "https://*.example.com/x"])
async def test_a_url_that_cannot_be_requested_is_reported_in_one_sentence(api, url):
    with pytest.raises(UserError, match="cannot be requested"):
        await api.load(url)


async def test_the_users_headers_go_with_each_call_and_are_no_arguments(api):
    api.add(operationId="look", parameters=[parameter("x-api-key", "header"), parameter("c", "cookie")])
    headers = {"Authorization": Key("Bearer abc"), "X-Api-Key": "k1", "Cookie": "a=b"}
    description = await api.load(api.url, headers=headers)
    await api.call("look")
    sent = api.server.seen[-1].headers
    assert (sent["Authorization"], sent["X-Api-Key"], sent["Cookie"]) == ("Bearer abc", "k1", "a=b")
    assert description.tools[0].spec.parameters == ()


async def test_the_users_headers_go_with_the_description_if_it_is_on_the_same_host(api, new_server):
    api.add(operationId="look")
    settings = {"headers": {"X-Api-Key": "k1"}}
    url, seen = api.url, []
    for server in ("", new_server().url):
        api.server.replies["/openapi.json"] = lambda handler: (
            seen.append(handler.headers.get("X-Api-Key")),
            send(api.text)(handler),
        )
        await api.load(url, server=server, **settings)
    assert seen == ["k1", None]


async def test_the_users_headers_are_for_no_host_that_only_the_description_names(api, new_server):
    other = new_server()
    api.more = {"servers": [{"url": other.url}]}
    api.add(operationId="look")
    with pytest.raises(UserError, match=f"headers go only to a host that you name: add --server {other.url}"):
        await api.load(api.url, headers={"X-Api-Key": "k1"}, allowed=[other.url])
    with pytest.raises(UserError, match="headers go only to a host that you name"):
        await api.load(api.file, headers={"X-Api-Key": "k1"}, allowed=[other.url])
    await api.load(api.url, headers={"X-Api-Key": "k1"}, server=other.url)
    await api.call("look")
    assert other.seen[-1].headers["X-Api-Key"] == "k1"


async def test_the_users_headers_do_not_follow_a_redirect_to_another_host(api, new_server):
    other = new_server()
    api.add(operationId="look")
    await api.load(api.url, headers={"X-Api-Key": "k1"}, allowed=[other.url])
    api.server.redirects["/pets"] = (302, f"{other.url}/x")
    await api.call("look")
    assert "X-Api-Key" not in other.seen[-1].headers


@pytest.mark.parametrize("status", [200, 403])
async def test_a_reply_that_repeats_a_header_does_not_show_it(api, status):
    api.add("/pets", operationId="look")
    await api.load(api.url, headers={"Authorization": Key("Bearer abcdefgh1234")})
    api.server.replies["/pets"] = send('"the key abcdefgh1234 (Bearer abcdefgh1234)"', status=status)
    try:
        text = await api.call("look")
    except ToolCallError as error:
        text = str(error)
    assert "the key [hidden] ([hidden])" in text


async def test_the_users_headers_are_in_nothing_that_is_shown(api):
    api.add(operationId="look")
    description = await api.load(api.url, headers={"X-Api-Key": Key("very-secret"), "X-Two": "also-secret"})
    shown = repr(description) + repr(tool_call_of(description)) + "".join(repr(tool.spec) for tool in description.tools)
    assert "look" in shown
    assert "very-secret" not in shown
    assert "also-secret" not in shown


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({"Host": "x"}, "cannot be sent: the header 'Host'"),
        ({"a b": "x"}, "invalid character"),
        ({"X": 3}, "is not a text"),
    ],
)
async def test_headers_that_cannot_be_sent_are_rejected(api, headers, fault):
    with pytest.raises(UserError, match=fault):
        await api.load(f"{api.server.url}/openapi.json", headers=headers)


async def test_a_header_with_an_invalid_value_is_an_error_without_the_value(api):
    api.add(operationId="look")
    await api.load(api.file, server=api.server.url, headers={"X-Key": "secret\r\nX: y"})
    with pytest.raises(ToolCallError, match="'X-Key' has an invalid character") as raised:
        await api.call("look")
    assert "secret" not in str(raised.value)
