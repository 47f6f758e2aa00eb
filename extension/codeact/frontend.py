"""The engine behind one shell's magics: the session, its thread, and how a prompt is asked and shown."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from codeact_kernel.approval import Grants
from codeact_kernel.approval.grants import own_file
from codeact_kernel.capabilities.data import Input
from codeact_kernel.capabilities.registry import CapabilitySet
from codeact_kernel.configuration import Layer, ProjectFile, Resolved
from codeact_kernel.errors import CodeActError, ProgramError
from codeact_kernel.events import Emit, Event, Notice
from codeact_kernel.memory.database import own_journal
from codeact_kernel.memory.journal import Journal
from codeact_kernel.memory.spending import Spending
from codeact_kernel.memory.thread import FollowUp
from codeact_kernel.model.base import ModelClient
from codeact_kernel.model.discovery import NoModelConfigured
from codeact_kernel.model.recorded import RecordedModel, RecordingModel
from codeact_kernel.render.escaping import escape_hidden, one_line
from codeact_kernel.render.failures import describe_failure
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.tools import OnMain
from codeact_kernel.tools.event_loops import standing_still
from codeact_kernel.turn import prompt as prompts
from codeact_kernel.turn.tool_offer import offer_tools
from codeact_kernel.types import CardStyle, ProgramFailure, TurnResult

from .approvers import FallbackApprover, StdinApprover, has_user, is_append_only, is_captured
from .cell_output import CellOutput
from .kept_programs import write_copies
from .loop_thread import LoopThread, TurnLauncher
from .notebook_memory import NotebookMemory, find_cell
from .result_formatters import register_result_formatters
from .tool_errors import write_tool_error
from .turn_runner import TurnAbandoned
from .variables import NotebookVariables

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Frontend", "FrontendState", "Options", "PromptRequest"]

_BRACED = re.compile(r"\{([^\W\d]\w{0,99})\}")


class Options(Protocol):
    """What the user can choose, and where the choices are stored: the magics."""

    def resolved(self, cell: Layer | None = None, *, folder: ProjectFile | None = None) -> Resolved:
        """Merge every place where options are set."""
        ...

    def choose(self, name: str, value: object) -> None:
        """Set one option for the notebook."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptRequest:
    """A prompt, with everything that its cell chose.

    Attributes:
        text: the prompt.
        options: the options in force for this cell.
        inputs: the variables that the program gets.
        outputs: the names that the program has to assign.
        is_new: whether to forget the earlier prompts first.
        record: the file to which the model's answers are appended.
        is_quiet: whether the cell shows nothing.
    """

    text: str
    options: Resolved
    inputs: Sequence[Input] = ()
    outputs: Sequence[str] = ()
    is_new: bool = False
    record: Path | None = None
    is_quiet: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontendState:
    """The part of a `Frontend` that survives `%reload_ext`."""

    model: ModelClient | None
    grants: Grants
    journal: Journal
    record: RecordedModel | None
    shown_notices: set[str]
    memory: NotebookMemory
    spending: Spending


