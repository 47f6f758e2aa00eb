"""What happens with a cell before and after it runs: prompts become `%%codeact`, and the sandbox warms up in time."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

import builtins
import re
import sys
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from codeact_kernel.errors import CodeActError, ProgramError, UserError
from codeact_kernel.tools import tool

from . import prompt_cells

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

    from .magics import CodeAct

__all__ = ["CellHooks"]


_BLANK = re.compile(r"\A(?:[ \t]*\r?\n)+")


class CellHooks:
    """Hooks of one shell.

    Args:
        magics: knows what is chosen, and opens the door.
        switches: the options of `%%codeact` that take no value.
        flags: all its options.
    """

    def __init__(
        self, magics: CodeAct, shell: InteractiveShell, switches: Collection[str], flags: Collection[str]
    ) -> None:
        self._magics = magics
        self._shell = shell
        self._switches = switches
        self._flags = flags
        self._warmed = False
        # Before IPython's own: those take a ? at the end of a prompt for a question about an object.
        shell.input_transformers_cleanup.insert(0, self.transform)
        shell.events.register("post_run_cell", self._after)
        if magics.own_kernel:
            builtins.__dict__["tool"] = tool  # as `display`: it outlives %reset, and no %who lists it

    def close(self) -> None:
        """Leave the shell as it was."""
        if self.transform in self._shell.input_transformers_cleanup:
            self._shell.input_transformers_cleanup.remove(self.transform)
        self._shell.events.unregister("post_run_cell", self._after)
        if self._magics.own_kernel:
            builtins.__dict__.pop("tool", None)

    @property
    def mode(self) -> str:
        """Which cells are prompts: "python" (none), "marker" or "auto"."""
        try:
            return self._magics.resolved().values["kernel"]
        except UserError:  # the prompt itself will tell it
            return "marker"

    def transform(self, lines: list[str]) -> list[str]:
        """A prompt as the magic; any other cell as it is. Python's cells must not be slower by it, so most of them are
        told by their first character."""
        cell = _BLANK.sub("", "".join(lines))
        if cell[:1] == ">":
            prompt = prompt_cells.read(cell, self._switches, self._flags)
            wanted = ("marker", "auto")
        elif cell[:1].isupper() and prompt_cells.is_prose(cell):
            prompt, wanted = prompt_cells.PromptCell("", cell.strip()), ("auto",)
        else:
            return lines
        if prompt is None or self.mode not in wanted:
            return lines
        text = prompt.text or " "  # of an empty cell IPython says that it is one; we say what is missing
        return [f"get_ipython().run_cell_magic('codeact', {prompt.options!r}, {text!r})\n"]

    def _after(self, result: ExecutionResult) -> None:
        cell = result.info.raw_cell if result.info is not None else None
        # A question is no error for IPython: it looks for help on the last word.
        asked = cell is not None and len(cell.split()) > 2 and cell.rstrip().endswith("?")
        if cell and (late := self._late_prompt(cell, result)):
            print(prompt_cells.HINT_FIRST.format(late), file=sys.stderr)
        elif (
            cell and (asked or isinstance(result.error_before_exec, SyntaxError)) and prompt_cells.words_of_prose(cell)
        ):
            self._hint(cell)
        if isinstance(result.error_in_exec, ProgramError) and result.error_in_exec.__cause__ is not None:
            _set_last_error(result.error_in_exec.__cause__)
        if not self._warmed and "codeact_kernel.tools.registry" in sys.modules:  # with a tool, a prompt will follow
            self._warmed = True
            threading.Thread(target=self._warm, name="codeact-warm", daemon=True).start()

    def _late_prompt(self, cell: str, result: ExecutionResult) -> str:
        """What would be a prompt in the first line and column of a cell that failed for not having it there."""
        is_unknown = isinstance(result.error_in_exec, UsageError) and "%%codeact" in str(result.error_in_exec)
        if not is_unknown and not isinstance(result.error_before_exec, SyntaxError):
            return ""
        late = prompt_cells.find_late_prompt(cell)
        return "" if late == ">" and self.mode == "python" else late

    def _hint(self, cell: str) -> None:
        mode, marked = self.mode, cell.startswith("> ")
        if mode == "python" and marked and not self._magics.own_kernel:
            print(prompt_cells.HINT_ELSEWHERE, file=sys.stderr)
        elif mode != "python" and not marked and not (mode == "auto" and prompt_cells.is_prose(cell)):
            print(prompt_cells.HINT, file=sys.stderr)

    def _warm(self) -> None:
        with suppress(CodeActError):  # the prompt will tell it
            self._magics.warm()


def _set_last_error(error: BaseException) -> None:
    """Let `%debug` and `%tb` be about `error`, which a tool raised, from the tool's own frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("codeact_kernel."):
        trace = trace.tb_next
    if trace is None:  # raised by us: there is no frame of the user's
        return
    error = error.with_traceback(trace)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
