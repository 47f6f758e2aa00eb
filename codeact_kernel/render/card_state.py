"""Write a turn as the state of the live card: plain data, with all text escaped and none of it markup.

The state is sent many times during a turn, each part when it has changed, so each part is kept small.
"""

from __future__ import annotations

from typing import cast

from ..text import truncate_middle
from ..types import CallError, JSONObject, JSONValue
from . import blocks
from .code import tokenize
from .escaping import escape_controls, escape_hidden
from .shared import TextTable, call_end, call_text, describe_decision, error_text, footer, traceback_text, value_block
from .transcript import Attempt, CallRow, Transcript

__all__ = ["to_card"]

_RECENT = 40
"""How many finished calls of a run are shown. All unfinished calls are shown."""
_OUTPUT = 4_000


def to_card(transcript: Transcript) -> dict[str, JSONValue]:
    """Return the parts of the card.

    Returns:
        `head` holds the state, the boundary, the notes and the model's words; `programs` the lines of each program as
        `[kind, text]` and the reason for the next program; `runs` the calls and output of each program; `end` the
        value or error and the footer, or `None` while the turn runs.
    """
    last = len(transcript.attempts) - 1
    return {
        "head": {
            "state": transcript.state,
            "over": transcript.result is not None,
            "boundary": transcript.isolation.boundary if transcript.isolation is not None else "",
            "notes": [escape_controls(note) for note in transcript.notes],
            "words": escape_controls(transcript.words.strip()),
        },
        "programs": [
            {
                "lines": cast("JSONValue", tokenize(escape_hidden(attempt.program).strip("\n"))),
                "reason": truncate_middle(escape_controls(attempt.reason), 300),
            }
            for attempt in transcript.attempts
        ],
        "runs": [_run(attempt, _RECENT if n == last else 5) for n, attempt in enumerate(transcript.attempts)],
        "end": _end(transcript),
    }


def _run(attempt: Attempt, recent: int) -> JSONObject:
    is_open = [row for row in attempt.calls if row.answer is None]
    over = [row for row in attempt.calls[-recent - len(is_open) :] if row.answer is not None]
    shown = {id(row) for row in (*over[-recent:], *is_open)}
    rows = [row for row in attempt.calls if id(row) in shown] if shown else []
    batches = {row.batch for row in rows if row.batch}
    return {
        "calls": len(attempt.calls),
        "left_out": len(attempt.calls) - len(rows),
        "rows": [_row(row) for row in rows],
        "batches": {str(number): [attempt.batches[number].over, attempt.batches[number].size] for number in batches},
        "calling": [*sorted({row.call.line for row in is_open if row.call.line})],
        "output": _tail(escape_controls(attempt.output[-_OUTPUT:]), len(attempt.output) > _OUTPUT),
    }


def _row(row: CallRow) -> JSONObject:
    answer = row.answer
    return {
        "call": row.call.id,
        "line": row.call.line,
        "text": call_text(row),
        "end": call_end(row) if answer is not None else "",
        "wrong": isinstance(answer, CallError),
        "over": answer is not None,
        "ms": round(row.seconds * 1e3),
        "by": describe_decision(row),
        "batch": row.batch,
        "progress": list(row.progress[:2]) if row.progress is not None and answer is None else None,
        "doing": escape_controls(row.progress[2]) if row.progress is not None and answer is None else "",
    }


def _tail(text: str, cut: bool) -> str:
    return f"… earlier output is not shown here …\n{text}" if cut else text


def _end(transcript: Transcript) -> JSONValue:
    if transcript.result is None:
        return None
    end: dict[str, JSONValue] = {"footer": footer(transcript), "error": "", "traceback": "", "text": "", "table": None}
    match blocks.find_end(transcript):
        case blocks.Failure(_, failure):
            return end | {"error": error_text(failure), "traceback": traceback_text(failure)}
        case TextTable(columns, rows, left_out, numeric):
            table = {"columns": columns, "rows": rows, "numeric": numeric, "left_out": left_out}
            return end | {"table": cast("JSONValue", table)}
        case blocks.Value(value):
            return end | {"text": value_block(value)}
        case blocks.NoValue():
            return end
