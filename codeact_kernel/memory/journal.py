"""Write every turn of the user into a journal as it happens, each call before its tool runs.

The journal is an SQLite file of the user, never in a project, into which several kernels write at once. Each row is
committed on its own: it outlives a kernel that is killed, but the last rows can be lost if the machine loses power.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

from ..errors import UserError
from ..events import (
    ApprovalDecided,
    ApprovalRequested,
    CallFinished,
    Emit,
    Event,
    ModelAnswered,
    ProgramReady,
    ReviewDecided,
    RunStarted,
    TurnFinished,
    TurnStarted,
)
from ..types import ToolCall, TurnResult
from .database import connect, explain, presence_folder, transaction
from .presence import Presence, remove_ended
from .result_json import cut_text, result_to_json, write_record

__all__ = ["Journal", "prune"]

_DELETED_AT_ONCE = 200
"""Turns that one transaction deletes, so that other kernels can write in between."""
_ASK, _PROGRAM, _SHORT = 20_000, 100_000, 500
"""Characters that are kept."""


def prune(file: Path, days: float) -> None:
    """Delete the turns that are older than `days`, in small steps. What cannot be deleted now is deleted later."""
    with suppress(UserError, sqlite3.Error):
        connection = connect(file)
        try:
            connection.execute("PRAGMA secure_delete = ON")  # overwrite the texts
            while _delete_some(connection, before=time.time() - days * 86_400):
                pass
        finally:
            connection.close()
    remove_ended(presence_folder(file))


class Journal:
    """Writes the turns of one session into the journal. The file is opened at the first turn.

    Args:
        file: the journal.
        notebook: the name of the notebook, if it is known.
    """

    def __init__(self, file: Path, notebook: str = "") -> None:
        self.file = file
        self.session = 0
        """The number of the session in the journal; 0 before its first turn."""
        self._notebook = notebook
        self._key = uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None
        self._presence: Presence | None = None
        self._lock = threading.Lock()

    def record(self, *, days: float, cell: int | None, report: Callable[[str], None]) -> Emit:
        """Return what writes the events of one turn. It never raises.

        Args:
            days: turns that are older are deleted, in the background, when the session begins to write.
            cell: the number of the cell.
            report: takes a sentence that says why the turn is not written.
        """
        return _TurnWriter(self, days, cell, report)

    @contextmanager
    def writing(self, days: float) -> Generator[sqlite3.Connection]:
        """Give the connection to one thread at a time.

        Raises:
            UserError: if the journal cannot be opened.
        """
        with self._lock:
            if self._connection is None:
                self._connection = self._open(days)
            yield self._connection

    def close(self) -> None:
        """Close the file. A later turn opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            if self._presence is not None:
                self._presence.close()
            self._connection = self._presence = None

    def _open(self, days: float) -> sqlite3.Connection:
        connection = connect(self.file)
        try:
            self._presence = Presence(presence_folder(self.file), self._key)
            self.session = self._find_or_add_session(connection)
        except (OSError, sqlite3.Error) as error:
            connection.close()
            raise UserError(explain(self.file, error)) from None
        threading.Thread(target=prune, args=(self.file, days), name="codeact-history", daemon=True).start()
        return connection

    def _find_or_add_session(self, connection: sqlite3.Connection) -> int:
        known = connection.execute("SELECT id FROM sessions WHERE key = ?", (self._key,)).fetchone()
        if known is not None:  # the journal was closed in between, for example by %reload_ext
            return int(known[0])
        notebook = cut_text(self._notebook, _SHORT)
        added = connection.execute(
            "INSERT INTO sessions (key, notebook, started) VALUES (?, ?, ?)", (self._key, notebook, time.time())
        )
        return added.lastrowid or 0


