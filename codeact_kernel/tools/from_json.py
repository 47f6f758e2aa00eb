"""Accept the JSON forms of results as arguments: an extension of pydantic's checks.

A duration becomes seconds in a result, so a duration parameter accepts seconds; a date is accepted as the datetime at
its midnight, and the other way round. An `int` stays an `int` for a `float` parameter, as in any Python call, because
500 and 500.0 differ as text. Keys of a dict arrive as text, so a key is also read as JSON, and a member of an Enum is
also found by the JSON form of its value.
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
"""Parts of a core schema that are not schemas themselves."""
_KEYS = frozenset({"float", "literal", "enum"})
"""Types that pydantic does not read from the text of a key."""


def take_back_results(model: type[BaseModel]) -> None:
    """Let the validator of `model` accept the JSON forms of results, also in lists, dicts and dataclasses.

    Whole numbers stay whole, keys may have other types than text, and members of an Enum may have any value. Nested
    pydantic models keep their own rules.
    """
    schema = cast("Any", model.__pydantic_core_schema__)
    outer = schema["schema"] if schema["type"] == "definitions" else schema
    if outer["type"] != "model":
        return
    extended = {**outer, "schema": _extended(outer["schema"])}
    if outer is not schema:
        extended = {**schema, "schema": extended, "definitions": _extended(schema["definitions"])}
    model.__pydantic_complete__ = False  # or pydantic would reuse the existing validator
    model.__pydantic_validator__ = SchemaValidator(cast("Any", extended))
    model.__pydantic_complete__ = True


def _extended(node: Any) -> Any:
    if isinstance(node, list | tuple):  # a tuple is a union choice with its label
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
        rejection = error
    try:
        value: object = json.loads(key)
    except (ValueError, RecursionError):
        raise rejection from None
    try:
        return check(value)
    except ValidationError:
        raise rejection from None


def rewrite_times(arguments: str, errors: Iterable[ErrorDetails]) -> str | None:
    """Rewrite rejected values that express a time in another form; return `None` if there are none."""
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
    """Return the container and the key of the value at a place; the rest of a place names choices of a union."""
    place: tuple[Any, str | int] | None = None
    value = given
    for step in steps:
        try:
            place, value = (value, step), value[step]
        except (KeyError, IndexError, TypeError):
            break
    return place


def _as_duration(value: object) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        length = abs(timedelta(seconds=value))
    except (OverflowError, ValueError):  # out of range, or NaN
        return None
    return f"{'-' if value < 0 else ''}P{length.days}DT{length.seconds}.{length.microseconds:06}S"


def _as_day(value: object) -> str | None:
    moment = _parsed(datetime, value) if isinstance(value, str) and len(value) > len("2026-01-31") else None
    # Use the day as written, never the day in another time zone.
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
