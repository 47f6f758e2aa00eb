"""Read a JSON schema as type hints, so that a described tool is checked and shown like a function with hints.

The schema can be from anybody. Only references inside it are followed, and its parts, depth and texts are bounded. What
hints cannot say (`not`, `if`, `patternProperties`, ...) is not checked here: the tool itself checks it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, Union, cast

from pydantic import ConfigDict, Field
from pydantic_core import SchemaError, SchemaValidator, core_schema
from typing_extensions import TypedDict

from ..errors import ToolDefinitionError

__all__ = ["Property", "SchemaReader"]

Schema: TypeAlias = "Mapping[str, Any]"

MAX_SCHEMA_CHARACTERS = 1 << 20
MAX_DEPTH = 12
MAX_PARTS = 3_000
"""Parts of one schema that are read; the rest may be any value."""
MAX_PROPERTIES = 500
MAX_CHOICES = 500
MAX_DESCRIPTION_CHARACTERS = 1_000
MAX_PATTERN_CHARACTERS = 500
_MISSING: Any = object()

# Names of types beside those of JSON Schema, as descriptions of functions in several languages use them.
_TYPES = {
    "dict": "object", "hashmap": "object", "map": "object", "arraylist": "array", "list": "array", "set": "array",
    "tuple": "array", "int": "integer", "long": "integer", "short": "integer", "bigint": "integer", "float": "number",
    "double": "number", "bool": "boolean", "str": "string", "char": "string", "none": "null",
}  # fmt: skip
_SCALARS: dict[str, Any] = {"integer": int, "number": float, "boolean": bool, "string": str, "null": None}
_BOUNDS = {
    "number": {
        "minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt",
        "multipleOf": "multiple_of",
    },
    "string": {"minLength": "min_length", "maxLength": "max_length"},
    "array": {"minItems": "min_length", "maxItems": "max_length"},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """One property of an object.

    Attributes:
        hint: Its type with the description and the bounds.
        is_required: Whether it must be given.
        default: The default that the schema names; `SchemaReader.MISSING` if it names none.
    """

    hint: object
    is_required: bool
    default: object


class SchemaReader:
    """Reads one JSON schema.

    Args:
        schema: The schema of an object.

    Raises:
        ToolDefinitionError: It is not JSON, or too large.
    """

    MISSING = _MISSING

    def __init__(self, schema: object) -> None:
        try:
            text = json.dumps(schema)
        except (TypeError, ValueError, RecursionError):
            raise ToolDefinitionError("The schema is not JSON: pass a dict of JSON values.") from None
        if len(text) > MAX_SCHEMA_CHARACTERS:
            raise ToolDefinitionError(
                f"The schema has {len(text):,} characters, the limit is {MAX_SCHEMA_CHARACTERS:,}."
            )
        self._root: Schema = _as_schema(json.loads(text))
        self._parts = 0

    def properties(self) -> dict[str, Property]:
        """Return the properties of the object that the schema describes, in order."""
        return self._properties(self._resolve(self._root), MAX_DEPTH)

    def hint(self) -> object:
        """Return the type hint for a value that the schema describes."""
        return self._hint(self._root, MAX_DEPTH)

    def _hint(self, schema: object, depth: int) -> Any:
        """Return the hint for a part of the schema; `Any` for what is too deep, too much or not known."""
        self._parts += 1
        if depth <= 0 or self._parts > MAX_PARTS or not isinstance(schema, Mapping):
            return Any
        schema = self._resolve(cast("Schema", schema))
        for key in ("anyOf", "oneOf"):
            if parts := _as_list(schema.get(key)):
                return _union([self._hint(part, depth - 1) for part in parts[:MAX_CHOICES]])
        if (choices := _choices_of(schema)) is not None:
            return choices
        kinds = schema.get("type")
        hints = [self._hint_of_type(kind, schema, depth) for kind in _as_list(kinds) or [kinds]]
        return _union([*hints, *([None] if schema.get("nullable") is True else [])])

    def _hint_of_type(self, kind: object, schema: Schema, depth: int) -> Any:
        name = _type_name(kind)
        if name == "object" or (name == "" and isinstance(schema.get("properties"), Mapping)):
            return self._object(schema, depth)
        if name == "array":
            return _with_bounds(list[self._hint(schema.get("items"), depth - 1)], schema, "array")
        if name in ("integer", "number"):
            return _with_bounds(_SCALARS[name], schema, "number")
        if name == "string":
            return _with_bounds(str, schema, "string")
        return _SCALARS.get(name, Any)

    def _object(self, schema: Schema, depth: int) -> Any:
        properties = self._properties(schema, depth)
        others = schema.get("additionalProperties")
        if not properties:
            return dict[str, self._hint(cast("object", others), depth - 1) if isinstance(others, Mapping) else Any]
        fields = {
            name: one.hint if one.is_required else NotRequired[cast("Any", one.hint)]
            for name, one in properties.items()
        }
        record: Any = TypedDict(str(schema.get("title") or "Object"), fields)  # type: ignore[operator]
        record.__pydantic_config__ = ConfigDict(
            extra="allow" if others is True or isinstance(others, Mapping) else "forbid"
        )
        return record

    def _properties(self, schema: Schema, depth: int) -> dict[str, Property]:
        named = schema.get("properties")
        if not isinstance(named, Mapping):
            return {}
        names = {*map(str, _as_list(schema.get("required")))}
        return {
            name: self._property(part, depth, name in names)
            for name, part in list(cast("Schema", named).items())[:MAX_PROPERTIES]
        }

    def _property(self, schema: object, depth: int, is_required: bool) -> Property:
        part = self._resolve(_as_schema(schema))
        hint = self._hint(part, depth - 1)
        description = part.get("description")
        if isinstance(description, str) and description.strip():
            hint = Annotated[hint, Field(description=description.strip()[:MAX_DESCRIPTION_CHARACTERS])]
        return Property(hint=hint, is_required=is_required, default=part.get("default", _MISSING))

    def _resolve(self, schema: Schema) -> Schema:
        """Follow the references of a part, and join the parts of `allOf`."""
        for _ in range(MAX_DEPTH):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**_as_schema(self._find(reference)), **beside}
        parts = _as_list(schema.get("allOf"))
        if parts and self._parts < MAX_PARTS:
            self._parts += len(parts)
            found = [self._resolve(_as_schema(part)) for part in parts[:MAX_CHOICES]]
            schema = reduce(_join, found, {key: value for key, value in schema.items() if key != "allOf"})
        return schema

    def _find(self, reference: str) -> object:
        if not reference.startswith("#"):
            return {}  # a file or a page of somebody: nothing is loaded
        part: object = self._root
        for step in reference[1:].split("/")[1 : MAX_DEPTH + 1]:
            name = step.replace("~1", "/").replace("~0", "~")
            part = _as_schema(part).get(name)
        return part


def _as_schema(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, Mapping) else {}


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _type_name(kind: object) -> str:
    name = kind.lower() if isinstance(kind, str) else ""
    return _TYPES.get(name, name)


def _join(left: Schema, right: Schema) -> Schema:
    both = {**right, **left}
    if isinstance(left.get("properties"), Mapping) and isinstance(right.get("properties"), Mapping):
        both["properties"] = {**right["properties"], **left["properties"]}
    if isinstance(left.get("required"), list) and isinstance(right.get("required"), list):
        both["required"] = [*left["required"], *right["required"]]
    return both


def _union(hints: Sequence[Any]) -> Any:
    if not hints or any(hint is Any for hint in hints):
        return Any
    return hints[0] if len(hints) == 1 else Union[tuple(hints)]  # noqa: UP007


def _choices_of(schema: Schema) -> Any:
    """Return a `Literal` of the values that the schema lists; `None` if it lists none, or one that is not a scalar."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list) or not 0 < len(cast("list[object]", values)) <= MAX_CHOICES:
        return None
    if schema.get("nullable") is True:
        values = [*cast("list[object]", values), None]
    if not all(type(value) in (str, int, bool, type(None)) for value in cast("list[object]", values)):
        return None
    return Literal[tuple(cast("list[Any]", values))]


def _with_bounds(hint: Any, schema: Schema, kind: str) -> Any:
    facts: dict[str, Any] = {}
    for key, name in _BOUNDS[kind].items():
        bound = schema.get(key)
        if type(bound) in (int, float) and (kind == "number" or (isinstance(bound, int) and bound >= 0)):
            facts[name] = bound
    if facts.get("multiple_of", 1) <= 0 or (hint is int and any(type(bound) is float for bound in facts.values())):
        facts = {}
    if kind == "string" and (pattern := _pattern_of(schema)):
        facts["pattern"] = pattern
    if kind == "string" and isinstance(name := schema.get("format"), str) and re.fullmatch(r"[a-z-]{1,30}", name):
        return Annotated[hint, Field(**facts), f"format {name}"]
    return Annotated[hint, Field(**facts)] if facts else hint


def _pattern_of(schema: Schema) -> str:
    """Return the pattern, unless the engine of pydantic cannot use it. It takes linear time for any pattern."""
    pattern = schema.get("pattern")
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN_CHARACTERS:
        return ""
    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:  # it looks ahead or behind, or is too large
        return ""
    return pattern
