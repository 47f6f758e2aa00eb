"""Collect notes from type hints: descriptions, bounds, patterns and examples, also of the fields inside them."""

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
"""The place of the result; the place of a parameter is its name."""
MAX_NOTE_CHARACTERS = 300
MAX_PATTERN_CHARACTERS = 120
MAX_VALUE_CHARACTERS = 40
MAX_NOTES_SHOWN = 40
MAX_NOTES_READ = 400
MAX_PLACES_SHOWN = 8
MAX_EXAMPLES_SHOWN = 2
MAX_GROUPS = 16
"""Metadata objects that group others, and are expanded."""
QUALIFIERS = ("Required", "NotRequired", "ReadOnly")
LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern")


def shorten(text: str, max_characters: int) -> str:
    """Keep the beginning and the end of a longer text, and write between them how many characters are left out."""
    head = max_characters * 3 // 4
    return truncate_middle(text, max_characters, " ... {:,} characters left out ... ", head=head)


def make_printable(text: str) -> str:
    """Remove all characters that are neither printable nor line ends."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


class Notes:
    """The notes in the hints of one tool by their places: `limit`, `guests.born`, `-> total`.

    Attributes:
        descriptions: The first text of each place, without bounds.
    """

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self.descriptions: dict[str, str] = {}
        self._open: list[object] = []

    def lines(self) -> list[str]:
        """Return one line for each text, in order; if some are left out, the last line says how many."""
        places: dict[str, list[str]] = {}
        for place, texts in self._texts.items():
            if text := _on_one_line("; ".join(text.strip() for text in texts)):
                places.setdefault(text, []).append(place)
        lines = [f"{_format_places(names)} {shorten(text, MAX_NOTE_CHARACTERS)}" for text, names in places.items()]
        left_out = len(lines) - MAX_NOTES_SHOWN
        return [*lines[:MAX_NOTES_SHOWN], f"... {left_out} more notes left out"] if left_out > 0 else lines

    def read(self, hint: object, place: str, *, argument: bool, nesting: int = NESTING, each: str = "") -> None:
        """Collect the notes of `hint` about `place` and everything inside it.

        Args:
            argument: The hint is that of a parameter, not of the result.
            each: A prefix for texts about the items of the place, not about the place itself.
        """
        origin, args = typing.get_origin(hint), typing.get_args(hint)

        def inside(part: object, each: str = each) -> None:
            self.read(part, place, argument=argument, nesting=nesting, each=each)

        if origin is Annotated:
            self._add(place, args[1:], argument, each)
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
            if isinstance(kind, type) and kind not in self._open and nesting and len(self._texts) < MAX_NOTES_READ:
                self._read_class(kind, args, place, argument, nesting - 1)

    def _read_class(self, kind: type[Any], args: Sequence[object], place: str, argument: bool, nesting: int) -> None:
        if issubclass(kind, RootModel):
            root = cast("FieldInfo", cast(Any, kind).model_fields["root"])
            self._add(place, [*_doc_of(cast("type[Any]", kind)), root], argument, "")
            self.read(root.annotation, place, argument=argument, nesting=nesting)
            return
        fields = _fields_of(kind, argument)
        if fields is None:
            if issubclass(kind, Mapping):
                args = args[1:]
            for part in args if issubclass(kind, Iterable) and not issubclass(kind, str | bytes | Enum) else ():
                self.read(part, place, argument=argument, nesting=nesting, each="each ")
            return
        self._add(place, _doc_of(kind), argument, "")
        self._open.append(kind)
        for name, (hint, notes) in fields.items():
            inner = f"{place}{' ' if place == RESULT else '.'}{show_name(name)}"
            self._add(inner, notes, argument, "")
            self.read(hint, inner, argument=argument, nesting=nesting)
        self._open.pop()

    def _add(self, place: str, notes: Iterable[object], argument: bool, each: str) -> None:
        texts, limits, examples = _facts_of(notes)
        bounds = _bounds(limits) if argument else []  # a program cannot violate the bounds of a result
        if examples:
            bounds.append(f"e.g. {', '.join(map(_value, examples[:MAX_EXAMPLES_SHOWN]))}")
        text = "; ".join(texts)
        if texts and not each:
            self.descriptions.setdefault(place, texts[0])
        if bounds:
            text = f"{text} ({', '.join(bounds)})" if text else ", ".join(bounds)
        if text and each + text not in self._texts.get(place, ()):
            self._texts.setdefault(place, []).append(each + text)


def _doc_of(kind: type[Any]) -> list[str]:
    about = vars(kind).get("__doc__")
    if not isinstance(about, str) or about.startswith(f"{kind.__name__}("):  # generated by the dataclass decorator
        return []
    return [inspect.cleandoc(about)]


def _format_places(places: Sequence[str]) -> str:
    names, left_out = ", ".join(places[:MAX_PLACES_SHOWN]), len(places) - MAX_PLACES_SHOWN
    return names if places == [RESULT] else f"{names} and {left_out} more:" if left_out > 0 else f"{names}:"


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
            text, bounds, parts = _read_foreign(note)
            texts += text
            limits |= bounds
            if parts and opened < MAX_GROUPS:
                waiting, opened = parts + waiting, opened + 1
    return list(dict.fromkeys(text for text in texts if text.strip())), limits, examples


def _read_foreign(note: object) -> tuple[list[str], dict[str, object], list[object]]:
    """Read a description (`Doc`), limits (`Ge`, `MinLen`), or a group of them (`Interval`)."""
    try:
        text = getattr(note, "documentation", None)
        values = {name: getattr(note, name, None) for name in LIMITS}
        limits = {name: limit for name, limit in values.items() if limit is not None and not callable(limit)}
        grouped = hasattr(type(note), "__is_annotated_types_grouped_metadata__")
        parts = list(cast("Iterable[object]", note))[:MAX_GROUPS] if grouped and not limits else []
    except Exception:  # the object can have any class, which may run its own code
        return [], {}, []
    return [text] if isinstance(text, str) else [], limits, parts


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
        parts.append(f"matches {shorten(str(text), MAX_PATTERN_CHARACTERS)}")
    return parts


def _value(value: object) -> str:
    try:
        text = repr(value) if type(value) in (str, bool, list, dict) else str(value)
    except Exception:  # an integer with thousands of digits, or a broken __str__
        return "..."
    return truncate(text, MAX_VALUE_CHARACTERS, "...")


def _fields_of(kind: type[Any], argument: bool) -> dict[str, tuple[object, Sequence[object]]] | None:
    """Return the fields of a class by the names that programs use, each with its hint and its metadata."""
    if issubclass(kind, BaseModel):
        infos: Mapping[str, FieldInfo] = kind.model_fields
        return {key_of(name, info) if argument else name: (info.annotation, [info]) for name, info in infos.items()}
    if dataclasses.is_dataclass(kind):
        known = _hints(kind)
        return {field.name: (known.get(field.name, Any), _metadata_of(field)) for field in dataclasses.fields(kind)}
    is_record = hasattr(kind, "__required_keys__") or (
        issubclass(kind, tuple) and hasattr(cast(object, kind), "_fields")
    )
    return {name: (hint, ()) for name, hint in _hints(cast("type[Any]", kind)).items()} if is_record else None


def _metadata_of(field: dataclasses.Field[Any]) -> list[object]:
    """Return the metadata of a dataclass field that pydantic reads, and the `doc` of Python 3.14."""
    metadata = {name: value for name, value in field.metadata.items() if isinstance(name, str)}
    texts = [getattr(field, "doc", None), metadata.get("description")]
    limits = types.SimpleNamespace(**{name: metadata[name] for name in LIMITS if name in metadata})
    default = [field.default] if isinstance(field.default, FieldInfo) else []
    return [*(text for text in texts if isinstance(text, str)), limits, *default]


def _hints(kind: type[Any]) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except Exception:  # evaluating annotations can raise anything; the other notes are still useful
        return {}
