"""What a program sees of the network, on every backend, with a real server behind the policy."""

from __future__ import annotations

import gzip
import textwrap
import zlib

import pytest

from ..sandbox.conftest import EMULATED
from .conftest import Canary, Guests, Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


def program(text: str, url: str = "") -> str:
    return f"URL = {url!r}\n{textwrap.dedent(text).strip()}"


@pytest.mark.smoke
async def test_a_page_is_asked_for_and_its_parts_are_there(guests: Guests, server: Server):
    run = await guests.run(
        program(
            """
            page = http_get(URL + "/items", params={"q": "a b", "tag": ["x", "é"]}, headers={"X-Key": "k"}, timeout=5)
            told = page.json()
            [page.status, page.status_code, page.ok, page.reason, page.headers["Content-Type"], "content-TYPE" in page.headers,
             page.headers.get("nothing"), told["path"], told["headers"]["X-Key"], page.url == URL + told["path"],
             page.text == page.content.decode(), repr(page)]
            """,
            server.url,
        ),
        [server.url],
    )
    path = "/items?q=a+b&tag=x&tag=%C3%A9"
    assert run.value == [
        200, 200, True, "OK", "application/json", True, None, path, "k", True, True, "<Response 200>",
    ]  # fmt: skip
    (call,) = run.calls
    assert (call.name, call.line) == ("http_request", 2)
    assert call.arguments == {"method": "GET", "url": server.url + path, "headers": {"X-Key": "k"}}


async def test_json_forms_text_and_bytes_are_sent_as_they_are_meant(guests: Guests, server: Server):
    await guests.run(
        program(
            """
            import datetime
            http_post(URL, json={"day": datetime.date(2026, 1, 2), "é": [1]})
            http_post(URL, data={"a": "b c", "d": 1})
            http_post(URL, data="tést", headers={"content-type": "text/csv"})
            http_post(URL, data=bytes([0, 255]))
            http_request("delete", URL + "?x#part", params="y=1", json=[])
            http_post(URL)
            """,
            server.url,
        ),
        [server.url],
    )
    got = [
        (one.method, one.path, one.headers.get("Content-Type", one.headers.get("content-type")), one.body)
        for one in server.seen
    ]
    assert got == [
        ("POST", "/", "application/json", '{"day": "2026-01-02", "é": [1]}'.encode()),
        ("POST", "/", "application/x-www-form-urlencoded", b"a=b+c&d=1"),
        ("POST", "/", "text/csv", "tést".encode()),
        ("POST", "/", None, b"\x00\xff"),
        ("DELETE", "/?x&y=1", "application/json", b"[]"),
        ("POST", "/", None, b""),
    ]


@pytest.mark.smoke
async def test_what_is_not_allowed_is_a_tool_failure_that_says_what_is(guests: Guests, server: Server, canary: Canary):
    run = await guests.run(
        program(
            f"""
            said = []
            for method, url in [("GET", "http://127.0.0.1:{canary.port}/"), ("DELETE", URL), ("GET", "https://example.com/")]:
                try:
                    http_request(method, url)
                except ToolFailed as error:
                    said.append(str(error))
            said
            """,
            server.url,
        ),
        [(server.url, "GET")],  # type: ignore[list-item]
    )
    only = f"only {server.url} (GET) can be reached"
    assert run.value == [
        f"http://127.0.0.1:{canary.port} is not allowed: {only}",
        f"DELETE {server.url} is not allowed: {only}",
        f"https://example.com is not allowed: {only}",
    ]
    assert len(run.calls) == 3
    assert server.seen == []


async def test_a_status_of_an_error_is_no_exception_until_the_program_says_so(guests: Guests, server: Server):
    run = await guests.run(
        program(
            """
            page = http_get(URL + "/status/404")
            try:
                page.raise_for_status()
            except OSError as error:
                said = str(error)
            [page.status, page.ok, page.json()["path"], said]
            """,
            server.url,
        ),
        [server.url],
    )
    assert run.value == [404, False, "/status/404", f"404 Not Found for {server.url}/status/404"]


