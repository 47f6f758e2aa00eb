"""Write a turn as Markdown, for exports and for front ends that show no HTML."""

from __future__ import annotations

from collections.abc import Sequence

from ..text import plural, truncate_middle
from ..types import CardStyle
from . import blocks
from .calls import call_result, call_text, choose_calls, describe_decision
from .escaping import escape_controls, escape_hidden, for_markdown
from .file_list import files_markdown
from .shown_items import item_text
from .tables import TextTable
from .transcript import Attempt, CallRow, Transcript

__all__ = ["to_markdown"]


def to_markdown(transcript: Transcript, style: CardStyle = "answer") -> str:
    """Write the whole turn as Markdown. With the style `"answer"`, only the last program is shown, and no calls."""
    return "\n\n".join(part for block in blocks.divide(transcript) for part in _parts(block, style))


def _parts(block: blocks.Block, style: CardStyle) -> list[str]:
    match block:
        case blocks.Note(text):
            return [f"*{for_markdown(text)}*"]
        case blocks.Program(attempt):
            return _attempt(attempt, with_output=True)
        case blocks.Words(text):
            return [for_markdown(text)]
        case blocks.Failure():
            return [f"**{for_markdown(sentence)}**" for sentence in block.sentences]
        case blocks.Shown(item):
            title = [f"**{for_markdown(item.title)}**"] if item.title and item.kind != "chart" else []
            return [*title, _fenced(item_text(item))]
        case blocks.Table(table):
            return _table(table.for_text())
        case blocks.Output(text) | blocks.Tree(_, text) | blocks.Value(text):
            return [_fenced(text)]
        case blocks.NoValue(state):
            return [f"*{for_markdown(state)}*"] if state else []
        case blocks.Files(rows, left_out):
            return [files_markdown(rows, left_out)]
        case blocks.Details(summary, programs, lines):
            return _details(summary, programs, lines, style)


def _details(summary: str, programs: Sequence[blocks.Program], lines: Sequence[str], style: CardStyle) -> list[str]:
    parts = [f"<sub>{for_markdown(summary)}</sub>"]
    match style:
        case "full":
            parts += [
                part for program in programs for part in _attempt(program.attempt, with_output=not program.is_last)
            ]
            parts += ["\n".join(f"- {for_markdown(line)}" for line in lines)]
        case _:
            parts += [_fenced(escape_hidden(program.attempt.program).rstrip(), "python") for program in programs[-1:]]
    return parts


def _attempt(attempt: Attempt, *, with_output: bool) -> list[str]:
    parts = [_fenced(escape_hidden(attempt.program).rstrip(), "python")]
    kept, left_out = choose_calls(attempt.calls)
    rows = [*map(_call, kept), *([f"- … {plural(left_out, 'more call')}"] if left_out else [])]
    if rows:
        parts.append("\n".join(rows))
    if attempt.output and with_output:
        parts.append(_fenced(escape_controls(attempt.output).rstrip("\n")))
    if attempt.reason:
        parts.append(f"Asked again: {for_markdown(truncate_middle(attempt.reason, 500))}")
    return parts


def _call(row: CallRow) -> str:
    words = f" ({for_markdown(words)})" if (words := describe_decision(row)) else ""
    return f"- {for_markdown(call_text(row))} → {for_markdown(call_result(row))}{words}"


def _table(table: TextTable) -> list[str]:
    header = table.columns or [""] * len(table.numeric)
    rows = ["| " + " | ".join(map(for_markdown, row)) + " |" for row in (header, *table.rows)]
    rows.insert(1, "|" + "|".join(" ---: " if numeric else " --- " for numeric in table.numeric) + "|")
    return ["\n".join(rows), *([table.size] if table.size else [])]


def _fenced(text: str, language: str = "text") -> str:
    """Put `text` into a fence that it cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
