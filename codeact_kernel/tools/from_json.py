"""What results become is taken back as arguments: pydantic's own checks, and a little beside them.

A result that is a duration comes as seconds, so a parameter that is a duration takes seconds; a date passes for the
datetime at its midnight and back. A whole number stays one where a `float` is wanted, as it does in any call in Python:
500 and 500.0 are not the same once they are text. Keys of a dict come as text, so a key may be what its text says, and
a member of an Enum is found by what its value becomes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import ErrorDetails, SchemaValidator, ValidationError, core_schema

from .literals import form_of

__all__ = ["rewrite_times", "take_back_results"]

Check: TypeAlias = "Callable[[object], object]"

_CONTENT = frozenset({"metadata", "default", "config", "serialization", "cls", "expected"})
"""Parts of a schema that hold no schema."""
_KEYS = frozenset({"float", "literal", "enum"})
"""Types that pydantic does not read from the text that a key is."""


def take_back_results(model: type[BaseModel]) -> None:
    """Let the validator of `model` take what results become, also in lists, dicts and dataclasses.

    Whole numbers stay what they are, keys may be no text, and members of an Enum may have any value.

    Pydantic models that are nested in it follow their own rules.
    """
    schema = cast("Any", model.__pydantic_core_schema__)
    outer = schema["schema"] if schema["type"] == "definitions" else schema
    if outer["type"] != "model":
        return
    extended = {**outer, "schema": _extended(outer["schema"])}
    if outer is not schema:
        extended = {**schema, "schema": extended, "definitions": _extended(schema["definitions"])}
    model.__pydantic_complete__ = False  # else the validator that is there already is taken for this schema
    model.__pydantic_validator__ = SchemaValidator(cast("Any", extended))
    model.__pydantic_complete__ = True


def _extended(node: Any) -> Any:
    if isinstance(node, list | tuple):  # a tuple is a choice with its label
        return type(cast("Any", node))([_extended(part) for part in cast("Sequence[Any]", node)])
    if not isinstance(node, dict):
        return node
    parts = cast("dict[str, Any]", node)
    kind = parts.get("type")
    if kind == "model":
        return parts
    if kind == "float":
        return _wrapped(_keep_whole, parts)
    if kind == "enum":
        members = [(form_of(member), member) for member in parts["members"]]
        others = [(form, member) for form, member in members if type(form) is not type(member.value)]
        return _wrapped(partial(_find_member, others), parts) if others else parts
    extended = {name: part if name in _CONTENT else _extended(part) for name, part in parts.items()}
    if kind == "dict" and parts.get("keys_schema", {}).get("type") in _KEYS:
        extended["keys_schema"] = _wrapped(_read_key, extended["keys_schema"])
    return extended


def _wrapped(function: Callable[[Any, Check], object], schema: Mapping[str, Any]) -> Any:
    inner = {name: part for name, part in schema.items() if name != "ref"}
    return core_schema.no_info_wrap_validator_function(function, cast("Any", inner), ref=schema.get("ref"))


def _keep_whole(value: object, check: Check) -> object:
    checked = check(value)
    return value if type(value) is int else checked


def _find_member(members: Sequence[tuple[object, object]], value: object, check: Check) -> object:
    try:
        return check(value)
    except ValidationError:
        for form, member in members:
            if form == value:
                return member
        raise


def _read_key(key: str, check: Check) -> object:
    try:
        return check(key)
    except ValidationError as error:
        refused = error
    try:
        value: object = json.loads(key)
    except (ValueError, RecursionError):
        raise refused from None
    try:
        return check(value)
    except ValidationError:
        raise refused from None


def rewrite_times(arguments: str, errors: Iterable[ErrorDetails]) -> str | None:
    """Write anew what was refused as a time but says one in another form; `None` where there is nothing like that."""
    given = json.loads(arguments)
    changed = False
    for error in errors:
        rewrite = _REWRITES.get(error["type"])
        place = _find(given, error["loc"]) if rewrite else None
        if rewrite and place and (text := rewrite(error["input"])) is not None:
            container, key = place
            container[key] = text
            changed = True
    return json.dumps(given) if changed else None


def _find(given: Any, steps: Sequence[str | int]) -> tuple[Any, str | int] | None:
    """What holds the value at a place, and under which key. What a place names beyond that are choices of types."""
    found: tuple[Any, str | int] | None = None
    value = given
    for step in steps:
        try:
            found, value = (value, step), value[step]
        except (KeyError, IndexError, TypeError):
            break
    return found


def _as_duration(value: object) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        length = abs(timedelta(seconds=value))
    except (OverflowError, ValueError):  # more than there is, or NaN
        return None
    return f"{'-' if value < 0 else ''}P{length.days}DT{length.seconds}.{length.microseconds:06}S"


def _as_day(value: object) -> str | None:
    moment = _parsed(datetime, value) if isinstance(value, str) and len(value) > len("2026-01-31") else None
    # The day as it is written, never as it is in another zone.
    return moment.date().isoformat() if moment is not None and moment.time() == time() else None


def _as_moment(value: object) -> str | None:
    day = _parsed(date, value) if isinstance(value, str) and len(value) == len("2026-01-31") else None
    return None if day is None else f"{day.isoformat()}T00:00:00"


def _parsed(kind: Any, text: str) -> Any:
    try:
        return kind.fromisoformat(text)
    except ValueError:
        return None


_REWRITES: Mapping[str, Callable[[object], str | None]] = {
    "time_delta_type": _as_duration,
    "date_parsing": _as_day,
    "date_from_datetime_parsing": _as_day,
    "date_from_datetime_inexact": _as_day,
    "datetime_parsing": _as_moment,
    "datetime_from_date_parsing": _as_moment,
}
