"""What stands behind the magics of one shell: the session, its thread, and how one prompt is asked and shown."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from codeact_kernel.approval import Grants
from codeact_kernel.approval.grants import own_file
from codeact_kernel.capabilities.data import Input, load_input, parse_input_names, to_dataframe, validate_name
from codeact_kernel.capabilities.registry import CapabilitySet
from codeact_kernel.configuration import Resolved
from codeact_kernel.errors import ProgramError, UserError
from codeact_kernel.events import Emit
from codeact_kernel.model.base import ModelClient
from codeact_kernel.model.discovery import NoModelConfigured
from codeact_kernel.model.recorded import RecordedModel, RecordingModel
from codeact_kernel.render import bundle
from codeact_kernel.render.escaping import escaped, one_line
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.tools import OnMain
from codeact_kernel.tools.event_loops import standing_still
from codeact_kernel.turn.turn import prompt
from codeact_kernel.types import ProgramFailure, TurnResult

from .approvers import FallbackApprover, StdinApprover, has_user, is_append_only, is_captured
from .cell_output import CellOutput
from .loop_thread import LoopThread, TurnThread
from .turn_runner import TurnAbandoned

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Frontend", "KeptChoices"]

_BRACED = re.compile(r"\{([^\W\d]\w{0,99})\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptChoices:
    """What the user chose in one `Frontend`, for the next one of the same shell."""

    model: ModelClient | None
    grants: Grants
    record: RecordedModel | None
    told: set[str]


class Frontend:
    """One shell's way in.

    Args:
        shell: IPython.
        resolved: says what is chosen now.
        kept: what was chosen before the extension was loaded once more.

    Attributes:
        session: the engine's; it lives on `thread`.
        live: runs turns for the cells.
        record: answers where no model is configured.
        told: sentences that are said once.
    """

    def __init__(
        self, shell: InteractiveShell, resolved: Callable[[], Resolved], kept: KeptChoices | None = None
    ) -> None:
        self.shell = shell
        self.thread = LoopThread()
        self.live = TurnThread(self.thread, getattr(shell, "kernel", None))
        self.session = Session(grants=kept.grants if kept else Grants(own_file()))
        self.session.model = kept.model if kept else None
        self.record: RecordedModel | None = kept.record if kept else None
        self.told: set[str] = kept.told if kept else set()
        self._resolved = resolved
        self._last_error: BaseException | None = None
        _pretty_print_results(shell)

    @property
    def kept(self) -> KeptChoices:
        """What the next door has to know, if the extension is loaded once more."""
        return KeptChoices(model=self.session.model, grants=self.session.grants, record=self.record, told=self.told)

    @property
    def settings(self) -> Settings:
        """What is chosen now.

        Raises:
            UserError: some place says what there is not.
        """
        return self._resolved().settings

    def ask(
        self,
        ask: str,
        chosen: Resolved,
        *,
        inputs: Sequence[Input] = (),
        outputs: Sequence[str] = (),
        record: str | None = None,
        quiet: bool = False,
    ) -> TurnResult | None:
        """Ask, show, and bind the result to `_codeact`, also of a turn that was stopped; `None` if it was left.

        Args:
            inputs: variables that the program gets.
            outputs: names that it has to assign.
            record: the file to which the model's answers are added.
            quiet: show nothing.

        Raises:
            CodeActError: there is no result.
            TurnInterrupted: the person stopped it.
        """
        present = has_user(self.shell)
        view = self._view(card=present and chosen.values["approval_ui"] != "stdin", quiet=quiet)
        settings = chosen.settings
        cells = asyncio._get_running_loop()  # the kernel's: it does nothing until this cell is over
        if not quiet:
            self._tell_once(chosen, view, ask, [one.name for one in inputs])

        async def turn(emit: Emit, on_main: OnMain) -> TurnResult:
            model = await self.model(settings)
            model = RecordingModel(model, Path(record), asks=[ask]) if record else model
            approver = FallbackApprover(view, StdinApprover(on_main, view.freeze_card), present=present)
            with standing_still(cells):
                return await self.session.ask(
                    ask,
                    inputs=inputs,
                    outputs=outputs,
                    model=model,
                    settings=settings,
                    approver=approver,
                    emit=emit,
                    on_main=on_main,
                )

        self._last_error = self.session.tools.last_error
        try:
            return self.live.run(turn, view)
        except TurnAbandoned:
            return None
        finally:
            if view.transcript.result is not None:  # nothing is lost
                self.shell.user_ns["_codeact"] = view.transcript.result

    def _view(self, *, card: bool, quiet: bool) -> CellOutput:
        """Make the output of the cell that is running."""
        once, captured = is_append_only(self.shell), is_captured(self.shell)
        return CellOutput(self.thread.loop, once=once, captured=captured, card=card, quiet=quiet, told=self.told)

    def inputs(self, given: Sequence[str], settings: Settings) -> list[Input]:
        """The notebook's variables that `--in` names, as they are now.

        Raises:
            UserError: there is none of that name, or it cannot go in.
        """
        variables, made = cast("dict[str, object]", self.shell.user_ns), list[Input]()
        for one in parse_input_names(given):
            if one.name not in variables:
                near = get_close_matches(one.name, [name for name in variables if name[:1] != "_"], n=1)
                advice = f"did you mean {near[0]}?" if near else "run the cell that makes it."
                raise UserError(f"--in {one.name}: there is no such variable: {advice}")
            self._no_tool(one.name, "--in")
            made.append(load_input(one, variables[one.name], settings.limits))
        return made

    def outputs(self, given: Sequence[str]) -> list[str]:
        """The names that `--out` gives, with commas between them.

        Raises:
            UserError: one that no variable of a program can have.
        """
        names = dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip())
        for name in names:
            self._no_tool(validate_name(name, "--out"), "--out")
        return list(names)

    def _no_tool(self, name: str, option: str) -> None:
        if name in self.session.tools:
            raise UserError(f"{option} {name}: there is a tool of that name, so give the variable another one.")

    def bind(self, result: TurnResult, outputs: Sequence[str]) -> None:
        """Give the notebook what the program handed back: all of it, or nothing.

        Raises:
            ProgramError: something is missing, since the model answered without a program.
        """
        if missing := [name for name in outputs if name not in result.outputs]:
            raise ProgramError(
                f"{', '.join(missing)} did not come: the model wrote no program. What was there before is still there; "
                "ask for something to compute."
            )
        self.shell.user_ns.update({name: to_dataframe(result.outputs[name]) for name in outputs})

    def failure(self, error: ProgramFailure) -> str:
        """Why a turn came to nothing, in a sentence."""
        if error.kind == "Rejected":
            return f"The program did not run: {one_line(error.message)}"
        reason = one_line(str(error))[:300]
        where = "See _codeact for all of it, and %codeact traceback for a tool's own error."
        return f"The program failed for good ({reason}). {where}"

    def cause(self, error: ProgramFailure) -> BaseException | None:
        """What a tool of the last turn raised, if that is why it came to nothing: `%debug` is to open its frame."""
        raised = self.session.tools.last_error
        return raised if error.kind == "ToolFailed" and raised is not self._last_error else None

    async def model(self, settings: Settings) -> ModelClient:
        """The model for an ask, or the record where none is configured.

        Raises:
            ModelError: neither is there.
        """
        try:
            return await self.session.choose(settings)
        except NoModelConfigured:
            if self.record is None:
                raise
            return self.record

    def prompt(self, ask: str, settings: Settings, inputs: Sequence[Input], outputs: Sequence[str]) -> str:
        """What would be sent for `ask`, word for word; characters that do not show as their escapes."""
        reach = CapabilitySet(settings, inputs, outputs, lambda event: None)
        messages = prompt.first(ask, self.session.tools.specs().values(), reach.instructions)
        reach.close()
        return "\n\n".join(f"--- {message.role} ---\n{escaped(message.content)}" for message in messages)

    def warm(self) -> None:
        """Start a sandbox in the background; the first ever also compiles the guest.

        Raises:
            UserError: some place says what there is not.
        """
        settings = self.settings

        async def start() -> None:
            self.session.pool(settings).warm()

        self.thread.submit(start())

    def close(self) -> None:
        """Kill the sandboxes and end the thread."""
        if not self.thread.started:
            return
        try:
            self.thread.submit(self.session.aclose()).result(timeout=5)
        finally:
            self.thread.close()

    def _tell_once(self, chosen: Resolved, view: CellOutput, ask: str, given: Sequence[str]) -> None:
        notices: list[str] = []
        if chosen.refused:
            wanted = ", ".join(map(one_line, chosen.refused))
            notices.append(
                f"Not in force: {wanted}. The folder's file wants that, and it takes your word: "
                "%codeact config shows it, %codeact config trust gives it."
            )
        if not len(self.session.tools):
            sees = "only the variables that --in names" if given else "none of the notebook's variables"
            notices.append(f"No tools are offered: mark a function with @tool. A program sees {sees}.")
        braced = [name for name in dict.fromkeys(_BRACED.findall(ask)) if name in self.shell.user_ns]
        if braced := [name for name in braced if name not in given and name not in self.session.tools]:
            names = ", ".join(f"{{{name}}}" for name in braced)
            notices.append(f"In the prompt {names} is sent as it is written: --in {','.join(braced)} gives the values.")
        for text in notices:
            if text not in self.told:
                self.told.add(text)
                view.transcript.notices.append(text)


def _pretty_print_results(shell: InteractiveShell) -> None:
    formatters: Any = cast("Any", shell.display_formatter).formatters

    def text(result: TurnResult, printer: Any, cycle: bool) -> None:
        printer.text(bundle(result)["text/plain"])

    def html(result: TurnResult) -> str:
        return bundle(result)["text/html"]

    def markdown(result: TurnResult) -> str:
        return bundle(result)["text/markdown"]

    for mime, function in (("text/plain", text), ("text/html", html), ("text/markdown", markdown)):
        formatters[mime].for_type(TurnResult, function)
