"""C. Reaching the network: sockets of its own, and requests to what nobody has allowed."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace
from typing import Any

import pytest

from codeact_kernel.capabilities.network.capability import HttpLimits

from ..network.conftest import Server, new_server, server
from ..sandbox.conftest import EMULATED
from ..sandbox.test_around_the_prelude import RAW
from .attempts import Attempt, attempt, cases, tried
from .conftest import with_limits

__all__ = ["new_server", "server"]

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFUSED = "refused: (PermissionError|OSError|gaierror|NotImplementedError|ConnectionRefusedError)"
OFF = "refused: URLError: .*the network is off"

SOCKETS = [
    Attempt(
        id="C1.tcp",
        tries="connects to a port of this machine",
        program=tried(
            '[made := socket.socket(), made.connect(("127.0.0.1", {port})), made.getpeername()[0]]', "import socket"
        ),
        reached=REFUSED,
        gets_out="127.0.0.1",
    ),
    Attempt(
        id="C1.by_name",
        tries="connects to a name",
        program=tried('socket.create_connection(("localhost", {port}), 5).getpeername()[0]', "import socket"),
        reached=REFUSED,
        gets_out="127.0.0.1",
    ),
    Attempt(
        id="C1.connect_ex",
        tries="connects with connect_ex, which returns a number instead of raising",
        program=tried('socket.socket().connect_ex(("127.0.0.1", {port}))', "import socket"),
        reached=r"^[1-9]\d*|refused: ",
        gets_out="(?m)^0",
    ),
    Attempt(
        id="C1.not_blocking",
        tries="connects without blocking, and polls the socket",
        program="""
import socket, time
made, seen = None, set()
for _ in range(20):
    try:
        made = made or socket.socket()
        made.setblocking(False)
        seen.add(str(made.connect_ex(("127.0.0.1", {port}))))
    except Exception as error:
        seen.add("refused: " + type(error).__name__)
    time.sleep(0.001)
seen = sorted(seen)
""",
        reached="^\\['refused: (PermissionError|OSError)'\\]",
        gets_out="106|'0'",
    ),
    Attempt(
        id="C1.udp",
        tries="sends a datagram",
        program=tried(
            'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"left", ("127.0.0.1", 9))', "import socket"
        ),
        reached=REFUSED,
        gets_out="^4",
    ),
    Attempt(
        id="C1.listen",
        tries="listens on a port",
        program=tried('socket.create_server(("127.0.0.1", 0)).getsockname()[0]', "import socket"),
        reached="refused: ",
        gets_out="127.0.0.1",
    ),
    Attempt(
        id="C1.names",
        tries="looks up names that could carry data out",
        program="""
import socket
seen = []
for way in (
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: socket.gethostbyname("localhost"),
    lambda: socket.gethostbyname_ex("localhost"),
    lambda: socket.gethostbyaddr("127.0.0.1"),
    lambda: socket.getfqdn("secret.example.com") == "secret.example.com" and socket.gethostbyname("localhost"),
):
    try:
        seen.append(str(way()))
    except (OSError, AttributeError) as error:
        seen.append("refused")
""",
        reached=r"^\[('refused'(, )?){5}\]",
        gets_out="127.0.0.1",
    ),
    Attempt(
        id="C1.unix",
        tries="connects to Unix sockets of services on this machine",
        program="""
import socket
try:
    ends = socket.socketpair(socket.AF_UNIX)
    ends[0].send(b"left")
    seen = ends[1].recv(4)
except (OSError, AttributeError) as error:
    seen = f"refused: {type(error).__name__}"
""",
        reached="refused: ",
        gets_out="b'left'",
    ),
    Attempt(
        id="C1.raw_socket",
        tries="opens sockets of every family and kind",
        program="""
import socket
seen = []
for family in (1, 2, 10, 16, 17, 40):
    for kind in (1, 2, 3, 5):
        try:
            made = socket.socket(family, kind)
            made.connect(("127.0.0.1", {port}))
            seen.append([family, kind])
        except Exception:
            pass
