"""Requests as a hostile guest would make them, against real servers: what gets out, where to, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from codeact_kernel.access import AllowedDomain

from .conftest import Canary, Host, Server, served


class Names:
    """A resolver with answers of a test's own, one after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


async def test_a_request_arrives_as_it_was_made_and_its_reply_comes_back(server: Server):
    host = Host(server.url)
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        answer = await host.ask(method, f"{server.url}/a?b=c", headers={"X-Key": "käse"}, body="hé")
        assert answer.value["status"] == 200
        assert answer.value["headers"]["x-two"] == "a"
        assert ('"path": "/a?b=c"' in answer.value["text"]) is (method != "HEAD")
        seen = server.seen[-1]
        assert (seen.method, seen.path, seen.body.decode(), seen.headers["X-Key"]) == (method, "/a?b=c", "hé", "käse")
        assert (seen.headers["Host"], seen.headers["Connection"]) == (f"127.0.0.1:{server.port}", "close")
        assert (seen.headers["accept-encoding"], seen.headers["user-agent"]) == ("identity", "codeact-kernel")


async def test_nothing_of_this_machine_goes_along(server: Server, canary: Canary, monkeypatch, tmp_path: Path):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    server.replies["/cookie"] = lambda one: one.send(200, b"", {"Set-Cookie": "a=1"})
    host = Host(server.url)
    assert (await host.get(f"{server.url}/cookie"))["headers"]["set-cookie"] == "a=1"
    await host.get(server.url)
    assert set(server.seen[-1].headers) == {"Host", "Connection", "accept", "accept-encoding", "user-agent"}


async def test_an_allowed_host_gets_whatever_the_program_puts_into_the_address(server: Server):
    # Documented: the entry is the grant.
    await Host((server.url, "GET")).get(f"{server.url}/collect?secret=swordfish")
    assert server.seen[-1].path == "/collect?secret=swordfish"


@pytest.mark.parametrize(
    "url",
    """http://127.0.0.1:{port}/ http://127.1:{port}/ http://2130706433:{port}/ http://0x7f000001:{port}/
    http://0x7f.0.0.1:{port}/ http://0177.0.0.1:{port}/ http://127.0.0.1.:{port}/ http://0:{port}/ http://0.0.0.0:{port}/
    http://localhost:{port}/ http://LOCALHOST.:{port}/ http://[::1]:{port}/ http://[::ffff:127.0.0.1]:{port}/
    http://[::ffff:7f00:1]:{port}/ http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/ http://１２７.0.0.1:{port}/
    http://api.example.com@127.0.0.1:{port}/ http://api.example.com:80@127.0.0.1:{port}/
    http://127.0.0.1:{port}\\@api.example.com/ http://127.0.0.1:{port}#@api.example.com/
    http://127.0.0.1:{port}?@api.example.com/ http://api.example.com#@127.0.0.1:{port}/
    http://api.example.com:{port}/""".split(),
)
async def test_no_spelling_of_this_machine_gets_a_program_to_a_port_of_it(url: str, canary: Canary):
    names = Names(["127.0.0.1"])
    host = Host("http://api.example.com", f"http://api.example.com:{canary.port}", resolver=names)
    assert await host.refusal("GET", url.format(port=canary.port))
    assert set(names.asked) <= {"api.example.com"}


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1", "0.0.0.0", "::"])
async def test_a_name_that_resolves_to_this_machine_is_not_asked_whatever_else_it_resolves_to(address, canary: Canary):
    for addresses in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        for entry in (f"http://api.example.com:{canary.port}",):
            for private in (False, True):
                host = Host(AllowedDomain(entry, private=private), resolver=Names(addresses))
                said = await host.refusal("GET", f"{entry}/")
                assert "resolves to an address that is not public" in said


async def test_the_spellings_of_an_allowed_host_are_that_host(server: Server):
    host = Host(f"http://localhost:{server.port}", resolver=Names(["127.0.0.1"]))
    for name in ("localhost", "LocalHost", "localhost.", "ｌｏｃａｌｈｏｓｔ"):
        await host.get(f"http://{name}:{server.port}/")
        assert server.seen[-1].headers["Host"] == f"localhost:{server.port}"


async def test_a_name_that_resolves_differently_the_second_time_is_asked_at_the_address_that_was_checked(
    server: Server, monkeypatch
):
    try:
        other = socket.create_server(("127.0.0.2", server.port))
    except OSError:
        pytest.skip("this system has one loopback address only")
    names = Names(["127.0.0.1"], ["127.0.0.2"])

    def nobody(*_: Any, **__: Any) -> Any:
        raise AssertionError("a second look-up")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with other:
        await Host(f"http://localhost:{server.port}", resolver=names).get(f"http://localhost:{server.port}/")
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
    assert names.asked == ["localhost"]
    assert len(server.seen) == 1


