"""Read the journal: list and search the turns, rebuild the result of one, and add up what they used."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ..errors import UserError
from ..text import replace_unprintable
from ..types import (
    STOPPED,
    CallError,
    CallOutcome,
    CallRecord,
    CallResult,
    Decision,
    Isolation,
    ProgramFailure,
    ToolCall,
    TurnResult,
    Usage,
)
from .database import connect, presence_folder
from .presence import is_running
from .result_json import read_record, result_from_json
from .spending import UsedTokens

__all__ = ["History", "PastTurn"]

_MAX_WORDS, _MAX_WORD = 20, 200
"""Words of a search, and characters of each."""
_MAX_TIME = 1e11
"""Seconds since 1970 that are still a date: in the year 5138."""
_NEWEST = "SELECT max(number) FROM turns WHERE session = turn.session"
_TURN = f"""
SELECT turn.number, turn.started, turn.cell, turn.folder, turn.ask, turn.model, turn.state,
    coalesce(session.notebook, '') AS notebook, coalesce(session.key, '') AS key,
    turn.number = ({_NEWEST}) AS is_newest,
    (SELECT count(*) FROM calls WHERE calls.turn = turn.number) AS calls
FROM turns AS turn LEFT JOIN sessions AS session ON session.id = turn.session
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class PastTurn:
    """One line of the history.

    Attributes:
        number: identifies the turn in the journal.
        started: the time at which the prompt was sent, in seconds since 1970.
        cell: the number of its cell, if it has one.
        notebook: the name of its notebook, if it is known.
        state: "done", "failed" or "stopped" as the turn ended, "running" while it runs, or "unknown" if its kernel
            ended before it did.
        calls: how many tool calls its programs made.
    """

    number: int
    started: float
    cell: int | None
    notebook: str
    folder: str
    ask: str
    model: str
    state: str
    calls: int