""",
        reached=r"^\[\]",
        gets_out=r"\[2, 1\]",
    ),
    Attempt(
        id="C1.asyncio",
        tries="connects with asyncio",
        program="""
import asyncio
async def connect():
    reader, writer = await asyncio.open_connection("127.0.0.1", {port})
    return writer.get_extra_info("peername")[0]
coroutine = connect()
try:
    loop = asyncio.new_event_loop()
    seen = loop.run_until_complete(coroutine)
except Exception as error:
    seen = f"refused: {type(error).__name__}"
""",
        reached="refused: ",
        gets_out="127.0.0.1",
    ),
    Attempt(
        id="C1.http_client",
        tries="sends HTTP requests with http.client",
        program=tried('http.client.HTTPConnection("127.0.0.1", {port}).request("GET", "/left")', "import http.client"),
        reached=REFUSED,
        gets_out="^None",
    ),
    Attempt(
        id="C1.other_protocols",
        tries="uses the library's mail, file transfer and remote call clients",
        program="""
import ftplib, smtplib, xmlrpc.client
seen = []
for way in (
    lambda: smtplib.SMTP("127.0.0.1", {port}, timeout=5),
    lambda: ftplib.FTP().connect("127.0.0.1", {port}, timeout=5),
    lambda: xmlrpc.client.ServerProxy("http://127.0.0.1:{port}").left(),
):
    try:
        seen.append(way())
    except Exception as error:
        seen.append("refused: " + type(error).__name__)
""",
        reached=r"^\[('refused: (PermissionError|OSError|gaierror)'(, )?){3}\]",
        gets_out="Disconnected|EOFError|Reset",
    ),
    Attempt(
        id="C1.raw_tcp",
        tries="forges a socket of the component, and connects it",
        program=tried(
            "made.start_connect(net, network.IpSocketAddress_Ipv4(network.Ipv4SocketAddress({port}, (127, 0, 0, 1))))",
            """
            from wit_world.imports import network, tcp
            made, net = tcp.TcpSocket(), network.Network()
            made.handle, net.handle = 1, 0
            """,
        ),
        reached="refused: |Crashed",
    ),
    Attempt(
        id="C1.raw_udp",
        tries="forges a datagram socket of the component",
        program=tried(
            "made.start_bind(net, network.IpSocketAddress_Ipv4(network.Ipv4SocketAddress(0, (0, 0, 0, 0))))",
            """
            from wit_world.imports import network, udp
            made, net = udp.UdpSocket(), network.Network()
            made.handle, net.handle = 1, 0
            """,
        ),
        reached="refused: |Crashed",
    ),
    Attempt(
        id="C1.raw_names",
        tries="looks up a name with the component's own import",
        program=tried(
            'ip_name_lookup.resolve_addresses(made, "localhost")',
            """
            from wit_world.imports import ip_name_lookup, network
            made = network.Network()
            made.handle = 0
            """,
        ),
        reached="refused: |Crashed",
    ),
    Attempt(
        id="C2.urlopen",
        tries="sends a request to this machine with urllib, while the network is off",
        program=tried('urllib.request.urlopen("http://127.0.0.1:{port}/left", timeout=5)', "import urllib.request"),
        reached=OFF,
        gets_out="refused: RemoteDisconnected|refused: ConnectionResetError|refused: URLError",
    ),
    Attempt(
        id="C2.browser",
        tries="opens a page in the user's browser",
        program=tried('[webbrowser.open("http://127.0.0.1:{port}/left")]', "import webbrowser"),
        reached=r"^\[False\]|refused: ",
    ),
    Attempt(
        id="C2.jupyter",
        tries="looks for the ports and the key of the notebook's kernel",
        program="""
