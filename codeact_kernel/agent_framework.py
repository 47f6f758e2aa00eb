"""Our sandbox in Microsoft Agent Framework: a context provider that gives an agent the tool `execute_code`.

    from codeact_kernel.agent_framework import CodeActProvider

    agent = Agent(client=client, context_providers=[CodeActProvider(tools=[list_users, pay], approver=my_approver)])

The model of the agent writes the programs, and each call of a tool that needs approval is decided on its own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from .approval import Approver
from .configuration import from_environment
from .errors import CodeActError, UserError
from .events import Event, Notice
from .server.answer import to_json_answer, to_text_answer
from .server.description import describe_execute_code
from .server.pictures import draw_pictures
from .session import Session
from .settings import Settings

try:
    from agent_framework import AgentSession, Content, ContextProvider, FunctionTool, SessionContext
except ImportError as error:
    raise UserError(
        f"CodeActProvider needs {error.name}, which is not installed: pip install 'agent-framework-core>=1.23,<2'."
    ) from None

__all__ = ["CodeActProvider"]

_INSTRUCTIONS = (
    "Your tools can only be called by a Python program. Run it with execute_code, whose description lists them; prefer "
    "one program for the whole task."
)
_CODE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "The Python program."}},
    "required": ["code"],
}


class CodeActProvider(ContextProvider):
    """Gives an agent one tool, `execute_code`, whose programs call the other tools from our sandbox.

    A provider belongs to the event loop that it is used on. Its sandbox stays warm until `aclose`, or the end of
    `async with`.

    Args:
        tools: what `Session` takes: functions, with our `@tool` or without, and tools of Agent Framework, whose
            `approval_mode` then holds for each of their calls.
        approver: decides about each call that needs approval; by default they are denied.
        settings: limits, folders and hosts for programs; by default those of the environment.
        source_id: names the provider among those of the agent.

    Raises:
        ToolDefinitionError: if a function cannot become a tool.

    Attributes:
        session: the session that runs the programs; `session.tools` are the tools.
    """

    def __init__(
        self,
        *,
        tools: Iterable[object] = (),
        approver: Approver | None = None,
        settings: Settings | None = None,
        source_id: str = "codeact",
    ) -> None:
        super().__init__(source_id)
        self.session = Session(tools)
        self._approver = approver
        self._settings = settings

    async def __aenter__(self) -> CodeActProvider:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the sandbox. The next program starts another one."""
        await self.session.aclose()

    async def before_run(
        self, *, agent: Any, session: AgentSession | None, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Give the agent the instructions and the tool. Agent Framework calls this before each run."""
        settings = self._settings or from_environment()
        await self.session.warm(settings)
        guest = self.session.guest
        tool = FunctionTool(
            name="execute_code",
            description=describe_execute_code(self.session.tools, settings, guest, can_look_up=False),
            func=self.execute_code,
            input_model=_CODE_SCHEMA,
            approval_mode="never_require",  # each call is decided on its own
        )
        context.extend_instructions(self.source_id, _INSTRUCTIONS)
        context.extend_tools(self.source_id, [tool])

    async def execute_code(self, code: str) -> list[Content]:
        """Run a program, and return its value, output and pictures, or what its author can do about an error."""
        notices: list[str] = []

        def note(event: Event) -> None:
            if isinstance(event, Notice):
                notices.append(event.text)

        try:
            result = await self.session.execute_code(code, settings=self._settings, approver=self._approver, emit=note)
        except CodeActError as error:
            return [Content.from_text(str(error))]
        text = to_text_answer(to_json_answer(result, notices))
        pictures = await draw_pictures(result.shown)
        return [
            Content.from_text(text),
            *(Content.from_data(base64.b64decode(data), media_type=mime) for mime, data in pictures),
        ]
