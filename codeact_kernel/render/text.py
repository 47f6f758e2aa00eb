"""Write a turn as plain text, for terminals and for front ends that show nothing else."""

from __future__ import annotations

from ..text import plural, truncate_middle
from ..types import CardStyle
from . import blocks
from .calls import call_result, call_text, choose_calls, describe_decision
from .escaping import escape_controls, escape_hidden, one_line
from .file_list import files_text
from .shown_items import item_text
from .summary import describe_seconds
from .tables import table_lines
from .transcript import Attempt, CallRow, Transcript

__all__ = ["call_line", "to_text"]


def to_text(transcript: Transcript, style: CardStyle = "answer", *, seconds: bool = False) -> str:
    """Write the whole turn as text. With the style `"answer"`, a finished turn has no programs and calls.

    Args:
        seconds: whether to add the seconds of the turn, because the text is not kept in a file.
    """
    text = "\n".join(line for block in blocks.divide(transcript) for line in _lines(block, style)).strip("\n")
    if not seconds or transcript.result is None:
        return text
    return f"{text}\n[{' · '.join(describe_seconds(transcript.result))}]"


def _lines(block: blocks.Block, style: CardStyle) -> list[str]:
    match block:
        case blocks.Note(text):
            return [f"({text})"]
        case blocks.Program(attempt, number, count):
            return _attempt(attempt, number if count > 1 else 0, with_output=True)
        case blocks.Words(text) | blocks.Output(text):
            return [text]
        case blocks.Failure():
            return [" ".join(block.sentences)]
        case blocks.Shown(item):
            return [*([one_line(item.title)] if item.title and item.kind != "chart" else []), item_text(item), ""]
        case blocks.Table(table):
            return ["", *table_lines(table), ""]
        case blocks.Tree(_, text) | blocks.Value(text):
            return ["", text, ""]
        case blocks.NoValue(state):
            return [f"[{state}]" if state else ""]
        case blocks.Files(rows, left_out):
            return [*files_text(rows, left_out)]
        case blocks.Details(summary, programs, lines):
            whole = {"full": programs, "program": programs[-1:], "answer": programs[:0]}[style]
            return [
                f"[{summary}]",
                *(line for program in whole for line in _program(program)),
                *(lines if style == "full" else []),
            ]


def call_line(row: CallRow, seconds: bool = False) -> str:
    """Write a call on one line, with its time where the text is not kept."""
    words = describe_decision(row)
    time = f"  {row.seconds * 1e3:,.0f} ms" if seconds and row.answer is not None else ""
    return f"→ {call_text(row)} = {call_result(row)}{time}{f'  ({words})' if words else ''}"


def _program(program: blocks.Program) -> list[str]:
    number = program.number if program.count > 1 else 0
    return _attempt(program.attempt, number, with_output=not program.is_last)


def _attempt(attempt: Attempt, number: int, *, with_output: bool) -> list[str]:
    lines = [f"program {number}:"] if number else []
    lines += [f"    {line}" for line in escape_hidden(attempt.program).rstrip().split("\n")]
    kept, left_out = choose_calls(attempt.calls)
    lines += map(call_line, kept)
    if left_out:
        lines.append(f"→ … {plural(left_out, 'more call')}")
    if attempt.output and with_output:
        lines.append(escape_controls(attempt.output).rstrip("\n"))
    if attempt.reason:
        lines.append(f"asked again: {truncate_middle(escape_controls(attempt.reason), 500)}")
    return lines
