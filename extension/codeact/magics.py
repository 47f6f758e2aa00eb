"""`%%codeact` and `%codeact`: options to settings, ask, show. Everything else is done elsewhere."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false
# IPython has next to no types.

from __future__ import annotations

import atexit
import dataclasses
import keyword
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import traitlets
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from codeact_kernel.errors import ProgramError
from codeact_kernel.events import Emit
from codeact_kernel.model.recorded import RecordingModel
from codeact_kernel.render import bundle
from codeact_kernel.render.safe import one_line
from codeact_kernel.sandbox import backends
from codeact_kernel.settings import Settings, parse_memory
from codeact_kernel.tools import OnMain
from codeact_kernel.values import TurnResult

from .ask import Ladder, StdinApprover, somebody_is_there
from .cell import TurnLeft
from .completion import matcher
from .door import Door
from .verbs import HELP, VERBS
from .view import View

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["CodeAct", "load", "unload"]


@magics_class
class CodeAct(Magics):
    """The magics of one IPython shell, and what `c.CodeAct.…` and `%config CodeAct.…` choose."""

    allow = traitlets.List(
        traitlets.Unicode(), help="Tools that run without a question although they ask for approval."
    ).tag(config=True)
    approval_ui = traitlets.Enum(
        ("auto", "card", "stdin"),
        "auto",
        help="Where approvals are asked: on the card where a page shows it (auto, card), or with input() (stdin).",
    ).tag(config=True)
    approval_timeout = traitlets.Float(
        None, allow_none=True, min=0.001, help="Seconds after which a question that nobody answered is a no."
    ).tag(config=True)

    def __init__(self, door: Door) -> None:
        super().__init__(door.shell, parent=door.shell)
        self._door = door
        door.configured = self._configured

    @no_var_expand
    @magic_arguments()
    @argument("--model", help="the model's name at the endpoint")
    @argument("--max-retries", type=int, help="how often the model may mend a program that failed (default 2)")
    @argument("--timeout", type=float, help="seconds that one run of a program may take (default 30)")
    @argument("--memory", help="what the program may use, for example 512Mi (default 256Mi)")
    @argument("--backend", help="what isolates the program: auto (default), hyperlight or embedded")
    @argument("--allow", action="append", default=[], help="run this tool without a question; may be repeated")
    @argument("--review", action="store_true", help="show each program before it runs: run it, edit it, or reject it")
    @argument("--approval-timeout", type=float, help="seconds after which a question that nobody answered is a no")
    @argument("--out", help="put the value into this variable")
    @argument("--dry-run", action="store_true", help="show exactly what would be sent, and send nothing")
    @argument("--quiet", action="store_true", help="show nothing; the result is in _codeact")
    @argument("--record", help="append the model's answers to this file")
    @cell_magic
    def codeact(self, line: str, cell: str) -> None:
        """Ask the model for one program, run it in the sandbox against your tools, and show the result.

        The result is bound to `_codeact`: program, calls, value, stdout, usage, timings, error.
        """
        options = parse_argstring(self.codeact, line)
        if not cell.strip():
            raise UsageError("%%codeact needs a prompt: write it below the %%codeact line.")
        if options.out and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
            raise UsageError(f"--out {options.out}: not a name for a variable.")
        settings, ask = _settings(self._door.settings, options), cell.strip()
        if options.dry_run:
            print(self._door.prompt(ask))
            return
        try:
            result = self._ask(ask, settings, options)
        except TurnLeft:
            return
        if result.error is not None:
            if result.error.kind == "Rejected":
                raise ProgramError(f"The program did not run: {one_line(result.error.message)}")
            reason = one_line(str(result.error))[:300]
            where = "See _codeact for all of it, and %codeact traceback for a tool's own error."
            raise ProgramError(f"The program failed for good ({reason}). {where}")
        if options.out:
            self._door.namespace[options.out] = result.value

    @no_var_expand
    @line_magic("codeact")
    def codeact_line(self, line: str) -> None:
        """`%codeact status|tools|approvals|forget|prompt|model|recorded|traceback|backend|reset|help`"""
        verb, _, rest = line.strip().partition(" ")
        act = VERBS.get(verb or "help")
        if act is None:
            raise UsageError(
                f"%codeact {verb}: not known. To ask the model use %%codeact with the prompt below it.\n{HELP}"
            )
        act(self._door, rest.strip())

    def _configured(self, settings: Settings) -> Settings:
        """`settings`, and what `c.CodeAct` says."""
        limits = settings.limits
        if self.approval_timeout is not None:
            limits = dataclasses.replace(limits, decision_seconds=self.approval_timeout)
        return dataclasses.replace(settings, allow=settings.allow | frozenset(self.allow), limits=limits)

    def _ask(self, ask: str, settings: Settings, options: Namespace) -> TurnResult:
        door = self._door
        present = somebody_is_there(door.shell)
        view = View(
            door.shell,
            door.thread.loop,
            card=present and self.approval_ui != "stdin",
            quiet=options.quiet,
            told=door.told,
        )

        async def turn(emit: Emit, on_main: OnMain) -> TurnResult:
            model = await door.model(settings)
            model = RecordingModel(model, Path(options.record), asks=[ask]) if options.record else model
            approver = Ladder(view, StdinApprover(on_main, view.before_input), present=present)
            return await door.session.ask(
                ask, model=model, settings=settings, approver=approver, emit=emit, on_main=on_main
            )

        try:
            return door.live.run(turn, view)
        finally:
            if view.transcript.result is not None:  # also of a turn that was stopped: nothing is lost
                door.namespace["_codeact"] = view.transcript.result


def _settings(settings: Settings, options: Namespace) -> Settings:
    if options.max_retries is not None and not 0 <= options.max_retries <= 20:
        raise UsageError("--max-retries is a number from 0 to 20.")
    if options.timeout is not None and not 0 < options.timeout <= 86_400:
        raise UsageError("--timeout is a number of seconds, more than 0.")
    if options.backend:
        backends.check(options.backend)
    if options.approval_timeout is not None and not 0 < options.approval_timeout <= 86_400:
        raise UsageError("--approval-timeout is a number of seconds, more than 0.")
    limits = settings.limits
    if options.approval_timeout is not None:
        limits = dataclasses.replace(limits, decision_seconds=options.approval_timeout)
    if options.timeout is not None:
        limits = dataclasses.replace(limits, run_seconds=options.timeout)
    if options.memory:
        limits = dataclasses.replace(limits, memory_bytes=parse_memory(options.memory))
    return dataclasses.replace(
        settings,
        model=options.model or settings.model,
        backend=options.backend or settings.backend,
        max_retries=settings.max_retries if options.max_retries is None else options.max_retries,
        allow=settings.allow | frozenset(name for names in options.allow for name in names.split(",")),
        review=options.review,
        limits=limits,
    )


def load(shell: InteractiveShell) -> None:
    """Register the magics once, and warm a sandbox up."""
    if getattr(shell, "_codeact_door", None) is not None:
        return
    door = Door(shell)
    door.warm()
    magics = CodeAct(door)
    shell.register_magics(magics)
    cast("list[object]", shell.configurables).append(magics)  # for %config
    shell._codeact_door = door  # type: ignore[attr-defined]  # so that loading twice makes nothing twice
    _pretty_print_results(shell)
    shell.Completer.custom_matchers.append(matcher)
    atexit.register(door.close)


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


def unload(shell: InteractiveShell) -> None:
    """Undo `load`."""
    door: Door | None = getattr(shell, "_codeact_door", None)
    if door is None:
        return
    shell._codeact_door = None  # type: ignore[attr-defined]
    if matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(matcher)
    shell.configurables[:] = [one for one in shell.configurables if not isinstance(one, CodeAct)]
    for kind in ("cell", "line"):
        shell.magics_manager.magics[kind].pop("codeact", None)
    atexit.unregister(door.close)
    door.close()
