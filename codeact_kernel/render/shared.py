"""What all formats share: the words of calls, errors and the footer, and values as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from ..text import collapse_whitespace, plural, truncate, truncate_middle
from ..types import CallError, JSONObject, JSONValue, ProgramFailure, TurnResult
from .escaping import arguments_text, escape_controls, one_line, value_text
from .transcript import CallRow, Transcript

__all__ = [
    "MAX_ROWS",
    "TextTable",
    "call_result",
    "call_text",
    "describe_decision",
    "error_text",
    "footer",
    "make_table",
    "to_table",
    "traceback_text",
    "value_block",
]

MAX_ROWS, MAX_COLUMNS = 100, 20
_MAX_VALUE, _MAX_ONE_LINE, _MAX_RESULT = 20_000, 100, 300
_MAX_ROW_CHARS, _MAX_CELL_CHARS = 1_000, 2_000


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of text. `left_out` counts the rows and columns not shown; `numeric` marks columns of numbers."""

    columns: list[str]
    rows: list[list[str]]
    left_out: str
    numeric: list[bool]


def to_table(value: JSONValue) -> TextTable | None:
    """Return a list of objects as a table, and `None` for any other value."""
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        return None
    rows = cast("list[JSONObject]", value)
    names = list(dict.fromkeys(name for row in rows[:MAX_ROWS] for name in row))
    cells: list[list[JSONValue]] = [[row.get(name) for name in names] for row in rows[:MAX_ROWS]]
    return make_table(names, cells, len(rows)) if names else None


