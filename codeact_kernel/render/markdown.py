"""Write a turn as Markdown, for exports and for front ends that show no HTML."""

from __future__ import annotations

from ..text import truncate_middle
from . import blocks
from .escaping import escape_controls, escape_hidden, for_markdown
from .file_list import files_markdown
from .shared import TextTable, call_result, call_text, describe_decision
from .transcript import Attempt, CallRow, Transcript

__all__ = ["to_markdown"]

_MAX_CALLS = 60


def to_markdown(transcript: Transcript) -> str:
    """Write the whole turn as Markdown."""
    return "\n\n".join(part for block in blocks.divide(transcript) for part in _parts(block))


def _parts(block: blocks.Block) -> list[str]:
    match block:
        case blocks.Note(text):
            return [f"*{for_markdown(text)}*"]
        case blocks.Program(attempt):
            return _attempt(attempt)
        case blocks.Words(text):
            return [for_markdown(text)]
        case blocks.Failure(state, message):
            return [f"**{state}**: {for_markdown(message)}"]
        case blocks.Table(table):
            return _table(table)
        case blocks.Value(text):
            return [_fenced(text)]
        case blocks.NoValue():
            return []
        case blocks.Files(rows, left_out):
            return [files_markdown(rows, left_out)]
        case blocks.Footer(state, text):
            return [f"<sub>{for_markdown(state)} · {for_markdown(text)}</sub>"]


def _attempt(attempt: Attempt) -> list[str]:
    parts = [_fenced(escape_hidden(attempt.program).rstrip(), "python")]
    rows = [_call(row) for row in attempt.calls[:_MAX_CALLS]]
    if len(attempt.calls) > len(rows):
        rows.append(f"- … {len(attempt.calls) - len(rows):,} more calls")
    if rows:
        parts.append("\n".join(rows))
    if attempt.output:
        parts.append(_fenced(escape_controls(attempt.output).rstrip("\n")))
    if attempt.reason:
        parts.append(f"Retried because: {for_markdown(truncate_middle(attempt.reason, 500))}")
    return parts


def _call(row: CallRow) -> str:
    details = f"{row.seconds * 1e3:.0f} ms" + (f", {for_markdown(words)}" if (words := describe_decision(row)) else "")
    return f"- {for_markdown(call_text(row))} → {for_markdown(call_result(row))} ({details})"


def _table(table: TextTable) -> list[str]:
    rows = ["| " + " | ".join(map(for_markdown, row)) + " |" for row in (table.columns, *table.rows)]
    rows.insert(1, "|" + "|".join(" ---: " if numeric else " --- " for numeric in table.numeric) + "|")
    return ["\n".join(rows), *([table.left_out] if table.left_out else [])]


def _fenced(text: str, language: str = "text") -> str:
    """Put `text` into a fence that it cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
