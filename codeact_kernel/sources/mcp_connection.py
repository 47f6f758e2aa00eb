"""The connection to one MCP server: it starts the server when it is needed, calls its tools, and outlives its errors.

A server that ends, hangs, sends too much or breaks the protocol is the error of the call that met it. The next call
starts it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, TypeVar, cast

import mcp_types
from mcp import Client
from mcp.client.client import ConnectMode
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError

from ..access import McpServer
from ..errors import UserError
from ..secrets import hide
from ..text import collapse_whitespace, truncate
from ..tools import ToolCallError
from ..tools.progress import Report
from ..tools.questions import Ask
from .mcp_sign_in import SECONDS as SIGN_IN_SECONDS
from .mcp_sign_in import OpenPage
from .mcp_transport import Allowance, open_transport

__all__ = ["McpConnection"]

T = TypeVar("T")

START_SECONDS = 60.0
"""The time in which a server has to start and list its tools. Some install themselves first."""
RELIST_SECONDS = 1.0
"""The time between two lists of the tools of a server that changes them all the time."""
MAX_TOOLS, MAX_PAGES = 1_000, 50
MAX_ERROR_CHARACTERS = 1_000
SHOWN_LINES = 3
"""Lines of the stderr of a server that failed."""

State = Literal["stopped", "running", "failed"]


@dataclass(eq=False, slots=True)
class _OpenCall:
    """A call that the server has not answered, with the way to the user that it can use."""

    report: Report | None
    ask: Ask | None


class McpConnection:
    """One server of the user's. All its methods but `run` belong to the event loop on which it was opened.

    Args:
        server: what to start or reach.
        on_tools: is called after the server listed its tools, also when it lists other ones later.
        open_page: shows the user the server's page for signing in, while the user waits for this server.

    Attributes:
        state: whether the server runs, and if it does not, whether that is its fault.
        error: why the server does not run, in one sentence.
        tools, prompts: what the server offers, as it lists it.
        has_resources: whether the server offers resources.
    """

    def __init__(
        self, server: McpServer, on_tools: Callable[[McpConnection], None], open_page: OpenPage | None = None
    ) -> None:
        self.server = server
        self._open_page = open_page
        self.state: State = "stopped"
        self.error = ""
        self.tools: Sequence[mcp_types.Tool] = ()
        self.prompts: Sequence[mcp_types.Prompt] = ()
        self.has_resources = False
        self._on_tools = on_tools
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._open_calls: list[_OpenCall] = []
        self._allowance = Allowance()
        self._changed = asyncio.Event()
        self._opening = asyncio.Lock()

    async def open(self) -> Client:
        """Start the server, if it does not run.

        Raises:
            UserError: if it does not start; the message says why.
        """
        async with self._opening:
            if self._client is not None:
                return self._client
            self._loop = asyncio.get_running_loop()
            try:
                try:
                    client = await self._connect("legacy")
                except MCPError as error:
                    if error.code == mcp_types.CONNECTION_CLOSED:
                        raise
                    client = await self._connect("auto")
            except Exception as error:
                self.state, self.error = "failed", self._explain(error)
                raise UserError(self.error) from None
            self.state, self.error, self._open_page = "running", "", None
            return client

    async def _connect(self, mode: ConnectMode) -> Client:
        """Start the server.

        Args:
            mode: `"legacy"` is the handshake that all servers know, and the one with which a server can ask the user.
        """
        self._allowance = Allowance()
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._serve(mode, ready), name=f"codeact mcp {self.server.name}")
        try:
            async with asyncio.timeout(START_SECONDS if self._open_page is None else SIGN_IN_SECONDS):
                return await asyncio.shield(ready)
        except BaseException:  # also a cancellation must not leave the server running
            await self._stop()
            raise

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one of the methods below on the loop of the connection; a cell that calls a tool itself has another."""
        if self._loop is None or self._loop is asyncio.get_running_loop():
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def call(
        self, name: str, arguments: Mapping[str, object], report: Report | None, ask: Ask | None
    ) -> mcp_types.CallToolResult:
        """Call a tool.

        Args:
            report: shows the server's progress to the user.
            ask: passes the server's questions on to the user.

        Raises:
            ToolCallError: if the call has no result; the message says why.
        """
        client = await self._open_for_call()
        call = _OpenCall(report, ask)
        self._open_calls.append(call)

        async def show_progress(progress: float, total: float | None, message: str | None) -> None:
            if call.report is not None:
                call.report(progress, total, message or "")

        try:
            return await client.call_tool(name, dict(arguments), progress_callback=show_progress)
        except Exception as error:  # the SDK lets many kinds through
            raise await self._as_call_error(error) from None
        finally:
            self._open_calls.remove(call)

    async def read_resource(self, uri: str) -> mcp_types.ReadResourceResult:
        """Read a resource.

        Raises:
            ToolCallError: if the call has no result; the message says why.
        """
        client = await self._open_for_call()
        try:
            return await client.read_resource(uri)
        except Exception as error:
            raise await self._as_call_error(error) from None

    async def list_resources(self) -> list[mcp_types.Resource]:
        """List the resources that the server names.

        Raises:
            ToolCallError: if the call has no result; the message says why.
        """
        client = await self._open_for_call()
        try:
            found: list[mcp_types.Resource] = []
            cursor: str | None = None
            for _ in range(MAX_PAGES):
                page = await client.list_resources(cursor=cursor)
                found += page.resources
                if (cursor := page.next_cursor) is None or len(found) >= MAX_TOOLS:
                    break
            return found[:MAX_TOOLS]
        except Exception as error:
            raise await self._as_call_error(error) from None

    async def aclose(self) -> None:
        """End the server."""
        await self._stop()
        self.state = "stopped"

    async def _serve(self, mode: ConnectMode, ready: asyncio.Future[Client]) -> None:
        """Keep the connection open until the task is cancelled, and list the tools again when they change."""
        try:
            async with Client(
                open_transport(self.server, self._allowance, self._open_page),
                mode=mode,
                elicitation_callback=self._elicit,
                message_handler=self._receive,
                client_info=mcp_types.Implementation(name="codeact-kernel", version=version("codeact-kernel")),
                cache=None,
            ) as client:
                # The SDK would match results against patterns of the server with an engine that can take forever.
                client.session.validate_tool_result = _accept_result  # type: ignore[method-assign]
                await self._list(client)
                self._client = client
                ready.set_result(client)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._listen(client))
                    while True:
                        await self._changed.wait()
                        await asyncio.sleep(RELIST_SECONDS)
                        self._changed.clear()
                        with suppress(MCPError, TimeoutError):
                            async with asyncio.timeout(START_SECONDS):
                                await self._list(client)
        except Exception as error:
            if not ready.done():
                ready.set_exception(_innermost(error))
        finally:
            self._client = None
            if self.state == "running":
                self.state = "stopped"

    async def _listen(self, client: Client) -> None:
        """Wait for changes of the tools, with servers of a version that reports them in a stream."""
        with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._changed.set()

    async def _list(self, client: Client) -> None:
        tools: list[mcp_types.Tool] = []
        prompts: list[mcp_types.Prompt] = []
        self._allowance.refill()
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            if (cursor := page.next_cursor) is None or len(tools) >= MAX_TOOLS:
                break
        if client.server_capabilities.prompts is not None:
            with suppress(MCPError):
                prompts = (await client.list_prompts()).prompts
        self.tools, self.prompts = tools[:MAX_TOOLS], prompts[:MAX_TOOLS]
        if client.server_capabilities.resources is not None:
            with suppress(MCPError):
                found = (await client.list_resources()).resources
                self.has_resources = bool(found or (await client.list_resource_templates()).resource_templates)
        self._on_tools(self)

    async def _receive(self, message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._changed.set()

    async def _elicit(self, context: object, params: mcp_types.ElicitRequestParams) -> mcp_types.ElicitResult:
        """Pass a question of the server on to the user, who is asked on behalf of the last call that is open."""
        ask = next((call.ask for call in reversed(self._open_calls) if call.ask is not None), None)
        if ask is None:
            return mcp_types.ElicitResult(action="decline")
        if isinstance(params, mcp_types.ElicitRequestURLParams):
            schema: Any = {"type": "object", "properties": {"url": {"const": params.url, "default": params.url}}}
            answer = await ask(self.server.name, params.message, schema)
            return mcp_types.ElicitResult(action="decline" if answer is None else "accept")
        answer = await ask(self.server.name, params.message, cast("Any", params.requested_schema))
        if answer is None:
            return mcp_types.ElicitResult(action="decline")
        return mcp_types.ElicitResult(action="accept", content=cast("Any", dict(answer)))

    async def _open_for_call(self) -> Client:
        try:
            client = await self.open()
        except UserError as error:
            raise ToolCallError(str(error), is_final=True) from None
        self._allowance.refill()
        return client

    async def _as_call_error(self, error: Exception) -> ToolCallError:
        """Turn an error of the SDK into the error of a call. The next call opens a connection that broke."""
        is_lost = not isinstance(error, MCPError) or error.code == mcp_types.CONNECTION_CLOSED or self._client is None
        if not is_lost:
            return ToolCallError(f"{self.server.name}: {_one_line(error)}")
        await self._stop()
        self.state, self.error = "failed", self._explain(error)
        return ToolCallError(self.error, is_final=True)

    def _explain(self, error: Exception) -> str:
        """Say why the server does not run."""
        if isinstance(error, UserError):
            return str(error)
        if self._allowance.reason:
            why = self._allowance.reason
        elif isinstance(error, TimeoutError):
            why = f"it did not answer within {START_SECONDS:g} s"
        elif isinstance(error, MCPError) and error.code == mcp_types.CONNECTION_CLOSED:
            why = "it ended, or closed the connection"
        else:
            why = _one_line(error)
        lines = [*self._allowance.last_words][-SHOWN_LINES:]
        said = f" It wrote: {_one_line(' / '.join(lines))}" if lines else ""
        return f"The MCP server {self.server.name!r} failed: {why}.{said}"

    async def _stop(self) -> None:
        task, self._task, self._client = self._task, None, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=15)


async def _accept_result(name: str, result: mcp_types.CallToolResult) -> None:
    return


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _one_line(error: object) -> str:
    text = collapse_whitespace(hide(str(error))) or type(error).__name__  # what is cut would not be found
    return truncate("".join(letter for letter in text if letter.isprintable()), MAX_ERROR_CHARACTERS, "…")
