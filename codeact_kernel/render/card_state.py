"""Write a turn as the state of the live card: plain data, with all text escaped and none of it markup.

The state is sent many times during a turn, each part when it has changed, so each part is kept small. The card writes
the blocks above and below the programs by their kind, so a new block needs no change here.
"""

from __future__ import annotations

from typing import cast

from ..text import truncate_middle
from ..types import CallError, JSONObject, JSONValue, TurnResult
from . import blocks
from .calls import call_result, call_text, describe_decision
from .code import tokenize
from .elements import write_json
from .escaping import escape_controls, escape_hidden
from .html import draw_block, time_key
from .summary import describe_seconds
from .transcript import Attempt, CallRow, Transcript

__all__ = ["to_card"]

_MAX_FINISHED = 40
"""How many finished calls of a run are shown. All unfinished calls are shown."""
_MAX_OUTPUT = 4_000


def to_card(transcript: Transcript) -> dict[str, JSONValue]:
    """Return the parts of the card.

    Returns:
        `head` holds the state, what is used of a budget, and at the end the summary and the seconds that the page adds
        to the saved form; `programs` the lines of each program as `[kind, text]` and the reason for the next program;
        `runs` the calls and output of each program; `above` and `below` the elements before and after the programs (see
        `elements`).
    """
    programs: list[JSONValue] = []
    runs: list[JSONValue] = []
    above: list[JSONValue] = []
    below: list[JSONValue] = []
    result = transcript.result
    summary = ""
    lines: list[JSONValue] = []
    for block in blocks.divide(transcript):
        match block:
            case blocks.Program():
                _add_program(block, programs, runs)
            case blocks.Details():
                for program in block.programs:
                    _add_program(program, programs, runs)
                summary, lines = block.summary, cast("list[JSONValue]", list(block.lines))
            case _:
                after = below if programs and result is None else above
                after += map(write_json, draw_block(block))
    head: JSONObject = {
        "state": transcript.state,
        "is_over": result is not None,
        "budget": transcript.budget_line,
        "summary": summary,
        "lines": lines,
        "times": _times(transcript.key, result),
    }
    return {
        "head": head,
        "programs": programs,
        "runs": runs,
        "above": above,
        "below": below,
    }


def _times(key: str, result: TurnResult | None) -> JSONObject:
    """Return the texts with seconds that the page shows in the saved form, by the name of their place."""
    if result is None:
        return {}
    total, parts = describe_seconds(result)
    return {time_key(key, "total"): f" · {total}", time_key(key, "parts"): f"time: {parts}"}


def _add_program(block: blocks.Program, programs: list[JSONValue], runs: list[JSONValue]) -> None:
    programs.append(_program(block.attempt))
    runs.append(_run(block.attempt, _MAX_FINISHED if block.is_last else 5) | {"failed_line": block.failed_line})


def _program(attempt: Attempt) -> JSONObject:
    return {
        "lines": cast("JSONValue", tokenize(escape_hidden(attempt.program).strip("\n"))),
        "reason": truncate_middle(escape_controls(attempt.reason), 300),
    }


def _run(attempt: Attempt, max_finished: int) -> JSONObject:
    open_rows = [row for row in attempt.calls if row.answer is None]
    finished = [row for row in attempt.calls[-max_finished - len(open_rows) :] if row.answer is not None]
    shown = {id(row) for row in (*finished[-max_finished:], *open_rows)}
    rows = [row for row in attempt.calls if id(row) in shown] if shown else []
    batches = {row.batch for row in rows if row.batch}
    return {
        "calls": len(attempt.calls),
        "left_out": len(attempt.calls) - len(rows),
        "rows": [_row(row) for row in rows],
        "batches": {str(number): [attempt.batches[number].over, attempt.batches[number].size] for number in batches},
        "calling_lines": [*sorted({row.call.line for row in open_rows if row.call.line})],
        "output": _mark_cut(escape_controls(attempt.output[-_MAX_OUTPUT:]), len(attempt.output) > _MAX_OUTPUT),
    }


def _row(row: CallRow) -> JSONObject:
    answer = row.answer
    return {
        "call": row.call.id,
        "line": row.call.line,
        "text": call_text(row),
        "result": call_result(row) if answer is not None else "",
        "is_error": isinstance(answer, CallError),
        "is_over": answer is not None,
        "ms": round(row.seconds * 1e3),
        "decision": describe_decision(row),
        "batch": row.batch,
        "progress": list(row.progress[:2]) if row.progress is not None and answer is None else None,
        "progress_text": escape_controls(row.progress[2]) if row.progress is not None and answer is None else "",
    }


def _mark_cut(text: str, is_cut: bool) -> str:
    return f"… earlier output is not shown here …\n{text}" if is_cut else text