import glob, os, sys
places = ("~/.local/share/jupyter/runtime", "~/.jupyter", "/run/user/*/jupyter", "/proc/*/cmdline")
seen = [glob.glob(os.path.expanduser(place) + "/*") for place in places]
seen += [sys.argv, [name for name in os.environ if "JPY" in name or "JUPYTER" in name], sys.orig_argv]
""",
        reached=r"^\[\[\], \[\], \[\], \[\], \['program'\]",
    ),
    Attempt(
        id="C2.no_network",
        tries="calls the tool behind HTTP requests in a prompt without network",
        program=RAW
        + """
seen = [
    raw({"op": "call_tool", "name": name, "arguments": {"method": "GET", "url": "http://127.0.0.1:{port}/"}, "line": 0, "batch_size": 1, "wait": True})
    for name in ("http_request", "net.http_request", "net.fetch", "http_get", "net.body")
]
""",
        reached=r"^\[(.*false,\[.*){5}\]",
    ),
]


@pytest.mark.parametrize("one", cases(SOCKETS))
@pytest.mark.smoke
async def test_a_program_has_no_network_of_its_own(kernel, one):
    await kernel.holds(one)


def asked(url: str) -> str:
    """Return a program that requests a page."""
    return tried(f'[urllib.request.urlopen("{url}", timeout=5).status]', "import urllib.request")


NOT_ALLOWED = "refused: URLError: .*(is not allowed: only|cannot be requested|is not a URL)"
CAME = "refused: (RemoteDisconnected|ConnectionResetError|URLError|BadStatusLine)"

ADDRESSES = [
    Attempt(id=f"{item}.{name}", tries=tries, program=asked(url), reached=NOT_ALLOWED, gets_out=out)
    for item, name, tries, url, out in (
        ("C2", "metadata", "requests the credentials of a cloud machine", "http://169.254.169.254/latest/meta-data/", ""),
        ("C2", "metadata_name", "requests the credentials of a cloud machine by its name", "http://metadata.google.internal/computeMetadata/v1/", ""),
        ("C2", "loopback", "sends a request to another port of an allowed machine", "http://127.0.0.1:{port}/left", CAME),
        ("C2", "localhost", "sends a request to the allowed machine by another name", "http://localhost:{port}/left", CAME),
        ("C2", "any", "sends a request to this machine as 0.0.0.0", "http://0.0.0.0:{port}/left", CAME),
        ("C3", "decimal", "requests a URL with an address that is one number", "http://2130706433:{port}/left", CAME),
        ("C3", "octal", "requests a URL with an address in octal numbers", "http://0177.0.0.01:{port}/left", CAME),
        ("C3", "hexadecimal", "requests a URL with an address in hexadecimal numbers", "http://0x7f.0x0.0x0.0x1:{port}/left", CAME),
        ("C3", "short", "requests a URL with an address of two parts", "http://127.1:{port}/left", CAME),
        ("C3", "mapped", "requests a URL with an IPv4 address written as IPv6", "http://[::ffff:127.0.0.1]:{port}/left", CAME),
        ("C3", "dot", "requests a URL with a name that ends with a dot", "http://localhost.:{port}/left", ""),
        ("C3", "case", "requests a URL with a name in capital letters", "http://LOCALHOST:{port}/left", CAME),
        ("C3", "letters", "requests a URL with letters that normalise to other letters", "http://\\u24db\\u24de\\u24d2\\u24d0lhost:{port}/left", ""),
        ("C3", "user", "requests a URL with an allowed host as its user name", "http://{allowed}@127.0.0.1:{port}/left", ""),
        ("C3", "backslash", "requests a URL with the host after a backslash", "http://{allowed}\\\\@127.0.0.1:{port}/left", ""),
        ("C3", "fragment", "requests a URL with the host after a hash", "http://127.0.0.1:{port}#@{allowed}/", CAME),
        ("C3", "tab", "requests a URL with a tab in the host", "http://127.0.0.1\\t:{port}/left", ""),
    )
]  # fmt: skip
METHODS = [
    Attempt(
        id="C3.schemes",
        tries="requests files, and URLs with schemes other than http and https",
        program="""
