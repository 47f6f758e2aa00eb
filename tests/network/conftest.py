"""A real server on loopback that says what it was asked, and programs whose requests are answered for real."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import pytest_asyncio

from codeact_kernel.access import AllowedDomain, allowed_domain
from codeact_kernel.capabilities.network.capability import Network
from codeact_kernel.capabilities.network.fetch import resolve
from codeact_kernel.errors import ProgramError
from codeact_kernel.limits import HttpLimits
from codeact_kernel.sandbox.pool import Pool
from codeact_kernel.sandbox.worker_client import RunClock
from codeact_kernel.settings import Limits
from codeact_kernel.tools import Registry, ToolCallError
from codeact_kernel.types import CallError, CallOutcome, CallResult, HostCall, JSONValue, RunOutcome, ToolCall

from ..sandbox.conftest import BACKENDS, LIMITS, PATIENCE, make_pool


@dataclass
class Seen:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A web server.

    Attributes:
        seen: what it was asked.
        redirects: where it sends who asks for a path, and with which status.
        replies: what else it says to who asks for a path: whole bytes, or what writes them.
    """

    port: int = 0
    seen: list[Seen] = field(default_factory=list[Seen])
    redirects: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    replies: dict[str, Callable[[Any], None]] = field(default_factory=dict[str, Callable[[Any], None]])
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("content-length", 0))
                one = Seen(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
                server.seen.append(one)
                if reply := server.replies.get(self.path):
                    self.close_connection = True
                    with suppress(OSError):  # nobody listens any more
                        reply(self)
                    return
                if redirect := server.redirects.get(self.path):
                    self.send(redirect[0], b"", {"Location": redirect[1]})
                    return
                status = int(self.path.rpartition("/status/")[2] or 0) if "/status/" in self.path else 200
                echo = {
                    "method": one.method,
                    "path": one.path,
                    "headers": one.headers,
                    "body": one.body.decode("latin-1"),
                }
                self.send(status, json.dumps(echo).encode(), {"Content-Type": "application/json", "X-Two": "a"})

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

            def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else body)

            def log_message(self, *_: object) -> None: ...

        return Handler


@pytest.fixture
def new_server() -> Generator[Callable[..., Server]]:
    """Starts servers on ports of their own."""
    made: list[ThreadingHTTPServer] = []

    def start(wrap: Callable[[socket.socket], socket.socket] | None = None) -> Server:
        server = Server()
        real = ThreadingHTTPServer(("127.0.0.1", 0), server.handler())
        real.daemon_threads = True
        if wrap:
            real.socket = wrap(real.socket)
            real.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust it
        server.port = real.server_port
        made.append(real)
        threading.Thread(target=real.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    yield start
    for real in made:
        real.shutdown()
        real.server_close()


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    return new_server()


class Canary:
    """A port on loopback that nobody may come to."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    def was_visited(self) -> bool:
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def canary() -> Generator[Canary]:
    """Checks that nobody came, and that a visitor would have been seen."""
    made = Canary()
    yield made
    assert not made.was_visited()
    with socket.create_connection(("127.0.0.1", made.port)):
        assert made.was_visited()
    made.close()


async def _no_main(function: Callable[[], object]) -> object:
    raise AssertionError("the tool is asynchronous")


async def answered(network: Network, call: ToolCall) -> CallOutcome:
    """As the kernel answers a call of the network's tool."""
    try:
        bound = network.tools[call.name].bind(call.arguments, Limits())
        value = await Registry().call(bound, on_main=_no_main, limits=Limits())
    except ToolCallError as error:
        return CallError(kind="ToolFailed", message=str(error))
    assert not isinstance(value, CallError)
    return CallResult(value=value)  # type: ignore[arg-type]


async def fetched(network: Network, call: HostCall) -> CallOutcome:
    """As the kernel answers a request to the network's handler."""
    try:
        return CallResult(value=await network.handlers[call.method](call.arguments))
    except ProgramError as error:
        return CallError(kind="ToolFailed", message=str(error))


class Host:
    """The host's half alone: requests as a hostile guest would send them."""

    def __init__(self, *allowed: object, resolver: Any = resolve, **limits: Any) -> None:
        self.network = Network([allowed_domain(one) for one in allowed], HttpLimits(**limits), resolver)

    async def ask(self, method: str, url: str, **arguments: Any) -> Any:
        call = ToolCall(id=1, name="http_request", arguments={"method": method, "url": url, **arguments})
        return await answered(self.network, call)

    async def get(self, url: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a request that must go well."""
        answer = await self.ask("GET", url, **arguments)
        assert isinstance(answer, CallResult), answer
        assert isinstance(answer.value, dict)
        return answer.value

    async def refusal(self, method: str, url: str, **arguments: Any) -> str:
        """Why a request that must fail does."""
        answer = await self.ask(method, url, **arguments)
        assert isinstance(answer, CallError), answer
        return answer.message


@dataclass
class Run:
    outcome: RunOutcome
    calls: list[ToolCall]

    @property
    def value(self) -> JSONValue:
        assert self.outcome.failure is None, self.outcome.failure
        return self.outcome.value

    @property
    def error(self) -> str:
        assert self.outcome.failure is not None, self.outcome
        return str(self.outcome.failure)


class Guests:
    """Runs programs whose requests are answered by the network capability."""

    def __init__(self, pool: Pool) -> None:
        self.has_pandas = pool.guest.has_pandas
        self._pool = pool

    async def run(self, program: str, allowed: Sequence[str | AllowedDomain] | None, **limits: Any) -> Run:
        """One program; `None` allowed is a turn without the network."""
        calls: list[ToolCall] = []
        network = Network([allowed_domain(one) for one in allowed or ()], HttpLimits(**limits))
        clock = RunClock(PATIENCE)

        async def answer(call: ToolCall | HostCall) -> CallOutcome:
            with clock.paused():
                if isinstance(call, HostCall):
                    return await fetched(network, call)
                calls.append(call)
                return await answered(network, call)

        async with self._pool.checkout() as sandbox:
            outcome = await sandbox.run(
                program,
                tools={},
                capabilities={} if allowed is None else {network.name: network.guest_config},
                keep=False,
                answer=answer,
                write=lambda stream, text: None,
                clock=clock,
            )
        return Run(outcome, calls)


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BACKENDS)
async def guests(request: pytest.FixtureRequest) -> AsyncGenerator[Guests]:
    """A warm pool for the whole session."""
    pool = make_pool(request.param, LIMITS)
    yield Guests(pool)
    await pool.aclose()


async def served(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> asyncio.Server:
    """A server of bytes, on loopback."""
    return await asyncio.start_server(serve, "127.0.0.1", 0)
