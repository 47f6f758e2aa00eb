"""Check a JSON value against a JSON Schema, with errors that tell the model what to change.

Only the keywords in `vegalite.json` are supported. The jsonschema library takes two seconds to import next to Jupyter,
and only says "is not valid under any of the given schemas" if a value may have several forms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from ...text import truncate
from ...types import JSONValue

__all__ = ["Schema", "find_problem"]

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
_MAX_NAMES_LENGTH = 400
"""Characters of the list of allowed names in an error."""


def find_problem(value: JSONValue, schema: Schema, root: Schema, path: str = "") -> str:
    """Return the first problem of the value as a clause that begins with its place, or an empty text.

    Args:
        root: the schema with the `$defs` for `$ref`.
        path: the path of the value, for the clause.
    """
    if "$ref" in schema:
        target: Schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        if problem := find_problem(value, target, root, path):
            return problem
    if "anyOf" in schema and (problem := _find_variant_problem(value, schema["anyOf"], root, path)):
        return problem
    place = path or "the chart"
    if "type" in schema and not any(_is(value, kind) for kind in _kinds(schema, root)):
        return f"{place} has to be {_words(_kinds(schema, root))}"
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        return f"{place} has to be one of {', '.join(_text(allowed) for allowed in schema['enum'])}"
    match value:
        case bool() | None:
            return ""
        case int() | float():
            return _number(value, schema, place)
        case str():
            return _string(value, schema, place)
        case list():
            return _list(value, schema, root, path)
        case dict():
            return _object(value, schema, root, path)


def _find_variant_problem(value: JSONValue, schemas: list[Schema], root: Schema, path: str) -> str:
    """Return the problem of the variant that was probably intended: the last variant with the value's type."""
    variants = [schema for schema in schemas if any(_is(value, kind) for kind in _kinds(schema, root))]
    problems = [find_problem(value, schema, root, path) for schema in variants]
    if not problems:
        kinds = dict.fromkeys(kind for schema in schemas for kind in _kinds(schema, root))
        return f"{path or 'the chart'} has to be {_words([*kinds])}"
    return "" if "" in problems else problems[-1]


def _number(value: float, schema: Schema, place: str) -> str:
    minimum, maximum = schema.get("minimum", value), schema.get("maximum", value)
    return "" if minimum <= value <= maximum else f"{place} has to be from {minimum:g} to {maximum:g}"


def _string(value: str, schema: Schema, place: str) -> str:
    if len(value) > schema.get("maxLength", len(value)):
        return f"{place} is longer than {schema['maxLength']:,} characters"
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):  # a search would accept a trailing newline
        return f"{place} has characters that are not allowed there: {_text(value[:60])}"
    return ""


def _list(value: list[JSONValue], schema: Schema, root: Schema, path: str) -> str:
    minimum, maximum = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not minimum <= len(value) <= maximum:
        return f"{path} has {len(value):,} items, and may have {minimum or 0} to {maximum:,}"
    items = schema.get("items", {})
    return next(filter(None, (find_problem(item, items, root, f"{path}[{n}]") for n, item in enumerate(value))), "")


def _object(value: dict[str, JSONValue], schema: Schema, root: Schema, path: str) -> str:
    known: Mapping[str, Schema] = schema.get("properties", {})
    for name, item in value.items():
        place = f"{path}.{name}".lstrip(".")
        if name in known:
            if problem := find_problem(item, known[name], root, place):
                return problem
        elif schema.get("additionalProperties") is False:
            names = ", ".join(sorted(known))
            return f"{place[:200]} is not allowed; allowed here: {truncate(names, _MAX_NAMES_LENGTH, ' …')}"
    missing = next((name for name in schema.get("required", ()) if name not in value), None)
    return f"{path or 'the chart'} has no {missing}" if missing else ""


def _kinds(schema: Schema, root: Schema) -> list[str]:
    """Return the types that a schema allows."""
    if "type" in schema:
        return [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if "enum" in schema:
        return [next(kind for kind in _TYPES if _is(allowed, kind)) for allowed in schema["enum"]]
    if "anyOf" in schema:
        return [kind for variant in schema["anyOf"] for kind in _kinds(variant, root)]
    return _kinds(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)


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