class History:
    """Reads the journal `file`. Every method raises UserError if it cannot be read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def latest(self, limit: int) -> list[PastTurn]:
        """Return the last turns, the newest first."""
        with self._reading() as connection:
            return self._turns(connection, "ORDER BY turn.number DESC LIMIT ?", [limit])

    def latest_of_session(self, session: int, limit: int) -> list[PastTurn]:
        """Return the last turns of a session, the newest first."""
        with self._reading() as connection:
            return self._turns(connection, "WHERE turn.session = ? ORDER BY turn.number DESC LIMIT ?", [session, limit])

    def search(self, text: str, limit: int) -> list[PastTurn]:
        """Return the last turns that contain every word of `text`, the newest first.

        The ask, the program and the answer of a turn are searched for the beginnings of words, and if no turn has them,
        for the words at any place.
        """
        words = [word[:_MAX_WORD] for word in replace_unprintable(text).split()[:_MAX_WORDS]]
        with self._reading() as connection:
            if words and _has_index(connection):
                query = " ".join('"' + word.replace('"', '""') + '"*' for word in words)
                found = "WHERE turn.number IN (SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?)"
                if turns := self._turns(connection, f"{found} ORDER BY turn.number DESC", [query, limit]):
                    return turns
            anywhere = "turn.ask || char(10) || turn.program || char(10) || turn.answer LIKE ? ESCAPE '\\'"
            patterns = [f"%{_without_wildcards(word)}%" for word in words]
            condition = " AND ".join([anywhere] * len(words)) or "TRUE"
            return self._turns(connection, f"WHERE {condition} ORDER BY turn.number DESC LIMIT ?", [*patterns, limit])

    def find(self, number: int) -> tuple[PastTurn, TurnResult]:
        """Return a turn and its result. If its kernel ended before it did, the result says what is not known.

        Raises:
            UserError: if there is no such turn.
        """
        with self._reading() as connection:
            turns = self._turns(connection, "WHERE turn.number = ?", [number])
            if not turns:
                raise UserError(f"The history has no turn {number}: %codeact history lists the turns.")
            stored = connection.execute("SELECT json FROM results WHERE turn = ?", [number]).fetchone()
            if stored is not None:
                try:
                    return turns[0], result_from_json(stored["json"])
                except ValueError:  # the file is damaged: what it has elsewhere is still worth showing
                    pass
            return turns[0], _rebuild(connection, turns[0])

    def used_by_turns(self, session: int, limit: int) -> list[UsedTokens]:
        """Return what each of the last turns of a session used, the newest first."""
        return self._used("number", "WHERE session = ?", [session], limit)

    def used_by_session(self, session: int) -> list[UsedTokens]:
        """Return what all turns of a session used, by model."""
        return self._used("'session'", "WHERE session = ?", [session], 100)

    def used_by_days(self, days: int) -> list[UsedTokens]:
        """Return what the turns of each of the last days used, the newest first."""
        first = datetime.combine(date.today() - timedelta(days=days - 1), datetime.min.time())
        return self._used("day", "WHERE started >= ?", [first.timestamp()], 100 * days)

    def _used(self, group: str, condition: str, values: Sequence[object], limit: int) -> list[UsedTokens]:
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {group} AS name, model, endpoint, note = '' AS is_live, count(*) AS turns, "
                "sum(answers) AS answers, sum(prompt_tokens) AS prompt, sum(completion_tokens) AS completion, "
                f"max(estimated) AS estimated, sum(seconds) AS seconds FROM turns {condition} "
                "GROUP BY name, model, endpoint, is_live ORDER BY name DESC, model LIMIT ?",
                [*values, limit],
            ).fetchall()
            return [
                UsedTokens(
                    group=str(row["name"]),
                    model=_text(row["model"]),
                    endpoint=_text(row["endpoint"]),
                    is_live=bool(row["is_live"]),
                    turns=_int(row["turns"]),
                    answers=_int(row["answers"]),
                    usage=Usage(
                        prompt_tokens=_int(row["prompt"]),
                        completion_tokens=_int(row["completion"]),
                        estimated=bool(row["estimated"]),
                    ),
                    seconds=_number(row["seconds"]),
                )
                for row in rows
            ]

    def _turns(self, connection: sqlite3.Connection, condition: str, values: Sequence[object]) -> list[PastTurn]:
        return [
            PastTurn(
                number=_int(row["number"]),
                started=_number(row["started"]),
                cell=None if row["cell"] is None else _int(row["cell"]),
                notebook=_text(row["notebook"]),
                folder=_text(row["folder"]),
                ask=_text(row["ask"]),
                model=_text(row["model"]),
                state=_text(row["state"]) or self._describe_open(_text(row["key"]), bool(row["is_newest"])),
                calls=_int(row["calls"]),
            )
            for row in connection.execute(f"{_TURN} {condition}", values).fetchall()
        ]

    def _describe_open(self, key: str, is_newest: bool) -> Literal["running", "unknown"]:
        """Return the state of a turn whose end was not written."""
        # A session runs one turn at a time.
        return "running" if is_newest and key and is_running(presence_folder(self._file), key) else "unknown"

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        connection = connect(self._file)
        try:
            connection.row_factory = sqlite3.Row
            yield connection
        except sqlite3.Error as error:
            raise UserError(
                f"The history {self._file} cannot be read ({error}): move it away if it is damaged."
            ) from None
        finally:
            connection.close()


# SQLite keeps values of any type in a column, for example in a damaged file.


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < _MAX_TIME else 0.0


def _has_index(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone() is not None


def _without_wildcards(word: str) -> str:
    return "".join(f"\\{character}" if character in "%_\\" else character for character in word)


def _rebuild(connection: sqlite3.Connection, turn: PastTurn) -> TurnResult:
    """Make a result from what was written before the kernel ended."""
    is_running = turn.state == "running"
    row = connection.execute("SELECT * FROM turns WHERE number = ?", [turn.number]).fetchone()
    calls = connection.execute("SELECT * FROM calls WHERE turn = ? ORDER BY id", [turn.number]).fetchall()
    if is_running:
        error = ProgramFailure(kind="Running", message="this turn has not ended yet")
    elif row["state"]:
        error = ProgramFailure(kind="Damaged", message="the result of this turn cannot be read")
    else:
        error = ProgramFailure(kind="Unknown", message="the kernel ended during this turn")
    return TurnResult(
        ask=_text(row["ask"]),
        program=_text(row["program"]) or None,
        answer=_text(row["answer"]),
        calls=tuple(record for call in calls if (record := _rebuild_call(call, is_running)) is not None),
        usage=Usage(
            prompt_tokens=_int(row["prompt_tokens"]),
            completion_tokens=_int(row["completion_tokens"]),
            estimated=bool(row["estimated"]),
        ),
        error=error,
        stopped=turn.state == "unknown",
        model_turns=_int(row["answers"]),
        model=_text(row["model"]),
        note=_text(row["note"]),
        isolation=_read_isolation(row["isolation"]),
    )


def _read_isolation(text: str | None) -> Isolation | None:
    try:
        return None if text is None else read_record(Isolation, text)
    except ValueError:
        return None


def _rebuild_call(row: Any, is_running: bool) -> CallRecord | None:
    """Make the record of a call; `None` if the row is damaged."""
    try:
        call = read_record(ToolCall, row["call"])
        decision = None if row["decision"] is None else read_record(Decision, row["decision"])
        return CallRecord(
            call=call,
            decision=decision or Decision(choice="reject", by="nobody", reason="not decided"),
            answer=_rebuild_answer(row["answer"], decision, is_running),
            seconds=float(row["seconds"]),
        )
    except (TypeError, ValueError):
        return None


def _rebuild_answer(text: str | None, decision: Decision | None, is_running: bool) -> CallOutcome:
    if text is not None:
        try:
            return read_record(CallResult, text)
        except ValueError:
            return read_record(CallError, text)
    if is_running:
        return CallError(kind="ToolFailed", message="it has not ended yet")
    if decision is None or not decision.allowed:  # it is written that a call is allowed before its tool runs
        return CallError(kind="ToolFailed", message=f"{STOPPED}it had not begun")
    return CallError(kind="ToolFailed", message=f"{STOPPED}unknown whether it ran: the kernel ended during the call")
