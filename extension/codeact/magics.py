"""The magics `%%codeact` and `%codeact`: they parse what was typed, and the `Frontend` does the rest.

This module imports quickly: the engine is loaded by the first prompt or command, not when a kernel starts.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false, reportUntypedBaseClass=false
# IPython has next to no types.

from __future__ import annotations

import atexit
import sys
import threading
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
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
from codeact_kernel.errors import UserError

from .cell_hooks import CellHooks
from .completion import Completion
from .config_traits import (
    ConfigTraits,
    add_cell_options,
    list_flags,
    make_cell_layer,
    parse_options,
    read_configuration,
)
from .hidden_output import hide_output, show_output
from .prompt_cells import find_option

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .frontend import Frontend, FrontendState, PromptRequest

__all__ = ["CodeAct", "get_extension", "load", "unload"]


_IN = "variables that the program gets: df,params; with df:schema the first prompt has none of its values"
_OUT = "variables that the program has to assign, with commas between them"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionState:
    """Everything that the user chose in this notebook; it survives `%reload_ext`.

    Attributes:
        notebook_values: the options chosen in the notebook, by name.
        frontend: the state of the frontend, if there ever was a frontend.
    """

    notebook_values: dict[str, Any]
    frontend: FrontendState | None


@magics_class
class CodeAct(ConfigTraits):
    """The magics of one IPython shell, with the options that `c.CodeAct.…` and `%config CodeAct.…` choose.

    Args:
        shell: IPython.
        state: the state of the extension before `%reload_ext`.

    Attributes:
        notebook_values: the options chosen in the notebook, by name.
        own_kernel: whether this is the CodeAct kernel.
        cells: the hooks before and after each cell.
        completion: the matcher for Tab.
    """

    cells: CellHooks
    completion: Completion

    def __init__(self, shell: InteractiveShell, state: ExtensionState | None = None) -> None:
        self.notebook_values: dict[str, Any] = {}
        # Kept from the first load, because %config later writes into the shell's configuration too.
        if not hasattr(shell, "_codeact_configuration"):
            shell._codeact_configuration = dict(shell.config.get("CodeAct", {}))  # type: ignore[attr-defined]
        self._configuration, self._configuration_error = read_configuration(shell._codeact_configuration)  # type: ignore[attr-defined]
        super().__init__(shell, config=Config(CodeAct=self._configuration))
        self.notebook_values.clear()  # the line above set traits from the configuration, which ranks below the notebook
        self.own_kernel = getattr(getattr(shell, "kernel", None), "implementation", "") == "codeact"
        self._frontend: Frontend | None = None
        self._opening = threading.RLock()  # a background thread opens the frontend too, to warm up a sandbox
        self._is_closed = False
        self._folder = Path.cwd()  # the notebook can go elsewhere later
        self._frontend_state = state.frontend if state is not None else None
        for name, value in state.notebook_values.items() if state is not None else ():
            self.choose(name, value)

    @property
    def frontend(self) -> Frontend:
        """The frontend, which the first use creates.

        Raises:
            UserError: if the extension was unloaded.
        """
        with self._opening:
            if self._is_closed:
                raise UserError("The extension was unloaded: run %load_ext codeact.")
            if self._frontend is None:
                from .frontend import Frontend  # takes longer to import than the kernel takes to start

                self._frontend = Frontend(self.shell, self, self._folder, self._frontend_state)
                atexit.register(self._frontend.close)
            return self._frontend

    def warm(self) -> None:
        """Start a sandbox in the background.

        Raises:
            UserError: if the extension was unloaded, or if an option has an invalid name or value anywhere.
        """
        with self._opening:  # if `close` came between opening and warming up, nothing would end that sandbox
            self.frontend.warm()

    def resolved(self, cell: Layer | None = None, *, folder: ProjectFile | None = None) -> Resolved:
        """Merge every place where options are set.

        Args:
            cell: the options of the cell.
            folder: the project file, if the caller has read it already and must see the options of that version.

        Raises:
            UserError: if an option has an invalid name or value anywhere.
        """
        if self._configuration_error is not None:
            raise self._configuration_error
        layers = [parse_layer("the CodeAct kernel", {"kernel": "marker"})] if self.own_kernel else []
        layers.append(parse_layer("your configuration", self._configuration))
        folder = folder or find_project_file()
        layers += [folder.layer()] if folder is not None else []
        layers += [environment(), parse_layer("the notebook", self.notebook_values)]
        layers += [cell] if cell is not None else []
        return resolve(layers)

    def choose(self, name: str, value: object) -> None:
        """Set one option for the notebook, as `%config CodeAct.NAME = VALUE` does."""
        setattr(self, name, value)

    def close(self) -> ExtensionState:
        """Kill the sandboxes, and return the state for the next load of the extension."""
        with self._opening:
            self._is_closed = True
            frontend, self._frontend = self._frontend, None
        if frontend is not None:
            atexit.unregister(frontend.close)
            frontend.close()
            self._frontend_state = frontend.state
        return ExtensionState(notebook_values=dict(self.notebook_values), frontend=self._frontend_state)

    @no_var_expand
    @magic_arguments("%codeact")
    @add_cell_options
    @argument("--in", dest="inputs", action="append", help=_IN)
    @argument("--out", dest="outputs", action="append", help=_OUT)
    @argument("--new", action="store_true", help="forget the earlier prompts of this notebook first")
    @argument("--dry-run", action="store_true", help="show exactly what would be sent, and send nothing")
    @argument("--quiet", action="store_true", help="show nothing; the result is in _codeact")
    @argument("--record", help="append the model's answers to this file")
    @cell_magic
    def codeact(self, line: str, cell: str) -> None:
        """Ask the model for one program, run it in the sandbox against your tools, and show the result.

        The prompt can follow up on the prompts before it; --new forgets them first. The result is bound to `_codeact`:
        program, calls, value, df, stdout, usage, timings, error. `codeact.results` has the results of all prompts.
        """
        options = parse_options(self.codeact.parser, line)
        prompt = self._read_prompt(options, cell.strip())
        if options.dry_run:
            settings = prompt.options.settings
            print(self.frontend.preview(prompt.text, settings, prompt.inputs, prompt.outputs, is_new=prompt.is_new))
            return
        offer_package(self.shell)  # %reset removes the name
        result = self.frontend.ask(prompt)
        if result is None:
            return
        if result.error is not None:
            self.frontend.fail(result, is_quiet=prompt.is_quiet)
        self.frontend.variables.bind_outputs(result, prompt.outputs)

    def _read_prompt(self, options: Namespace, text: str) -> PromptRequest:
        if not text:
            raise UsageError(
                "The prompt is missing: write it below the %%codeact line, or after > in the CodeAct kernel."
            )
        if flag := find_option(text, list_flags(self.codeact.parser)):
            raise UsageError(
                f"The prompt begins with the option {flag}, which would have no effect there: write it with two "
                "hyphens in the first line, after %%codeact or >."
            )
        from .frontend import PromptRequest  # as in `frontend`

        try:
            chosen = self.resolved(make_cell_layer(options))
            inputs = self.frontend.variables.load_inputs(options.inputs or [], chosen.settings)
            outputs = self.frontend.variables.parse_outputs(options.outputs or [])
            if not options.new:
                given = [*outputs, *(variable.name for variable in inputs)]
                inputs += self.frontend.memory.refresh_inputs(text, given, chosen.settings, self.shell)
            return PromptRequest(
                text=text,
                options=chosen,
                outputs=outputs,
                inputs=inputs,
                is_new=options.new,
                record=Path(options.record) if options.record else None,
                is_quiet=options.quiet,
            )
        except UserError as error:
            raise UsageError(str(error)) from None

    @no_var_expand
    @line_magic("codeact")
    def codeact_line(self, line: str) -> None:
        """Run a command: `%codeact status|doctor|tools|…`. `%codeact help` lists the commands."""
        from .commands import COMMANDS  # the commands import the engine

        name, _, argument = line.strip().partition(" ")
        name, argument = name or "help", argument.strip()
        if name == "help":
            argument = ""  # `%codeact help status` shows the help, too, and no error
        if name not in COMMANDS:
            try:
                require_known(name, COMMANDS, "%codeact")
            except UserError as error:
                raise UsageError(f"{error} To ask the model use %%codeact with the prompt below it.") from None
        command = COMMANDS[name]
        if argument and not command.usage and not argument.startswith("#"):
            raise UsageError(
                f"%codeact {name} takes no argument, so {argument[:60]!r} would have no effect: leave it out."
            )
        command.run(self.frontend, argument)

    def _load_config(self, cfg: Config, section_names: Any = None, traits: Any = None) -> None:
        for name in cfg.get("CodeAct", {}):  # traitlets only warns about unknown names
            try:
                require_known(name, OPTIONS, "CodeAct:")
            except UserError as error:
                raise traitlets.TraitError(str(error)) from None
        super()._load_config(cfg, section_names, traits)
        for name, value in cfg.get("CodeAct", {}).items():
            if value is None:  # unset by the user; traitlets sets a changed value again after all others
                self.notebook_values.pop(name, None)


def load(shell: InteractiveShell) -> None:
    """Register the magics and the hooks, unless they are registered already."""
    if getattr(shell, "_codeact", None) is not None:
        return
    magics = CodeAct(shell, getattr(shell, "_codeact_state", None))
    shell.register_magics(magics)
    shell._codeact = magics  # type: ignore[attr-defined]
    hide_output(shell)
    parser = CodeAct.codeact.parser
    magics.cells = CellHooks(
        shell,
        resolved=magics.resolved,
        warm=magics.warm,
        own_kernel=magics.own_kernel,
        switches=list_flags(parser, switches=True),
        flags=list_flags(parser),
    )
    magics.completion = Completion(shell, magics.cells, list_flags(parser))
    offer_package(shell)


def offer_package(shell: InteractiveShell) -> None:
    """Bind `codeact` for `codeact.results`, unless the notebook has that name."""
    package = sys.modules[__name__.partition(".")[0]]
    if shell.user_ns.setdefault("codeact", package) is package:
        shell.user_ns_hidden["codeact"] = package  # %who lists what the user defined


def unload(shell: InteractiveShell) -> None:
    """Undo `load`, and keep what the user chose for the next load."""
    magics: CodeAct | None = getattr(shell, "_codeact", None)
    if magics is None:
        return
    shell._codeact = None  # type: ignore[attr-defined]
    magics.completion.close()
    magics.cells.close()
    show_output(shell)
    configurables = cast("list[object]", shell.configurables)
    if magics in configurables:
        configurables.remove(magics)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("codeact", None)
    shell._codeact_state = magics.close()  # type: ignore[attr-defined]


def get_extension(shell: InteractiveShell | None) -> CodeAct:
    """Return the magics of a shell.

    Raises:
        UserError: if the shell has not loaded the extension.
    """
    magics: CodeAct | None = getattr(shell, "_codeact", None)
    if magics is None:
        raise UserError("The extension is not loaded here: run %load_ext codeact first.")
    return magics
