# pyright: basic
"""What a call sends, and what it returns."""

from __future__ import annotations

import json

import pytest

from codeact_kernel.tools import ToolCallError

from .conftest import json_body, parameter, send

LIST = {"type": "array", "items": {"type": "string"}}
OBJECT = {"type": "object", "additionalProperties": True}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("rex", "/pets/rex"),
        ("a/b c", "/pets/a%2Fb%20c"),
        ("?x=1#y", "/pets/%3Fx%3D1%23y"),
        ("%2F", "/pets/%252F"),
        ("ü@:", "/pets/%C3%BC%40%3A"),
        ("a..b", "/pets/a..b"),
    ],
)
async def test_a_path_parameter_stays_in_its_segment(api, given, path):
    api.add("/pets/{id}", operationId="get", parameters=[parameter("id", "path")])
    await api.load()
    assert await api.path_of("get", id=given) == path


@pytest.mark.parametrize("given", ["..", ".", "../admin", "a/../../b", "..\\x", "%2e%2e", "%252e%252e/x", "", ".%2e/"])
async def test_a_path_parameter_that_would_lead_elsewhere_is_rejected_and_nothing_is_sent(api, given):
    api.add("/pets/{id}", "delete", operationId="remove", parameters=[parameter("id", "path")])
    await api.load()
    with pytest.raises(ToolCallError, match="another path"):
        await api.call("remove", id=given)
    assert api.server.seen == []


async def test_two_parameters_in_one_segment_cannot_make_dots_together(api):
    api.add("/pets/{a}{b}", operationId="get", parameters=[parameter("a", "path"), parameter("b", "path")])
    await api.load()
    with pytest.raises(ToolCallError, match="another path"):
        await api.call("get", a=".", b=".")


@pytest.mark.parametrize(
    ("schema", "how", "given", "query"),
    [
        ({"type": "string"}, {}, "a&b=c d", "q=a%26b%3Dc%20d"),
        ({"type": "boolean"}, {}, True, "q=true"),
        ({"type": "number"}, {}, 1.5, "q=1.5"),
        (LIST, {}, ["a,b", "c"], "q=a%2Cb&q=c"),
        (LIST, {"explode": False}, ["a,b", "c"], "q=a%2Cb,c"),
        (LIST, {"style": "pipeDelimited"}, ["a", "b"], "q=a%7Cb"),
        (LIST, {"style": "spaceDelimited"}, ["a", "b"], "q=a%20b"),
        (OBJECT, {}, {"r": 1, "g": "x"}, "r=1&g=x"),
        (OBJECT, {"explode": False}, {"r": 1}, "q=r,1"),
        (OBJECT, {"style": "deepObject"}, {"r": {"gte": 1}, "l": ["x"]}, "q[r][gte]=1&q[l][]=x"),
    ],
)
async def test_a_query_parameter_is_written_in_its_style(api, schema, how, given, query):
    api.add(operationId="find", parameters=[parameter("q", schema=schema, **how)])
    await api.load()
    assert await api.path_of("find", q=given) == f"/pets?{query}"


async def test_a_parameter_with_a_media_type_is_sent_as_json(api):
    one = {"name": "q", "in": "query", "content": {"application/json": {"schema": OBJECT}}}
    api.add(operationId="find", parameters=[one])
    await api.load()
    assert await api.path_of("find", q={"a": [1]}) == "/pets?q=%7B%22a%22%3A%20%5B1%5D%7D"


async def test_an_argument_can_have_any_name(api):
    names = ["self", "cls", "arguments", "class", "__init__", "name", "größe", "a[b]"]
    api.add(operationId="find", parameters=[parameter(name) for name in names])
    await api.load()
    path = await api.path_of("find", **dict.fromkeys(names, "x"))
    assert path == "/pets?self=x&cls=x&arguments=x&class=x&__init__=x&name=x&gr%C3%B6%C3%9Fe=x&a[b]=x"


async def test_what_is_left_out_is_not_sent(api):
    api.add(
        operationId="find", parameters=[parameter("q"), parameter("limit", schema={"type": "integer", "default": 5})]
    )
    await api.load()
    assert await api.path_of("find", q=None) == "/pets"


async def test_headers_and_cookies_are_sent(api):
    api.add(operationId="find", parameters=[parameter("X-Trace", "header"), parameter("theme", "cookie")])
    await api.load()
    headers = (await api.call("find", X_Trace="abc", theme="dark; admin=1"))["headers"]
    assert headers["X-Trace"] == "abc"
    assert headers["Cookie"] == "theme=dark%3B%20admin%3D1"


@pytest.mark.parametrize(
    "name",
    ["Host", "authorization", "Cookie", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Accept",
     "Proxy-Authorization", "X-Forwarded-For", "Upgrade", "X-HTTP-Method-Override", "Expect", "TE"],
)  # fmt: skip
async def test_a_header_that_belongs_to_the_connection_or_the_user_is_no_argument(api, name):
    api.add(operationId="find", parameters=[{**parameter(name, "header"), "required": True}])
    description = await api.load()
    assert description.tools[0].spec.parameters == ()
    with pytest.raises(ToolCallError, match="there is no argument"):
        await api.call("find", **{name: "x"})


async def test_a_header_cannot_carry_a_second_one(api):
    api.add(operationId="find", parameters=[parameter("X-Trace", "header")])
    await api.load()
    with pytest.raises(ToolCallError, match="invalid character"):
        await api.call("find", X_Trace="a\r\nAuthorization: b")
    assert api.server.seen == []


