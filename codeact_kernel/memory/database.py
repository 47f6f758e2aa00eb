"""The SQLite file of the journal: its tables, and how it is opened. Several kernels read and write it at once."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import UserError
from ..paths import data_folder, is_private

__all__ = ["connect", "explain", "own_journal", "presence_folder", "transaction"]

VERSION = 1
"""The version of the tables. A later version must be able to read the tables of an earlier one, or convert them."""
_PATIENCE = 1.0
"""Seconds that a turn waits for another kernel that is writing."""
_TABLES = """
CREATE TABLE sessions (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, notebook TEXT NOT NULL, started REAL NOT NULL);
CREATE TABLE turns (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL, cell INTEGER, folder TEXT NOT NULL, started REAL NOT NULL, day TEXT NOT NULL,
    ask TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL, note TEXT NOT NULL,
    program TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '', isolation TEXT,
    answers INTEGER NOT NULL DEFAULT 0, prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0, estimated INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0
);
CREATE INDEX turns_by_time ON turns (started);
CREATE INDEX turns_by_session ON turns (session);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, turn INTEGER NOT NULL, run INTEGER NOT NULL, call TEXT NOT NULL,
    decision TEXT, answer TEXT, seconds REAL NOT NULL DEFAULT 0
);
CREATE INDEX calls_by_turn ON calls (turn);
CREATE TABLE results (turn INTEGER PRIMARY KEY, json TEXT NOT NULL);
"""
# The words of the turns, without a copy of the texts: triggers keep the index up to date.
_INDEX = """
CREATE VIRTUAL TABLE words USING fts5 (ask, program, answer, content='turns', content_rowid='number');
CREATE TRIGGER words_added AFTER INSERT ON turns BEGIN
    INSERT INTO words (rowid, ask, program, answer) VALUES (new.number, new.ask, new.program, new.answer);
END;
CREATE TRIGGER words_removed AFTER DELETE ON turns BEGIN
    INSERT INTO words (words, rowid, ask, program, answer)
        VALUES ('delete', old.number, old.ask, old.program, old.answer);
END;
CREATE TRIGGER words_changed AFTER UPDATE OF program, answer ON turns BEGIN
    INSERT INTO words (words, rowid, ask, program, answer)
        VALUES ('delete', old.number, old.ask, old.program, old.answer);
    INSERT INTO words (rowid, ask, program, answer) VALUES (new.number, new.ask, new.program, new.answer);
END;
"""


def own_journal() -> Path:
    """Return the file that holds the turns of the user."""
    return data_folder() / "history.sqlite"


def presence_folder(file: Path) -> Path:
    """Return the folder in which the kernels that write into this journal announce themselves."""
    return file.with_name(f"{file.stem}.running")


def connect(file: Path) -> sqlite3.Connection:
    """Open a journal, which is created if it does not exist.

    Raises:
        UserError: if it cannot be opened, others could have written to it, or a newer version wrote it.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if not is_private(file):
            raise UserError(
                f"The history {file} can be written by others, so it is not used: allow that only for yourself "
                "(chmod 700 on the folder, 600 on the file), or move the file away."
            )
        connection = sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise UserError(explain(file, error)) from None
    try:
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        _create_tables(connection, file)
    except sqlite3.Error as error:
        connection.close()
        raise UserError(explain(file, error)) from None
    except UserError:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for another connection that does so at the same moment."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Commit everything in the block together, or nothing if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def explain(file: Path, error: Exception) -> str:
    """Say in a sentence why the history cannot be used."""
    reason = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return (
        f"The history {file} cannot be used ({reason}): make it writable, move it away if it is damaged, or switch the "
        "history off (%config CodeAct.history = False)."
    )


def _create_tables(connection: sqlite3.Connection, file: Path) -> None:
    """Create the tables of an empty file.

    Raises:
        UserError: if a newer version wrote the file.
    """
    if _version(connection) == VERSION:
        return
    with transaction(connection):
        version = _version(connection)  # another kernel may have been faster
        if version > VERSION:
            raise UserError(
                f"The history {file} was written by a newer version of codeact-kernel: update this one, or move the "
                "file away to start a new history."
            )
        if version == 0:
            for statement in _statements(_TABLES):
                connection.execute(statement)
            with suppress(sqlite3.OperationalError):  # this SQLite has no FTS5: all texts are searched
                for statement in _statements(_INDEX):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> Generator[str]:
    """Split a script, since `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
