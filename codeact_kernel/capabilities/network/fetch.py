"""One HTTP request, made for a program: every connection goes to an address that was checked, and to no other.

asyncio connects to the address itself, so no second look-up can give another one; h11 reads what comes, without a
thread, so cancelling ends it. Proxies, cookies and saved passwords of this machine play no part. Replies are asked for
uncompressed and never unpacked here: that is the guest's business, within its own memory.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import h11

from ...access import AllowedDomain
from ...access.domains import Origin
from ...limits import HttpLimits
from ...text import format_bytes
from ...tools import ToolCallError
from .policy import Request, check_address, find_rule, follow_redirect, size_of

__all__ = ["Fetcher", "Reply", "Resolve", "resolve"]

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host's name; raises OSError."""

_DEFAULTS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "codeact-kernel"}
_READ = 1 << 16
_STEPS = 100_000
"""Of reading one reply, about a second's work: a body of 16 MiB in pieces of one byte would be a hundred times that."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        url: what was asked in the end, after redirects.
        headers: by their names in lower case; one that came several times is joined by commas.
    """

    status: int
    reason: str
    url: str
    headers: dict[str, str]
    body: bytes


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Fetcher:
    """Makes the requests that the allowed domains grant."""

    def __init__(self, domains: Sequence[AllowedDomain], limits: HttpLimits, resolve: Resolve = resolve) -> None:
        self._domains = domains
        self._limits = limits
        self._resolve = resolve

    async def fetch(self, request: Request) -> Reply:
        """Send it, and follow what it redirects to; each step is judged by itself.

        Raises:
            ToolCallError: it is not allowed, a limit was hit, or no reply came; the text is for the program.
        """
        here = request.url.origin
        try:
            async with asyncio.timeout(self._limits.seconds):
                for _ in range(self._limits.redirects + 1):
                    reply = await self._once(request)
                    location = reply.headers.get("location", "")
                    following = follow_redirect(self._domains, request, reply.status, location, self._limits)
                    if following is None:
                        return reply
                    request = following
        except TimeoutError as error:
            raise ToolCallError(f"{here} took longer than {self._limits.seconds:g} s") from error
        raise ToolCallError(f"{here} redirects more than {self._limits.redirects} times")

    async def _once(self, request: Request) -> Reply:
        there = request.url.origin
        domain = find_rule(self._domains, request.method, request.url)
        reader, writer = await self._connect(there, await self._addresses(domain))
        try:
            return await self._exchange(request, reader, writer)
        except (OSError, h11.RemoteProtocolError) as error:
            raise ToolCallError(f"{there} broke off, or sent what is no HTTP ({_why(error)})") from error
        finally:
            writer.transport.abort()

    async def _addresses(self, domain: AllowedDomain) -> Sequence[str]:
        """Where the host is. One address that may not be asked is enough to ask none: honest names do not mix them."""
        there = domain.origin
        if there.is_address:
            return [there.host]
        try:
            addresses = await self._resolve(there.host, there.port)
        except OSError as error:
            raise ToolCallError(f"{there.host} has no address: see whether the name is right") from error
        for address in addresses:
            check_address(address, domain)
        return addresses[:4]

    async def _connect(self, there: Origin, addresses: Sequence[str]) -> tuple[StreamReader, StreamWriter]:
        problem: OSError = OSError("it has no address")
        secure = there.scheme == "https"
        for address in addresses:
            try:
                async with asyncio.timeout(self._limits.connect_seconds / len(addresses)):
                    return await asyncio.open_connection(
                        address,
                        there.port,
                        ssl=self._tls if secure else None,
                        server_hostname=there.host if secure else None,
                    )
            except ssl.SSLError as error:
                raise ToolCallError(f"{there} has no TLS that can be trusted ({_why(error)})") from error
            except OSError as error:
                problem = error
        raise ToolCallError(f"{there} cannot be reached ({_why(problem)})") from problem

    async def _exchange(self, request: Request, reader: StreamReader, writer: StreamWriter) -> Reply:
        given = {name.lower() for name, _ in request.headers}
        headers = [("Host", request.url.origin.authority), *request.headers, ("Connection", "close")]
        headers += [(name, value) for name, value in _DEFAULTS.items() if name not in given]
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(request.body))))
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._limits.header_bytes)
        sent = h11.Request(method=request.method, target=request.url.target, headers=encoded)
        for event in (sent, h11.Data(data=request.body), h11.EndOfMessage()):
            writer.write(http.send(event) or b"")
        return await self._reply(request, http, reader)

    async def _reply(self, request: Request, http: h11.Connection, reader: StreamReader) -> Reply:
        there, most = request.url.origin, self._limits.reply_bytes
        head: h11.Response | None = None
        headers: dict[str, str] = {}
        body = bytearray()
        for _ in range(_STEPS):
            match event := http.next_event():
                case h11.NEED_DATA:
                    http.receive_data(await reader.read(_READ))
                case h11.Response():
                    head, headers = event, self._headers(there, event)
                    if request.method != "HEAD" and int(headers.get("content-length", 0)) > most:
                        raise _too_large(there, most)
                case h11.Data(data=data):
                    body += data
                    if len(body) > most:
                        raise _too_large(there, most)
                case h11.EndOfMessage() if head is not None:
                    return Reply(head.status_code, _text(head.reason), str(request.url), headers, bytes(body))
                case h11.InformationalResponse():
                    pass
                case _:
                    break
        raise h11.RemoteProtocolError("it is in too many pieces, or has no end")

    def _headers(self, there: Origin, response: h11.Response) -> dict[str, str]:
        made: dict[str, str] = {}
        pairs = [(_text(name), _text(value)) for name, value in response.headers]
        if len(pairs) > self._limits.headers or size_of(pairs) > self._limits.header_bytes:
            raise ToolCallError(f"{there} sent too many headers")
        for name, value in pairs:
            made[name] = f"{made[name]}, {value}" if name in made else value
        return made

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _too_large(there: Origin, most: int) -> ToolCallError:
    return ToolCallError(f"{there} sent a reply of more than {format_bytes(most)}: ask for less of it")


def _why(error: Exception) -> str:
    """In words without the address: what a name resolves to is no business of the program."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno) if error.errno else type(error).__name__
    return str(error)[:200]
