"""The approval form: it shows the user a call, and lets the user edit the arguments.

Every field is sent and returned as text, so that JavaScript rounds no number and no character is hidden.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from codeact_kernel.approval import ApprovalRequest
from codeact_kernel.approval.grants import canonical
from codeact_kernel.bridge.strict_json import loads
from codeact_kernel.errors import BridgeError
from codeact_kernel.render import CallRow
from codeact_kernel.render.calls import call_text
from codeact_kernel.render.escaping import escape_controls, has_hidden
from codeact_kernel.render.lookalikes import find_lookalikes
from codeact_kernel.render.values import arguments_text
from codeact_kernel.settings import Limits
from codeact_kernel.types import JSONObject, JSONValue

__all__ = ["make_form", "read_edits"]

_LONG = 600
"""Maximum characters of a field that the user can see at a glance. A longer field has to be opened before the call can
be allowed, and so has every field that the page cannot show whole."""
_MAX_ROW = 90
"""Maximum characters of a call that the card shows in its row unfolded."""
_LIMITS = Limits()


def make_form(request: ApprovalRequest) -> JSONObject:
    """Make the form that the card shows for a call that needs approval."""
    call = request.call
    fields: list[JSONValue] = [_field(name, value, request.schema) for name, value in call.arguments.items()]
    whole = f"{call.title}({arguments_text(call.arguments, sys.maxsize)})"
    # The row shortens long arguments, so compare the call with the text that the row really shows.
    fits_row = call_text(CallRow(call)) == whole and len(whole) <= _MAX_ROW and not request.is_question
    return {
        "fits_row": fits_row and not request.untrusted and not has_hidden(whole) and not find_lookalikes(whole),
        "is_question": request.is_question,
        "run": request.run,
        "call": call.id,
        "digest": request.digest,
        "name": escape_controls(call.title),
        "summary": escape_controls(request.summary),
        "line": call.line,
        "source": escape_controls(request.source),
        "upcoming": request.upcoming,
        "untrusted": escape_controls(request.untrusted),
        "fields": fields,
        "problem": "",
    }


def read_edits(request: ApprovalRequest, texts: Mapping[str, str]) -> tuple[dict[str, JSONValue] | None, str]:
    """Apply the user's edits to the arguments of a call.

    Args:
        request: the request that the form shows.
        texts: the texts of the edited fields, by the name of the argument.

    Returns:
        The new arguments, or `None` if nothing changed; and why they are not valid, or "".
    """
    arguments = dict(request.call.arguments)
    for name, text in texts.items():
        if name not in arguments:
            return None, f"{escape_controls(name)} is not an argument of this call."
        kind = _kind(name, arguments[name], request.schema)
        if text == _text(kind, arguments[name]):
            continue
        try:
            arguments[name] = _value(kind, text)
        except ValueError as error:
            return None, f"{escape_controls(name)}: {error}"
    if canonical(arguments) == canonical(request.call.arguments):
        return None, ""
    return arguments, request.validate_arguments(arguments)


def _field(name: str, value: JSONValue, schema: JSONObject) -> JSONObject:
    kind = _kind(name, value, schema)
    text = _text(kind, value)
    return {
        "name": name,
        "label": escape_controls(name),
        "kind": kind,
        "text": text,
        "choices": _choices(name, schema) if kind == "choice" else [],
        "long": len(text) > _LONG,
        "note": find_lookalikes(text) if kind in ("text", "choice") else "",
    }


def _kind(name: str, value: JSONValue, schema: JSONObject) -> str:
    if value in _choices(name, schema):
        return "choice"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str) and not has_hidden(value):
        return "text"
    return "json"


def _choices(name: str, schema: JSONObject) -> list[JSONValue]:
    """Return the texts that the schema lists for an argument, or nothing if it lists no texts."""
    properties = schema.get("properties")
    argument_schema = properties.get(name) if isinstance(properties, dict) else None
    texts = argument_schema.get("enum") if isinstance(argument_schema, dict) else None
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else []


def _text(kind: str, value: JSONValue) -> str:
    if kind in ("text", "choice") and isinstance(value, str):
        return value
    if kind == "bool":
        return str(value)
    # ASCII, so that no character can be hidden, or reorder the text around it.
    text = json.dumps(value, ensure_ascii=True)
    return text if kind != "json" or len(text) <= 80 else json.dumps(value, ensure_ascii=True, indent=1)


def _value(kind: str, text: str) -> JSONValue:
    if kind in ("text", "choice"):
        return text
    if kind == "bool":
        if text.strip().lower() not in ("true", "false"):
            raise ValueError("this has to be True or False.")
        return text.strip().lower() == "true"
    try:
        value = loads(text.strip().encode(), limit=_LIMITS.arguments_bytes, depth=_LIMITS.depth)
    except (BridgeError, ValueError) as error:
        valid_json = f"JSON ({str(error).removeprefix('not JSON: ')})"
        expected = "a number, for example 12.5" if kind == "number" else valid_json
        raise ValueError(f"this has to be {expected}.") from None
    if kind == "number" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ValueError("this has to be a number, for example 12.5.")
    return value
