"""Hooks before and after each cell: they turn prompts into `%%codeact` cells, and warm up the sandbox in time."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

import builtins
import re
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from codeact_kernel.errors import CodeActError, ProgramError, UserError
from codeact_kernel.tools import tool

from . import prompt_cells

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

    from codeact_kernel.configuration import Resolved

__all__ = ["CellHooks"]


_BLANK = re.compile(r"\A(?:[ \t]*\r?\n)+")


class CellHooks:
    """Hooks of one shell.

    Args:
        shell: IPython.
        resolved: returns the options in force.
        warm: starts a sandbox in the background.
        own_kernel: whether this is the CodeAct kernel.
        switches: the options of `%%codeact` that take no value.
        flags: all options of `%%codeact`.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        resolved: Callable[[], Resolved],
        warm: Callable[[], None],
        own_kernel: bool,
        switches: Collection[str],
        flags: Collection[str],
    ) -> None:
        self.own_kernel = own_kernel
        self._shell = shell
        self._resolved = resolved
        self._warm = warm
        self._switches = switches
        self._flags = flags
        self._is_warmed = False
        # Before IPython's own transformers, which read a ? at the end of a prompt as a request for help.
        shell.input_transformers_cleanup.insert(0, self.transform)
        shell.events.register("post_run_cell", self._after_cell)
        if own_kernel:
            builtins.__dict__["tool"] = tool  # like `display`: %reset keeps it, and %who does not list it

    def close(self) -> None:
        """Remove the hooks from the shell."""
        if self.transform in self._shell.input_transformers_cleanup:
            self._shell.input_transformers_cleanup.remove(self.transform)
        self._shell.events.unregister("post_run_cell", self._after_cell)
        if self.own_kernel:
            builtins.__dict__.pop("tool", None)

    @property
    def mode(self) -> str:
        """Which cells are prompts: "python" (none), "marker" or "auto"."""
        try:
            return self._resolved().values["kernel"]
        except UserError:  # the prompt itself will report the error
            return "marker"

    def transform(self, lines: list[str]) -> list[str]:
        """Turn a prompt into a `%%codeact` cell, and return any other cell unchanged.

        Every Python cell passes here, so the first character decides about most cells.
        """
        cell = _BLANK.sub("", "".join(lines))
        if cell[:1] == ">":
            prompt = prompt_cells.parse(cell, self._switches, self._flags)
            modes = ("marker", "auto")
        elif cell[:1].isalpha() and prompt_cells.is_prose(cell):
            prompt, modes = prompt_cells.PromptCell("", cell.strip()), ("auto",)
        else:
            return lines
        if prompt is None or self.mode not in modes:
            return lines
        text = prompt.text or " "  # IPython rejects an empty cell itself; with a space our own error names the cause
        return [f"get_ipython().run_cell_magic('codeact', {prompt.options!r}, {text!r})\n"]

    def _after_cell(self, result: ExecutionResult) -> None:
        cell = result.info.raw_cell if result.info is not None else None
        # A question does not fail in IPython, which shows help for its last word.
        is_question = cell is not None and len(cell.split()) > 2 and cell.rstrip().endswith("?")
        has_failed = is_question or isinstance(result.error_before_exec, SyntaxError)
        if cell and (marker := self._find_late_prompt(cell, result)):
            print(prompt_cells.HINT_FIRST.format(marker), file=sys.stderr)
        elif cell and has_failed and prompt_cells.is_like_prose(cell):
            self._print_hint(cell)
        if isinstance(result.error_in_exec, ProgramError) and result.error_in_exec.__cause__ is not None:
            _set_last_error(result.error_in_exec.__cause__)
        if not self._is_warmed and "codeact_kernel.tools.registry" in sys.modules:  # with a tool, a prompt will follow
            self._is_warmed = True
            threading.Thread(target=self._warm_quietly, name="codeact-warm", daemon=True).start()

    def _find_late_prompt(self, cell: str, result: ExecutionResult) -> str:
        """Return the marker of a prompt that does not start the cell, if the cell failed because of that."""
        is_unknown = isinstance(result.error_in_exec, UsageError) and "%%codeact" in str(result.error_in_exec)
        if not is_unknown and not isinstance(result.error_before_exec, SyntaxError):
            return ""
        marker = prompt_cells.find_late_prompt(cell)
        return "" if marker == ">" and self.mode == "python" else marker

    def _print_hint(self, cell: str) -> None:
        mode, is_marked = self.mode, prompt_cells.is_marked(cell)
        if mode == "python" and is_marked and not self.own_kernel:
            print(prompt_cells.HINT_ELSEWHERE, file=sys.stderr)
        elif mode != "python" and not is_marked and not (mode == "auto" and prompt_cells.is_prose(cell)):
            print(prompt_cells.HINT, file=sys.stderr)

    def _warm_quietly(self) -> None:
        with suppress(CodeActError):  # the prompt will report the error
            self._warm()


def _set_last_error(error: BaseException) -> None:
    """Make `%debug` and `%tb` show `error`, which a tool raised, from the tool's own frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("codeact_kernel."):
        trace = trace.tb_next
    if trace is None:  # our own code raised the error, so it has no frame of the user
        return
    error = error.with_traceback(trace)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
