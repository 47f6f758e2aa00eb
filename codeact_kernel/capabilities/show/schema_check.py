"""Whether a JSON value keeps to a JSON Schema, and if not, why, in words that a program's writer can act on.

Only the keywords that `vegalite.json` has. The library for all of them takes two seconds to import where Jupyter is
installed, and says "is not valid under any of the given schemas" where a value may have one of several forms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from ...text import truncate
from ...types import JSONValue

__all__ = ["Schema", "problem"]

Schema: TypeAlias = Mapping[str, Any]

_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
_NAMES_TOLD = 400
"""Characters of the names that would have been allowed."""


def problem(value: JSONValue, schema: Schema, whole: Schema, path: str = "") -> str:
    """What is wrong with `value`, as one clause that begins with the place; empty where nothing is.

    Args:
        whole: the schema in which `$ref` looks up its `$defs`.
        path: of the value, for the clause.
    """
    if "$ref" in schema:
        target: Schema = whole["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        if wrong := problem(value, target, whole, path):
            return wrong
    if "anyOf" in schema and (wrong := _of_several(value, schema["anyOf"], whole, path)):
        return wrong
    place = path or "the chart"
    if "type" in schema and not any(_is(value, kind) for kind in _kinds(schema, whole)):
        return f"{place} has to be {_words(_kinds(schema, whole))}"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return f"{place} has to be one of {', '.join(_text(one) for one in schema['enum'])}"
    match value:
        case bool() | None:
            return ""
        case int() | float():
            return _number(value, schema, place)
        case str():
            return _string(value, schema, place)
        case list():
            return _list(value, schema, whole, path)
        case dict():
            return _object(value, schema, whole, path)


def _of_several(value: JSONValue, schemas: list[Schema], whole: Schema, path: str) -> str:
    """What is wrong with the form that was most likely meant: the last of the value's type."""
    fitting = [one for one in schemas if any(_is(value, kind) for kind in _kinds(one, whole))]
    wrongs = [problem(value, one, whole, path) for one in fitting]
    if not wrongs:
        kinds = dict.fromkeys(kind for one in schemas for kind in _kinds(one, whole))
        return f"{path or 'the chart'} has to be {_words([*kinds])}"
    return "" if "" in wrongs else wrongs[-1]


def _number(value: float, schema: Schema, place: str) -> str:
    least, most = schema.get("minimum", value), schema.get("maximum", value)
    return "" if least <= value <= most else f"{place} has to be from {least:g} to {most:g}"


def _string(value: str, schema: Schema, place: str) -> str:
    if len(value) > schema.get("maxLength", len(value)):
        return f"{place} is longer than {schema['maxLength']:,} characters"
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):  # a search would pass a newline at the end
        return f"{place} has characters that are not allowed there: {_text(value[:60])}"
    return ""


def _list(value: list[JSONValue], schema: Schema, whole: Schema, path: str) -> str:
    least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not least <= len(value) <= most:
        return f"{path} has {len(value):,} items, and may have {least or 0} to {most:,}"
    items = schema.get("items", {})
    return next(filter(None, (problem(one, items, whole, f"{path}[{n}]") for n, one in enumerate(value))), "")


def _object(value: dict[str, JSONValue], schema: Schema, whole: Schema, path: str) -> str:
    known: Mapping[str, Schema] = schema.get("properties", {})
    for name, item in value.items():
        place = f"{path}.{name}".lstrip(".")
        if name in known:
            if wrong := problem(item, known[name], whole, place):
                return wrong
        elif schema.get("additionalProperties") is False:
            names = ", ".join(sorted(known))
            return f"{place[:200]} is not allowed; what is allowed there: {truncate(names, _NAMES_TOLD, ' …')}"
    missing = next((name for name in schema.get("required", ()) if name not in value), None)
    return f"{path or 'the chart'} has no {missing}" if missing else ""


def _kinds(schema: Schema, whole: Schema) -> list[str]:
    """The types that a schema allows."""
    if "type" in schema:
        return [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if "enum" in schema:
        return [next(kind for kind in _TYPES if _is(one, kind)) for one in schema["enum"]]
    if "anyOf" in schema:
        return [kind for one in schema["anyOf"] for kind in _kinds(one, whole)]
    return _kinds(whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], whole)


def _is(value: JSONValue, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _same(value: JSONValue, other: JSONValue) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _words(kinds: list[str]) -> str:
    words = [_TYPES[kind] for kind in dict.fromkeys(kinds)]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _text(value: JSONValue) -> str:
    return json.dumps(value, ensure_ascii=False)
