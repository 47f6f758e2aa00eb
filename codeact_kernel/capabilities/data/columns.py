"""Encode the values of one column in pieces: numbers and times as bytes, repeating texts as codes, others as JSON.

    {"as": "q" | "d" | "b", "data": base64}        64-bit integers, floats, truth values, little-endian; with "gaps"
                                                   a NaN among the floats is `None`
    {"as": "us", "utc": bool, "data": base64}      microseconds since 1970; the smallest integer is a missing time.
                                                   Times with a zone add "zone" and the distinct "offsets" from UTC
                                                   in seconds. If these are several, "places" holds the 32-bit index
                                                   of each time's offset
    {"as": "I text", "texts": [...], "data": ...}  32-bit indexes into `texts`
    {"as": "json", "data": [...]}                  anything else

The guest half reads and writes the same pieces.
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
from ...secrets import hide_in
from ...settings import Limits
from ...tools.to_json import to_json
from ...types import JSONObject, JSONValue

__all__ = ["Column", "Kind", "NumericColumn", "ObjectColumn", "encode_values", "kind_of", "zone_of"]

Kind: TypeAlias = Literal["int", "float", "bool", "text", "time", "json"]
NO_TIME: Final = -(2**63)
_MAX_NUMBERS, _MAX_VALUES = 1 << 17, 1 << 14
"""Values in one piece: a megabyte of numbers; other values rarely take more than that."""
_MAX_PIECE_BYTES = 2 << 20
_STEP = timedelta(microseconds=1)
_LIMITS = Limits(answer_bytes=1 << 40)
"""Without a limit of bytes, because the size of a piece is checked after encoding."""


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """A column with numpy values.

    Attributes:
        make: returns a one-dimensional numpy array of `q`, `d` or `?`; times are `q` that count microseconds.
        utc: whether the times are in UTC, else they have no zone.
        gaps: whether NaN means a missing value, which is `None` for the program.
        zone: the name of the zone of times with an offset.
        offsets: returns a numpy array with the distance from UTC of each time, in seconds.
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
        """Encode at least one and up to `count` values from `start`. Return the piece and its number of values."""
        values = self.make()[start : start + min(count, _MAX_NUMBERS)]
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
        return {**piece, "utc": self.utc, **_zone_fields(self.zone, offsets)}, len(values)

    def values(self, start: int, count: int) -> list[object]:
        """Return up to `count` values from `start` as Python objects."""
        values = self.make()[start : start + count]
        if self.gaps:
            return [None if value != value else value for value in values.tolist()]
        if self.kind != "time":
            return cast("list[object]", values.tolist())
        times: list[datetime | None] = values.view("datetime64[us]").tolist()
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
    """A column of any Python values. `cut(start, end)` returns a part of them as a list."""

    name: str
    kind: Kind
    length: int
    cut: Callable[[int, int], list[Any]]
    zone: str = ""

    def piece(self, start: int, count: int) -> tuple[JSONObject, int]:
        """Encode at least one and up to `count` values from `start`. Return the piece and its number of values.

        Raises:
            ProgramError: if a value has no JSON form or is too large.
        """
        count = min(count, _MAX_VALUES, self.length - start)
        while True:
            try:
                piece = encode_values(self.values(start, count))
            except ProgramError as error:
                raise ProgramError(f"column {self.name!r}: {error}") from None
            if piece["as"] not in ("json", "I text"):
                return piece, count
            if len(json.dumps(piece, ensure_ascii=False).encode()) <= _MAX_PIECE_BYTES:
                return piece, count
            if count == 1:
                raise ProgramError(f"a value in {self.name} is larger than {_MAX_PIECE_BYTES >> 20} MiB: leave it out.")
            count //= 2

    def values(self, start: int, count: int) -> list[object]:
        """Return up to `count` values from `start`, without secrets."""
        return hide_in(cast("list[object]", self.cut(start, start + count)))


Column: TypeAlias = NumericColumn | ObjectColumn


def encode_values(values: Sequence[Any]) -> JSONObject:
    """Encode values as one piece.

    Raises:
        ProgramError: if a value has no JSON form.
    """
    kind = kind_of(values)
    if kind == "int" and min(values) >= -(2**63) and max(values) < 2**63:
        return {"as": "q", "data": _pack("q", values)}
    if kind == "float" and set(map(type, values)) == {float}:  # integers among them must stay integers
        return {"as": "d", "data": _pack("d", values)}
    if kind == "bool":
        return {"as": "b", "data": _pack("b", values)}
    if kind == "text":
        texts = dict.fromkeys(values)
        if 2 * len(texts) <= len(values):
            codes = {text: code for code, text in enumerate(texts)}
            data = _pack("I", [codes[value] for value in values])
            return {"as": "I text", "texts": _to_json(list(texts)), "data": data}
    if kind == "time" and len(aware := {value.utcoffset() is not None for value in values if value is not None}) == 1:
        start = datetime(1970, 1, 1, tzinfo=UTC if True in aware else None)
        numbers = [NO_TIME if value is None else (value - start) // _STEP for value in values]
        piece: JSONObject = {"as": "us", "utc": start.tzinfo is not None, "data": _pack("q", numbers)}
        offsets = [0 if value is None else _seconds_from_utc(value) for value in values] if True in aware else []
        return {**piece, **_zone_fields(zone_of(values), offsets)}
    return {"as": "json", "data": _to_json(values)}


def _zone_fields(zone: str, offsets: Sequence[int]) -> JSONObject:
    """Return the fields of a piece of times that describe their zone; none for UTC."""
    distinct = list(dict.fromkeys(offsets))
    if distinct in ([], [0]):
        return {}
    fields: JSONObject = {"zone": zone, "offsets": list(distinct)}
    if len(distinct) == 1:
        return fields
    codes = {offset: code for code, offset in enumerate(distinct)}
    return {**fields, "places": _pack("I", [codes[offset] for offset in offsets])}


def _seconds_from_utc(time: datetime) -> int:
    offset = time.utcoffset()
    return 0 if offset is None else offset // timedelta(seconds=1)


def zone_of(values: Sequence[Any]) -> str:
    """Return the name of the zone of all these times, or an empty text if they do not share one."""
    zones = {id(value.tzinfo): value.tzinfo for value in values if isinstance(value, datetime)}
    names = {str(getattr(zone, "key", None) or getattr(zone, "zone", None) or zone)[:60] for zone in zones.values()}
    return names.pop() if len(names) == 1 and None not in zones.values() else ""


def kind_of(values: Sequence[Any]) -> Kind:
    """Return the kind that all values have in common, else `json`. Texts and times may have missing values."""
    kinds = set(map(type, values))
    known: dict[frozenset[type], Kind] = {
        frozenset({int}): "int",
        frozenset({float}): "float",
        frozenset({int, float}): "float",
        frozenset({bool}): "bool",
    }
    if (kind := known.get(frozenset(kinds))) is not None:
        return kind
    present = kinds - {type(None)}
    if present == {str}:
        return "text"
    are_times = present and all(issubclass(kind, datetime) and kind.__name__ != "NaTType" for kind in present)
    return "time" if are_times else "json"


def _to_json(values: Sequence[Any]) -> JSONValue:
    """Convert values like results of tools, with a fast path for text."""
    if set(map(type, values)) <= {str, type(None)}:
        try:
            "".join([value for value in values if value]).encode()
            return list(values)
        except UnicodeEncodeError:
            pass
    return to_json(list(values), limits=_LIMITS)


def _pack(code: str, values: Sequence[Any]) -> str:
    numbers = array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return _base64(numbers.tobytes())


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
