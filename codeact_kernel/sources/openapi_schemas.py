"""Follow the references inside an OpenAPI description, and cut out schemas that stand for themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

__all__ = ["Document", "LeftOut", "Part", "as_list", "as_part", "text_of"]

Part: TypeAlias = "Mapping[str, Any]"

MAX_DEPTH = 12
MAX_SCHEMA_PARTS = 4_000
"""Values of one schema that are copied; what is beyond may be any value."""
MAX_SHAPE_PARTS = 1_000
"""The same for a shape, of which the model sees a few levels."""


_NOTES = frozenset((
    "description", "title", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minLength", "maxLength", "minItems", "maxItems",
))  # fmt: skip


class LeftOut(Exception):
    """An operation cannot be offered. The text gives the reason, and follows the word "because"."""


def as_part(value: object) -> Part:
    """Return an object of the description as such, and an empty one in the place of anything else."""
    return cast("Part", value) if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any]:
    """Return a list of the description as such, and an empty one in the place of anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text_of(value: object) -> str:
    """Return a text of the description as such, and an empty one in the place of anything else."""
    return value if isinstance(value, str) else ""


class Document:
    """An OpenAPI description with its references, of which only those inside it are followed.

    Attributes:
        root: The whole description.
    """

    def __init__(self, root: Part) -> None:
        self.root = root

    def resolve(self, value: object) -> Part:
        """Return the object that a part is or refers to.

        Raises:
            LeftOut: The reference leads out of the description, or in a circle.
        """
        part = as_part(value)
        for _ in range(MAX_DEPTH):
            reference = part.get("$ref")
            if not isinstance(reference, str):
                return part
            if not reference.startswith("#"):
                raise LeftOut("they refer to another document")
            part = as_part(self.find(reference))
        raise LeftOut("they refer to themselves")

    def properties(self, schema: object) -> tuple[dict[str, Any], list[str]] | None:
        """Return the properties of an object and the names of the required ones; `None` if it is not simply an object.

        Raises:
            LeftOut: As in `resolve`.
        """
        return self._properties(schema, MAX_DEPTH)

    def _properties(self, schema: object, depth: int) -> tuple[dict[str, Any], list[str]] | None:
        part = self.resolve(schema)
        is_open = part.get("additionalProperties") not in (None, False)
        if depth <= 0 or is_open or part.get("nullable") is True or {"oneOf", "anyOf", "enum", "const"} & part.keys():
            return None
        if part.get("type", "object") != "object":
            return None
        found, required = dict(as_part(part.get("properties"))), [*map(str, as_list(part.get("required")))]
        for item in as_list(part.get("allOf")):
            inner = self._properties(item, depth - 1)
            if inner is None:
                return None
            found, required = {**inner[0], **found}, [*inner[1], *required]
        return found, required

    def schema(self, value: object) -> dict[str, Any]:
        """Return a copy of a schema with everything that it refers to, in `$defs`."""
        return self._copy(value, _SchemaCopier(self, MAX_SCHEMA_PARTS))

    def shape(self, value: object) -> dict[str, Any]:
        """Return a copy that has only the structure: the fields and their types, without texts and bounds."""
        return self._copy(value, _SchemaCopier(self, MAX_SHAPE_PARTS, left_out=_NOTES))

    def _copy(self, value: object, copier: _SchemaCopier) -> dict[str, Any]:
        schema: dict[str, Any] = copier.copy(as_part(value), MAX_DEPTH)
        targets = copier.copy_targets()
        return {**schema, "$defs": targets} if targets else schema

    def find(self, reference: str) -> object:
        """Return what a reference inside the description leads to; `None` if it leads nowhere."""
        if not reference.startswith("#"):
            return None
        part: object = self.root
        for step in reference[1:].split("/")[1 : MAX_DEPTH + 1]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            items = as_list(part)
            if items:
                part = items[int(name)] if name.isdecimal() and len(name) < 6 and int(name) < len(items) else None
            else:
                part = as_part(part).get(name)
        return part


class _SchemaCopier:
    """Copies one schema, and then what it refers to, the nearest first."""

    def __init__(self, document: Document, max_parts: int, left_out: frozenset[str] = frozenset()) -> None:
        self._document = document
        self._left = max_parts
        self._left_out = left_out
        self._references: list[str] = []
        self._names: dict[str, str] = {}

    def copy(self, value: object, depth: int) -> Any:
        self._left -= 1
        if isinstance(value, list):
            return [self.copy(item, depth - 1) for item in as_list(cast("object", value)) if self._left > 0 < depth]
        if not isinstance(value, Mapping):
            return value
        if self._left <= 0 or depth <= 0:
            return {}
        part = as_part(cast("object", value))
        # A property can have the name of a keyword, but then it is an object.
        kept = [key for key, item in part.items() if key not in self._left_out or isinstance(item, Mapping)]
        copied = {key: self.copy(part[key], depth - 1) for key in kept}
        if isinstance(reference := part.get("$ref"), str):
            copied["$ref"] = f"#/$defs/{self._name(reference)}"
        return copied

    def copy_targets(self) -> dict[str, Any]:
        """Copy what was referred to, and what that refers to."""
        targets: dict[str, Any] = {}
        for reference in self._references:  # it grows meanwhile
            if self._left > 0:
                targets[self._names[reference]] = self.copy(self._document.find(reference), MAX_DEPTH)
        return targets

    def _name(self, reference: str) -> str:
        if reference not in self._names:
            self._names[reference] = str(len(self._names))
            self._references.append(reference)
        return self._names[reference]
