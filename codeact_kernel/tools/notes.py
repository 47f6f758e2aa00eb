"""What a type hint says beside its type: descriptions, bounds, patterns and examples, also of the fields inside it."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, cast

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

from ..text import truncate, truncate_middle
from .model_keys import key_of
from .shapes import NESTING, show_name

__all__ = ["RESULT", "Notes", "make_printable", "shorten"]

RESULT = "->"
"""Where the notes on a result begin; those on a parameter begin with its name."""
NOTE_CHARACTERS = 300
PATTERN_CHARACTERS = 120
VALUE_CHARACTERS = 40
NOTES_TOLD = 40
NOTES_READ = 400
PLACES_TOLD = 8
EXAMPLES_TOLD = 2
OPENED = 16
"""Metadata that stand for several, one in another."""
QUALIFIERS = ("Required", "NotRequired", "ReadOnly")
LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")


def shorten(text: str, most: int) -> str:
    """Keep the beginning and the end of a text that is longer than `most` characters, and say how much is left out."""
    return truncate_middle(text, most, " ... {:,} characters left out ... ", head=most * 3 // 4)


def make_printable(text: str) -> str:
    """Leave out what is neither printable nor the end of a line."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


class Notes:
    """Collects what the hints of one tool say, each under the place it is about: `limit`, `guests.born`, `-> total`.

    Attributes:
        descriptions: the first text of each place, without bounds.
    """

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self.descriptions: dict[str, str] = {}
        self._open: list[object] = []

    def lines(self) -> list[str]:
        """Give a line for each text, in the order read; the last says how many are left out, if any."""
        places: dict[str, list[str]] = {}
        for place, texts in self._texts.items():
            if text := _on_one_line("; ".join(text.strip() for text in texts)):
                places.setdefault(text, []).append(place)
        lines = [f"{_listed(names)} {shorten(text, NOTE_CHARACTERS)}" for text, names in places.items()]
        more = len(lines) - NOTES_TOLD
        return [*lines[:NOTES_TOLD], f"... {more} more notes left out"] if more > 0 else lines

    def read(self, hint: object, place: str, *, argument: bool, nesting: int = NESTING, each: str = "") -> None:
        """Collect what `hint` says of `place` and of all that is inside it.

        Args:
            argument: whether it is about what is passed, not about what is returned.
            each: put before a text that is about the items of the place, not the place itself.
        """
        origin, args = typing.get_origin(hint), typing.get_args(hint)

        def inside(part: object, each: str = each) -> None:
            self.read(part, place, argument=argument, nesting=nesting, each=each)

        if origin is Annotated:
            self._say(place, args[1:], argument, each)
            inside(args[0])
        elif origin in (typing.Union, types.UnionType) or getattr(origin, "_name", "") in QUALIFIERS:
            for part in args:
                inside(part)
        elif hasattr(hint, "__supertype__") or hasattr(hint, "__value__"):  # NewType, `type X = ...`
            alias = cast(Any, hint)
            if nesting:
                target = getattr(alias, "__supertype__", None) or alias.__value__
                self.read(target, place, argument=argument, nesting=nesting - 1, each=each)
        else:
            kind = origin if isinstance(origin, type) else hint
            if isinstance(kind, type) and kind not in self._open and nesting and len(self._texts) < NOTES_READ:
                self._read_class(kind, args, place, argument, nesting - 1)

    def _read_class(self, kind: type[Any], args: Sequence[object], place: str, argument: bool, nesting: int) -> None:
        if issubclass(kind, RootModel):
            root = cast("FieldInfo", cast(Any, kind).model_fields["root"])
            self._say(place, [*_doc_of(cast("type[Any]", kind)), root], argument, "")
            self.read(root.annotation, place, argument=argument, nesting=nesting)
            return
        fields = _fields_of(kind, argument)
        if fields is None:
            if issubclass(kind, Mapping):
                args = args[1:]
            for part in args if issubclass(kind, Iterable) and not issubclass(kind, str | bytes | Enum) else ():
                self.read(part, place, argument=argument, nesting=nesting, each="each ")
            return
        self._say(place, _doc_of(kind), argument, "")
        self._open.append(kind)
        for name, (hint, notes) in fields.items():
            inner = f"{place}{' ' if place == RESULT else '.'}{show_name(name)}"
            self._say(inner, notes, argument, "")
            self.read(hint, inner, argument=argument, nesting=nesting)
        self._open.pop()

    def _say(self, place: str, notes: Iterable[object], argument: bool, each: str) -> None:
        texts, limits, examples = _facts_of(notes)
        bounds = _bounds(limits) if argument else []  # of a result they are nothing to keep to
        if examples:
            bounds.append(f"e.g. {', '.join(map(_value, examples[:EXAMPLES_TOLD]))}")
        text = "; ".join(texts)
        if texts and not each:
            self.descriptions.setdefault(place, texts[0])
        if bounds:
            text = f"{text} ({', '.join(bounds)})" if text else ", ".join(bounds)
        if text and each + text not in self._texts.get(place, ()):
            self._texts.setdefault(place, []).append(each + text)


