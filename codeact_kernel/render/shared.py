"""Pieces that all formats share: the footer's words, and when a value is a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from ..text import plural, truncate_middle
from ..types import CallError, JSONObject, JSONValue, ProgramFailure, TurnResult
from .escaping import arguments_text, one_line, plain, value_text
from .transcript import CallRow, Transcript

__all__ = [
    "MAX_ROWS",
    "TextTable",
    "to_table",
    "call_end",
    "call_text",
    "describe_decision",
    "error_text",
    "footer",
    "make_table",
    "traceback_text",
    "value_block",
]

MAX_ROWS, MAX_COLUMNS = 100, 20
_VALUE, _ONE_LINE, _END = 20_000, 100, 300
_ROW_CHARACTERS, _CELL_CHARACTERS = 1_000, 2_000


@dataclass(frozen=True, slots=True)
class TextTable:
    """Rows of text; `left_out` says which rows and columns are not shown, `numeric` which columns hold numbers."""

    columns: list[str]
    rows: list[list[str]]
    left_out: str
    numeric: list[bool]


def to_table(value: JSONValue) -> TextTable | None:
    """A list of objects as a table; `None` for everything else."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    rows = cast("list[JSONObject]", value)
    names = list(dict.fromkeys(name for row in rows[:MAX_ROWS] for name in row))
    cells: list[list[JSONValue]] = [[row.get(name) for name in names] for row in rows[:MAX_ROWS]]
    return make_table(names, cells, len(rows)) if names else None


def make_table(names: list[str], rows: list[list[JSONValue]], total: int, most_rows: int = MAX_ROWS) -> TextTable:
    """The first of so many rows, and the first columns, as text."""
    columns, shown = names[:MAX_COLUMNS], rows[:most_rows]
    most = min(_CELL_CHARACTERS, _ROW_CHARACTERS * most_rows // max(1, len(columns) * len(shown)))
    numeric = [all(type(row[at]) in (int, float, type(None)) for row in shown) for at in range(len(columns))]
    cells = [[_cell(value, most) for value in row[: len(columns)]] for row in shown]
    missing = ((total - len(shown), "row"), (len(names) - len(columns), "column"))
    left_out = ", ".join(plural(number, f"more {what}") for number, what in missing if number)
    return TextTable(
        [truncate_middle(plain(name), most) for name in columns], cells, left_out and f"… {left_out}", numeric
    )


def call_text(row: CallRow) -> str:
    """A call as it stands in a program, in one line, with the arguments that the tool got."""
    if not row.text or (row.decision is not None and row.decision.arguments is not None):
        row.text = f"{truncate_middle(one_line(row.call.name), 100)}({arguments_text(_effective_arguments(row))})"
    return row.text


def describe_decision(row: CallRow) -> str:
    """Who allowed or denied a call, in a few words; empty where nobody had to."""
    decision = row.decision
    if decision is None:
        return "waiting for you" if row.is_waiting else ""
    if decision.by == "policy":
        return decision.reason if decision.allowed else "denied"
    if decision.by == "nobody":
        return "denied, nobody was here"
    words = _DECISIONS.get((decision.choice, decision.by), "allowed" if decision.allowed else "denied")
    if decision.arguments is None:
        return words
    was = {
        name: value
        for name, value in row.call.arguments.items()
        if name not in decision.arguments or json.dumps(value) != json.dumps(decision.arguments[name])
    }
    return f"{words}, with arguments changed (from {arguments_text(was, 60)})"


_DECISIONS = {
    ("allow_once", "person"): "allowed by you",
    ("allow_cell", "person"): "allowed by you for this cell",
    ("allow_session", "person"): "allowed by you for this session",
    ("allow_always", "person"): "allowed by you always",
    ("reject", "person"): "denied by you",
    ("allow_cell", "memory"): "allowed for this cell",
    ("allow_session", "memory"): "allowed for this session",
    ("allow_always", "memory"): "allowed always",
}


def _effective_arguments(row: CallRow) -> Mapping[str, JSONValue]:
    """The arguments that the tool got: the program's, or the person's."""
    decision = row.decision
    return row.call.arguments if decision is None or decision.arguments is None else decision.arguments


def call_end(row: CallRow) -> str:
    """How a call ended, in one line."""
    if row.answer is None:
        return "…"
    if not row.end:
        answer = row.answer
        if isinstance(answer, CallError):
            row.end = truncate_middle(f"{answer.kind}: {one_line(answer.message[:2_000])}", 600)
        elif answer.kept is not None:
            row.end = f"{value_text(answer.value, _END // 2)} … {answer.kept.length:,} in all, kept in the notebook"
        elif answer.is_cut:
            row.end = f"{value_text(answer.value, _END // 2)} … the rest is not recorded: the results are too large"
        else:
            row.end = value_text(answer.value, _END)
    return row.end


def error_text(failure: ProgramFailure) -> str:
    """Why a program failed, without its traceback."""
    return truncate_middle(plain(str(failure)), 2_000)


def traceback_text(failure: ProgramFailure) -> str:
    """The guest's traceback; empty where there is none."""
    return truncate_middle(plain(failure.traceback), 20_000)


def footer(transcript: Transcript) -> str:
    """Boundary, model turns, tokens, and where the seconds went."""
    parts: list[str] = []
    if transcript.isolation is not None:
        parts.append(str(transcript.isolation))
    result = transcript.result
    if result is None:
        return plain(" · ".join(parts))
    if result.isolation is None:
        parts.append("nothing was run")
    parts.append(f"{result.model}: {plural(result.model_turns, 'model turn')}")
    parts.append(_tokens(result))
    parts += [_describe_output(name, value) for name, value in result.outputs.items()]
    times = result.timings
    seconds = f"model {times.model:.2f} s, sandbox {times.sandbox:.2f} s, tools {times.tools:.2f} s"
    parts.append(seconds + (f", waiting for you {times.waiting:.1f} s" if times.waiting > 0.05 else ""))
    return plain(" · ".join(parts))


def value_block(value: JSONValue) -> str:
    """A value that is no table: text as it is, JSON in one line where that is short."""
    if isinstance(value, str):
        return truncate_middle(plain(truncate_middle(value, _VALUE)), _VALUE)
    line = json.dumps(value, ensure_ascii=False)
    text = line if len(line) <= _ONE_LINE else json.dumps(value, ensure_ascii=False, indent=1)
    return truncate_middle(plain(truncate_middle(text, _VALUE)), _VALUE)


def _describe_output(name: str, value: object) -> str:
    rows, columns = getattr(value, "rows", None), getattr(value, "columns", ())
    return f"--out {name}" if rows is None else f"--out {name}: {rows:,} rows × {len(columns):,} columns"


def _tokens(result: TurnResult) -> str:
    about = "about " if result.usage.estimated else ""
    return f"tokens {about}{result.usage.prompt_tokens:,} in, {about}{result.usage.completion_tokens:,} out"


def _cell(value: JSONValue, most: int) -> str:
    if isinstance(value, str):
        return truncate_middle(plain(truncate_middle(value, most)), most)
    return "" if value is None else value_text(value, most)
