"""Values of one column, a piece at a time: numbers and times as bytes, text as codes where it repeats, else JSON.

    {"as": "q" | "d" | "b", "data": base64}        64-bit integers, floats, truth values, little-endian; with "gaps"
                                                   a NaN among the floats is `None`
    {"as": "us", "utc": bool, "data": base64}      microseconds since 1970; the smallest integer is no time. In a zone
                                                   also "zone" and "offsets" from UTC in seconds, and where these are
                                                   several the 32-bit "places" of each time's among them
    {"as": "I text", "texts": [...], "data": ...}  32-bit places in `texts`
    {"as": "json", "data": [...]}                  anything else

The guest's half (`codeact_table.py`) reads the same pieces, and sends such to the notebook.
"""

from __future__ import annotations

import binascii
import json
import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, Literal, TypeAlias, cast

from ...errors import ProgramError
from ...settings import Limits
from ...tools.to_json import to_json
from ...types import JSONObject, JSONValue

__all__ = ["Column", "Kind", "NumericColumn", "ObjectColumn", "encoded", "kind_of", "zone_of"]

Kind: TypeAlias = Literal["int", "float", "bool", "text", "time", "json"]
NO_TIME: Final = -(2**63)
_NUMBERS, _VALUES = 1 << 17, 1 << 14
"""Values in one piece: a megabyte of numbers, and of others what is hardly ever more."""
_PIECE_BYTES = 2 << 20
_STEP = timedelta(microseconds=1)
_LIMITS = Limits(answer_bytes=1 << 40)
"""A piece is measured once it is made."""


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """A column whose bytes are there.

    Args:
        make: gives a one-dimensional numpy array of `q`, `d` or `?`, or of `q` that count microseconds.
        gaps: NaN stands for what is missing, and is `None` for the program.
        zone: where times with an offset are at home.
        offsets: gives a numpy array of each time's seconds from UTC.
    """

    name: str
    kind: Kind
    length: int
    make: Callable[[], Any]
    utc: bool = False
    gaps: bool = False
    zone: str = ""
    offsets: Callable[[], Any] | None = None

    def piece(self, start: int, count: int) -> tuple[JSONObject, int]:
        """At most `count` values from `start`, at least one if there is one; and how many they are."""
        values = self.make()[start : start + min(count, _NUMBERS)]
        code = {"int": "q", "float": "d", "bool": "b", "time": "us"}[self.kind]
        dtype = {"q": "<i8", "d": "<f8", "b": "i1", "us": "<i8"}[code]
        piece: JSONObject = {"as": code, "data": _base64(values.astype(dtype, copy=False).tobytes())}
        if self.gaps:
            piece["gaps"] = True
        if code != "us":
            return piece, len(values)
        offsets = cast(
            "list[int]", [] if self.offsets is None else self.offsets()[start : start + len(values)].tolist()
        )
        return {**piece, "utc": self.utc, **_zoned(self.zone, offsets)}, len(values)

    def values(self, start: int, count: int) -> list[object]:
        """The same as Python's values."""
        found = self.make()[start : start + count]
        if self.gaps:
            return [None if value != value else value for value in found.tolist()]
        if self.kind != "time":
            return cast("list[object]", found.tolist())
        times: list[datetime | None] = found.view("datetime64[us]").tolist()
        if not self.utc:
            return list(times)
        offsets = [0] * count if self.offsets is None else self.offsets()[start : start + count].tolist()
        zones = {offset: timezone(timedelta(seconds=offset)) for offset in offsets}
        return [
            time and time.replace(tzinfo=UTC).astimezone(zones[offset])
            for time, offset in zip(times, offsets, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class ObjectColumn:
    """A column of any values. `cut(start, end)` gives them as a list."""

    name: str
    kind: Kind
    length: int
    cut: Callable[[int, int], list[Any]]
    zone: str = ""

    def piece(self, start: int, count: int) -> tuple[JSONObject, int]:
        """At most `count` values from `start`, at least one if there is one; and how many they are.

        Raises:
            ProgramError: a value that has no JSON form, or is too large.
        """
        count = min(count, _VALUES, self.length - start)
        while True:
            try:
                piece = encoded(self.cut(start, start + count))
            except ProgramError as error:
                raise ProgramError(f"column {self.name!r}: {error}") from None
            if piece["as"] not in ("json", "I text"):
                return piece, count
            if len(json.dumps(piece, ensure_ascii=False).encode()) <= _PIECE_BYTES:
                return piece, count
            if count == 1:
                raise ProgramError(f"a value in {self.name} is larger than {_PIECE_BYTES >> 20} MiB: leave it out.")
            count //= 2

    def values(self, start: int, count: int) -> list[object]:
        """The same as Python's values."""
        return cast("list[object]", self.cut(start, start + count))


Column: TypeAlias = NumericColumn | ObjectColumn


def encoded(values: Sequence[Any]) -> JSONObject:
    """A piece of these values.

    Raises:
        ProgramError: one has no JSON form.
    """
    kind = kind_of(values)
    if kind == "int" and min(values) >= -(2**63) and max(values) < 2**63:
        return {"as": "q", "data": _packed("q", values)}
    if kind == "float" and set(map(type, values)) == {float}:  # an integer among them stays one
        return {"as": "d", "data": _packed("d", values)}
    if kind == "bool":
        return {"as": "b", "data": _packed("b", values)}
    if kind == "text":
        texts = dict.fromkeys(values)
        if 2 * len(texts) <= len(values):
            places = {text: place for place, text in enumerate(texts)}
            codes = _packed("I", [places[value] for value in values])
            return {"as": "I text", "texts": _json(list(texts)), "data": codes}
    if kind == "time" and len(aware := {value.utcoffset() is not None for value in values if value is not None}) == 1:
        start = datetime(1970, 1, 1, tzinfo=UTC if True in aware else None)
        numbers = [NO_TIME if value is None else (value - start) // _STEP for value in values]
        piece: JSONObject = {"as": "us", "utc": start.tzinfo is not None, "data": _packed("q", numbers)}
        offsets = [0 if value is None else _seconds_from_utc(value) for value in values] if True in aware else []
        return {**piece, **_zoned(zone_of(values), offsets)}
    return {"as": "json", "data": _json(values)}


def _zoned(zone: str, offsets: Sequence[int]) -> JSONObject:
    """What a piece of times tells of their zone; nothing where that is UTC."""
    distinct = list(dict.fromkeys(offsets))
    if distinct in ([], [0]):
        return {}
    places = {offset: place for place, offset in enumerate(distinct)}
    told: JSONObject = {"zone": zone, "offsets": list(distinct)}
    return told if len(distinct) == 1 else {**told, "places": _packed("I", [places[offset] for offset in offsets])}


def _seconds_from_utc(time: datetime) -> int:
    offset = time.utcoffset()
    return 0 if offset is None else offset // timedelta(seconds=1)


def zone_of(values: Sequence[Any]) -> str:
    """The name of the zone that these times are in; empty where they are none, or in no zone or in several."""
    zones = {id(value.tzinfo): value.tzinfo for value in values if isinstance(value, datetime)}
    names = {str(getattr(zone, "key", None) or getattr(zone, "zone", None) or zone)[:60] for zone in zones.values()}
    return names.pop() if len(names) == 1 and None not in zones.values() else ""


def kind_of(values: Sequence[Any]) -> Kind:
    """What the values are, if they are all of one kind; what is missing says nothing, but numbers cannot be missing."""
    kinds = set(map(type, values))
    known: dict[frozenset[type], Kind] = {
        frozenset({int}): "int",
        frozenset({float}): "float",
        frozenset({int, float}): "float",
        frozenset({bool}): "bool",
    }
    if (kind := known.get(frozenset(kinds))) is not None:
        return kind
    there = kinds - {type(None)}
    if there == {str}:
        return "text"
    are_times = there and all(issubclass(kind, datetime) and kind.__name__ != "NaTType" for kind in there)
    return "time" if are_times else "json"


def _json(values: Sequence[Any]) -> JSONValue:
    """By the rule for tools' results; text, the usual case, is looked at in one go."""
    if set(map(type, values)) <= {str, type(None)}:
        try:
            "".join([value for value in values if value]).encode()
            return list(values)
        except UnicodeEncodeError:
            pass
    return to_json(list(values), limits=_LIMITS)


def _packed(code: str, values: Sequence[Any]) -> str:
    numbers = array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return _base64(numbers.tobytes())


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