async def test_each_step_of_a_redirect_is_resolved_and_checked_anew(server: Server):
    server.redirects["/"] = (302, "/next")
    host = Host(f"http://localhost:{server.port}", resolver=Names(["127.0.0.1"], ["10.0.0.1"]))
    said = await host.refusal("GET", f"http://localhost:{server.port}/")
    assert said == "localhost does not resolve to this machine"
    assert [one.path for one in server.seen] == ["/"]


async def test_a_redirect_on_the_same_host_is_followed_and_named(server: Server):
    server.redirects |= {
        "/a": (301, "b?x"),
        "/b?x": (307, f"{server.url}/c"),
        "/post": (303, "/c"),
        "/put": (307, "/c"),
    }
    host = Host(server.url)
    assert (await host.get(f"{server.url}/a"))["url"] == f"{server.url}/c"
    posted = await host.ask("POST", f"{server.url}/post", body="x", headers={"Content-Type": "text/plain"})
    assert posted.value["status"] == 200
    assert (server.seen[-1].method, server.seen[-1].body) == ("GET", b"")
    assert "Content-Type" not in server.seen[-1].headers
    kept = await host.ask("PUT", f"{server.url}/put", body="x")
    assert (kept.value["status"], kept.value["headers"]["location"]) == (307, "/c")


async def test_a_redirect_to_another_host_is_followed_if_that_is_allowed_and_takes_no_secret_along(
    server: Server, new_server: Callable[..., Server]
):
    other = new_server()
    server.redirects["/"] = (302, f"{other.url}/there")
    secrets = {"Authorization": "Bearer s", "Cookie": "a=s", "X-Api-Key": "s", "Accept": "text/plain"}
    said = await Host(server.url).refusal("GET", f"{server.url}/", headers=secrets)
    assert said == f"{server.url} redirects, and {other.url} is not allowed: only {server.url} can be reached"
    assert other.seen == []
    await Host(server.url, other.url).get(f"{server.url}/", headers=secrets)
    assert other.seen[-1].headers["Accept"] == "text/plain"
    assert not {"Authorization", "Cookie", "X-Api-Key"} & set(other.seen[-1].headers)


async def test_a_redirect_gives_no_method_and_no_approval_that_the_program_has_not(server: Server):
    server.redirects |= {"/post": (303, "/c"), "/free": (302, "/c")}
    said = await Host((server.url, "POST")).refusal("POST", f"{server.url}/post")
    assert f"GET {server.url} is not allowed" in said
    entry = AllowedDomain(server.url, approval_mode="always_require")
    said = await Host(entry).refusal("GET", f"{server.url}/free")
    assert said == f"{server.url} redirects to {server.url}/c, which needs approval: request that address"
    assert [one.path for one in server.seen] == ["/post", "/free"]


async def test_redirects_come_to_an_end(server: Server):
    server.redirects["/"] = (302, "/")
    said = await Host(server.url, redirects=3).refusal("GET", f"{server.url}/")
    assert said == f"{server.url} redirects more than 3 times"
    assert len(server.seen) == 4


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "OPTIONS", "get", "GET / HTTP/1.1\r\nX: ", ""])
async def test_a_method_that_is_none_of_the_six_is_refused(method, server: Server):
    assert "argument method should be 'GET'" in await Host(server.url).refusal(method, server.url)
    assert server.seen == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"headers": {"X": "a\r\nHost: evil"}},
        {"headers": {"Host": "evil"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"X": 5}},
        {"headers": ["X: 5"]},
        {"body": "é" * 600_000},
        {"body": "not base64!", "binary": True},
        {"body": "\ud800"},
        {"body": 5},
        {"binary": 1},
        {"proxy": "http://evil.example"},
    ],
)
async def test_a_request_with_parts_that_it_cannot_have_is_refused_before_it_is_sent(arguments, server: Server):
    assert await Host(server.url).refusal("POST", server.url, **arguments)
    assert server.seen == []


async def test_the_bytes_of_a_body_arrive_as_they_are(server: Server):
    await Host(server.url).ask("POST", server.url, body="AP/+", binary=True)
    assert server.seen[-1].body == b"\x00\xff\xfe"


async def test_a_name_without_address_and_a_port_without_server_are_told_apart_without_telling_addresses():
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    said = await Host("api.example.com", resolver=unknown).refusal("GET", "https://api.example.com/")
    assert said == "api.example.com has no address: check the name"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said = await Host(f"http://localhost:{port}").refusal("GET", f"http://localhost:{port}/")
    assert said == f"http://localhost:{port} cannot be reached (Connection refused)"


async def test_the_second_address_of_a_host_is_tried_where_the_first_does_not_answer(server: Server):
    host = Host(f"http://localhost:{server.port}", resolver=Names(["::1", "127.0.0.1"]))
    assert (await host.get(f"http://localhost:{server.port}/"))["status"] == 200


