"""`%%codeact` and `%codeact`: options to settings, ask, show. Everything else is done elsewhere."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false
# IPython has next to no types.

from __future__ import annotations

import atexit
import dataclasses
import keyword
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from codeact_kernel import prompt as prompts
from codeact_kernel.errors import CodeActError, ProgramError, UserError
from codeact_kernel.events import Event, TurnFinished
from codeact_kernel.guest import modules
from codeact_kernel.model.base import ModelClient
from codeact_kernel.model.choose import NoModel
from codeact_kernel.model.recorded import RecordedModel, RecordingModel
from codeact_kernel.render import bundle
from codeact_kernel.render.safe import one_line
from codeact_kernel.sandbox import backends
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.values import TurnResult

from .ask import StdinApprover, somebody_is_there
from .completion import matcher
from .live import Live, LoopThread
from .view import View

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["CodeAct", "load", "unload"]

_HELP = """\
%%codeact [options]     ask the model; the cell's text is the prompt (%%codeact? lists the options)
%codeact status         the boundary, the model, the tools
%codeact tools          what programs can call
%codeact prompt TEXT    exactly what would be sent for TEXT (IPython takes a ? at its end for itself)
%codeact model [NAME]   the model in use; with NAME, another one
%codeact recorded FILE  where no model is configured, answer from a record
%codeact backend [NAME] what isolates programs; with NAME, another one
%codeact reset          fresh sandbox, forget what was allowed for the session
%codeact help           this text"""


@magics_class
class CodeAct(Magics):
    """The magics of one IPython shell, and the session behind them."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.thread = LoopThread()
        self.live = Live(self.thread)
        self.session = Session(say=lambda text: None)
        self.settings = Settings.from_environment()
        self.allowed: set[tuple[str, str]] = set()
        self.record: RecordedModel | None = None

    @no_var_expand
    @magic_arguments()
    @argument("--model", help="the model's name at the endpoint")
    @argument("--max-retries", type=int, help="how often the model may mend a program that failed (default 2)")
    @argument("--timeout", type=float, help="seconds that one run of a program may take (default 30)")
    @argument("--backend", help="what isolates the program (default embedded)")
    @argument("--allow", action="append", default=[], help="run this tool without a question; may be repeated")
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
        settings = self._settings(options)
        ask = cell.strip()
        if options.dry_run:
            print(self._prompt(ask))
            return
        if options.out and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
            raise UsageError(f"--out {options.out}: not a name for a variable.")
        result = self._ask(ask, settings, options)
        if options.out:
            self._user_namespace()[options.out] = result.value
        if result.error is not None:
            raise ProgramError(
                f"The program failed for good ({one_line(str(result.error))[:300]}). See _codeact for all of it."
            )

    @no_var_expand
    @line_magic("codeact")
    def codeact_line(self, line: str) -> None:
        """`%codeact status|tools|prompt|model|recorded|backend|reset|help`"""
        verb, _, rest = line.strip().partition(" ")
        verbs: dict[str, Callable[[str], None]] = {
            "": self._help,
            "help": self._help,
            "status": self._status,
            "tools": self._tools,
            "prompt": lambda text: print(self._prompt(text or "(your prompt)")),
            "model": self._model,
            "recorded": self._recorded,
            "backend": self._backend,
            "reset": self._reset,
        }
        if verb not in verbs:
            raise UsageError(
                f"%codeact {verb}: not known. To ask the model use %%codeact with the prompt below it.\n{_HELP}"
            )
        verbs[verb](rest.strip())

    def warm(self) -> None:
        """Start a sandbox in the background; the first ever also compiles the guest."""

        async def start() -> None:
            (await self.session.pool(self.settings)).warm()

        self.thread.submit(start())

    def close(self) -> None:
        """Kill the sandboxes and end the thread."""
        try:
            self.thread.submit(self.session.aclose()).result(timeout=5)
        finally:
            self.thread.close()

    def _ask(self, ask: str, settings: Settings, options: Namespace) -> TurnResult:
        shell = self._shell()
        view = View(shell, quiet=options.quiet)
        approver = StdinApprover(
            self.live.on_main,
            present=somebody_is_there(shell),
            before=lambda: view.redraw(force=True),
            allowed=self.allowed,
        )

        def show(event: Event) -> None:
            view.show(event)
            if isinstance(event, TurnFinished):  # also of a turn that was stopped: nothing is lost
                self._user_namespace()["_codeact"] = event.result

        async def turn() -> TurnResult:
            model = await self._choose(settings)
            model = RecordingModel(model, Path(options.record), asks=[ask]) if options.record else model
            return await self.session.ask(
                ask, model=model, settings=settings, approver=approver, emit=self.live.emit, on_main=self.live.on_main
            )

        return self.live.run(turn, show, view.redraw)

    async def _choose(self, settings: Settings) -> ModelClient:
        try:
            return await self.session.choose(settings)
        except NoModel:
            if self.record is None:
                raise
            return self.record

    def _settings(self, options: Namespace) -> Settings:
        settings = self.settings
        if options.max_retries is not None and not 0 <= options.max_retries <= 20:
            raise UsageError("--max-retries is a number from 0 to 20.")
        if options.timeout is not None and not 0 < options.timeout <= 86_400:
            raise UsageError("--timeout is a number of seconds, more than 0.")
        if options.backend:
            backends.check(options.backend)
        limits = settings.limits
        if options.timeout is not None:
            limits = dataclasses.replace(limits, run_seconds=options.timeout)
        return dataclasses.replace(
            settings,
            model=options.model or settings.model,
            backend=options.backend or settings.backend,
            max_retries=settings.max_retries if options.max_retries is None else options.max_retries,
            allow=settings.allow | frozenset(name for names in options.allow for name in names.split(",")),
            limits=limits,
        )

    def _prompt(self, ask: str) -> str:
        messages = prompts.first(ask, self.session.tools.specs().values(), modules())
        return "\n\n".join(f"--- {message.role} ---\n{message.content}" for message in messages)

    def _help(self, _: str) -> None:
        print(_HELP)

    def _status(self, _: str) -> None:
        async def look() -> tuple[str, str]:
            pool = await self.session.pool(self.settings)
            async with pool.checkout() as sandbox:
                boundary = str(await sandbox.open())
            try:
                model = await self._choose(self.settings)
                name = f"{model.name}. {model.note}".strip(". ")
            except CodeActError as error:
                name = str(error)
            return boundary, name

        boundary, model = self.thread.submit(look()).result()
        print(
            f"boundary  {boundary}\nmodel     {model}\ntools     {', '.join(self.session.tools.specs()) or 'none yet'}"
        )
        allowed = sorted({name for name, _ in self.allowed} | self.settings.allow)
        print(f"allowed   {', '.join(allowed) or 'nothing: tools that need approval ask each time'}")

    def _tools(self, _: str) -> None:
        specs = self.session.tools.specs().values()
        print(
            "\n".join(spec.stub + _mode(spec.approval_mode) for spec in specs)
            or "No tools yet: mark a function with @tool."
        )

    def _model(self, name: str) -> None:
        if name:
            self.settings = dataclasses.replace(self.settings, model=name)
            self.session.model = None
        try:
            model = self.thread.submit(self._choose(self.settings)).result()
            print(f"{model.name} {model.note}".strip())
        except CodeActError as error:
            print(error)

    def _recorded(self, file: str) -> None:
        if not file:
            raise UsageError("%codeact recorded FILE: which file?")
        self.record = RecordedModel.load(Path(file))

    def _backend(self, name: str) -> None:
        if name:
            backends.check(name)
            self.settings = dataclasses.replace(self.settings, backend=name)
        print(f"{self.settings.backend}: {backends.BOUNDARIES[self.settings.backend]}")

    def _reset(self, _: str) -> None:
        self.allowed.clear()
        self.thread.submit(self.session.reset()).result()
        self.warm()
        print("Fresh sandbox; nothing is allowed for the session any more.")

    def _shell(self) -> InteractiveShell:
        if self.shell is None:
            raise UserError("There is no IPython here: use codeact_kernel.session.Session in a script.")
        return self.shell

    def _user_namespace(self) -> dict[str, Any]:
        return self._shell().user_ns


def load(shell: InteractiveShell) -> None:
    """Register the magics once, and warm a sandbox up."""
    if getattr(shell, "_codeact_magics", None) is not None:
        return
    magics = CodeAct(shell)
    shell.register_magics(magics)
    shell._codeact_magics = magics  # type: ignore[attr-defined]  # so that loading twice makes nothing twice
    _pretty_print_results(shell)
    shell.Completer.custom_matchers.append(matcher)
    atexit.register(magics.close)
    magics.warm()


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
    magics: CodeAct | None = getattr(shell, "_codeact_magics", None)
    if magics is None:
        return
    shell._codeact_magics = None  # type: ignore[attr-defined]
    if matcher in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(matcher)
    for kind in ("cell", "line"):
        shell.magics_manager.magics[kind].pop("codeact", None)
    atexit.unregister(magics.close)
    magics.close()


def _mode(approval_mode: str) -> str:
    return "  # asks before each call" if approval_mode == "always_require" else ""