class _TurnWriter:
    """Writes the events of one turn."""

    def __init__(self, journal: Journal, days: float, cell: int | None, report: Callable[[str], None]) -> None:
        self._journal = journal
        self._days = days
        self._cell = cell
        self._report = report
        self._has_failed = False
        self._turn = 0
        self._calls: dict[tuple[int, int], int] = {}

    def __call__(self, event: Event) -> None:
        if self._has_failed or not isinstance(event, _WRITTEN):
            return
        try:
            with self._journal.writing(self._days) as connection:
                self._write(connection, event)
        except Exception as error:  # whatever it is, the turn goes on
            self._has_failed = True
            reason = str(error) if isinstance(error, UserError) else explain(self._journal.file, error)
            self._report(f"This turn is not in the history. {reason}")

    def _write(self, connection: sqlite3.Connection, event: Event) -> None:
        match event:
            case TurnStarted():
                self._add_turn(connection, event)
            case ModelAnswered(usage=usage):
                if event.model:  # after a recorded program that failed, it is not the one with which the turn began
                    who = [cut_text(text, _SHORT) for text in (event.model, event.note, event.endpoint)]
                    connection.execute(
                        "UPDATE turns SET model = ?, note = ?, endpoint = ? WHERE number = ?", (*who, self._turn)
                    )
                connection.execute(
                    "UPDATE turns SET answers = answers + 1, prompt_tokens = prompt_tokens + ?, "
                    "completion_tokens = completion_tokens + ?, estimated = max(estimated, ?) WHERE number = ?",
                    (usage.prompt_tokens, usage.completion_tokens, usage.estimated, self._turn),
                )
            case ProgramReady(program=program) | ReviewDecided(program=str(program)):
                connection.execute(
                    "UPDATE turns SET program = ? WHERE number = ?", (cut_text(program, _PROGRAM), self._turn)
                )
            case RunStarted(isolation=isolation):
                connection.execute(
                    "UPDATE turns SET isolation = ? WHERE number = ?", (write_record(isolation), self._turn)
                )
            case ApprovalRequested(run=run, call=call):
                self._write_call(connection, run, call)
            case ApprovalDecided(run=run, call=call, decision=decision):
                self._write_call(connection, run, call, decision=write_record(decision))
            case CallFinished(run=run, call=call, answer=answer, seconds=seconds):
                self._write_call(connection, run, call, answer=write_record(answer), seconds=seconds)
                del self._calls[run, call.id]
            case TurnFinished(result=result):
                with transaction(connection):
                    self._end_turn(connection, result, event.at - result.timings.waiting)
            case _:
                pass

    def _add_turn(self, connection: sqlite3.Connection, event: TurnStarted) -> None:
        now = time.time()
        row = {
            "session": self._journal.session,
            "cell": self._cell,
            "folder": cut_text(_working_folder(), _SHORT),
            "started": now,
            "day": date.fromtimestamp(now).isoformat(),
            "ask": cut_text(event.ask, _ASK),
            "model": cut_text(event.model, _SHORT),
            "endpoint": cut_text(event.endpoint, _SHORT),
            "note": cut_text(event.note, _SHORT),
        }
        names, places = ", ".join(row), ", ".join("?" * len(row))
        added = connection.execute(f"INSERT INTO turns ({names}) VALUES ({places})", tuple(row.values()))
        self._turn = added.lastrowid or 0

    def _write_call(self, connection: sqlite3.Connection, run: int, call: ToolCall, **facts: object) -> None:
        """Add the call, or change its row: its tool runs only after its decision was written."""
        if (row := self._calls.get((run, call.id))) is not None:
            names = ", ".join(f"{name} = ?" for name in facts)
            connection.execute(f"UPDATE calls SET {names} WHERE id = ?", (*facts.values(), row))
            return
        facts = {"turn": self._turn, "run": run, "call": write_record(call), **facts}
        names, places = ", ".join(facts), ", ".join("?" * len(facts))
        added = connection.execute(f"INSERT INTO calls ({names}) VALUES ({places})", tuple(facts.values()))
        self._calls[run, call.id] = added.lastrowid or 0

    def _end_turn(self, connection: sqlite3.Connection, result: TurnResult, seconds: float) -> None:
        state = "stopped" if result.stopped else "failed" if result.error is not None else "done"
        error = "" if result.error is None else str(result.error)
        connection.execute(
            "UPDATE turns SET state = ?, error = ?, answer = ?, seconds = ? WHERE number = ?",
            (state, cut_text(error, _SHORT), cut_text(result.answer, _ASK), max(0.0, seconds), self._turn),
        )
        connection.execute("INSERT INTO results (turn, json) VALUES (?, ?)", (self._turn, result_to_json(result)))


_WRITTEN = (
    TurnStarted, ModelAnswered, ProgramReady, ReviewDecided, RunStarted, ApprovalRequested, ApprovalDecided,
    CallFinished, TurnFinished,
)  # fmt: skip
"""The events that the journal is made of."""


def _delete_some(connection: sqlite3.Connection, before: float) -> bool:
    """Delete some turns that started before this time, and return whether there were any."""
    with transaction(connection):
        rows = connection.execute(
            "SELECT number FROM turns WHERE started < ? ORDER BY started LIMIT ?", (before, _DELETED_AT_ONCE)
        ).fetchall()
        for table, column in (("calls", "turn"), ("results", "turn"), ("turns", "number")):
            connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", rows)
        if not rows:
            connection.execute(
                "DELETE FROM sessions WHERE started < ? AND id NOT IN (SELECT session FROM turns)", (before,)
            )
    return bool(rows)


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""
