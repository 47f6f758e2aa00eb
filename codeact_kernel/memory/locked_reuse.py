"""Answer prompts by their records only, and report what became of each prompt: what CI runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from ..capabilities.data import Input
from ..errors import UserError
from ..text import collapse_whitespace, quote
from ..types import TurnResult
from .comparison import find_differences
from .lock import Lock
from .lock_folder import LockFolder
from .recorded_turn import RecordedTurn
from .replay import Replay
from .reuse import Prompt, Reuse, StaleLock, StaleState

__all__ = ["LockedReuse", "PromptReport", "append_to"]

_MAX_REASON = 1_000

PromptState: TypeAlias = StaleState | Literal["ok", "differs", "cannot be replayed", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptReport:
    """What became of one prompt.

    Attributes:
        state: `"not run"` says that the prompt needs the result of a prompt that has none.
        reason: a sentence, or its beginning; empty if there is nothing to say.
        diff: what differs from the record.
    """

    ask: str
    state: PromptState
    reason: str = ""
    diff: str = ""


def append_to(file: Path) -> Callable[[PromptReport], None]:
    """Return a function that appends reports to a file, one line of JSON each."""

    def append(report: PromptReport) -> None:
        with suppress(OSError):  # whoever reads the file finds that a report is missing
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
            with os.fdopen(os.open(file, flags, 0o600), "a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(report)) + "\n")

    return append


class LockedReuse(Reuse):
    """The recorded programs of a notebook that never asks a model.

    A prompt that fails keeps its place among the prompts, so that those after it are still found by what they follow.

    Args:
        replays: whether calls are answered from the record as well, and the results are compared with it.
        report: is called once for each prompt.
    """

    def __init__(self, folder: LockFolder, *, replays: bool, report: Callable[[PromptReport], None]) -> None:
        super().__init__(folder)
        self._replays = replays
        self._report = report
        self._replay: Replay | None = None

    @property
    def replays(self) -> bool:
        return self._replays

    def find(self, prompt: Prompt) -> RecordedTurn | None:
        prompt = replace(prompt, settings=replace(prompt.settings, reuse="always"))
        try:
            self._require_results(prompt)
            return super().find(prompt)
        except StaleLock as error:
            self._finish(prompt, PromptReport(ask=prompt.ask, state=error.state, reason=error.reason))
            raise

    def record(self, prompt: Prompt, result: TurnResult, started: datetime) -> None:
        error = "" if result.error is None else str(result.error)
        report = PromptReport(ask=prompt.ask, state="failed" if error else "ok", reason=error)
        if self._replay is not None:
            report = _compare(prompt.ask, self._replay, result)
        self._finish(prompt, report, has_failed=bool(error))

    def _start(self, lock: Lock, *, is_final: bool) -> RecordedTurn:
        recorded = super()._start(lock, is_final=is_final)
        self._replay = Replay(lock) if self._replays else None
        return replace(recorded, replay=self._replay)

    def _require_results(self, prompt: Prompt) -> None:
        """Raise StaleLock if the recorded programs read the result of a prompt that failed before in this kernel."""
        missing = prompt.follow_up.missing
        with suppress(UserError):
            lock = self.folder.read(prompt.key) if missing else None
            for name in lock.depends.results if lock is not None else ():
                if name in missing:
                    ask = quote(collapse_whitespace(missing[name]), 60)
                    raise StaleLock(f"it needs the result of {ask}, which has none", state="not run")

    def _finish(self, prompt: Prompt, report: PromptReport, *, has_failed: bool = True) -> None:
        if has_failed:
            prompt.thread.keep_place(prompt.ask, self._find_used_inputs(prompt), prompt.cell)
        self._report(replace(report, reason=report.reason[:_MAX_REASON]))

    def _find_used_inputs(self, prompt: Prompt) -> Sequence[Input]:
        """Return the variables that the recorded programs use, which the prompts after this one have as well."""
        with suppress(UserError):
            if (lock := self.folder.read(prompt.key)) is not None:
                return [variable for variable in prompt.inputs if variable.name in "\n".join(lock.texts)]
        return prompt.inputs


def _compare(ask: str, replay: Replay, result: TurnResult) -> PromptReport:
    if replay.problem and not replay.diverges:
        return PromptReport(ask=ask, state="cannot be replayed", reason=replay.problem)
    diff = find_differences(replay.lock, result)
    reason = replay.problem or (f"The program failed: {result.error}" if result.error is not None else "")
    return PromptReport(ask=ask, state="differs" if diff or reason else "ok", reason=reason, diff=diff)