async def test_a_body_is_json_of_its_properties(api):
    schema = {"properties": {"name": {"type": "string"}, "tags": LIST}}
    api.add("/pets", "post", operationId="add", requestBody=json_body(schema))
    await api.load()
    await api.call("add", name="Rex", tags=["a"])
    [seen] = api.server.seen
    assert json.loads(seen.body) == {"name": "Rex", "tags": ["a"]}
    assert seen.headers["Content-Type"] == "application/json"


async def test_a_required_body_without_arguments_is_an_empty_object_and_an_optional_one_is_nothing(api):
    schema = {"properties": {"name": {"type": "string"}}}
    api.add("/a", "post", operationId="must", requestBody=json_body(schema))
    api.add("/b", "post", operationId="may", requestBody=json_body(schema, required=False))
    await api.load()
    assert (await api.call("must"))["body"] == "{}"
    assert (await api.call("may"))["body"] == ""


async def test_a_whole_body_is_sent_as_it_is(api):
    api.add("/pets", "post", operationId="add", requestBody=json_body({"type": "array", "items": {}}))
    await api.load()
    assert (await api.call("add", body=[1, None]))["body"] == "[1, null]"


async def test_a_form_is_encoded(api):
    schema = {"properties": {"name": {"type": "string"}, "items": OBJECT}}
    media = {"schema": schema, "encoding": {"items": {"style": "deepObject"}}}
    body = {"content": {"application/x-www-form-urlencoded": media}}
    api.add("/pets", "post", operationId="add", requestBody=body)
    await api.load()
    answer = await api.call("add", name="a&b", items={"0": {"price": 3}})
    assert answer["body"] == "name=a%26b&items[0][price]=3"
    assert answer["headers"]["Content-Type"] == "application/x-www-form-urlencoded"


async def test_a_text_is_sent_as_text(api):
    api.add("/pets", "put", operationId="note", requestBody={"required": True, "content": {"text/plain": {}}})
    await api.load()
    answer = await api.call("note", body="ü")
    assert answer["body"].encode("latin-1").decode() == "ü"
    assert answer["headers"]["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_body_above_the_limit_is_not_sent(api):
    api.add("/pets", "put", operationId="note", requestBody={"required": True, "content": {"text/plain": {}}})
    await api.load()
    with pytest.raises(ToolCallError, match=r"may have 1 MiB|are larger than"):
        await api.call("note", body="x" * (1 << 20))
    assert api.server.seen == []


@pytest.mark.parametrize(
    ("body", "media_type", "value"),
    [
        ('{"a": [1]}', "application/json; charset=utf-8", {"a": [1]}),
        ('{"a": 1}', "application/problem+json", {"a": 1}),
        ("hello", "text/plain", "hello"),
        (b"caf\xe9", "text/plain; charset=latin-1", "café"),
        ("", "application/json", None),
    ],
)
async def test_a_json_answer_is_a_value_and_any_other_a_text(api, body, media_type, value):
    api.add(operationId="find")
    await api.load()
    api.server.replies["/pets"] = send(body, media_type)
    assert await api.call("find") == value


@pytest.mark.parametrize(
    ("body", "media_type", "fault"),
    [
        ("[" * 100_000, "application/json", "JSON that cannot be read"),
        ("{", "application/json", "JSON that cannot be read"),
        (b"\x89PNG\xff", "image/png", "5 bytes of 'image/png', which is not text"),
    ],
)
async def test_an_answer_that_is_no_value_is_an_error(api, body, media_type, fault):
    api.add(operationId="find")
    await api.load()
    api.server.replies["/pets"] = send(body, media_type)
    with pytest.raises(ToolCallError, match=fault):
        await api.call("find")


async def test_head_returns_the_headers(api):
    api.add("/pets", "head", operationId="peek")
    await api.load()
    assert (await api.call("peek"))["x-two"] == "a"


@pytest.mark.parametrize("status", [400, 404, 500, 302])
async def test_a_status_that_is_no_success_is_an_error_with_the_beginning_of_the_body(api, status):
    api.add("/pets/{id}", operationId="get", parameters=[parameter("id", "path")])
    await api.load()
    api.server.replies["/pets/1"] = send("no\nsuch \x1b[31mpet" + "!" * 10_000, "text/plain", status)
    with pytest.raises(ToolCallError) as raised:
        await api.call("get", id="1")
    assert str(raised.value).startswith(f"GET /pets/{{id}} answered {status} ")
    assert "no such  [31mpet!!!" in str(raised.value) or "no such [31mpet!!!" in str(raised.value)
    assert len(str(raised.value)) < 500
    assert not raised.value.is_final


async def test_a_missing_key_is_final_and_says_who_has_to_give_it(api):
    api.add("/status/401", operationId="find")
    await api.load()
    with pytest.raises(ToolCallError, match=r"answered 401.*the user gives the key") as raised:
        await api.call("find")
    assert raised.value.is_final


async def test_arguments_are_checked_before_anything_is_sent(api):
    api.add(operationId="find", parameters=[parameter("limit", schema={"type": "integer", "maximum": 10})])
    await api.load()
    for wrong in ({"limit": 11}, {"limit": "1"}, {"other": 1}):
        with pytest.raises(ToolCallError, match="find: "):
            await api.call("find", **wrong)
    assert api.server.seen == []