import urllib.request
seen = []
for url in ("file:///etc/passwd", "file://{allowed}/etc/passwd", "ftp://{allowed}/", "gopher://{allowed}/", "data:text/plain,x", "jar:http://{allowed}/"):
    for way in (urllib.request.urlopen, http_get):
        try:
            way(url)
            seen.append("came " + url)
        except (OSError, ToolFailed) as error:
            seen.append("refused")
""",
        reached=r"^\[('refused'(, )?){8}'came data:text/plain,x', 'refused', 'refused', 'refused'\]",  # which asks nobody
    ),
    Attempt(
        id="C5.methods",
        tries="uses methods that are not allowed, and methods that open a tunnel",
        program="""
seen = []
for method in ("POST", "DELETE", "CONNECT", "TRACE", "OPTIONS", "get ", "GET /x HTTP/1.1", "PROPFIND", "G\\u00cbT", ""):
    try:
        seen.append(call_tool("http_request", method=method, url="http://{allowed}/left")["status"])
    except ToolFailed as error:
        seen.append("refused")
""",
        reached=r"^\[('refused'(, )?){10}\]",
    ),
    Attempt(
        id="C5.headers",
        tries="puts line ends and whole requests into headers and paths",
        program="""
seen = []
for headers in ({"X": "a\\r\\nHost: evil"}, {"X\\r\\nY": "a"}, {"X": "a\\nb"}, {"X: a\\r\\n\\r\\nGET /left HTTP/1.1": ""}, {"": "x"}, {"X": "a\\0"}):
    try:
        seen.append(http_get("http://{allowed}/", headers=headers).status)
    except ToolFailed as error:
        seen.append("refused")
for path in ("/a\\r\\nHost: evil", "/a HTTP/1.1\\r\\n\\r\\nGET /left"):
    try:
        seen.append(http_get("http://{allowed}" + path).status)
    except ToolFailed as error:
        seen.append("refused")
""",
        reached=r"^\[('refused'(, )?){8}\]",
    ),
    Attempt(
        id="C5.our_headers",
        tries="sets the headers for the host, the length and the upgrade of the connection",
        program="""
seen = []
for name in ("Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "Proxy-Authorization", "Expect",
             "X-HTTP-Method-Override", "TE", "HTTP2-Settings"):
    try:
        seen.append(http_get("http://{allowed}/", headers={name: "127.0.0.1:{port}"}).status)
    except ToolFailed as error:
        seen.append("refused")
""",
        reached=r"^\[('refused'(, )?){10}\]",
    ),
    Attempt(
        id="C5.proxy",
        tries="sets its own proxy, in the environment and in the library",
        program="""
import os, urllib.request
os.environ["http_proxy"] = os.environ["HTTP_PROXY"] = os.environ["ALL_PROXY"] = "http://127.0.0.1:{port}"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": "http://127.0.0.1:{port}"}))
seen = []
for way in (opener.open, urllib.request.urlopen):
    try:
        seen.append(way("http://{allowed}/").status)
    except Exception as error:
        seen.append(f"refused: {error}")
""",
        reached="200|refused: .*is not allowed",
    ),
    Attempt(
        id="C5.raw",
        tries="sends the host every wrong kind of request, without our functions",
        program=RAW
        + """
def ask(**given):
    return raw({"op": "call_tool", "name": "http_request", "arguments": given, "line": 0, "batch_size": 1, "wait": True})
