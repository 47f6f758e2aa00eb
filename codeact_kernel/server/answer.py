"""Write the result of a program for the agent that wrote it: as JSON of bounded size, and as text."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from ..json_size import take_beginning
from ..render.shown_items import item_text
from ..text import collapse_whitespace, format_bytes, plural, truncate, truncate_middle
from ..types import CallError, CallRecord, JSONObject, JSONValue, TurnResult

__all__ = ["ANSWER_SCHEMA", "list_calls", "to_json_answer", "to_text_answer"]

MAX_VALUE = 20_000
"""Characters of a value as JSON. What is larger fills the memory of an agent with data that it does not read."""
MAX_OUTPUT = 8_000
MAX_SHOWN = 2_000
MAX_CALLS = 20
"""Calls in an answer. After a success only those that failed: the others were two thirds of what an agent read."""
MAX_LISTED = 200
"""Calls for the client, which the agent does not read."""
_MAX_ARGUMENT = 200
_MAX_ERROR = 500
_MAX_ITEMS = 20

ANSWER_SCHEMA: JSONObject = {
    "type": "object",
    "properties": {
        "value": {"description": "The value of the last expression."},
        "output": {"type": "string", "description": "What the program printed."},
        "error": {
            "type": ["object", "null"],
            "properties": {"kind": {"type": "string"}, "message": {"type": "string"}},
            "required": ["kind", "message"],
        },
        "feedback": {"type": "string", "description": "How to go on after an error."},
        "calls_made": {"type": "integer"},
        "calls": {
            "type": "array",
            "description": "The calls that failed or were denied; if the program failed, all of them.",
            "items": {
                "type": "object",
                "properties": {
                    "tool": {"type": "string"},
                    "arguments": {"type": "object"},
                    "outcome": {"type": "string"},
                },
                "required": ["tool", "arguments", "outcome"],
            },
        },
        "shown": {"type": "array", "items": {"type": "string"}},
        "files": {"type": "array", "items": {"type": "object"}},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["value", "output", "error", "calls_made"],
}
"""The schema of `to_json_answer`. An empty field that is not required is left out."""


def to_json_answer(result: TurnResult, notices: Sequence[str] = ()) -> JSONObject:
    """Return the result as a JSON object.

    Args:
        notices: sentences about the run.
    """
    value, notes = result.value, [*notices]
    size = len(_dump(value))
    if size > MAX_VALUE:
        value = take_beginning(value)
        notes.append(
            f"The value has {format_bytes(size)} as JSON, so only its beginning is here: return less, or write it to a "
            "file below /output."
        )
    told = [record for record in result.calls if result.error is not None or isinstance(record.answer, CallError)]
    if len(told) > MAX_CALLS:
        notes.append(f"Only the first {MAX_CALLS} of {plural(len(told), 'call')} are listed.")
    error: JSONValue = None
    if result.error is not None:
        error = {"kind": result.error.kind, "message": truncate(result.error.message, _MAX_ERROR)}
    optional: JSONObject = {
        "feedback": _explain(result),
        "calls": [_describe_call(record) for record in told[:MAX_CALLS]],
        "shown": [truncate_middle(item_text(item), MAX_SHOWN) for item in result.shown[:_MAX_ITEMS]],
        "files": [
            {"name": file.name, "path": os.path.abspath(file.path), "size": file.size, "media_type": file.media_type}
            for file in result.files[:_MAX_ITEMS]
        ],
        "notes": [*notes],
    }
    return {
        "value": value,
        "output": truncate_middle(result.stdout + result.stderr, MAX_OUTPUT),
        "error": error,
        "calls_made": len(result.calls),
        **{name: part for name, part in optional.items() if part},
    }


def to_text_answer(answer: JSONObject) -> str:
    """Write what `to_json_answer` returned as text. Calls are left out, except in the feedback about an error."""
    parts: list[str] = []
    if answer["error"] is None and (answer["value"] is not None or not answer.get("feedback")):
        parts.append(_dump(answer["value"]))
    if "feedback" in answer:
        parts.append(str(answer["feedback"]))
    elif answer["output"]:
        parts.append(f"Printed:\n{answer['output']}")
    shown, files, notes = (answer.get(name) for name in ("shown", "files", "notes"))
    if isinstance(shown, list):
        parts += [f"Shown:\n{text}" for text in shown]
    if isinstance(files, list):
        parts += [
            f"File: {file['path']} ({format_bytes(int(str(file['size'])))})" for file in files if isinstance(file, dict)
        ]
    if isinstance(notes, list):
        parts += [f"({note})" for note in notes]
    return "\n\n".join(parts)


def list_calls(result: TurnResult) -> JSONValue:
    """Return the first calls of a program with their outcomes, for a client that shows or keeps them."""
    return [_describe_call(record) for record in result.calls[:MAX_LISTED]]


def _explain(result: TurnResult) -> str:
    """Return the words for the author of a program that gave no value; empty if it gave one."""
    if result.feedback or result.error is None:
        return result.feedback
    return f"The program failed: {truncate(str(result.error), _MAX_ERROR)}. No other program can change that."


def _describe_call(record: CallRecord) -> JSONValue:
    ran = record.call.arguments if record.decision.arguments is None else record.decision.arguments
    outcome = "returned a result"
    if isinstance(record.answer, CallError):
        verb = "was denied" if record.answer.kind == "ToolDenied" else "failed"
        outcome = truncate(f"{verb}: {collapse_whitespace(record.answer.message)}", _MAX_ERROR)
    return {
        "tool": record.call.title,
        "arguments": {truncate(name, _MAX_ARGUMENT): _bound(value) for name, value in list(ran.items())[:_MAX_ITEMS]},
        "outcome": outcome,
    }


def _bound(value: JSONValue) -> JSONValue:
    text = _dump(value)
    return value if len(text) <= _MAX_ARGUMENT else truncate_middle(text, _MAX_ARGUMENT)


def _dump(value: JSONValue) -> str:
    return json.dumps(value, ensure_ascii=False)