@pytest.mark.smoke
async def test_a_body_of_any_size_up_to_the_limit_arrives_whole(guests: Guests, server: Server):
    megabytes = 2 if EMULATED else 16
    body = (bytes(range(256)) * 4_096) * megabytes
    server.replies["/large"] = lambda one: one.send(200, body, {})
    server.replies["/text"] = lambda one: one.send(200, ("é" * 500_000).encode(), {})
    run = await guests.run(
        program(
            """
            import zlib
            large, text = http_get(URL + "/large"), http_get(URL + "/text")
            [len(large.content), zlib.crc32(large.content), text.text == "é" * 500_000]
            """,
            server.url,
        ),
        [server.url],
    )
    assert run.value == [len(body), zlib.crc32(body), True]


async def test_packed_bodies_are_unpacked_in_the_guest_and_a_bomb_harms_nobody(guests: Guests, server: Server):
    text = b'{"a": "' + b"x" * 300_000 + b'"}'
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "/gzip": ("gzip", gzip.compress(text)),
        "/zlib": ("deflate", zlib.compress(text)),
        "/raw": ("Deflate", raw.compress(text) + raw.flush()),
        "/bomb": ("gzip", gzip.compress(bytes(1 << 30 if not EMULATED else 1 << 27), 1)),
    }
    for path, (encoding, body) in packed.items():
        server.replies[path] = lambda one, body=body, encoding=encoding: one.send(
            200, body, {"Content-Encoding": encoding}
        )
    run = await guests.run(
        program(
            """
            said = [len(http_get(URL + path).json()["a"]) for path in ("/gzip", "/zlib", "/raw")]
            try:
                http_get(URL + "/bomb").text
            except ValueError as error:
                said.append(str(error))
            said
            """,
            server.url,
        ),
        [server.url],
    )
    assert run.value == [300_000] * 3 + ["the decompressed response is larger than 32 MiB"]


async def test_text_is_read_in_the_letters_that_the_server_names(guests: Guests, server: Server):
    server.replies["/latin"] = lambda one: one.send(
        200, b"\xe9", {"Content-Type": 'text/plain; charset="ISO-8859-1"; x=y'}
    )
    server.replies["/odd"] = lambda one: one.send(200, "é".encode(), {"Content-Type": "text/plain; charset=klingon"})
    run = await guests.run(
        program('[http_get(URL + "/latin").text, http_get(URL + "/odd").text]', server.url), [server.url]
    )
    assert run.value == ["é", "é"]


async def test_urlopen_and_openers_work_for_what_is_allowed(guests: Guests, server: Server):
    server.redirects |= {"/from": (302, "/to")}
    run = await guests.run(
        program(
            """
            import json, urllib.request
            from urllib.request import urlopen, Request, build_opener
            said = []
            with urlopen(URL + "/a", timeout=5) as page:
                said += [page.status, page.getcode(), page.reason, page.headers["content-type"], page.getheader("X-Two")]
                said += [page.headers.get_content_type(), page.geturl() == URL + "/a", json.load(page)["headers"]["User-agent"]]
            said.append(json.loads(urllib.request.urlopen(URL, data=b"x=1").read())["body"])
            made = Request(URL, data=b"{}", headers={"Content-Type": "application/json", "X-Key": "k"}, method="PUT")
            told = json.load(urlopen(made))
            said += [told["method"], told["headers"]["Content-type"], told["headers"]["X-key"], told["headers"]["Host"] in URL]
            said.append(urlopen(URL + "/from").geturl() == URL + "/to")
            said.append(build_opener().open(URL).status)
            said.append(len(urlopen(Request(URL, method="HEAD")).read()))
            said.append(b"".join(urlopen(URL + "/lines")).startswith(b"{"))
            said
            """,
            server.url,
        ),
        [server.url],
    )
    version = "3.15" if guests.has_pandas else "3.14"
    assert run.value == [
        200, 200, "OK", "application/json", "a", "application/json", True, f"Python-urllib/{version}", "x=1",
        "PUT", "application/json", "k", True, True, 200, 0, True,
    ]  # fmt: skip
    assert {call.name for call in run.calls} == {"http_request"}