url = "http://{allowed}/"
seen = [
    "false,[" in one
    for one in (
        ask(), ask(method="GET"), ask(url=url), ask(method=1, url=url), ask(method="GET", url=[url]), ask(method="GET", url=url, headers=[]),
        ask(method="GET", url=url, headers={"a": 1}), ask(method="GET", url=url, body=1), ask(method="GET", url=url, binary="yes"),
        ask(method="GET", url=url, body="!", binary=True), ask(method="GET", url=url, timeout=10**9), ask(method="GET", url=url, verify=False),
        ask(method="GET", url=url, allowed=["*"]), ask(method="GET", url="http://" + "a" * 20_000), ask(method="GET", url="http://[::1"),
    )
]
""",
        reached=r"^\[(True(, )?){15}\]",
    ),
]
ALLOWED = ADDRESSES + METHODS
ATTEMPTS = SOCKETS + ALLOWED


@pytest.mark.parametrize("one", cases(ALLOWED))
async def test_an_allowed_host_is_no_way_to_another(kernel, one, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{kernel.port.number}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{kernel.port.number}")
    here = replace(one, program=one.program.replace("{allowed}", f"127.0.0.1:{server.port}"))
    await kernel.holds(here, allowed_domains=[(server.url, "GET")])
    assert [seen.path for seen in server.seen if seen.path != "/"] == []
    assert {seen.method for seen in server.seen} <= {"GET"}


@pytest.mark.parametrize(
    ("status", "target"),
    [
        pytest.param(status, target, marks=attempt(f"C5.redirect_{name}", f"is redirected {what}"), id=name)
        for name, what, status, target in (
            ("port", "to another port", 302, "http://127.0.0.1:{port}/left"),
            ("relative", "to another host, without a scheme", 307, "//127.0.0.1:{port}/left"),
            ("file", "to a file", 301, "file:///etc/passwd"),
            ("again", "to itself forever", 302, "/go"),
            ("metadata", "to the credentials of a cloud machine", 308, "http://169.254.169.254/latest/"),
        )
    ],
)
async def test_a_redirect_is_judged_as_a_request(kernel, server: Server, status, target):
    server.redirects["/go"] = (status, target.replace("{port}", str(kernel.port.number)))
    turn = await kernel.turn(tried(f'http_get("{server.url}/go").status'), allowed_domains=[server.url])
    assert "refused: ToolFailed" in turn.seen
    assert "redirects" in turn.seen or "cannot be requested" in turn.seen
    assert {seen.path for seen in server.seen} == {"/go"}
    assert len(server.seen) <= 6
    await kernel.stands(turn)


@attempt("C5.redirect_key", "has its headers forwarded to another allowed host")
async def test_a_key_stays_with_its_host(kernel, new_server):
    first, second = new_server(), new_server()
    first.redirects["/go"] = (307, f"{second.url}/there")
    turn = await kernel.turn(
        f'seen = http_get("{first.url}/go", headers={{"Authorization": "Bearer key", "X-Api-Key": "key"}}).status',
        allowed_domains=[first.url, second.url],
    )
    assert turn.result.value == 200, turn.seen
    (came,) = second.seen
    assert "key" not in str(came.headers)
    await kernel.stands(turn)


class Names:
    """What the system's resolver says of a name: one answer after the other, and the last one forever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param(address, id=name, marks=attempt(f"C3.resolves_{name}", f"requests a name that resolves to {what}"))
        for name, what, address in (
            ("loopback", "this machine", "127.0.0.1"),
            ("mapped", "this machine, written as IPv6", "::ffff:127.0.0.1"),
            ("private", "the local network", "192.168.0.1"),
            ("metadata", "the address of cloud credentials", "169.254.169.254"),
            ("wrapped", "this machine, as an address embedded in another protocol's", "64:ff9b::7f00:1"),
        )
    ],
)
async def test_a_name_is_judged_by_the_address_it_has(kernel, monkeypatch, address):
    names = Names(address)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    url = f"http://innocent.example:{kernel.port.number}"
    turn = await kernel.turn(tried(f'http_get("{url}/").status'), allowed_domains=[url])
    assert "resolves to an address that is not public" in turn.seen
    assert names.asked == ["innocent.example"]
    await kernel.stands(turn)


