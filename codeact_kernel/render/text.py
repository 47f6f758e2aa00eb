"""The plain-text form: what a terminal shows, and a front end that knows nothing else."""

from __future__ import annotations

from ..text import truncate_middle
from ..types import TurnResult
from .escaping import escaped, one_line, plain
from .file_list import files_text
from .shared import TextTable, as_table, call_end, call_text, decided, error_text, footer, value_block
from .transcript import Attempt, Transcript

__all__ = ["table_lines", "to_text", "value_lines"]

_MAX_CALLS = 20


def to_text(transcript: Transcript) -> str:
    """The whole turn as text."""
    lines: list[str] = []
    lines += [f"({plain(note)})" for note in (transcript.note, *transcript.notices) if note]
    for number, attempt in enumerate(transcript.attempts, 1):
        lines += _attempt(attempt, number if len(transcript.attempts) > 1 else 0)
    if transcript.words:
        lines.append(plain(transcript.words).strip())
    result = transcript.result
    if result is not None and result.error is not None:
        lines.append(f"{transcript.state}: {error_text(result.error)}")
    elif result is not None and (result.value is not None or result.text is not None):
        lines += ["", *value_lines(result), ""]
    else:
        lines.append(f"[{transcript.state}]" if result is None else "")
    lines += files_text(result.files) if result is not None else []
    lines.append(f"[{footer(transcript)}]")
    return "\n".join(lines).strip("\n")


def value_lines(result: TurnResult) -> list[str]:
    """The value of the last expression, as a table where it is one."""
    table = as_table(result.value)
    return [value_block(result.value)] if table is None else table_lines(table)


def table_lines(table: TextTable) -> list[str]:
    """A table in columns of text."""
    cells = [[one_line(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [min(60, max(len(row[column]) for row in cells)) for column in range(len(table.columns))]
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
    lines += [f"    {line}" for line in escaped(attempt.program).rstrip().split("\n")]
    shown = attempt.calls[:_MAX_CALLS]
    for row in shown:
        by = f"  ({words})" if (words := decided(row)) else ""
        lines.append(f"→ {call_text(row)} = {call_end(row)}  {row.took * 1e3:.0f} ms{by}")
    if len(attempt.calls) > len(shown):
        lines.append(f"→ … {len(attempt.calls) - len(shown):,} more calls")
    if attempt.output:
        lines.append(plain(attempt.output).rstrip("\n"))
    if attempt.reason:
        lines.append(f"mended, because: {truncate_middle(plain(attempt.reason), 500)}")
    return lines
