"""What a value looks like, in words a model reads: `list of {product: str, qty: int | None}`. Never a value itself.

A shape comes from a type hint (`declared`) or from results seen earlier (`seen`, added up by `merge`). What is declared
is told in the guest's terms, where everything is JSON: a dataclass is a dict there, a date is text.
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
from .literals import tell_choices, tell_flags
from .model_keys import key_of

__all__ = ["ANY", "TypeShape", "add_json", "declared", "merge", "seen", "settled", "show_name"]

NESTING = 5
"""Levels looked into; recursive types end here."""
ROWS_SEEN = 20
NAMES_KEPT = 64
NAMES_SHOWN = 24
NAMES_SEEN_SHOWN = 12
LONGEST_NAME = 32
LONGEST_FIELD = 64
"""Of a declared name, which may be any text where it is an alias. The rest is left out, as `...`."""
LONGEST_TEXT = 700
LONGEST_ANNOTATION = 1_500
LONGEST_JSON = 1 << 22
"""Characters of a text that are read to see whether it is JSON."""

# A key is data from outside, and it ends up in a prompt: a few plain words at most, no punctuation that could say more.
HARMLESS = re.compile(r"[^\W\d]\w*(?:[ .-]\w+){0,2}")

JSON_BEGINS = frozenset({"[[", "{{", *(space + sign for space in " \t\r\n" for sign in "[{")})
"""The first letter of a text and the first that is no space: of a list or an object as JSON."""

TAGS: dict[type[Any], tuple[str, str]] = {  # exact type -> as results give it, as an argument is written
    date: ("str (ISO date)", "str (ISO date)"),
    datetime: ("str (ISO date and time)", "str (ISO date and time)"),
    time: ("str (ISO time)", "str (ISO time)"),
    timedelta: ("float (seconds)", "str (ISO duration, PT90S)"),
    Decimal: ("float", "float"),
}


@dataclass(frozen=True, slots=True)
class TypeShape:
    """The union of what may be there; nothing set means nothing is known.

    Attributes:
        kinds: scalar types as text, in the order met.
        item: what a list holds.
        fields: what an object with fixed names holds; `optional` are the names that may be missing.
        entry: what an object holds whose keys are data.
        text: what the JSON holds that a text is.
    """

    kinds: tuple[str, ...] = ()
    item: TypeShape | None = None
    fields: Mapping[str, TypeShape] | None = None
    optional: frozenset[str] = field(default=frozenset())
    entry: TypeShape | None = None
    text: TypeShape | None = None

    def __str__(self) -> str:
        """In full, with as many levels of fields as a line can hold."""
        texts = ((self._text(levels), most) for levels, most in TEXTS)
        return next((text for text, most in texts if len(text) <= most), self.annotation)

    @property
    def annotation(self) -> str:
        """As a Python annotation, `list[dict]`; empty when nothing is known, `...` when it is too long to be shown."""
        text = self._text(0)
        return text if len(text) <= LONGEST_ANNOTATION else "..."

    @property
    def vague(self) -> bool:
        """It says less than a look at a result would."""
        inner = self.item if self.item is not None else self.entry
        return self == ANY or (inner is not None and inner.vague)

    @property
    def may_be_json(self) -> bool:
        """There is text in it, of which a look at a result would say whether it is JSON."""
        inner = [self.item, self.entry, *(self.fields or {}).values()]
        return "str" in self.kinds or any(part is not None and part.may_be_json for part in inner)

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
            if count == NAMES_SHOWN:
                yield f"... {len(self.fields or {}) - count} more"
                return
            text = shape._text(levels)
            yield show_name(name) + (f": {text}" if text else "") + (" (optional)" if name in self.optional else "")


def show_name(name: str) -> str:
    """Write the name of a field on one line, with escapes where it does not show as it is, and cut if it is long."""
    text = truncate(name, LONGEST_FIELD, "...")
    return text if text.isprintable() else repr(text)


ANY = TypeShape()
TEXTS = ((3, LONGEST_TEXT), (2, LONGEST_TEXT), (1, LONGEST_ANNOTATION))
"""Levels of fields that are shown, and how long the text may be with them."""
TAGGED = {text for pair in TAGS.values() for text in pair}


def merge(left: TypeShape, right: TypeShape) -> TypeShape:
    """What is either the one or the other."""
    kinds = tuple(dict.fromkeys(left.kinds + right.kinds))
    if "float" in kinds:
        kinds = tuple(kind for kind in kinds if kind != "int")
    if left.fields is None or right.fields is None:
        fields = right.fields if left.fields is None else left.fields
        optional = left.optional | right.optional
    else:
        optional = left.optional | right.optional | (left.fields.keys() ^ right.fields.keys())
        fields = {
            name: _either(left.fields.get(name), right.fields.get(name)) or ANY
            for name in (*left.fields, *(name for name in right.fields if name not in left.fields))
        }
    entry = _either(left.entry, right.entry)
    if fields is not None and (entry is not None or len(fields) > NAMES_KEPT):
        fields, optional, entry = None, frozenset[str](), reduce(merge, fields.values(), entry or ANY)
    return TypeShape(kinds, _either(left.item, right.item), fields, optional, entry, _either(left.text, right.text))


def _either(left: TypeShape | None, right: TypeShape | None) -> TypeShape | None:
    if left is None or right is None:
        return right if left is None else left
    return merge(left, right)


def seen(value: JSONValue, nesting: int = NESTING) -> TypeShape:
    """The shape of one result: its keys and types."""
    if isinstance(value, list):
        rows = (seen(row, nesting - 1) for row in value[:ROWS_SEEN]) if nesting else ()
        return TypeShape(item=reduce(merge, rows, ANY))
    if isinstance(value, dict):
        if not nesting:
            return TypeShape(entry=ANY)
        fields = {key[: LONGEST_NAME + 1]: seen(item, nesting - 1) for key, item in value.items()}
        return merge(ANY, TypeShape(fields=fields))
    if isinstance(value, str) and nesting and (inner := _read_json(value)) is not None:
        return TypeShape(text=seen(inner, nesting - 1))
    return TypeShape((type(value).__name__ if value is not None else "None",))


def _read_json(text: str) -> JSONValue:
    """Read a text that is a JSON list or object; any other text gives None."""
    if len(text) > LONGEST_JSON or text[:1] + text.lstrip()[:1] not in JSON_BEGINS:
        return None
    try:
        return cast(JSONValue, json.loads(text))
    except (ValueError, RecursionError):
        return None


def add_json(promised: TypeShape, shown: TypeShape) -> TypeShape:
    """Add to a declared shape what results have shown of the JSON in its texts; the rest of it stays as declared."""

    def inner(part: TypeShape | None, other: TypeShape | None) -> TypeShape | None:
        return part if part is None or other is None else add_json(part, other)

    made = promised
    if "str" in promised.kinds and shown.text is not None:
        kinds = tuple(kind for kind in promised.kinds if kind != "str" or "str" in shown.kinds)
        made = replace(made, kinds=kinds, text=shown.text)
    known = shown.fields or {}
    fields = promised.fields
    if fields is not None:
        fields = {name: add_json(part, known.get(name, ANY)) for name, part in fields.items()}
    entry = inner(made.entry, reduce(merge, known.values(), shown.entry or ANY))
    return replace(made, item=inner(made.item, shown.item), fields=fields, entry=entry)


def settled(shape: TypeShape) -> TypeShape:
    """`shape` as it may be shown: keys that look like data are not names."""
    item = None if shape.item is None else settled(shape.item)
    entry = None if shape.entry is None else settled(shape.entry)
    text = None if shape.text is None else settled(shape.text)
    if shape.fields is None:
        return TypeShape(shape.kinds, item, entry=entry, text=text)
    fields = {name: settled(inner) for name, inner in shape.fields.items()}
    if fields and _are_data(shape):
        return TypeShape(shape.kinds, item, entry=reduce(merge, fields.values()), text=text)
    names = [name for name in fields if _is_harmless(name)][:NAMES_SEEN_SHOWN]
    shown = {name: fields[name] for name in names}
    if len(names) < len(fields):
        shown["..."] = ANY
    return TypeShape(shape.kinds, item, shown, shape.optional, text=text)


def _are_data(shape: TypeShape) -> bool:
    fields = shape.fields or {}
    if not any(map(_is_harmless, fields)) or len(shape.optional) == len(fields):
        return True  # no plain name among them, or no name that every object had
    if len(fields) <= NAMES_SEEN_SHOWN:
        return False
    values = reduce(merge, fields.values())
    structures = sum(part is not None for part in (values.item, values.fields, values.entry, values.text))
    return structures + len([kind for kind in values.kinds if kind != "None"]) <= 1


def _is_harmless(name: str) -> bool:
    return len(name) <= LONGEST_NAME and HARMLESS.fullmatch(name) is not None


def declared(hint: object, *, argument: bool = False, nesting: int = NESTING) -> TypeShape:
    """The shape that a resolved type hint promises; `argument`: of what is passed, not of what is returned."""

    def inner(part: object) -> TypeShape:
        return declared(part, argument=argument, nesting=nesting - 1) if nesting else ANY

    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return declared(args[0], argument=argument, nesting=nesting)
    if origin is Literal:
        return TypeShape(tell_choices(args))
    if origin in (typing.Union, types.UnionType):
        parts = _parts_of_union(args, lambda arg: declared(arg, argument=argument, nesting=nesting))
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
        return TypeShape(tell_flags(kind))
    if issubclass(kind, Enum):
        return TypeShape(tell_choices(list(kind)))
    if kind in TAGS:
        return TypeShape((TAGS[kind][argument],))
    base = next((base for base in (bool, int, float, str) if _is(kind, base)), None)
    if base is not None:
        return TypeShape((base.__name__,))
    return TypeShape(("str",)) if _is(kind, UUID, PurePath, bytes) else ANY


def _parts_of_union(args: Sequence[object], inner: Callable[[object], TypeShape]) -> list[TypeShape]:
    """The choices of several Literals are told together."""
    choices = [choice for arg in args if typing.get_origin(arg) is Literal for choice in typing.get_args(arg)]
    parts = [inner(arg) for arg in args if typing.get_origin(arg) is not Literal]
    if choices:
        parts.insert(0 if typing.get_origin(args[0]) is Literal else len(parts), TypeShape(tell_choices(choices)))
    return parts


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
    """Names with their hints, and the names that may be missing: a default fills those of a result, not of a dict."""
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
        defaults = {one.name for one in members if one.default is not missing or one.default_factory is not missing}
    elif hasattr(kind, "__required_keys__"):  # a TypedDict, of typing or of typing_extensions
        return _hints(kind), _gaps(kind)
    elif _is(kind, tuple) and hasattr(kind, "_fields"):
        known = _hints(kind)
        hints = {name: known.get(name, Any) for name in kind._fields}
        defaults = set[str](kind._field_defaults)
    else:
        return None
    return hints, frozenset(defaults if argument else ())


def _gaps(kind: type[Any]) -> frozenset[str]:
    # `__optional_keys__` misses a NotRequired that `from __future__ import annotations` turned into text.
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # as in `_hints`
        hints = {}
    told = {name: typing.get_origin(hint) for name, hint in hints.items()}
    return frozenset(
        name
        for name in {*kind.__optional_keys__, *told}
        if told.get(name) is typing.NotRequired
        or (name in kind.__optional_keys__ and told.get(name) is not typing.Required)
    )


def _hints(kind: type[Any]) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(kind)
    except Exception:  # evaluating somebody's annotations can raise anything; the names are still worth showing
        return dict.fromkeys(getattr(kind, "__annotations__", {}), Any)