def _doc_of(kind: type[Any]) -> list[str]:
    about = vars(kind).get("__doc__")
    if not isinstance(about, str) or about.startswith(f"{kind.__name__}("):  # which a dataclass gets by itself
        return []
    return [inspect.cleandoc(about)]


def _listed(places: Sequence[str]) -> str:
    names, more = ", ".join(places[:PLACES_TOLD]), len(places) - PLACES_TOLD
    return names if places == [RESULT] else f"{names} and {more} more:" if more > 0 else f"{names}:"


def _on_one_line(text: str) -> str:
    return make_printable(text).replace("\n", " ").strip()


def _facts_of(notes: Iterable[object]) -> tuple[list[str], dict[str, object], list[object]]:
    texts: list[str] = []
    limits: dict[str, object] = {}
    examples: list[object] = []
    waiting, opened = list(notes), 0
    while waiting:
        note = waiting.pop(0)
        if isinstance(note, str):
            texts.append(note)
        elif isinstance(note, FieldInfo):
            texts += [note.description] if isinstance(note.description, str) else []
            examples += note.examples or []
            waiting = [*note.metadata, *waiting]
        else:
            text, found, parts = _read_foreign(note)
            texts += text
            limits |= found
            if parts and opened < OPENED:
                waiting, opened = parts + waiting, opened + 1
    return list(dict.fromkeys(text for text in texts if text.strip())), limits, examples


def _read_foreign(note: object) -> tuple[list[str], dict[str, object], list[object]]:
    """Read a description (`Doc`), limits (`Ge`, `MinLen`), or what stands for several of them (`Interval`)."""
    try:
        text = getattr(note, "documentation", None)
        limits = {name: getattr(note, name, None) for name in LIMITS}
        found = {name: limit for name, limit in limits.items() if limit is not None and not callable(limit)}
        grouped = hasattr(type(note), "__is_annotated_types_grouped_metadata__")
        parts = list(cast("Iterable[object]", note))[:OPENED] if grouped and not found else []
    except Exception:  # the class of the object is anybody's, and may run its own code
        return [], {}, []
    return [text] if isinstance(text, str) else [], found, parts


def _bounds(limits: Mapping[str, object]) -> list[str]:
    signs = {"gt": "> ", "ge": ">= ", "lt": "< ", "le": "<= ", "multiple_of": "multiple of "}
    parts = [sign + _value(limits[name]) for name, sign in signs.items() if name in limits]
    if "ge" in limits and "le" in limits:
        parts = [f"{_value(limits['ge'])} to {_value(limits['le'])}"]
        parts += [signs[name] + _value(limits[name]) for name in ("gt", "lt", "multiple_of") if name in limits]
    least, most = limits.get("min_length"), limits.get("max_length")
    if least and most is not None:
        parts.append(f"length {_value(least)}" + (f" to {_value(most)}" if least != most else ""))
    elif least or most is not None:
        parts.append(f"length >= {_value(least)}" if least else f"length <= {_value(most)}")
    if (pattern := limits.get("pattern")) is not None:
        text = cast("re.Pattern[Any]", pattern).pattern if isinstance(pattern, re.Pattern) else pattern
        parts.append(f"matches {shorten(str(text), PATTERN_CHARACTERS)}")
    return parts


def _value(value: object) -> str:
    try:
        text = repr(value) if type(value) in (str, bool, list, dict) else str(value)
    except Exception:  # an integer of thousands of digits, or somebody's own __str__
        return "..."
    return truncate(text, VALUE_CHARACTERS, "...")


def _fields_of(kind: type[Any], argument: bool) -> dict[str, tuple[object, Sequence[object]]] | None:
    """Give the fields of a class as the program names them, each with its hint and what else is said of it."""
    if issubclass(kind, BaseModel):
        infos: Mapping[str, FieldInfo] = kind.model_fields
        return {key_of(name, info) if argument else name: (info.annotation, [info]) for name, info in infos.items()}
    if dataclasses.is_dataclass(kind):
        known = _hints(kind)
        return {one.name: (known.get(one.name, Any), _of_dataclass(one)) for one in dataclasses.fields(kind)}
    is_record = hasattr(kind, "__required_keys__") or (
        issubclass(kind, tuple) and hasattr(cast(object, kind), "_fields")
    )
    return {name: (hint, ()) for name, hint in _hints(cast("type[Any]", kind)).items()} if is_record else None


def _of_dataclass(field: dataclasses.Field[Any]) -> list[object]:
    """What pydantic reads of the field of a dataclass beside its hint, and the `doc` of Python 3.14."""
    metadata = {name: value for name, value in field.metadata.items() if isinstance(name, str)}
    said = [getattr(field, "doc", None), metadata.get("description")]
    limits = types.SimpleNamespace(**{name: metadata[name] for name in LIMITS if name in metadata})
    default = [field.default] if isinstance(field.default, FieldInfo) else []
    return [*(one for one in said if isinstance(one, str)), limits, *default]


def _hints(kind: type[Any]) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except Exception:  # evaluating somebody's annotations can raise anything; the rest is still worth telling
        return {}
