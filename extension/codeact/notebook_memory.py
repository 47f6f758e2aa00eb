"""What the notebook keeps of its prompts: their results, the thread that they form, and their recorded programs."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from codeact_kernel.capabilities.data import Input, InputRequest, load_input
from codeact_kernel.errors import UserError
from codeact_kernel.memory.lock_folder import LockFolder, TrustedLocks
from codeact_kernel.memory.locked_reuse import LockedReuse, append_to
from codeact_kernel.memory.reuse import Reuse
from codeact_kernel.memory.thread import FollowUp, Thread
from codeact_kernel.settings import Settings
from codeact_kernel.types import TurnResult

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["NotebookMemory", "find_cell"]


class NotebookMemory:
    """The memory of one notebook. It survives `%reload_ext`.

    Args:
        folder: the folder of the notebook, in which the kernel started.

    Attributes:
        results: the results of all prompts in this kernel, the newest last.
        thread: the thread that the prompts of the notebook continue.
        reuse: the recorded programs of the notebook's folder.
        shown_locks: the names and digests of the recorded programs as `%codeact locks` last showed them; only these
            can be trusted.
    """

    def __init__(self, folder: Path) -> None:
        self.results: list[TurnResult] = []
        self.thread = Thread()
        self.reuse = _find_recorded_programs(folder)
        self.shown_locks: list[tuple[str, str]] = []

    def keep(self, result: TurnResult, shell: InteractiveShell) -> None:
        """Bind a result to the names of the notebook. A failed turn does not replace a good result."""
        variables: dict[str, object] = shell.user_ns
        has_failed = result.error is not None or result.stopped
        self.results.append(result)
        earlier = variables.get("_codeact")
        has_good = isinstance(earlier, TurnResult) and earlier.error is None and not earlier.stopped
        if not has_failed or not has_good:
            variables["_codeact"] = result
        value = result.value if result.program is not None else result.answer
        if not has_failed and value is not None:
            shell.displayhook.update_user_ns(value)  # `Out[n]` and `_`, without showing it again

    def refresh_inputs(
        self, text: str, given: Collection[str], settings: Settings, shell: InteractiveShell
    ) -> list[Input]:
        """Copy the variables that the thread hands on, as they are now, without showing their values to the model.

        Args:
            text: the prompt.
            given: the names in `--in` and `--out`, which are not copied: a program assigns the latter anew.
        """
        if settings.limits.thread_tokens <= 0:  # the prompt takes nothing along
            return []
        variables, inputs = cast("dict[str, object]", shell.user_ns), list[Input]()
        earlier = self.thread.turns_before(text, find_cell(shell))
        for name in [variable.name for variable in earlier[-1].inputs] if earlier else []:
            if name in variables and name not in given:
                # A value that can no longer be passed on stays as the thread has it.
                with suppress(UserError):
                    request = InputRequest(name, schema_only=True)
                    inputs.append(replace(load_input(request, variables[name], settings.limits), is_handed_on=True))
        return inputs

    def follow_up(self, text: str, settings: Settings, taken: Collection[str], shell: InteractiveShell) -> FollowUp:
        """Return what a prompt takes along from the earlier prompts; see `Thread.follow_up`."""
        return self.thread.follow_up(settings.limits.thread_tokens, taken, ask=text, cell=find_cell(shell))


def _find_recorded_programs(beside: Path) -> Reuse:
    """Return the recorded programs beside a notebook."""
    trusts_all = os.environ.get("CODEACT_TRUST_LOCKS") == "1"
    folder = LockFolder(beside, TrustedLocks.of_user(trusts_all=trusts_all))
    if mode := os.environ.get("CODEACT_LOCKED"):  # set by `codeact-kernel run --locked` and `test`
        report = append_to(Path(os.environ.get("CODEACT_LOCKED_REPORT") or os.devnull))
        return LockedReuse(folder, replays=mode == "test", report=report)
    return Reuse(folder)


def find_cell(shell: InteractiveShell) -> str:
    """Return the identity of the cell that is running; empty if the front end sends none."""
    kernel: Any = getattr(shell, "kernel", None)
    try:
        cell = kernel.get_parent("shell")["metadata"].get("cellId", "")
    except Exception:  # no kernel, or another version of it
        return ""
    return cell[:100] if isinstance(cell, str) else ""
