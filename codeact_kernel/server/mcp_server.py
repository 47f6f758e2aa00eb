"""The MCP server: `execute_code` and `describe_tools` for any agent, over stdin and stdout.

MCP has two ways to ask the user while a tool runs. Up to protocol 2025-11-25 the server sends a request of its own.
Since 2026-07-28 the answer to a call can be "input required", and the client calls again with the answers; the program
waits in between.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from ..approval import Approver
from ..errors import CodeActError, UserError
from ..events import Emit
from ..session import Session
from ..settings import Settings
from ..types import JSONObject, TurnResult
from .answer import ANSWER_SCHEMA, list_calls, to_json_answer, to_text_answer
from .approvals import FORM_SCHEMA, Ask, DenyWithAdvice, FormAnswer, FormApprover
from .description import describe_execute_code, describe_tools
from .pictures import draw_pictures
from .running import Run
from .tool_thread import ToolThread

try:
    from mcp.server import Server, ServerRequestContext
    from mcp.server.stdio import stdio_server
    from mcp.shared.exceptions import MCPError
    from mcp_types import (
        INVALID_PARAMS,
        CallToolRequestParams,
        CallToolResult,
        ElicitRequest,
        ElicitRequestFormParams,
        ElicitResult,
        ImageContent,
        InputRequiredResult,
        ListToolsResult,
        PaginatedRequestParams,
        TextContent,
        Tool,
        ToolAnnotations,
    )
    from mcp_types.version import MODERN_PROTOCOL_VERSIONS
except ImportError as error:
    raise UserError(
        f"The MCP server needs {error.name}, which is not installed: pip install 'codeact-kernel[mcp]'."
    ) from None

__all__ = ["SandboxServer", "serve_stdio"]

Context = ServerRequestContext[Any, Any]

_CALLS = "codeact-kernel/calls"
"""The key of the calls among the facts about a result that a client does not show to its agent."""
_MAX_WAITING = 16
"""Programs that wait for answers. If another one waits, the oldest is stopped: its client has probably gone."""
_DECISION_SECONDS = 600.0
"""How long a question waits if the user has set no time: a client can go away without a word."""
_INSTRUCTIONS = "execute_code runs a Python program that can call several tools, and returns only its result."
_CODE_SCHEMA: JSONObject = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python program."}},
    "required": ["code"],
}


class _Lookup(BaseModel):
    names: list[str] = Field([], description="Tools to describe; by default all.")
    query: str = Field("", description="Words to search for in names and descriptions.")


class SandboxServer:
    """Serves one session to one client. Its programs run one after another.

    Args:
        session: the session, with the tools of the programs.
        tool_thread: runs the tools that are not async.
    """

    def __init__(self, session: Session, settings: Settings, tool_thread: ToolThread, version: str) -> None:
        if settings.limits.decision_seconds is None:
            settings = replace(settings, limits=replace(settings.limits, decision_seconds=_DECISION_SECONDS))
        self._session = session
        self._settings = settings
        self._tool_thread = tool_thread
        self._in_order = asyncio.Lock()
        self._runs: set[Run] = set()
        self._waiting: dict[str, Run] = {}
        self.server: Server[Any] = Server(
            "codeact-kernel",
            version=version,
            instructions=_INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )

    async def aclose(self) -> None:
        """Stop all programs."""
        await asyncio.gather(*(run.aclose() for run in list(self._runs)))

    async def _list_tools(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        guest = self._session.guest
        execute_code = Tool(
            name="execute_code",
            title="Run a program",
            description=describe_execute_code(self._session.tools, self._settings, guest),
            input_schema=_CODE_SCHEMA,
            output_schema=ANSWER_SCHEMA,
        )
        lookup = Tool(
            name="describe_tools",
            title="Describe tools",
            description="Return the parameters and descriptions of the tools that programs of execute_code can call.",
            input_schema=_Lookup.model_json_schema(),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
        return ListToolsResult(tools=[execute_code, lookup])

    async def _call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        arguments = params.arguments or {}
        match params.name:
            case "execute_code":
                return await self._execute_code(context, params, arguments.get("code"))
            case "describe_tools":
                return self._describe_tools(arguments)
            case _:
                raise MCPError(INVALID_PARAMS, "The name of the tool is unknown: call execute_code or describe_tools.")

    def _describe_tools(self, arguments: Mapping[str, Any]) -> CallToolResult:
        try:
            lookup = _Lookup.model_validate(arguments, strict=True)
        except ValidationError:
            text = "describe_tools takes names, a list of texts, and query, a text."
            return CallToolResult(content=[TextContent(text=text)], is_error=True)
        text = describe_tools(self._session.tools, self._session.guest, lookup.names, lookup.query)
        return CallToolResult(content=[TextContent(text=text)])

    async def _execute_code(
        self, context: Context, params: CallToolRequestParams, program: object
    ) -> CallToolResult | InputRequiredResult:
        if params.request_state is None:
            if not isinstance(program, str):
                return _fail("execute_code takes code, the text of a Python program.")
            run = self._start(context, program)
        else:
            waiting = self._waiting.pop(params.request_state, None)
            if waiting is None:
                return _fail("This program does not wait any more: send it again.")
            run = waiting
            for key, response in (params.input_responses or {}).items():
                if isinstance(response, ElicitResult):
                    run.take_answer(key, FormAnswer(response.action, response.content or {}))
        try:
            return await self._follow(context, run)
        except asyncio.CancelledError:
            run.stop()
            raise

    def _start(self, context: Context, program: str) -> Run:
        async def execute(approver: Approver, emit: Emit) -> TurnResult:
            try:
                async with self._in_order:
                    return await self._session.execute_code(
                        program,
                        settings=self._settings,
                        approver=approver,
                        emit=emit,
                        on_main=self._tool_thread.run,
                    )
            finally:
                self._runs.discard(run)

        run = Run()
        self._runs.add(run)
        run.start(execute, _approver(context, run))
        return run

    async def _follow(self, context: Context, run: Run) -> CallToolResult | InputRequiredResult:
        """Report the progress of a program until it has ended or asks something."""
        reported = run.calls
        while not run.is_done:
            if run.questions:
                return self._hand_over(run)
            await run.wait_for_news()
            if run.calls != reported:
                reported = run.calls
                await context.session.report_progress(reported, None, f"{run.last_call} was called")
        try:
            result = run.result()
        except CodeActError as error:
            return _fail(str(error))
        except asyncio.CancelledError:  # it waited for too long
            return _fail("The program was stopped.")
        return await _answer(result, run.notices)

    def _hand_over(self, run: Run) -> InputRequiredResult:
        """Return the open questions to the client, which answers them with its next request."""
        if len(self._waiting) >= _MAX_WAITING:
            self._waiting.pop(next(iter(self._waiting))).stop()
        token = secrets.token_urlsafe(32)
        self._waiting[token] = run
        requests: dict[str, Any] = {
            key: ElicitRequest(params=_form(question.text)) for key, question in run.questions.items()
        }
        return InputRequiredResult(input_requests=requests, request_state=token)


def _approver(context: Context, run: Run) -> Approver:
    """Return the approver for what the client can do."""
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    # Without a mode, a client of an earlier protocol means forms.
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return DenyWithAdvice()
    return FormApprover(run.ask if context.protocol_version in MODERN_PROTOCOL_VERSIONS else _by_request(context))


def _by_request(context: Context) -> Ask:
    async def ask(text: str, key: str) -> FormAnswer:
        form = _form(text)
        answer = await context.session.elicit_form(form.message, form.requested_schema, context.request_id)
        return FormAnswer(answer.action, answer.content or {})

    return ask


def _form(text: str) -> ElicitRequestFormParams:
    return ElicitRequestFormParams(message=text, requested_schema=FORM_SCHEMA)


async def _answer(result: TurnResult, notices: Sequence[str]) -> CallToolResult:
    answer = to_json_answer(result, notices)
    pictures = [ImageContent(data=data, mime_type=mime) for mime, data in await draw_pictures(result.shown)]
    return CallToolResult(
        content=[TextContent(text=to_text_answer(answer)), *pictures],
        structured_content=answer,
        is_error=result.error is not None,
        _meta={_CALLS: list_calls(result)},
    )


def _fail(message: str) -> CallToolResult:
    answer: JSONObject = {
        "value": None,
        "output": "",
        "error": {"kind": "Refused", "message": message},
        "calls_made": 0,
    }
    return CallToolResult(content=[TextContent(text=message)], structured_content=answer, is_error=True)


@contextmanager
def _prints_to_stderr() -> Generator[None]:
    """Let `print` write to stderr: `stdio_server` diverts the descriptor, but not what waits in Python's buffer."""
    printed = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        printed.flush()  # a tool can have kept it; afterwards the descriptor belongs to the protocol again


async def serve_stdio(session: Session, settings: Settings, tool_thread: ToolThread, version: str) -> None:
    """Serve a session over stdin and stdout until the client closes them.

    Meanwhile whatever the tools print goes to stderr: stdout belongs to the protocol.

    Raises:
        UserError: if the backend or the guest is not available.
        SandboxError: if this machine cannot start a sandbox.
    """
    for problem in await session.warm(settings):
        print(problem, file=sys.stderr)
    sandbox = SandboxServer(session, settings, tool_thread, version)
    try:
        async with stdio_server() as (reading, writing):
            with _prints_to_stderr():
                await sandbox.server.run(reading, writing, sandbox.server.create_initialization_options())
    finally:
        await sandbox.aclose()
