"""Write a turn as the state of the live card: plain data, with all text escaped and none of it markup.

The state is sent many times during a turn, each part when it has changed, so each part is kept small. The card writes
the blocks above and below the programs by their kind, so a new block needs no change here.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from ..text import truncate_middle
from ..types import CallError, JSONObject, JSONValue
from . import blocks
from .code import tokenize
from .escaping import escaped, plain
from .shared import call_end, call_text, describe_decision
from .transcript import Attempt, CallRow, Transcript

__all__ = ["to_card"]

_RECENT = 40
"""How many finished calls of a run are shown. All unfinished calls are shown."""
_OUTPUT = 4_000


def to_card(transcript: Transcript) -> dict[str, JSONValue]:
    """Return the parts of the card.

    Returns:
        `head` holds the state and the boundary; `programs` the lines of each program as `[kind, text]` and the reason
        for the next program; `runs` the calls and output of each program; `above` and `below` the blocks before and
        after the programs.
    """
    programs: list[JSONValue] = []
    runs: list[JSONValue] = []
    above: list[JSONValue] = []
    below: list[JSONValue] = []
    is_over = transcript.result is not None
    for block in blocks.divide(transcript):
        match block:
            case blocks.Program(attempt):
                programs.append(_program(attempt))
                runs.append(_run(attempt, _RECENT if block.is_last else 5))
            case blocks.NoValue():
                pass  # the head shows the state
            case blocks.Footer() if not is_over:
                pass  # until the end, the head shows all that the footer does
            case _:
                (below if programs else above).append({"kind": block.kind, **asdict(block)})
    return {
        "head": {
            "state": transcript.state,
            "over": is_over,
            "boundary": transcript.isolation.boundary if transcript.isolation is not None else "",
        },
        "programs": programs,
        "runs": runs,
        "above": above,
        "below": below,
    }


def _program(attempt: Attempt) -> JSONObject:
    return {
        "lines": cast("JSONValue", tokenize(escaped(attempt.program).strip("\n"))),
        "reason": truncate_middle(plain(attempt.reason), 300),
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
        "output": _tail(plain(attempt.output[-_OUTPUT:]), len(attempt.output) > _OUTPUT),
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
        "ms": round(row.took * 1e3),
        "by": describe_decision(row),
        "batch": row.batch,
        "progress": list(row.progress[:2]) if row.progress is not None and answer is None else None,
        "doing": plain(row.progress[2]) if row.progress is not None and answer is None else "",
    }


def _tail(text: str, cut: bool) -> str:
    return f"… earlier output is not shown here …\n{text}" if cut else text

