"""Turn values into plain data by one rule: results of tools, and arguments and values of programs.

The host imports this module and the guest gets its source, so tools and programs can pass the same types. It only uses
the standard library, and looks up rarer modules in `sys.modules`: a value of a module can only exist if the module is
imported, and imports take time in a guest.

The bridge uses strict JSON, which has no infinity and NaN. They cross it as `{"codeact:float": "inf"}`, which
`tag_floats` writes and `untag_floats` reads. A value that already has this form is refused, so that none is mistaken.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeAlias, cast

__all__ = ["FLOAT_TAG", "Copier", "Unsendable", "describe_type", "tag_float", "tag_floats", "untag_floats"]

Plain: TypeAlias = "None | bool | int | float | str | list[Plain] | dict[str, Plain]"

FLOAT_TAG = "codeact:float"
_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}

_MAX_DIGITS = 4_000
"""Maximum digits of an integer. Python itself reads and writes at most 4,300 as decimal text."""
_MAX_BITS = 13_288
"""The length of 10**4000."""
_PLAIN = (type(None), bool, int, float, str, list, dict)
_BINARY = (bytes, bytearray, memoryview)
_TEXTS = {
    "uuid": ("UUID",),
    "pathlib": ("PurePath",),
    "collections": ("UserString",),
    "zoneinfo": ("ZoneInfo",),
    "ipaddress": ("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"),
}
"""Types that are fully described by their `str`, by their modules."""
_KEY_WORDS: dict[object, str] = {None: "null", True: "true", False: "false"}


class Unsendable(TypeError):
    """A value cannot become plain data."""


class Copier:
    """Copies values as plain data.

    Args:
        depth: The maximum levels of nesting.
        non_finite: Converts infinity and NaN; by default, they stay unchanged.
    """

    def __init__(self, depth: int, non_finite: Callable[[float], Any] | None = None) -> None:
        self._depth = depth
        self._non_finite = non_finite
        self._open: set[int] = set()

    def copy(self, value: object, level: int = 1) -> Any:
        """Return a fresh copy of `value`.

        Raises:
            Unsendable: A part of it cannot become plain data, is nested too deeply, or contains itself.
        """
        plain = self._reduced(value) if type(value) not in _PLAIN else value
        if isinstance(plain, list):
            self._enter(value, level)
            items = [self.copy(item, level + 1) for item in cast("list[object]", plain)]
            self._open.discard(id(value))
            return _ordered(items) if isinstance(value, (set, frozenset)) else items
        if isinstance(plain, dict):
            self._enter(value, level)
            copied = self._copy_entries(cast("dict[object, object]", plain), level)
            self._open.discard(id(value))
            return copied
        return self._copy_scalar(plain)

    def _copy_entries(self, entries: dict[object, object], level: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for label, value in entries.items():
            key = self.copy_key(label)
            if key in result:
                raise Unsendable(f"two keys of a dict are both {key[:40]!r} as text: make them differ as text.")
            result[key] = self.copy(value, level + 1)
        if len(result) == 1 and FLOAT_TAG in result:
            raise Unsendable(f"a dict with the only key {FLOAT_TAG!r} means a number here: name the key differently.")
        return result

    def _copy_scalar(self, value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value) and self._non_finite is not None:
            return self._non_finite(value)
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            raise Unsendable(f"an integer of more than {_MAX_DIGITS:,} digits cannot be sent: use hex(...) of it.")
        return value

    def copy_key(self, label: object) -> str:
        """Return the text that a key of a dict becomes.

        Raises:
            Unsendable: The key has no form as text.
        """
        if type(label) is str:
            return label
        plain = label if type(label) in _PLAIN else self._reduced_key(label)
        if isinstance(plain, str):
            return plain
        if plain is None or isinstance(plain, bool):
            return _KEY_WORDS[plain]
        if isinstance(plain, (int, float)):
            return json.dumps(self._copy_scalar(plain) if isinstance(plain, int) else plain)
        raise self.refuse_key(label)

    def _reduced_key(self, label: object) -> Any:
        try:
            return self._reduced(label)
        except Unsendable:
            raise self.refuse_key(label) from None

    def _enter(self, value: object, level: int) -> None:
        if id(value) in self._open:
            raise self.refuse_nesting(circle=True)
        if level > self._depth:
            raise self.refuse_nesting(circle=False)
        self._open.add(id(value))

    def _reduced(self, value: object) -> Any:
        while isinstance(value, Enum):  # before text: a member may also be a str, and its value counts
            value = value.value
        for step in (self.reduce_foreign, _reduce_scalar, _reduce_container):
            value = step(value)
            if type(value) in _PLAIN:
                return value
        raise self.refuse(value)

    def reduce_foreign(self, value: object) -> object:
        """Return a value of another library by the rule, one level deep; any other value as it is."""
        return value

    def refuse(self, value: object) -> Unsendable:
        """Return the error for a value that is not in the rule."""
        if isinstance(value, _BINARY):
            return Unsendable("bytes that are not UTF-8 text have no JSON form; pass text, for example base64")
        if hasattr(type(value), "__next__"):
            return Unsendable(f"a {type(value).__name__} has no JSON form; pass list(...) of it")
        return Unsendable(f"a {type(value).__name__} has no JSON form; turn it into lists, dicts, text and numbers")

    def refuse_key(self, label: object) -> Unsendable:
        """Return the error for a key without a form as text."""
        return Unsendable(f"a dict with a {type(label).__name__} as key has no JSON form; use text keys")

    def refuse_nesting(self, *, circle: bool) -> Unsendable:
        """Return the error for a value that contains itself, or is nested too deeply."""
        return Unsendable("nested too deeply, or in a circle")


def _reduce_scalar(value: object) -> object:
    # This also reduces subclasses of plain types, whose overridden methods must not run in a later json.dumps.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, _BINARY):
        return _text_of(cast("bytes", value))
    if _is_a(value, "datetime", "date", "time"):
        return cast("Any", value).isoformat()
    if _is_a(value, "datetime", "timedelta"):
        return cast("Any", value).total_seconds()
    if _is_a(value, "decimal", "Decimal"):
        return _number(value)
    if _is_a(value, "fractions", "Fraction"):
        return _float_or_text(value)
    if any(_is_a(value, module, *names) for module, names in _TEXTS.items()):
        return str(value)
    return value


def _text_of(value: bytes) -> object:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return value


def _reduce_container(value: object) -> object:
    if not isinstance(value, type) and is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(cast("object", value), "_fields"):
        record: Any = cast("object", value)
        return dict(zip(record._fields, record, strict=True))
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, (Sequence, Set, ValuesView)) and not isinstance(value, _BINARY):
        return list(cast("Sequence[object]", value))
    return cast("object", value)


def _number(value: Any) -> float | str:
    """Return a Decimal as a float with the same digits, or as text if there is none."""
    if not value.is_finite():
        return math.nan if value.is_nan() else math.copysign(math.inf, value)
    return _float_or_text(value)


def _float_or_text(value: Any) -> float | str:
    try:
        near = float(value)
    except OverflowError:
        return str(value)
    return near if type(value)(repr(near)) == value else str(value)


def _ordered(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:  # items of several types: use any order that is always the same
        return sorted(items, key=json.dumps)


def _is_a(value: object, module: str, *names: str) -> bool:
    kinds = (getattr(sys.modules.get(module), name, None) for name in names)
    return any(isinstance(kind, type) and isinstance(value, kind) for kind in kinds)


def describe_type(value: object) -> str:
    """Return the name of the type of a value, with its module unless it is a builtin."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return name[-80:]


def tag_float(value: float) -> dict[str, Any]:
    """Return the form of infinity or NaN in strict JSON."""
    return {FLOAT_TAG: "nan" if value != value else "inf" if value > 0 else "-inf"}


def tag_floats(value: Any) -> Any:
    """Return plain data with a tag for each infinity and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else tag_float(value)
    if isinstance(value, list):
        return [tag_floats(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: tag_floats(item) for name, item in cast("dict[str, Any]", value).items()}
    return value


def untag_floats(value: Any) -> Any:
    """Replace tags by infinity and NaN. Changes lists and dicts in place."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        for at, item in enumerate(items):
            if type(item) in (list, dict):
                items[at] = untag_floats(item)
        return items
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        if len(entries) == 1 and isinstance(name := entries.get(FLOAT_TAG), str):
            return _FLOATS.get(name, entries)
        for key, item in entries.items():
            if type(item) in (list, dict):
                entries[key] = untag_floats(item)
        return entries
    return value
