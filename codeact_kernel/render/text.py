"""Write a turn as plain text, for terminals and for front ends that show nothing else."""

from __future__ import annotations

from ..text import truncate_middle
from . import blocks
from .escaping import escape_controls, escape_hidden, one_line
from .file_list import files_text
from .shared import TextTable, call_result, call_text, describe_decision
from .transcript import Attempt, Transcript

__all__ = ["table_lines", "to_text"]

_MAX_CALLS = 20
_MAX_WIDTH = 60


def to_text(transcript: Transcript) -> str:
    """Write the whole turn as text."""
    return "\n".join(line for block in blocks.divide(transcript) for line in _lines(block)).strip("\n")


def _lines(block: blocks.Block) -> list[str]:
    match block:
        case blocks.Note(text):
            return [f"({text})"]
        case blocks.Program(attempt, number, count):
            return _attempt(attempt, number if count > 1 else 0)
        case blocks.Words(text):
            return [text]
        case blocks.Failure(state, message):
            return [f"{state}: {message}"]
        case blocks.Table(table):
            return ["", *table_lines(table), ""]
        case blocks.Value(text):
            return ["", text, ""]
        case blocks.NoValue(state):
            return [f"[{state}]" if state else ""]
        case blocks.Files(rows, left_out):
            return [*files_text(rows, left_out)]
        case blocks.Footer(_, text):
            return [f"[{text}]"]


def table_lines(table: TextTable) -> list[str]:
    """Write a table in columns of text."""
    cells = [[one_line(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [min(_MAX_WIDTH, max(len(row[column]) for row in cells)) for column in range(len(table.columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, table.numeric, strict=True)
        ).rstrip()
        for row in cells
    ]
    return [*lines, table.left_out] if table.left_out else lines


def _attempt(attempt: Attempt, number: int) -> list[str]:
    lines = [f"program {number}:"] if number else []
    lines += [f"    {line}" for line in escape_hidden(attempt.program).rstrip().split("\n")]
    shown = attempt.calls[:_MAX_CALLS]
    for row in shown:
        suffix = f"  ({words})" if (words := describe_decision(row)) else ""
        lines.append(f"→ {call_text(row)} = {call_result(row)}  {row.seconds * 1e3:.0f} ms{suffix}")
    if len(attempt.calls) > len(shown):
        lines.append(f"→ … {len(attempt.calls) - len(shown):,} more calls")
    if attempt.output:
        lines.append(escape_controls(attempt.output).rstrip("\n"))
    if attempt.reason:
        lines.append(f"retried because: {truncate_middle(escape_controls(attempt.reason), 500)}")
    return lines
