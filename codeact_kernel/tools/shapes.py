"""Describe the shape of a value for the model: `list of {product: str, qty: int | None}`, without any value.

A shape comes from a type hint (`shape_of_hint`), or from earlier results (`shape_of_value`, combined by `merge`). It
describes the JSON form that a program gets: a dataclass becomes a dict, a date becomes text.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from functools import reduce
from pathlib import PurePath
from typing import Any, Literal, cast
from uuid import UUID

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from ..text import truncate
from ..types import JSONValue
from .literals import write_choices, write_flags
from .model_keys import key_of

__all__ = [
    "ANY",
    "TypeShape",
    "add_json",
    "is_dataframe",
    "mask_data_keys",
    "merge",
    "optional_keys",
    "shape_of_hint",
    "shape_of_value",
    "show_name",
]

NESTING = 5
"""Maximum levels of a shape, where recursive types end."""
MAX_ROWS = 20
MAX_NAMES_KEPT = 64
MAX_NAMES_SHOWN = 24
MAX_DATA_NAMES_SHOWN = 12
MAX_NAME_CHARACTERS = 32
MAX_FIELD_CHARACTERS = 64
"""Of a declared name, which can be any text if it is an alias; the rest is shown as `...`."""
MAX_TEXT_CHARACTERS = 700
MAX_ANNOTATION_CHARACTERS = 1_500
MAX_JSON_CHARACTERS = 1 << 22
"""A longer text is not parsed as JSON."""

# A key is data from outside and ends up in a prompt, so only a few plain words without punctuation are shown.
HARMLESS = re.compile(r"[^\W\d]\w*(?:[ .-]\w+){0,2}")

JSON_BEGINS = frozenset({"[[", "{{", *(space + sign for space in " \t\r\n" for sign in "[{")})
"""The first letter of a JSON list or object, with the first letter that is not a space."""

TAGS: dict[type[Any], tuple[str, str]] = {  # exact type -> its form in results, its form as an argument
    date: ("str (ISO date)", "str (ISO date)"),
    datetime: ("str (ISO date and time)", "str (ISO date and time)"),
    time: ("str (ISO time)", "str (ISO time)"),
    timedelta: ("float (seconds)", "str (ISO duration, PT90S)"),
    Decimal: ("float", "float"),
}


@dataclass(frozen=True, slots=True)
class TypeShape:
    """A union of types; an empty shape means that nothing is known.

    Attributes:
        kinds: The names of scalar types, in the order in which they were found.
        item: The shape of the items of a list.
        fields: The shapes of the fields of an object with fixed names.
        optional: The names of fields that may be missing.
        entry: The shape of the values of an object whose keys are data.
        text: The shape of the JSON that a text holds.
    """

    kinds: tuple[str, ...] = ()
    item: TypeShape | None = None
    fields: Mapping[str, TypeShape] | None = None
    optional: frozenset[str] = field(default=frozenset())
    entry: TypeShape | None = None
    text: TypeShape | None = None

    def __str__(self) -> str:
        """The full text, with as many levels of fields as fit on a line."""
        texts = ((self._text(levels), most) for levels, most in TEXTS)
        return next((text for text, most in texts if len(text) <= most), self.annotation)

    @property
    def annotation(self) -> str:
        """The shape as a Python annotation, `list[dict]`; empty if nothing is known, `...` if it is too long."""
        text = self._text(0)
        return text if len(text) <= MAX_ANNOTATION_CHARACTERS else "..."

    @property
    def is_vague(self) -> bool:
        """Whether a result would show more than this shape."""
        inner = self.item if self.item is not None else self.entry
        return self == ANY or (inner is not None and inner.is_vague)

    @property
    def may_hold_json(self) -> bool:
        """Whether it contains text, which may hold JSON in results."""
        inner = [self.item, self.entry, *(self.fields or {}).values()]
        return "str" in self.kinds or any(part is not None and part.may_hold_json for part in inner)

    def _text(self, levels: int) -> str:
        parts = [kind if levels else kind.partition(" (")[0] if kind in TAGGED else kind for kind in self.kinds]
        if self.text is not None:
            parts = [part for part in parts if part != "str"]
            parts.append(f"str (JSON: {self.text._text(levels)}{', or other text' * ('str' in self.kinds)})")
        if self.item is not None:
            inner = self.item._text(levels)
            parts.append("list" + (f" of {inner}" if "{" in inner else f"[{inner}]" if inner else ""))
        if self.fields is not None:
            parts.append("{" + ", ".join(self._names(levels - 1)) + "}" if levels and self.fields else "dict")
        if self.entry is not None:
            inner = self.entry._text(levels)
            parts.append(f"dict[str, {inner}]" if inner else "dict")
        return " | ".join(sorted(dict.fromkeys(parts), key=lambda part: part == "None"))

    def _names(self, levels: int) -> Iterable[str]:
        for count, (name, shape) in enumerate((self.fields or {}).items()):
            if count == MAX_NAMES_SHOWN:
                yield f"... {len(self.fields or {}) - count} more"
                return
            text = shape._text(levels)
            yield show_name(name) + (f": {text}" if text else "") + (" (optional)" if name in self.optional else "")


def show_name(name: str) -> str:
    """Write the name of a field on one line, with escapes for unprintable characters, and shortened if it is long."""
    text = truncate(name, MAX_FIELD_CHARACTERS, "...")
    return text if text.isprintable() else repr(text)


ANY = TypeShape()
TEXTS = ((3, MAX_TEXT_CHARACTERS), (2, MAX_TEXT_CHARACTERS), (1, MAX_ANNOTATION_CHARACTERS))
"""The number of levels of fields that are shown, and the maximum length of a text with them."""
TAGGED = {text for pair in TAGS.values() for text in pair}


def merge(left: TypeShape, right: TypeShape) -> TypeShape:
    """Return the union of two shapes."""
    kinds = tuple(dict.fromkeys(left.kinds + right.kinds))
    if "float" in kinds:
        kinds = tuple(kind for kind in kinds if kind != "int")
    if left.fields is None or right.fields is None:
        fields = right.fields if left.fields is None else left.fields
        optional = left.optional | right.optional
    else:
        optional = left.optional | right.optional | (left.fields.keys() ^ right.fields.keys())
        fields = {
            name: _merge_optional(left.fields.get(name), right.fields.get(name)) or ANY
            for name in (*left.fields, *(name for name in right.fields if name not in left.fields))
        }
    entry = _merge_optional(left.entry, right.entry)
    if fields is not None and (entry is not None or len(fields) > MAX_NAMES_KEPT):
        fields, optional, entry = None, frozenset[str](), reduce(merge, fields.values(), entry or ANY)
    return TypeShape(
        kinds, _merge_optional(left.item, right.item), fields, optional, entry, _merge_optional(left.text, right.text)
    )


def _merge_optional(left: TypeShape | None, right: TypeShape | None) -> TypeShape | None:
    if left is None or right is None:
        return right if left is None else left
    return merge(left, right)


def shape_of_value(value: JSONValue, nesting: int = NESTING) -> TypeShape:
    """Return the shape of a result: its keys and types."""
    if isinstance(value, list):
        rows = (shape_of_value(row, nesting - 1) for row in value[:MAX_ROWS]) if nesting else ()
        return TypeShape(item=reduce(merge, rows, ANY))
    if isinstance(value, dict):
        if not nesting:
            return TypeShape(entry=ANY)
        fields = {key[: MAX_NAME_CHARACTERS + 1]: shape_of_value(item, nesting - 1) for key, item in value.items()}
        return merge(ANY, TypeShape(fields=fields))
    if isinstance(value, str) and nesting and (inner := _read_json(value)) is not None:
        return TypeShape(text=shape_of_value(inner, nesting - 1))
    return TypeShape((type(value).__name__ if value is not None else "None",))


def _read_json(text: str) -> JSONValue:
    """Parse a text that is a JSON list or object; return None for any other text."""
    if len(text) > MAX_JSON_CHARACTERS or text[:1] + text.lstrip()[:1] not in JSON_BEGINS:
        return None
    try:
        return cast(JSONValue, json.loads(text))
    except (ValueError, RecursionError):
        return None


def add_json(promised: TypeShape, shown: TypeShape) -> TypeShape:
    """Add the shape of JSON in texts, as results have shown it, to a declared shape; keep the rest as declared."""

    def inner(part: TypeShape | None, other: TypeShape | None) -> TypeShape | None:
        return part if part is None or other is None else add_json(part, other)

    shape = promised
    if "str" in promised.kinds and shown.text is not None:
        kinds = tuple(kind for kind in promised.kinds if kind != "str" or "str" in shown.kinds)
        shape = replace(shape, kinds=kinds, text=shown.text)
    known = shown.fields or {}
    fields = promised.fields
    if fields is not None:
        fields = {name: add_json(part, known.get(name, ANY)) for name, part in fields.items()}
    entry = inner(shape.entry, reduce(merge, known.values(), shown.entry or ANY))
    return replace(shape, item=inner(shape.item, shown.item), fields=fields, entry=entry)


def mask_data_keys(shape: TypeShape) -> TypeShape:
    """Return `shape` without keys that look like data, which must not be shown as names."""
    item = None if shape.item is None else mask_data_keys(shape.item)
    entry = None if shape.entry is None else mask_data_keys(shape.entry)
    text = None if shape.text is None else mask_data_keys(shape.text)
    if shape.fields is None:
        return TypeShape(shape.kinds, item, entry=entry, text=text)
    fields = {name: mask_data_keys(inner) for name, inner in shape.fields.items()}
    if fields and _are_data(shape):
        return TypeShape(shape.kinds, item, entry=reduce(merge, fields.values()), text=text)
    names = [name for name in fields if _is_harmless(name)][:MAX_DATA_NAMES_SHOWN]
    shown = {name: fields[name] for name in names}
    if len(names) < len(fields):
        shown["..."] = ANY
    return TypeShape(shape.kinds, item, shown, shape.optional, text=text)


def _are_data(shape: TypeShape) -> bool:
    fields = shape.fields or {}
    if not any(map(_is_harmless, fields)) or len(shape.optional) == len(fields):
        return True  # none of the names is plain, or none was in every object
    if len(fields) <= MAX_DATA_NAMES_SHOWN:
        return False
    values = reduce(merge, fields.values())
    structures = sum(part is not None for part in (values.item, values.fields, values.entry, values.text))
    return structures + len([kind for kind in values.kinds if kind != "None"]) <= 1


def _is_harmless(name: str) -> bool:
    return len(name) <= MAX_NAME_CHARACTERS and HARMLESS.fullmatch(name) is not None


def shape_of_hint(hint: object, *, argument: bool = False, nesting: int = NESTING) -> TypeShape:
    """Return the shape that a resolved type hint promises.

    Args:
        argument: The hint is that of a parameter, not of a result.
    """

    def inner(part: object) -> TypeShape:
        return shape_of_hint(part, argument=argument, nesting=nesting - 1) if nesting else ANY

    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return shape_of_hint(args[0], argument=argument, nesting=nesting)
    if origin is Literal:
        return TypeShape(write_choices(args))
    if origin in (typing.Union, types.UnionType):
        parts = _parts_of_union(args, lambda arg: shape_of_hint(arg, argument=argument, nesting=nesting))
        return ANY if ANY in parts else reduce(merge, parts)
    if hasattr(hint, "__supertype__") or hasattr(hint, "__value__"):  # NewType, `type X = ...`
        alias = cast(Any, hint)
        return inner(getattr(alias, "__supertype__", None) or alias.__value__)
    kind = origin if isinstance(origin, type) else hint
    return _of_class(kind, args, inner, argument) if isinstance(kind, type) else ANY


def _of_class(
    kind: type[Any], args: Sequence[object], inner: Callable[[object], TypeShape], argument: bool
) -> TypeShape:
    if _is(kind, RootModel):
        return inner(kind.model_fields["root"].annotation)
    fields = _fields(kind, argument)
    if fields is not None:
        names, optional = fields
        return TypeShape(fields={name: inner(hint) for name, hint in names.items()}, optional=optional)
    if (foreign := _foreign(kind)) is not None:
        return foreign
    if _is(kind, Mapping):
        return TypeShape(entry=inner(args[1]) if len(args) == 2 else ANY)
    if _is(kind, Iterable) and not _is(kind, str, bytes, Enum):
        return TypeShape(item=reduce(merge, [inner(arg) for arg in args if arg is not ...], ANY))
    return _scalar(kind, argument)


def _is(kind: type[Any], *bases: type) -> bool:
    return issubclass(kind, bases)


def _scalar(kind: type[Any], argument: bool) -> TypeShape:
    if kind is type(None):
        return TypeShape(("None",))
    if issubclass(kind, Flag):
        return TypeShape(write_flags(kind))
    if issubclass(kind, Enum):
        return TypeShape(write_choices(list(kind)))
    if kind in TAGS:
        return TypeShape((TAGS[kind][argument],))
    base = next((base for base in (bool, int, float, str) if _is(kind, base)), None)
    if base is not None:
        return TypeShape((base.__name__,))
    return TypeShape(("str",)) if _is(kind, UUID, PurePath, bytes) else ANY


def _parts_of_union(args: Sequence[object], inner: Callable[[object], TypeShape]) -> list[TypeShape]:
    """Return the shapes of the parts, with the choices of all Literals as one part."""
    choices = [choice for arg in args if typing.get_origin(arg) is Literal for choice in typing.get_args(arg)]
    parts = [inner(arg) for arg in args if typing.get_origin(arg) is not Literal]
    if choices:
        parts.insert(0 if typing.get_origin(args[0]) is Literal else len(parts), TypeShape(write_choices(choices)))
    return parts


def is_dataframe(hint: object) -> bool:
    """Return whether a hint is the DataFrame of pandas."""
    return isinstance(hint, type) and hint.__module__.partition(".")[0] == "pandas" and hint.__name__ == "DataFrame"


def _foreign(kind: type[Any]) -> TypeShape | None:
    library, name = kind.__module__.partition(".")[0], kind.__name__
    if library == "pandas":
        return {"DataFrame": TypeShape(item=TypeShape(entry=ANY)), "Timestamp": TypeShape(TAGS[datetime][:1])}.get(
            name, ANY
        )
    if library == "numpy":
        found = re.match("bool|u?int|float|str", name)
        return TypeShape((found[0].lstrip("u"),)) if found else TypeShape(item=ANY) if name == "ndarray" else ANY
    return None


def _fields(kind: type[Any], argument: bool) -> tuple[Mapping[str, object], frozenset[str]] | None:
    """Return the fields with their hints, and the names that may be missing: results always have their defaults."""
    if _is(kind, BaseModel) and not _is(kind, RootModel):
        infos: dict[str, FieldInfo] = kind.model_fields
        names = {name: key_of(name, info) if argument else name for name, info in infos.items()}
        hints: dict[str, object] = {names[name]: info.annotation for name, info in infos.items()}
        defaults = {names[name] for name, info in infos.items() if not info.is_required()}
    elif dataclasses.is_dataclass(kind):
        members = dataclasses.fields(kind)
        known = _hints(kind)
        hints = {member.name: known.get(member.name, Any) for member in members}
        missing = dataclasses.MISSING
        defaults = {
            field.name for field in members if field.default is not missing or field.default_factory is not missing
        }
    elif hasattr(kind, "__required_keys__"):  # a TypedDict, of typing or of typing_extensions
        return _hints(kind), optional_keys(kind)
    elif _is(kind, tuple) and hasattr(kind, "_fields"):
        known = _hints(kind)
        hints = {name: known.get(name, Any) for name in kind._fields}
        defaults = set[str](kind._field_defaults)
    else:
        return None
    return hints, frozenset(defaults if argument else ())


def optional_keys(kind: Any) -> frozenset[str]:
    """Return the keys of a TypedDict that may be missing."""
    # `__optional_keys__` misses a NotRequired if `from __future__ import annotations` turned it into text.
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # as in `_hints`
        hints = {}
    qualifiers = {name: typing.get_origin(hint) for name, hint in hints.items()}
    return frozenset(
        name
        for name in {*kind.__optional_keys__, *qualifiers}
        if qualifiers.get(name) is typing.NotRequired
        or (name in kind.__optional_keys__ and qualifiers.get(name) is not typing.Required)
    )


def _hints(kind: type[Any]) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(kind)
    except Exception:  # evaluating annotations can raise anything; the names are still worth showing
        return dict.fromkeys(getattr(kind, "__annotations__", {}), Any)