@attempt("C4.second_look_up", "requests a name that resolves to another address the second time")
async def test_a_connection_goes_to_the_address_that_was_judged(kernel, server: Server, monkeypatch):
    names = Names("127.0.0.1", "192.168.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", names)
    url = f"http://localhost:{server.port}"
    turn = await kernel.turn(
        f'seen = []\nfor _ in range(2):\n    try:\n        seen.append(http_get("{url}/").status)\n'
        "    except ToolFailed as error:\n        seen.append(str(error))\n",
        allowed_domains=[url],
    )
    assert turn.result.value == [200, "localhost does not resolve to this machine"], turn.seen
    assert len(server.seen) == 1  # looked up once for each request: there is no second look-up behind the judgement
    assert names.asked == ["localhost", "localhost"]
    await kernel.stands(turn)


IMPATIENT = HttpLimits(seconds=5 if EMULATED else 0.5, reply_bytes=1 << 20)
"""Requests that may take little: who waits for half a minute learns no more."""

ENDLESS = {
    "silent": ("a reply that never arrives", "took longer than", lambda reply: time.sleep(60)),
    "drop": (
        "a reply that arrives byte by byte",
        "took longer than",
        lambda reply: [
            (reply.wfile.write(b"H"), reply.wfile.flush(), reply.connection.settimeout(1), time.sleep(0.05))
            for _ in range(400)
        ],
    ),
    "body": (
        "a reply that never ends",
        "sent a reply of more than 1 MiB",
        lambda reply: [
            reply.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n"),
            [reply.wfile.write(b"x" * 65_536) for _ in range(400)],
        ],
    ),
    "headers": (
        "a reply with endless headers",
        "too many headers|closed the connection|invalid HTTP",
        lambda reply: [
            reply.wfile.write(b"HTTP/1.1 200 OK\r\n"),
            [reply.wfile.write(b"X: %d\r\n" % n) for n in range(100_000)],
        ],
    ),
    "length": (
        "a reply that announces an exabyte",
        "more than 1 MiB|closed the connection",
        lambda reply: reply.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\n\r\nx"),
    ),
    "garbage": (
        "a reply that is not HTTP",
        "closed the connection|invalid HTTP",
        lambda reply: reply.wfile.write(b"\x16\x03\x01\x00" * 20_000),
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=attempt(f"C6.{name}", f"requests {ENDLESS[name][0]}")) for name in ENDLESS],
)
async def test_no_server_holds_a_program_up_or_fills_the_memory(kernel, server: Server, name):
    _, says, serve = ENDLESS[name]
    server.replies["/go"] = serve
    turn = await kernel.turn(
        tried(f'http_get("{server.url}/go").status'),
        allowed_domains=[server.url],
        **with_limits(kernel, http=IMPATIENT),
    )
    assert re.search(f"refused: ToolFailed.*({says})", turn.seen), turn.seen
    assert len(server.seen) == 1
    await kernel.stands(turn)


@attempt("C7.query", "sends data to a host that the user allowed (this works: the entry allows it)")
async def test_data_sent_to_an_allowed_host_arrives_and_is_in_the_record(kernel, server: Server):
    turn = await kernel.turn(
        f'seen = [http_get("{server.url}/path/of-data?and=query").status, http_post("{server.url}/", json={{"more": 1}}).status]',
        allowed_domains=[server.url],
    )
    assert turn.result.value == [200, 200], turn.seen
    assert [seen.path for seen in server.seen] == ["/path/of-data?and=query", "/"]
    assert [call.call.arguments["url"] for call in turn.result.calls] == [
        f"{server.url}/path/of-data?and=query",
        f"{server.url}/",
    ]
    await kernel.stands(turn)


@attempt("C7.asks", "sends data to a host that needs approval, while nobody can be asked")
async def test_a_host_that_asks_gets_nothing_without_a_yes(kernel, server: Server):
    turn = await kernel.turn(
        tried(f'http_post("{server.url}/", data="left").status'),
        allowed_domains=[{"target": server.url, "approval_mode": "always_require"}],
    )
    assert "refused: ToolDenied" in turn.seen
    assert server.seen == []
    await kernel.stands(turn)
