"""The connection to an MCP server, bounded: whatever it sends, it cannot fill the memory of the kernel.

The SDK speaks the protocol over the two streams that a transport yields. A server's bytes count against an
`Allowance`, which each call refills. A server that sends more ends its own connection.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types
from anyio.abc import ByteReceiveStream, Process, TaskStatus
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from ..access import McpServer
from ..errors import ProgramError, UserError
from ..text import format_bytes
from .mcp_sign_in import OpenPage, sign_in

if sys.platform != "win32":
    from mcp.os.posix.utilities import terminate_posix_process_tree

__all__ = ["Allowance", "open_transport"]

MAX_BYTES = 32 << 20
"""Bytes that a server may send for one call, or at its start."""
_SECONDS_TO_END = 2.0
_STDERR_LINES, _STDERR_CHARACTERS = 20, 2_000


class Allowance:
    """Counts the bytes of one server.

    Attributes:
        reason: why the connection had to end; empty while all is well.
        last_words: the last lines that the server wrote to its stderr.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.last_words: deque[str] = deque(maxlen=_STDERR_LINES)
        self._left = MAX_BYTES

    def refill(self) -> None:
        """Allow the bytes of one more call."""
        self._left = MAX_BYTES

    def spend(self, size: int) -> None:
        """Count bytes that came.

        Raises:
            ProgramError: if the server sent too many.
        """
        self._left -= size
        if self._left < 0:
            self.reason = f"it sent more than {format_bytes(MAX_BYTES)} at once"
            raise ProgramError(self.reason)


@asynccontextmanager
async def open_transport(
    server: McpServer, allowance: Allowance, open_page: OpenPage | None = None
) -> AsyncGenerator[Any]:
    """Start or reach the server, and yield the SDK's two streams.

    Args:
        open_page: shows the user the server's page for signing in.

    Raises:
        UserError: if the command does not exist, or an environment variable that it needs is not set.
    """
    if server.url:
        has_token = any(name.lower() == "authorization" for name in server.headers)
        async with (
            nullcontext() if has_token else sign_in(server, open_page) as auth,
            httpx2.AsyncClient(
                auth=auth,
                headers={**server.resolve(server.headers), "accept-encoding": "identity"},
                timeout=httpx2.Timeout(30, read=300),
                transport=_BoundedHttp(allowance),
            ) as client,
            streamable_http_client(server.url, http_client=client) as streams,
        ):
            yield streams
    else:
        async with _run_command(server, allowance) as streams:
            yield streams


@asynccontextmanager
async def _run_command(server: McpServer, allowance: Allowance) -> AsyncGenerator[Any]:
    """Run the server as a child, and exchange one JSON message per line."""
    process = await _start(server)
    to_session, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    sent, from_session = anyio.create_memory_object_stream[SessionMessage](0)

    async def read(*, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        assert process.stdout is not None
        async with to_session:
            task_status.started()
            with suppress(ProgramError, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
                async for line in _lines(process.stdout, allowance):
                    with suppress(ValueError):  # a line that is no message is a print of the server's
                        message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                        await to_session.send(SessionMessage(message))

    async def write() -> None:
        assert process.stdin is not None
        async with from_session:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
                async for item in from_session:
                    text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                    await process.stdin.send(text.encode() + b"\n")
        await to_session.aclose()  # the server takes nothing any more, so the session must not wait for it

    async def read_errors() -> None:
        assert process.stderr is not None
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
            async for chunk in process.stderr:
                text = chunk[-_STDERR_CHARACTERS:].decode("utf-8", "replace")
                allowance.last_words.extend(line for line in text.splitlines() if line.strip())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_errors)
        tasks.start_soon(write)
        await tasks.start(read)
        try:
            yield received, sent
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
                for stream in (received, sent, to_session, from_session):
                    await stream.aclose()
            tasks.cancel_scope.cancel()


async def _start(server: McpServer) -> Process:
    environment = {**get_default_environment(), **server.resolve(server.env)}
    environment.setdefault("PYTHONSAFEPATH", "1")  # a Python there does not import from its working folder either
    own: dict[str, Any] = {"start_new_session": True} if sys.platform != "win32" else {}
    try:
        return await anyio.open_process(
            [server.command, *server.arguments], env=environment, cwd=server.cwd or Path.home(), **own
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it cannot be started"
        raise UserError(
            f"The MCP server {server.name!r} does not start: {server.command!r}: {reason}. Install the program, or "
            "name it by its whole path."
        ) from None


async def _lines(stream: ByteReceiveStream, allowance: Allowance) -> AsyncIterator[bytes]:
    begun: list[bytes] = []
    async for chunk in stream:
        allowance.spend(len(chunk))
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for part in others:
            yield b"".join(begun)
            begun = [part]


async def _end(process: Process) -> None:
    """End the server as the protocol asks: close its input, wait, and only then end it and what it started."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    with anyio.move_on_after(_SECONDS_TO_END):
        await process.wait()
    if sys.platform == "win32":
        with suppress(ProcessLookupError):
            process.kill()
    else:
        await terminate_posix_process_tree(process, _SECONDS_TO_END)
    with anyio.move_on_after(_SECONDS_TO_END):
        await process.wait()
    # asyncio closes this only at the end of both pipes, which a process that the server left behind can hold open.
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None:
        with suppress(PermissionError):
            transport.close()
        await anyio.sleep(0)


class _BoundedHttp(httpx2.AsyncHTTPTransport):
    """Counts the bytes of every response."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self._allowance = allowance

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":  # it could grow without limit
            await response.aclose()
            raise httpx2.RemoteProtocolError("the server compressed its answer, which was not asked for")
        response.stream = _BoundedStream(response.stream, self._allowance)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: Any, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            try:
                self._allowance.spend(len(chunk))
            except ProgramError as error:
                raise httpx2.RemoteProtocolError(str(error)) from None
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
