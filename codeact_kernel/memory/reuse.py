"""Decide whether a recorded program answers a prompt, and record the programs of turns that ended well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Literal, TypeAlias

from ..capabilities.data import Input
from ..errors import ModelError, UserError
from ..settings import Settings
from ..text import collapse_whitespace, format_list, truncate
from ..tools import Registry
from ..types import TurnResult
from .dependencies import PromptKey, describe_dependencies, list_changes
from .lock import Lock, create_lock
from .lock_folder import LockFolder
from .recorded_turn import RecordedTurn
from .thread import FollowUp, Thread

__all__ = ["Prompt", "Reuse", "StaleLock", "StaleState"]

_MAX_CHANGES = 3


StaleState: TypeAlias = Literal["stale", "not recorded", "not run"]


class StaleLock(ModelError):
    """The user wants recorded programs only, and there is none that fits the prompt.

    Attributes:
        state: whether the record no longer fits, does not exist, or needs the result of a prompt that has none.
        reason: why, as a part of a sentence.
    """

    def __init__(self, reason: str, state: StaleState = "stale") -> None:
        if state == "not run":
            super().__init__(f"This prompt has not run: {reason}.")
        else:
            super().__init__(f"This prompt has no recorded program that fits: {reason}.")
        self.state: StaleState = state
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A prompt with everything that decides which program answers it.

    Attributes:
        inputs: the variables that the user gave, and those of earlier prompts.
        given: the names of the variables that the user gave.
        thread: the prompts of the notebook so far.
        cell: identifies the cell of the prompt.
    """

    ask: str
    tools: Registry
    inputs: Sequence[Input]
    given: Sequence[str]
    outputs: Sequence[str]
    settings: Settings
    follow_up: FollowUp
    thread: Thread = field(default_factory=Thread)
    cell: str = ""

    @property
    def key(self) -> PromptKey:
        """The key of the lock file."""
        given = [variable for variable in self.inputs if variable.name in self.given]
        return PromptKey.create(self.ask, self.follow_up, given, self.outputs)

    def changes_since(self, lock: Lock) -> list[str]:
        """Say what has changed since the programs of a lock were recorded."""
        called = [call.tool for call in lock.calls]
        now = describe_dependencies(lock.texts, called, self.tools, self.inputs, self.settings, self.follow_up)
        return list_changes(lock.depends, now)