def make_table(names: list[str], rows: list[list[JSONValue]], total: int, max_rows: int = MAX_ROWS) -> TextTable:
    """Make a table of the first rows and columns; `total` is the number of all rows."""
    columns, shown = names[:MAX_COLUMNS], rows[:max_rows]
    max_chars = min(_MAX_CELL_CHARS, _MAX_ROW_CHARS * max_rows // max(1, len(columns) * len(shown)))
    numeric = [all(type(row[index]) in (int, float, type(None)) for row in shown) for index in range(len(columns))]
    cells = [[_cell(value, max_chars) for value in row[: len(columns)]] for row in shown]
    missing = ((total - len(shown), "row"), (len(names) - len(columns), "column"))
    left_out = ", ".join(plural(number, f"more {unit}") for number, unit in missing if number)
    return TextTable(
        [truncate_middle(escape_controls(name), max_chars) for name in columns],
        cells,
        left_out and f"… {left_out}",
        numeric,
    )


def call_text(row: CallRow) -> str:
    """Write a call on one line as in a program, with the arguments that the tool got."""
    if not row.text or (row.decision is not None and row.decision.arguments is not None):
        row.text = f"{truncate_middle(one_line(row.call.name), 100)}({arguments_text(_effective_arguments(row))})"
    return row.text


def describe_decision(row: CallRow) -> str:
    """Say in a few words who allowed or denied a call; empty if nobody had to."""
    decision = row.decision
    if decision is None:
        return "waiting for you" if row.is_waiting else ""
    if decision.by == "policy":
        return decision.reason if decision.allowed else "denied"
    if decision.by == "nobody":
        return "denied, nobody could be asked"
    words = _DECISIONS.get((decision.choice, decision.by), "allowed" if decision.allowed else "denied")
    if decision.arguments is None:
        return words
    replaced = {
        name: value
        for name, value in row.call.arguments.items()
        if name not in decision.arguments or json.dumps(value) != json.dumps(decision.arguments[name])
    }
    return f"{words}, with arguments changed (from {arguments_text(replaced, 60)})"


_DECISIONS = {
    ("allow_once", "user"): "allowed by you",
    ("allow_cell", "user"): "allowed by you for this cell",
    ("allow_session", "user"): "allowed by you for this session",
    ("allow_always", "user"): "allowed by you always",
    ("reject", "user"): "denied by you",
    ("allow_cell", "memory"): "allowed for this cell",
    ("allow_session", "memory"): "allowed for this session",
    ("allow_always", "memory"): "allowed always",
}


def _effective_arguments(row: CallRow) -> Mapping[str, JSONValue]:
    """Return the arguments that the tool got: the program's, or those with which the user replaced them."""
    decision = row.decision
    return row.call.arguments if decision is None or decision.arguments is None else decision.arguments


def call_result(row: CallRow) -> str:
    """Write on one line how a call ended."""
    if row.answer is None:
        return "…"
    if not row.result:
        answer = row.answer
        if isinstance(answer, CallError):
            row.result = truncate_middle(f"{answer.kind}: {one_line(answer.message[:2_000])}", 600)
        elif answer.stored is not None:
            beginning = value_text(answer.value, _MAX_RESULT // 2)
            row.result = f"{beginning} … {answer.stored.length:,} in all, kept in the notebook"
        elif answer.is_cut:
            beginning = value_text(answer.value, _MAX_RESULT // 2)
            row.result = f"{beginning} … the rest is not recorded: the results are too large"
        else:
            row.result = value_text(answer.value, _MAX_RESULT)
    return row.result


def error_text(failure: ProgramFailure) -> str:
    """Write why a program failed, without its traceback."""
    return truncate_middle(escape_controls(str(failure)), 2_000)


def traceback_text(failure: ProgramFailure) -> str:
    """Write the traceback of the guest; empty if there is none."""
    return truncate_middle(escape_controls(failure.traceback), 20_000)


def footer(transcript: Transcript) -> str:
    """Write the boundary, and after the turn also its model turns, tokens, outputs and seconds."""
    parts: list[str] = []
    if transcript.isolation is not None:
        parts.append(str(transcript.isolation))
    if transcript.continues:
        parts.append(_describe_thread(transcript.continues))
    result = transcript.result
    if result is None:
        return escape_controls(" · ".join(parts))
    if result.isolation is None:
        parts.append("nothing was run")
    parts.append(f"{result.model}: {plural(result.model_turns, 'model turn')}")
    parts.append(_tokens(result))
    parts += [_describe_output(name, value) for name, value in result.outputs.items()]
    times = result.timings
    seconds = f"model {times.model:.2f} s, sandbox {times.sandbox:.2f} s, tools {times.tools:.2f} s"
    parts.append(seconds + (f", waiting for you {times.waiting:.1f} s" if times.waiting > 0.05 else ""))
    return escape_controls(" · ".join(parts))


def _describe_thread(asks: Sequence[str]) -> str:
    others = f" and {plural(len(asks) - 1, 'earlier prompt')}" if len(asks) > 1 else ""
    return f"continues: {truncate(collapse_whitespace(asks[-1]), 60)}{others}"


def value_block(value: JSONValue) -> str:
    """Write a value that is not a table: text as it is, JSON on one line if it is short."""
    if isinstance(value, str):
        return truncate_middle(escape_controls(truncate_middle(value, _MAX_VALUE)), _MAX_VALUE)
    line = json.dumps(value, ensure_ascii=False)
    text = line if len(line) <= _MAX_ONE_LINE else json.dumps(value, ensure_ascii=False, indent=1)
    return truncate_middle(escape_controls(truncate_middle(text, _MAX_VALUE)), _MAX_VALUE)


def _describe_output(name: str, value: object) -> str:
    rows, columns = getattr(value, "rows", None), getattr(value, "columns", ())
    return f"--out {name}" if rows is None else f"--out {name}: {rows:,} rows × {len(columns):,} columns"


def _tokens(result: TurnResult) -> str:
    prefix = "about " if result.usage.estimated else ""
    return f"tokens {prefix}{result.usage.prompt_tokens:,} in, {prefix}{result.usage.completion_tokens:,} out"


def _cell(value: JSONValue, max_chars: int) -> str:
    if isinstance(value, str):
        return truncate_middle(escape_controls(truncate_middle(value, max_chars)), max_chars)
    return "" if value is None else value_text(value, max_chars)