class Frontend:
    """The engine of one shell.

    Args:
        shell: IPython.
        options: the magics, which know what is chosen.
        folder: the folder of the notebook.
        state: the state of the frontend before `%reload_ext`.

    Attributes:
        resolved, choose: the methods of `options`.
        session: the engine's session; it lives on `thread`.
        variables: the variables of the notebook that prompts read and assign.
        journal: writes the turns into the user's history.
        turns: runs turns for the cells.
        record: answers prompts where no model is configured.
        shown_notices: notices that are shown only once.
        memory: the results, the thread and the recorded programs of the notebook.
        shown_file: the project file as `%codeact config` last showed it; only this version can be trusted.
        shown_servers: the file of MCP servers as `%codeact mcp add` last showed it; only these servers can be started.
    """

    def __init__(
        self, shell: InteractiveShell, options: Options, folder: Path, state: FrontendState | None = None
    ) -> None:
        self.shell = shell
        self.resolved = options.resolved
        self.choose = options.choose
        self.thread = LoopThread()
        self.turns = TurnLauncher(self.thread, getattr(shell, "kernel", None))
        self.memory = state.memory if state else NotebookMemory(folder)
        self.session = Session(grants=state.grants if state else Grants(own_file()), reuse=self.memory.reuse)
        self.session.threads[""] = self.memory.thread
        self.variables = NotebookVariables(shell, self.session.tools)
        self.session.model = state.model if state else None
        self.session.spending = state.spending if state else Spending()
        self.journal = state.journal if state else Journal(own_journal(), os.environ.get("JPY_SESSION_NAME", ""))
        self.record: RecordedModel | None = state.record if state else None
        self.shown_notices: set[str] = state.shown_notices if state else set()
        self.shown_file: ProjectFile | None = None
        self.shown_servers = b""
        self._previous_tool_error: BaseException | None = None
        register_result_formatters(shell, lambda: self.card_style)

    @property
    def state(self) -> FrontendState:
        """What the next frontend of this shell starts with."""
        return FrontendState(
            model=self.session.model,
            grants=self.session.grants,
            journal=self.journal,
            record=self.record,
            shown_notices=self.shown_notices,
            memory=self.memory,
            spending=self.session.spending,
        )

    @property
    def settings(self) -> Settings:
        """The settings in force for a cell without options.

        Raises:
            UserError: if an option has an invalid name or value anywhere.
        """
        return self.resolved().settings

    @property
    def card_style(self) -> CardStyle:
        """What is open below the answer of a finished card.

        Raises:
            UserError: if an option has an invalid name or value anywhere.
        """
        return cast("CardStyle", self.resolved().values["card"])

    def ask(self, prompt: PromptRequest) -> TurnResult | None:
        """Run a turn, show it, and keep its result. A turn that was stopped has a result as well.

        Returns:
            The result, or `None` if the user ran the cell again while it waited for an approval.

        Raises:
            CodeActError: if the turn ended without a result.
            TurnInterrupted: if the user stopped the turn.
        """
        options = prompt.options
        user_present = has_user(self.shell)
        output = self._open_output(
            card=user_present and options.values["approval_ui"] != "stdin",
            quiet=prompt.is_quiet,
            style=options.values["card"],
        )
        kernel_loop = asyncio._get_running_loop()  # it runs nothing until this cell ends
        if not prompt.is_quiet:
            self._add_notices(prompt, output)

        cell = find_cell(self.shell)
        # Whoever records the model's answers wants the model to be asked.
        settings = replace(options.settings, reuse="never") if prompt.record else options.settings

        async def choose() -> ModelClient:
            model = await self.model(settings)
            return RecordingModel(model, prompt.record, asks=[prompt.text]) if prompt.record else model

        async def turn(emit: Emit, on_main: OnMain) -> TurnResult:
            approver = FallbackApprover(
                output.card_approver, StdinApprover(on_main, output.freeze_card), user_present=user_present
            )
            with standing_still(kernel_loop):
                return await self.session.ask(
                    prompt.text,
                    inputs=prompt.inputs,
                    outputs=prompt.outputs,
                    model=choose,
                    settings=settings,
                    approver=approver,
                    new=prompt.is_new,
                    cell=cell,
                    emit=self._journaled(emit, options),
                    on_main=on_main,
                )

        self._previous_tool_error = self.session.tools.last_error
        try:
            return self.turns.run(turn, output)
        except TurnAbandoned:
            return None
        except CodeActError as error:
            error.is_shown = output.transcript.result is not None and user_present and not prompt.is_quiet
            raise
        finally:
            if output.transcript.result is not None:
                self.memory.keep(output.transcript.result, self.shell)

    def _journaled(self, emit: Emit, options: Resolved) -> Emit:
        """Return what also writes an event into the history, unless that is off, or the turn is only repeated."""
        if not options.values["history"] or self.memory.reuse.replays:
            return emit

        def report(sentence: str) -> None:
            if sentence not in self.shown_notices:
                self.shown_notices.add(sentence)
                emit(Notice(text=sentence))

        days, cell = options.values["history_days"], self.shell.execution_count
        record = self.journal.record(days=days, cell=cell, report=report)

        def write_and_emit(event: Event) -> None:
            record(event)
            emit(event)

        return write_and_emit

    def _open_output(self, *, card: bool, quiet: bool, style: CardStyle) -> CellOutput:
        """Make the output of the cell that is running."""
        return CellOutput(
            self.thread.loop,
            append_only=is_append_only(self.shell),
            captured=is_captured(self.shell),
            card=card,
            quiet=quiet,
            style=style,
            shown_notices=self.shown_notices,
            write_copies=partial(write_copies, self),
            write_tool_error=self._write_tool_error,
        )

    def fail(self, result: TurnResult, *, is_quiet: bool) -> NoReturn:
        """End the cell with an error, so that the cells behind it do not run.

        The error repeats the reason only if no card shows it, or if nobody is there to read the card.

        Raises:
            ProgramError: always.
        """
        assert result.error is not None
        error = ProgramError(describe_failure(result))
        error.is_shown = not is_quiet and has_user(self.shell)
        raise error from self.find_cause(result.error)

    def find_cause(self, error: ProgramFailure) -> BaseException | None:
        """Return the error that a tool raised in the last turn, if it made the turn fail, so that `%debug` opens it."""
        raised = self.session.tools.last_error
        return raised if error.kind == "ToolFailed" and raised is not self._previous_tool_error else None

    def _write_tool_error(self, result: TurnResult) -> str:
        error = self.find_cause(result.error) if result.error is not None else None
        return "" if error is None or isinstance(error, CodeActError) else write_tool_error(error)

    async def model(self, settings: Settings) -> ModelClient:
        """Choose the model for a prompt: the configured model, else the record.

        Raises:
            ModelError: if there is neither.
        """
        try:
            return await self.session.choose(settings)
        except NoModelConfigured:
            if self.record is None:
                raise
            return self.record

    def preview(
        self,
        text: str,
        settings: Settings,
        inputs: Sequence[Input] = (),
        outputs: Sequence[str] = (),
        *,
        is_new: bool = False,
    ) -> str:
        """Return exactly what would be sent for a prompt, with invisible characters as their escapes."""
        tools = self.session.tools
        taken = [*tools, *outputs, *(variable.name for variable in inputs)]
        follow_up = FollowUp() if is_new else self.memory.follow_up(text, settings, taken, self.shell)
        guest = self.session.guest
        offer = offer_tools(tools.specs(as_frames=guest.has_pandas), text, follow_up, settings.limits.tools_tokens)
        capabilities = CapabilitySet(settings, [*inputs, *follow_up.inputs], outputs, lambda event: None, guest=guest)
        messages = prompts.write_first_messages(
            text, offer.shown, capabilities.instructions, follow_up.text, guest, offer.others
        )
        capabilities.close()
        return "\n\n".join(f"--- {message.role} ---\n{escape_hidden(message.content)}" for message in messages)

    def warm(self) -> None:
        """Start a sandbox in the background. The first start on a machine also compiles the guest.

        Raises:
            UserError: if an option has an invalid name or value anywhere.
        """
        settings = self.settings

        async def start() -> None:
            pool, _ = await self.session.pool(settings)
            pool.warm()

        self.thread.submit(start())

    def close(self) -> None:
        """Kill the sandboxes, end the thread and close the history."""
        if not self.thread.is_started:
            return
        try:
            self.thread.submit(self.session.aclose()).result(timeout=5)
        finally:
            self.thread.close()
            self.journal.close()

    def _add_notices(self, prompt: PromptRequest, output: CellOutput) -> None:
        """Show each notice about this prompt, unless the notebook has shown it before."""
        for notice in self._notices(prompt):
            if notice not in self.shown_notices:
                self.shown_notices.add(notice)
                output.transcript.notices.append(notice)

    def _notices(self, prompt: PromptRequest) -> Iterable[str]:
        given = [item.name for item in prompt.inputs]
        if prompt.options.refused:
            settings = ", ".join(map(one_line, prompt.options.refused))
            yield (
                f"Not in force: {settings}. The project file sets this, and you have not trusted the file: "
                "%codeact config shows it, %codeact config trust allows it."
            )
        if not len(self.session.tools):
            variables = "only the variables that --in names" if given else "none of the notebook's variables"
            yield f"No tools are offered: mark a function with @tool. A program sees {variables}."
        braced = [name for name in dict.fromkeys(_BRACED.findall(prompt.text)) if name in self.shell.user_ns]
        if braced := [name for name in braced if name not in given and name not in self.session.tools]:
            names = ", ".join(f"{{{name}}}" for name in braced)
            yield f"In the prompt {names} is sent as it is written: --in {','.join(braced)} gives the values."