async def test_urlopen_raises_what_programs_expect_of_it(guests: Guests, server: Server, canary: Canary):
    run = await guests.run(
        program(
            f"""
            import urllib.request, urllib.error
            said = []
            for url in (URL + "/status/503", "http://127.0.0.1:{canary.port}/", "https://example.com/", "nothing"):
                try:
                    urllib.request.urlopen(url)
                except urllib.error.HTTPError as error:
                    said.append([error.code, error.reason, len(error.read()) > 10])
                except urllib.error.URLError as error:
                    said.append(str(error.reason))
                except ValueError as error:
                    said.append(str(error))
            said
            """,
            server.url,
        ),
        [server.url],
    )
    only = f"only {server.url} can be reached"
    assert run.value == [
        [503, "Service Unavailable", True],
        f"http://127.0.0.1:{canary.port} is not allowed: {only}",
        f"https://example.com is not allowed: {only}",
        "unknown url type: 'nothing'",
    ]


async def test_without_the_network_urlopen_says_so_and_how_a_user_turns_it_on(guests: Guests, server: Server):
    run = await guests.run(program("import urllib.request\nurllib.request.urlopen(URL)", server.url), None)
    said = "the network is off; the user can allow hosts with the option allowed_domains"
    assert run.error == f"URLError: <urlopen error {said}>"
    assert run.calls == []
    for url in ("https://example.com", "ftp://example.com/x", "file:///etc/passwd"):
        run = await guests.run(f"import urllib.request\nurllib.request.urlopen({url!r})", None)
        assert run.error.startswith("URLError: ")
    run = await guests.run("http_get('https://example.com')", None)
    assert run.error == "NameError: name 'http_get' is not defined"
    assert server.seen == []


async def test_an_allowed_host_gives_the_guest_no_network_of_its_own(guests: Guests, server: Server):
    run = await guests.run(
        program(
            """
            import http.client, socket
            host, port = URL.removeprefix("http://").split(":")

            def raw():
                from wit_world.imports import outgoing_handler, wasi_http_types as types
                request = types.OutgoingRequest(types.Fields.from_list([]))
                request.set_authority(f"{host}:{port}")
                request.set_scheme(types.Scheme_Http())
                outgoing_handler.handle(request, None)

            def connection():
                made = http.client.HTTPConnection(host, int(port))
                made.request("GET", "/")

            said = []
            for attempt in (raw, connection, lambda: socket.create_connection((host, int(port)))):
                try:
                    said.append(repr(attempt()))
                except Exception as error:
                    said.append("refused")
            said + [http_get(URL).status]
            """,
            server.url,
        ),
        [server.url],
    )
    assert run.value == ["refused", "refused", "refused", 200]
    assert len(server.seen) == 1


async def test_many_requests_can_be_under_way_at_once(guests: Guests, server: Server):
    run = await guests.run(
        program(
            """
            import asyncio
            pages = await asyncio.gather(*[http_get_async(URL, params={"i": i}) for i in range(20)])
            [(page.status, page.json()["path"]) for page in pages]
            """,
            server.url,
        ),
        [server.url],
    )
    assert run.value == [[200, f"/?i={i}"] for i in range(20)]
    assert {call.batch_size for call in run.calls} == {20}


async def test_a_reply_that_is_too_slow_ends_in_the_program_and_not_with_it(guests: Guests):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        run = await guests.run(
            program("try:\n    http_get(URL)\nexcept ToolFailed as error:\n    said = str(error)\nsaid", url),
            [url],
            seconds=0.3,
        )
    assert run.value == f"{url} took longer than 0.3 s"