# -- replies that are slow, endless, or no replies ---


async def of_bytes(reply: Callable[[StreamWriter], Any], **limits: Any) -> str:
    """Why the reply of a server that writes it by hand is refused."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await reply(writer)
        writer.close()

    async with await served(serve) as real:
        url = f"http://127.0.0.1:{real.sockets[0].getsockname()[1]}"
        return (await Host(url, **limits).refusal("GET", url)).removeprefix(f"{url} ")


async def endless(writer: StreamWriter, piece: bytes) -> None:
    while True:
        writer.write(piece)
        await writer.drain()


HEAD = b"HTTP/1.1 200 OK\r\n"


async def test_a_reply_that_does_not_end_is_cut_off_by_its_time_or_its_size():
    async def silent(writer: StreamWriter) -> None:
        await writer.wait_closed()  # which the other side brings about

    async def dripping(writer: StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.05)

    async def announced(writer: StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: 99999999999\r\n\r\n")
        await writer.wait_closed()

    async def unannounced(writer: StreamWriter) -> None:
        writer.write(HEAD + b"\r\n")
        await endless(writer, b"x" * 10_000)

    async def chunked(writer: StreamWriter) -> None:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await endless(writer, b"1\r\nx\r\n" * 1_000)

    async def headers(writer: StreamWriter) -> None:
        writer.write(HEAD)
        await endless(writer, b"X: y\r\n" * 1_000)

    async def informed(writer: StreamWriter) -> None:
        await endless(writer, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    assert await of_bytes(silent, seconds=0.2) == "took longer than 0.2 s"
    assert await of_bytes(dripping, seconds=0.2) == "took longer than 0.2 s"
    most = "sent a reply of more than 1 MiB: request less"
    assert await of_bytes(announced, reply_bytes=1 << 20) == most
    assert await of_bytes(unannounced, reply_bytes=1 << 20) == most
    for pieces in (chunked, informed):
        assert "too many pieces" in await of_bytes(pieces)
    assert await of_bytes(headers) == "closed the connection or sent invalid HTTP (Receive buffer too long)"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"", "invalid HTTP"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(101)) + b"\r\n", "too many headers"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "invalid HTTP"),
    ],
)
async def test_what_is_no_whole_reply_is_a_refusal(reply: bytes, said: str):
    async def write(writer: StreamWriter) -> None:
        writer.write(reply)

    assert said in await of_bytes(write)


async def test_headers_that_come_twice_or_in_other_letters_are_read(server: Server):
    head = b"X-A: one\r\nx-a: two\r\nX-B: \xc3\xa9\r\nX-C: \xe9\r\n"
    server.replies["/"] = lambda one: one.wfile.write(HEAD + head + b"Content-Length: 2\r\n\r\nok")
    answer = await Host(server.url).get(f"{server.url}/")
    assert {name: answer["headers"][name] for name in ("x-a", "x-b", "x-c")} == {
        "x-a": "one, two",
        "x-b": "é",
        "x-c": "é",
    }


@pytest.mark.filterwarnings("error::ResourceWarning")  # closed, and not only forgotten
async def test_a_request_that_is_cancelled_closes_its_connection():
    came, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        came.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()
        writer.close()

    async with await served(serve) as real:
        url = f"http://127.0.0.1:{real.sockets[0].getsockname()[1]}"
        request = asyncio.create_task(Host(url).ask("GET", url))
        await came.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        async with asyncio.timeout(5):
            await gone.wait()


# -- TLS ---


def certificate(folder: Path, host: str) -> Path:
    """A certificate that signed itself, and its key, in one file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(secret + made.public_bytes(encoding))
    return file


async def test_a_certificate_counts_only_if_it_is_trusted_and_for_this_host(new_server, tmp_path: Path, monkeypatch):
    file = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = new_server(lambda plain: context.wrap_socket(plain, server_side=True))
    named, numbered = (f"https://{host}:{server.port}" for host in ("localhost", "127.0.0.1"))
    said = await Host(named).refusal("GET", named)
    assert said.startswith(f"{named} has no trusted TLS certificate (self-signed certificate")

    monkeypatch.setenv("SSL_CERT_FILE", str(file))  # the user's own way to trust it
    said = await Host(numbered).refusal("GET", numbered)
    assert said.startswith(f"{numbered} has no trusted TLS certificate (IP address mismatch")
    assert server.seen == []
    assert (await Host(named).get(named))["status"] == 200


async def test_a_host_that_speaks_no_tls_gets_nothing(server: Server):
    here = f"https://localhost:{server.port}"
    assert "no trusted TLS certificate" in await Host(here).refusal("GET", f"{here}/secret?x=1")
    assert server.seen == []