@dataclass(slots=True)
class Reuse:
    """The lock files of one notebook or session.

    Attributes:
        last_key: the key of the prompt that was looked up last.
        notices: sentences for the user, about the prompt that was looked up last.
    """

    folder: LockFolder
    notices: list[str] = field(default_factory=list[str])
    last_key: PromptKey | None = None
    _answered: set[PromptKey] = field(default_factory=set[PromptKey])
    """The prompts that this kernel has answered: if the user runs one again, they want another answer."""
    _untouched: set[PromptKey] = field(default_factory=set[PromptKey])
    """The prompts whose lock files are not trusted or damaged, and must not be overwritten."""
    _reported: set[str] = field(default_factory=set[str])
    _late: list[str] = field(default_factory=list[str])
    """Notices about the last turn, which the next one shows."""

    @property
    def replays(self) -> bool:
        """Whether turns are only replayed in a test, without any effect."""
        return False

    def find(self, prompt: Prompt) -> RecordedTurn | None:
        """Return the recorded answer to a prompt, or `None` if the model has to be asked.

        Raises:
            StaleLock: if the settings allow recorded programs only, and none fits.
        """
        self.notices[:], self._late = self._late, []
        late = len(self.notices)
        mode, key = prompt.settings.reuse, prompt.key
        self.last_key = key
        if mode == "never":
            return None
        lock, reason = self._read(prompt, key)
        if lock is not None and mode == "auto" and key in self._answered and not lock.pinned:
            return None
        if lock is not None:
            return self._start(lock, is_final=mode == "always")
        if mode == "always":
            raise StaleLock(reason) if reason else StaleLock("it was never recorded", "not recorded")
        if reason and len(self.notices) == late:
            self.notices.append(f"The model is asked, because the recorded program cannot be used: {reason}.")
        return None

    def record(self, prompt: Prompt, result: TurnResult, started: datetime) -> None:
        """Write the lock of a turn, if its programs can be repeated and differ from the recorded ones."""
        key = prompt.key
        if result.error is not None or result.stopped:
            return
        is_recorded = result.model_turns == 0
        self._answered.add(key)
        if is_recorded or prompt.settings.reuse == "never" or key in self._untouched:
            return
        # Words can hold what the model saw of the variables, which may have other values the next time.
        saw_values = any(not variable.schema_only for variable in prompt.inputs)
        if not result.programs and (result.program is not None or not result.answer or result.calls or saw_values):
            return
        try:
            lock = self._create_lock(prompt, result, started)
            before = self.folder.read(key)
            if before is None or not (before.pinned or before.is_same_turn(lock)):
                self.folder.write(lock)
        except UserError as error:
            self._report_once(str(error), self._late)
        except Exception as error:  # whatever it is, the user gets the result
            self._report_once(f"The program of a prompt is not recorded ({type(error).__name__}).", self._late)

    @staticmethod
    def _create_lock(prompt: Prompt, result: TurnResult, started: datetime) -> Lock:
        called = [record.call.name for record in result.calls]
        depends = describe_dependencies(
            result.programs, called, prompt.tools, prompt.inputs, prompt.settings, prompt.follow_up
        )
        return create_lock(
            prompt.key,
            depends,
            result,
            recorded=started.isoformat(timespec="seconds"),
            version=version("codeact-kernel"),
        )

    def pin(self, *, is_pinned: bool) -> Lock:
        """Use the recorded programs of the last prompt also when the user runs it again, or end that.

        Raises:
            UserError: if the prompt has no lock, or it cannot be written.
        """
        lock = None if self.last_key is None else self.folder.read(self.last_key)
        if lock is None or lock not in self.folder.trusted:
            raise UserError("The last prompt has no recorded program: run the prompt first.")
        lock = lock.model_copy(update={"pinned": is_pinned})
        self.folder.write(lock)
        return lock

    def _start(self, lock: Lock, *, is_final: bool) -> RecordedTurn:
        return RecordedTurn(
            programs=lock.texts,
            answer=lock.answer,
            model=lock.model,
            note=_describe_record(lock, is_final=is_final),
            is_final=is_final,
        )

    def _read(self, prompt: Prompt, key: PromptKey) -> tuple[Lock | None, str]:
        """Return the lock if it may be used and fits, and otherwise why it does not."""
        try:
            lock = self.folder.read(key)
        except UserError as error:
            self._untouched.add(key)
            self._report_once(str(error))
            return None, f"{error}".rstrip(".")
        self._untouched.discard(key)
        elsewhere: Sequence[Lock] = ()
        if lock is None:
            elsewhere = self.folder.with_ask(key.ask)
            lock = _find_alone(elsewhere, key)
        if lock is None:
            return None, _explain_other_place(elsewhere, key)
        if lock not in self.folder.trusted:
            if lock.key == key:
                self._untouched.add(key)
            self._report_once(
                "This folder has recorded programs that were not recorded by you: %codeact locks lists them, "
                "%codeact locks trust lets them run."
            )
            return None, "it was recorded elsewhere, and you have not trusted it"
        if changes := prompt.changes_since(lock):
            return None, format_list(changes, _MAX_CHANGES)
        return lock, ""

    def _report_once(self, text: str, notices: list[str] | None = None) -> None:
        if text not in self._reported:
            self._reported.add(text)
            (self.notices if notices is None else notices).append(text)


def _describe_record(lock: Lock, *, is_final: bool) -> str:
    again = "" if is_final or lock.pinned else " Run the cell again to ask the model."
    pinned = "pinned" if lock.pinned else "unchanged since"
    kind = "program" if lock.programs else "answer"
    return f"The recorded {kind} of {lock.day}, {pinned}: no model was asked.{again}"


def _find_alone(locks: Sequence[Lock], key: PromptKey) -> Lock | None:
    """Return the lock of a prompt that now runs alone, before the prompt that it followed in its notebook.

    It means what it meant there. A program that reads earlier results cannot run alone.
    """
    fitting = [
        lock for lock in locks if (lock.inputs, lock.outputs) == (key.inputs, key.outputs) and not lock.depends.results
    ]
    return fitting[0] if len(fitting) == 1 and not key.follows else None


def _explain_other_place(locks: Sequence[Lock], key: PromptKey) -> str:
    """Say why the locks of the same prompt do not count here."""
    if not locks:
        return ""
    lock = locks[0]
    if lock.follows != key.follows:
        before = f"it followed {_quote(lock.follows)}" if lock.follows else "it was the first prompt"
        now = f"it follows {_quote(key.follows)}" if key.follows else "it is the first"
        return f"{before}, and now {now}"
    if lock.inputs != key.inputs:
        return f"it was recorded with --in {format_list(lock.inputs, _MAX_CHANGES) or '(nothing)'}"
    return f"it was recorded with --out {format_list(lock.outputs, _MAX_CHANGES) or '(nothing)'}"


def _quote(ask: str) -> str:
    return f"“{truncate(collapse_whitespace(ask), 60)}”"
