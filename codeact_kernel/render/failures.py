"""Say why a turn has no result, once, in words for the user, and what the user can do next."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..text import plural, truncate_middle
from ..types import STOPPED, CallError, ProgramFailure, TurnResult
from .calls import describe_effects
from .escaping import escape_controls
from .transcript import CallRow

__all__ = ["describe_done", "describe_failure", "traceback_text"]

_RAISED = re.compile(r"\w+ raised ")
"""How the message of an error begins that a tool's own code raised."""
_OVER_BUDGET = re.compile(r"this (?:cell|session) has used ")
"""How the message of a call begins that a budget does not allow; it says what to do next."""
_SEE_TRACEBACK = "%codeact traceback shows the error of your function."
_ASK_AGAIN = "Run the cell again, or say in the prompt what to do differently."
_WHERE_RUN = "Run the cell again to be asked again."
_NEXT_STEPS = {
    "Rejected": "Change the prompt, or run the cell again for another program.",
    "TimedOut": "Ask for less at once, or allow more time with --timeout.",
    "WorkerLost": "Run the cell again: it gets a new sandbox.",
    "Crashed": "Run the cell again: it gets a new sandbox.",
    "MemoryError": "Ask for less at once, or allow more with --memory.",
}
_WORDS = {
    "Refused": "The program could not run. {}",
    "Rejected": "The program did not run: {}",
    "ToolFailed": "{}",
    "TimedOut": "The run took too long: {}",
    "Crashed": "The sandbox ended: {}",
    "WorkerLost": "The sandbox ended: {}",
    "NoAnswer": "No answer: {}",
    "ModelError": "{}",
    "SandboxError": "{}",
    "UserError": "{}",
}
"""How the message of a kind becomes a sentence. The kinds of Python's exceptions are shown with their names."""
_NOT_ALLOWED = ("the user did not let the program run", "you did not let it run")
_COMPLETE = frozenset({"ModelError", "SandboxError", "UserError", "NoAnswer"})
"""The messages of these kinds say what to do next."""


def describe_failure(result: TurnResult) -> str:
    """Say in one or two sentences why a turn failed, and what the user can do next.

    The text is bounded, and its hidden characters are escaped.
    """
    failure = result.error
    assert failure is not None
    if result.stopped and failure.kind == "Interrupted":
        return "Stopped."
    if failure.kind == "ToolDenied":
        return _describe_denial(result, failure)
    words = truncate_middle(escape_controls(failure.message), 2_000).replace(*_NOT_ALLOWED)
    kind = truncate_middle(escape_controls(failure.kind), 200)
    text = _WORDS.get(failure.kind, f"{kind}: {{}}" if words else f"{kind}{{}}").replace("{}", words)
    line = f" (line {failure.line} of the program)" if failure.line and failure.kind != "Refused" else ""
    sentence = _end(text.rstrip().removesuffix(".") + line)
    step = "" if failure.kind in _COMPLETE else _NEXT_STEPS.get(failure.kind, _ASK_AGAIN)
    if failure.kind == "ToolFailed" and _RAISED.match(failure.message):
        step = _SEE_TRACEBACK
    elif failure.kind == "ToolFailed" and _OVER_BUDGET.match(failure.message):
        step = ""
    return f"{sentence} {step}".strip()


def describe_done(result: TurnResult, rows: Iterable[CallRow]) -> str:
    """Say what a turn without a result had done already: `Already done: send_email × 2.` Empty if it has a result."""
    if result.error is None:
        return ""
    rows = list(rows)
    if not rows and not result.stopped:
        return ""
    done, unknown = describe_effects(rows), sum(map(_is_unknown, rows))
    may_have = f"{plural(unknown, 'more call' if done else 'call')} may have had effects." if unknown else ""
    if not done:
        return may_have or "No call with effects was made."
    return f"Already done: {done}. {may_have}".strip()


def traceback_text(failure: ProgramFailure) -> str:
    """Write the traceback of the guest, which can be empty."""
    return truncate_middle(escape_controls(failure.traceback), 20_000)


def _describe_denial(result: TurnResult, failure: ProgramFailure) -> str:
    message = truncate_middle(escape_controls(failure.message), 2_000)
    if any(record.decision.by == "nobody" for record in result.calls if not record.decision.allowed):
        return _end(f"Denied: {message}")
    words = message.replace("the user denied", "you denied")
    return f"{_end(words[:1].upper() + words[1:])} {_WHERE_RUN}"


def _is_unknown(row: CallRow) -> bool:
    return (
        isinstance(row.answer, CallError)
        and row.answer.message == f"{STOPPED}it may have had effects"
        and not row.call.is_read_only
    )


def _end(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
