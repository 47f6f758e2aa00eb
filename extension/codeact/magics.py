"""`%%codeact` and `%codeact`: what was typed becomes options, a prompt, a verb. All else is done behind the door.

Light: a kernel that nobody asks anything has none of the engine in it.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false, reportUntypedBaseClass=false
# IPython has next to no types.

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import traitlets
from IPython.core.error import UsageError
from IPython.core.magic import cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments
from traitlets.config import Config

from codeact_kernel.configuration import (
    OPTIONS,
    Layer,
    ProjectFile,
    Resolved,
    environment,
    find_project_file,
    parse_layer,
    require_known,
    resolve,
)
from codeact_kernel.errors import ProgramError, UserError

from .cell_hooks import CellHooks
from .completion import Completion
from .config_traits import ConfigTraits, cell_layer, cell_options, configured, flags_of, parsed
from .help import HELP, VERB_NAMES
from .prompt_cells import find_option

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .frontend import Frontend, KeptChoices

__all__ = ["CodeAct", "load", "of", "unload"]


_IN = "variables that the program gets: df,params; with df:schema the first prompt has none of its values"
_OUT = "variables that the program has to assign, with commas between them"


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviousState:
    """What outlives `%reload_ext`: all that the user chose in this notebook.

    Attributes:
        said: the options, by name.
        door: what was chosen behind the door, if it was ever opened.
    """

    said: dict[str, Any]
    door: KeptChoices | None


@magics_class
class CodeAct(ConfigTraits):
    """The magics of one IPython shell, and what `c.CodeAct.…` and `%config CodeAct.…` choose.

    Attributes:
        said: what was chosen in this notebook, by the option's name.
        own_kernel: whether this is the CodeAct kernel.
        seen_file: the folder's file as `%codeact config` has shown it: only that can be trusted.
        cells, completion: what the extension does elsewhere in the shell.

    Args:
        kept: what the magics before these had, if the extension is loaded once more.
    """

    cells: CellHooks
    completion: Completion

    def __init__(self, shell: InteractiveShell, kept: PreviousState | None = None) -> None:
        self.said: dict[str, Any] = {}
        # As it was when the extension was first loaded: %config writes into the shell's configuration too.
        if not hasattr(shell, "_codeact_configuration"):
            shell._codeact_configuration = dict(shell.config.get("CodeAct", {}))  # type: ignore[attr-defined]
        self._configured, self._mistake = configured(shell._codeact_configuration)  # type: ignore[attr-defined]
        super().__init__(shell, config=Config(CodeAct=self._configured))
        self.said.clear()  # that was the configuration, which is weaker
        self.own_kernel = getattr(getattr(shell, "kernel", None), "implementation", "") == "codeact"
        self.seen_file: ProjectFile | None = None
        self._door: Frontend | None = None
        self._opening = threading.RLock()  # a sandbox may be warmed up in the background
        self._closed = False
        self._kept = kept.door if kept is not None else None
        for name, value in kept.said.items() if kept is not None else ():
            setattr(self, name, value)

    @property
    def door(self) -> Frontend:
        """The engine, from the first time that it is needed."""
        with self._opening:
            if self._closed:
                raise UserError("The extension was unloaded: run %load_ext codeact.")
            if self._door is None:
                from .frontend import Frontend  # takes longer to import than a whole kernel that is not asked anything

                self._door = Frontend(self.shell, self.resolved, self._kept)
                atexit.register(self._door.close)
            return self._door

    def warm(self) -> None:
        """Start a sandbox in the background.

        Raises:
            UserError: the extension was unloaded, or some place says what there is not.
        """
        with self._opening:  # between the door and its sandbox nobody may close it: nothing would end that sandbox
            self.door.warm()

    def resolved(self, cell: Layer | None = None, *, folder: ProjectFile | None = None) -> Resolved:
        """What holds now.

        Args:
            folder: the folder's file, if it was read already: what is shown of it must be what was read.

        Raises:
            UserError: some place says what there is not.
        """
        if self._mistake is not None:
            raise self._mistake
        layers = [parse_layer("the CodeAct kernel", {"kernel": "marker"})] if self.own_kernel else []
        layers.append(parse_layer("your configuration", self._configured))
        folder = folder or find_project_file()
        layers += [folder.layer()] if folder is not None else []
        layers += [environment(), parse_layer("the notebook", self.said), *([cell] if cell is not None else [])]
        return resolve(layers)

    def close(self) -> PreviousState:
        """Kill what runs; what the user chose is kept for the magics that may come next."""
        with self._opening:
            self._closed = True
            door, self._door = self._door, None
        if door is not None:
            atexit.unregister(door.close)
            door.close()
            self._kept = door.kept
        return PreviousState(said=dict(self.said), door=self._kept)

    @no_var_expand
    @magic_arguments("%codeact")
    @cell_options
    @argument("--in", dest="inputs", action="append", help=_IN)
    @argument("--out", dest="outputs", action="append", help=_OUT)
    @argument("--dry-run", action="store_true", help="show exactly what would be sent, and send nothing")
    @argument("--quiet", action="store_true", help="show nothing; the result is in _codeact")
    @argument("--record", help="append the model's answers to this file")
    @cell_magic
    def codeact(self, line: str, cell: str) -> None:
        """Ask the model for one program, run it in the sandbox against your tools, and show the result.

        The result is bound to `_codeact`: program, calls, value, stdout, usage, timings, error.
        """
        options = parsed(self.codeact.parser, line)
        if not cell.strip():
            raise UsageError(
                "The prompt is missing: write it below the %%codeact line, or after > in the CodeAct kernel."
            )
        if flag := find_option(cell.strip(), flags_of(self.codeact.parser)):
            raise UsageError(
                f"The prompt begins with the option {flag}, which would have no effect there: write it with two "
                "hyphens into the first line, behind %%codeact or >."
            )
        try:
            resolved = self.resolved(cell_layer(options))
            outputs = self.door.outputs(options.outputs or [])
            inputs = self.door.inputs(options.inputs or [], resolved.settings)
        except UserError as error:
            raise UsageError(str(error)) from None
        if options.dry_run:
            print(self.door.prompt(cell.strip(), resolved.settings, inputs, outputs))
            return
        result = self.door.ask(
            cell.strip(), resolved, inputs=inputs, outputs=outputs, record=options.record, quiet=options.quiet
        )
        if result is None:
            return
        if result.error is not None:
            raise ProgramError(self.door.failure(result.error)) from self.door.cause(result.error)
        self.door.bind(result, outputs)

    @no_var_expand
    @line_magic("codeact")
    def codeact_line(self, line: str) -> None:
        """`%codeact status|doctor|tools|…`: see `%codeact help`."""
        verb, _, rest = line.strip().partition(" ")
        if not verb or verb == "help":
            print(HELP)
            return
        if verb not in VERB_NAMES:
            try:
                require_known(verb, VERB_NAMES, "%codeact")
            except UserError as error:
                raise UsageError(f"{error} To ask the model use %%codeact with the prompt below it.") from None
        from .commands import ALONE, VERBS  # they use the engine

        rest = rest.strip()
        if verb in ALONE and rest and not rest.startswith("#"):
            raise UsageError(
                f"%codeact {verb} takes nothing more, so {rest[:60]!r} would have no effect: leave it out."
            )
        VERBS[verb](self, rest)

    def _load_config(self, cfg: Config, section_names: Any = None, traits: Any = None) -> None:
        for name in cfg.get("CodeAct", {}):  # traitlets only warns
            try:
                require_known(name, OPTIONS, "CodeAct:")
            except UserError as error:
                raise traitlets.TraitError(str(error)) from None
        super()._load_config(cfg, section_names, traits)
        for name, value in cfg.get("CodeAct", {}).items():
            if value is None:  # chosen no longer; traitlets sets a value that has changed once more when all are set
                self.said.pop(name, None)


def load(shell: InteractiveShell) -> None:
    """Register the magics once."""
    if getattr(shell, "_codeact", None) is not None:
        return
    magics = CodeAct(shell, getattr(shell, "_codeact_kept", None))
    shell.register_magics(magics)
    shell._codeact = magics  # type: ignore[attr-defined]  # so that loading twice makes nothing twice
    parser = CodeAct.codeact.parser
    magics.cells = CellHooks(magics, shell, flags_of(parser, switches=True), flags_of(parser))
    magics.completion = Completion(magics, shell, flags_of(parser))


def unload(shell: InteractiveShell) -> None:
    """Undo `load`."""
    magics: CodeAct | None = getattr(shell, "_codeact", None)
    if magics is None:
        return
    shell._codeact = None  # type: ignore[attr-defined]
    magics.completion.close()
    magics.cells.close()
    configurables = cast("list[object]", shell.configurables)
    if magics in configurables:
        configurables.remove(magics)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("codeact", None)
    shell._codeact_kept = magics.close()  # type: ignore[attr-defined]  # %reload_ext forgets no choice


def of(shell: InteractiveShell | None) -> CodeAct:
    """The magics of a shell that has loaded the extension.

    Raises:
        UserError: it has not.
    """
    magics: CodeAct | None = getattr(shell, "_codeact", None)
    if magics is None:
        raise UserError("The extension is not loaded here: run %load_ext codeact first.")
    return magics
