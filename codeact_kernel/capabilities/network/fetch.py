"""Send the HTTP requests of programs. Every connection goes to an address that was checked.

asyncio connects to the address itself, so that a second look-up cannot return another address. h11 parses the reply
without a thread, so that a cancellation ends the request. Proxies, cookies and saved passwords of this machine are not
used. Requests ask for uncompressed replies, and replies are never decompressed here: the guest does that within the
limits of its memory.
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
from .policy import Request, check_address, find_rule, follow_redirect, header_size

__all__ = ["Fetcher", "Reply", "Resolve", "resolve"]

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, or raises OSError."""

_DEFAULTS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "codeact-kernel"}
_READ_BYTES = 1 << 16
_MAX_STEPS = 100_000
"""Events in one reply, about a second of work. A body of 16 MiB in pieces of one byte would take a hundred seconds."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request.

    Attributes:
        url: the URL of the last request, after redirects.
        headers: the values by lower-case name. Several values of a name are joined by commas.
    """

    status: int
    reason: str
    url: str
    headers: dict[str, str]
    body: bytes


async def resolve(host: str, port: int) -> Sequence[str]:
    """Look up a host with the resolver of the system."""
    results = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in results))


class Fetcher:
    """Sends requests to the allowed domains."""

    def __init__(self, domains: Sequence[AllowedDomain], limits: HttpLimits, resolve: Resolve = resolve) -> None:
        self._domains = domains
        self._limits = limits
        self._resolve = resolve

    async def fetch(self, request: Request) -> Reply:
        """Send the request, and follow redirects. Each redirect is checked like a request.

        Raises:
            ToolCallError: if the request is not allowed, exceeds a limit, or gets no reply.
        """
        origin = request.url.origin
        try:
            async with asyncio.timeout(self._limits.seconds):
                for _ in range(self._limits.redirects + 1):
                    reply = await self._send(request)
                    location = reply.headers.get("location", "")
                    redirected = follow_redirect(self._domains, request, reply.status, location, self._limits)
                    if redirected is None:
                        return reply
                    request = redirected
        except TimeoutError as error:
            raise ToolCallError(f"{origin} took longer than {self._limits.seconds:g} s") from error
        raise ToolCallError(f"{origin} redirects more than {self._limits.redirects} times")

    async def _send(self, request: Request) -> Reply:
        origin = request.url.origin
        domain = find_rule(self._domains, request.method, request.url)
        reader, writer = await self._connect(origin, await self._addresses(domain))
        try:
            return await self._exchange(request, reader, writer)
        except (OSError, h11.RemoteProtocolError) as error:
            raise ToolCallError(
                f"{origin} closed the connection or sent invalid HTTP ({_describe_error(error)})"
            ) from error
        finally:
            writer.transport.abort()

    async def _addresses(self, domain: AllowedDomain) -> Sequence[str]:
        """Look up the host. One forbidden address forbids all, because a legitimate host does not mix them."""
        origin = domain.origin
        if origin.is_address:
            return [origin.host]
        try:
            addresses = await self._resolve(origin.host, origin.port)
        except OSError as error:
            raise ToolCallError(f"{origin.host} has no address: check the name") from error
        for address in addresses:
            check_address(address, domain)
        return addresses[:4]

    async def _connect(self, origin: Origin, addresses: Sequence[str]) -> tuple[StreamReader, StreamWriter]:
        last_error: OSError = OSError("it has no address")
        is_secure = origin.scheme == "https"
        for address in addresses:
            try:
                async with asyncio.timeout(self._limits.connect_seconds / len(addresses)):
                    return await asyncio.open_connection(
                        address,
                        origin.port,
                        ssl=self._tls if is_secure else None,
                        server_hostname=origin.host if is_secure else None,
                    )
            except ssl.SSLError as error:
                raise ToolCallError(f"{origin} has no trusted TLS certificate ({_describe_error(error)})") from error
            except OSError as error:
                last_error = error
        raise ToolCallError(f"{origin} cannot be reached ({_describe_error(last_error)})") from last_error

    async def _exchange(self, request: Request, reader: StreamReader, writer: StreamWriter) -> Reply:
        given_names = {name.lower() for name, _ in request.headers}
        headers = [("Host", request.url.origin.authority), *request.headers, ("Connection", "close")]
        headers += [(name, value) for name, value in _DEFAULTS.items() if name not in given_names]
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(request.body))))
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._limits.header_bytes)
        head = h11.Request(method=request.method, target=request.url.target, headers=encoded)
        for event in (head, h11.Data(data=request.body), h11.EndOfMessage()):
            writer.write(http.send(event) or b"")
        return await self._reply(request, http, reader)

    async def _reply(self, request: Request, http: h11.Connection, reader: StreamReader) -> Reply:
        origin, max_bytes = request.url.origin, self._limits.reply_bytes
        head: h11.Response | None = None
        headers: dict[str, str] = {}
        body = bytearray()
        for _ in range(_MAX_STEPS):
            match event := http.next_event():
                case h11.NEED_DATA:
                    http.receive_data(await reader.read(_READ_BYTES))
                case h11.Response():
                    head, headers = event, self._headers(origin, event)
                    if request.method != "HEAD" and int(headers.get("content-length", 0)) > max_bytes:
                        raise _too_large(origin, max_bytes)
                case h11.Data(data=data):
                    body += data
                    if len(body) > max_bytes:
                        raise _too_large(origin, max_bytes)
                case h11.EndOfMessage() if head is not None:
                    return Reply(head.status_code, _text(head.reason), str(request.url), headers, bytes(body))
                case h11.InformationalResponse():
                    pass
                case _:
                    break
        raise h11.RemoteProtocolError("it has too many pieces or is incomplete")

    def _headers(self, origin: Origin, response: h11.Response) -> dict[str, str]:
        headers: dict[str, str] = {}
        pairs = [(_text(name), _text(value)) for name, value in response.headers]
        if len(pairs) > self._limits.headers or header_size(pairs) > self._limits.header_bytes:
            raise ToolCallError(f"{origin} sent too many headers")
        for name, value in pairs:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

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


def _too_large(origin: Origin, max_bytes: int) -> ToolCallError:
    return ToolCallError(f"{origin} sent a reply of more than {format_bytes(max_bytes)}: request less")


def _describe_error(error: Exception) -> str:
    """Describe an error without the address, which the program must not learn."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno) if error.errno else type(error).__name__
    return str(error)[:200]
