"""Describe calls in a line, choose which of many are shown, and say which calls had effects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..text import format_list, plural, truncate_middle
from ..types import STOPPED, CallError, CallResult, JSONValue
from .escaping import one_line
from .transcript import CallRow
from .values import arguments_text, value_text

__all__ = ["call_result", "call_text", "choose_calls", "count_calls", "describe_decision", "describe_effects"]

_MAX_CALLS = 20
"""How many calls of a program are kept in a file."""
_MAX_RESULT = 300
_MAX_TOOLS = 8


def call_text(row: CallRow) -> str:
    """Write a call on one line as in a program, with the arguments that the tool got."""
    if not row.text or (row.decision is not None and row.decision.arguments is not None):
        row.text = f"{truncate_middle(one_line(row.call.title), 100)}({arguments_text(_effective_arguments(row))})"
    return row.text


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


def choose_calls(rows: Sequence[CallRow]) -> tuple[list[CallRow], int]:
    """Return the calls that a file keeps, in order, and how many it leaves out.

    Calls that the user decided about come before calls that failed, and these before the others.
    """
    ranked = sorted(rows, key=lambda row: (not _was_decided(row), not isinstance(row.answer, CallError)))
    kept = {id(row) for row in ranked[:_MAX_CALLS]}
    return [row for row in rows if id(row) in kept], max(0, len(rows) - _MAX_CALLS)


def count_calls(rows: Sequence[CallRow]) -> str:
    """Count calls, and how many of them failed, were denied, or were stopped."""
    raised = [row.answer for row in rows if isinstance(row.answer, CallError)]
    stopped = sum(answer.message.startswith(STOPPED) for answer in raised)
    failed = len(raised) - stopped
    words = plural(len(rows), "call") + (f", {failed:,} failed or denied" if failed else "")
    return words + (f", {stopped:,} stopped" if stopped else "")


def describe_effects(rows: Iterable[CallRow]) -> str:
    """List the tools whose calls were done and may have changed something: `send_email × 2, pay × 1`."""
    done = Counter(
        truncate_middle(one_line(row.call.title), 100)
        for row in rows
        if isinstance(row.answer, CallResult) and not row.call.is_read_only
    )
    return format_list([f"{name} × {number:,}" for name, number in done.items()], _MAX_TOOLS)


def _was_decided(row: CallRow) -> bool:
    return row.decision is not None and row.decision.by in ("user", "memory")


def _effective_arguments(row: CallRow) -> Mapping[str, JSONValue]:
    """Return the arguments that the tool got: the program's, or those with which the user replaced them."""
    decision = row.decision
    return row.call.arguments if decision is None or decision.arguments is None else decision.arguments
