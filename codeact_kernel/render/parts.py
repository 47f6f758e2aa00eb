"""Pieces that all formats share: the footer's words, and when a value is a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ..values import JSONObject, JSONValue, Raised, TurnResult
from .safe import plain, value_text
from .transcript import CallRow, Transcript

__all__ = ["MAX_ROWS", "Table", "as_table", "call_end", "footer"]

MAX_ROWS, MAX_COLUMNS = 100, 20


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; `left_out` counts rows that are not shown, `numeric` tells which columns hold numbers."""

    columns: list[str]
    rows: list[list[str]]
    left_out: int
    numeric: list[bool]


def as_table(value: JSONValue) -> Table | None:
    """A list of objects as a table; `None` for everything else."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    rows = cast("list[JSONObject]", value)
    columns = list(dict.fromkeys(name for row in rows[:MAX_ROWS] for name in row))[:MAX_COLUMNS]
    if not columns:
        return None
    shown = rows[:MAX_ROWS]
    numeric = [all(type(row.get(name)) in (int, float, type(None)) for row in shown) for name in columns]
    cells = [[_cell(row[name]) if name in row else "" for name in columns] for row in shown]
    return Table([plain(name) for name in columns], cells, len(rows) - len(shown), numeric)


def call_end(row: CallRow) -> str:
    """How a call ended, in one line."""
    if row.answer is None:
        return "…"
    if isinstance(row.answer, Raised):
        return f"{row.answer.kind}: {plain(row.answer.message)}"
    return value_text(row.answer.value)


def footer(transcript: Transcript) -> str:
    """Boundary, model turns, tokens, and where the seconds went."""
    parts: list[str] = []
    if transcript.isolation is not None:
        parts.append(str(transcript.isolation))
    result = transcript.result
    if result is None:
        return " · ".join(parts)
    if result.isolation is None:
        parts.append("nothing was run")
    parts.append(f"{result.model}: {_count(result.model_turns, 'model turn')}")
    parts.append(_tokens(result))
    times = result.timings
    seconds = f"model {times.model:.2f} s, sandbox {times.sandbox:.2f} s, tools {times.tools:.2f} s"
    parts.append(seconds + (f", waiting for you {times.waiting:.1f} s" if times.waiting > 0.05 else ""))
    return plain(" · ".join(parts))


def _tokens(result: TurnResult) -> str:
    about = "about " if result.usage.estimated else ""
    return f"tokens {about}{result.usage.prompt_tokens:,} in, {about}{result.usage.completion_tokens:,} out"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cell(value: JSONValue) -> str:
    return plain(value) if isinstance(value, str) else "" if value is None else value_text(value)
