"""The Markdown form: for exports and for front ends that show no HTML."""

from __future__ import annotations

from ..text import truncate_middle
from .escaping import escaped, for_markdown, plain
from .file_list import files_markdown
from .shared import as_table, call_end, call_text, decided, error_text, footer
from .text import value_lines
from .transcript import Attempt, CallRow, Transcript

__all__ = ["to_markdown"]

_MAX_CALLS = 60


def to_markdown(transcript: Transcript) -> str:
    """The whole turn as Markdown."""
    parts = [f"*{for_markdown(note)}*" for note in (transcript.note, *transcript.notices) if note]
    for attempt in transcript.attempts:
        parts += _attempt(attempt)
    if transcript.words:
        parts.append(for_markdown(transcript.words))
    result = transcript.result
    if result is not None and result.error is not None:
        parts.append(f"**{transcript.state}**: {for_markdown(error_text(result.error))}")
    elif result is not None and (result.value is not None or result.text is not None):
        table = as_table(result.value)
        if table is None:
            parts.append(_fenced("\n".join(value_lines(result))))
        else:
            rows = [
                "| " + " | ".join(for_markdown(cell) for cell in row) + " |" for row in (table.columns, *table.rows)
            ]
            rows.insert(1, "|" + "|".join(" ---: " if numeric else " --- " for numeric in table.numeric) + "|")
            parts.append("\n".join(rows))
            if table.left_out:
                parts.append(table.left_out)
    if result is not None and result.files:
        parts.append(files_markdown(result.files))
    parts.append(f"<sub>{for_markdown(transcript.state)} · {for_markdown(footer(transcript))}</sub>")
    return "\n\n".join(parts)


def _attempt(attempt: Attempt) -> list[str]:
    parts = [_fenced(escaped(attempt.program).rstrip(), "python")]
    shown = attempt.calls[:_MAX_CALLS]
    rows = [f"- {for_markdown(call_text(row))} → {for_markdown(call_end(row))} ({_about(row)})" for row in shown]
    if len(attempt.calls) > len(shown):
        rows.append(f"- … {len(attempt.calls) - len(shown):,} more calls")
    if rows:
        parts.append("\n".join(rows))
    if attempt.output:
        parts.append(_fenced(plain(attempt.output).rstrip("\n")))
    if attempt.reason:
        parts.append(f"Mended, because: {for_markdown(truncate_middle(attempt.reason, 500))}")
    return parts


def _about(row: CallRow) -> str:
    return f"{row.took * 1e3:.0f} ms" + (f", {for_markdown(words)}" if (words := decided(row)) else "")


def _fenced(text: str, language: str = "text") -> str:
    """In a fence that the text cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
