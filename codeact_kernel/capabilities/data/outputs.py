"""What a program hands back: columns in pieces, or one value as JSON text. All of it is hostile until it is checked."""

from __future__ import annotations

import binascii
import re
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from importlib import import_module
from typing import Any, cast
from zoneinfo import ZoneInfo

from ...bridge.strict_json import loads
from ...errors import BridgeError, ProgramError
from ...json_size import weigh
from ...text import format_bytes
from ...types import JSONObject, JSONValue
from ...wire.jsonable import untag_floats
from .columns import NO_TIME

__all__ = ["Frame", "OutputReceiver", "to_dataframe"]

_FIXED = re.compile(r"UTC([+-])([01][0-9]|2[0-3]):([0-5][0-9])")
_COLUMNS, _NAME, _ROWS, _DEPTH, _ZONE = 2_000, 1_000, 10_000_000, 32, 60


@dataclass(frozen=True, slots=True)
class Frame:
    """A table that a program made.

    Attributes:
        columns: by name: 64-bit integers or floats as `array`, anything else as a list of JSON values or datetimes.
        rows: how many values each has.
    """

    columns: dict[str, Sequence[Any]]
    rows: int

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts."""
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


class OutputReceiver:
    """One variable on its way.

    Args:
        told: what the guest says of it.
        most: bytes that it may have.

    Attributes:
        size: bytes so far.

    Raises:
        ProgramError: no such variable can be.
    """

    def __init__(self, name: str, told: JSONObject, most: int) -> None:
        names, rows = told.get("columns"), told.get("rows")
        if type(rows) is not int or not 0 <= rows <= _ROWS:
            raise ProgramError(f"a table may have {_ROWS:,} rows")
        if names is not None and not _are_names(names):
            raise ProgramError(f"a table has 1 to {_COLUMNS:,} columns, named apart in {_NAME:,} characters")
        self.name, self.size = name, 0
        self._most = most
        self._rows = rows
        self._names = None if names is None else cast("list[str]", names)
        self._pieces: list[list[Any]] = [[] for _ in self._names or [None]]
        self._lengths = [0] * len(self._pieces)

    def take(self, arguments: JSONObject) -> None:
        """The next piece.

        Raises:
            ProgramError: it is none, or too much.
        """
        number, piece = arguments.get("column"), arguments.get("piece")
        if type(number) is not int or not 0 <= number < len(self._pieces) or not isinstance(piece, dict):
            raise ProgramError("no piece of that variable")
        values, size = _read(piece)
        self.size += size
        if self.size > self._most:
            raise ProgramError(f"{self.name} is larger than {format_bytes(self._most)}: hand back less")
        if isinstance(values, str) is not (self._names is None) or not values:
            raise ProgramError("no piece of that variable")
        if self._names is not None and self._lengths[number] + len(values) > self._rows:
            raise ProgramError("a column with more values than rows")
        self._lengths[number] += len(values)
        self._pieces[number].append(values)

    def made(self) -> Frame | JSONValue:
        """All of it. Takes a while: not on an event loop.

        Raises:
            ProgramError: it is not complete, or no JSON.
        """
        if self._names is None:
            try:
                text = "".join(self._pieces[0]).encode()
                return untag_floats(loads(text, limit=self._most, depth=_DEPTH))
            except (BridgeError, ValueError) as error:
                raise ProgramError(f"{self.name} cannot be handed to the notebook: {error}") from None
        if any(length != self._rows for length in self._lengths):
            raise ProgramError("a column with fewer values than rows")
        return Frame(dict(zip(self._names, map(_joined, self._pieces), strict=True)), self._rows)


def to_dataframe(value: object) -> object:
    """What the variable is bound to: a table as a DataFrame where pandas is installed, else as a list of dicts."""
    if not isinstance(value, Frame):
        return value
    try:
        pandas: Any = import_module("pandas")  # only who wants a table waits for it
    except ImportError:
        return value.records()
    numpy: Any = import_module("numpy")
    columns = {
        name: numpy.array(values) if isinstance(values, array) else pandas.Series(values, dtype=_dtype(values))
        for name, values in value.columns.items()
    }
    return pandas.DataFrame(columns, index=range(value.rows))


def _dtype(values: Sequence[Any]) -> str | None:
    """Numbers and truth values stay exactly what they are where some are missing."""
    kinds = frozenset[type](map(type, values))
    if kinds == frozenset[type]((int, type(None))):
        return "Int64" if all(one is None or -(2**63) <= one < 2**63 for one in values) else "object"
    return "boolean" if kinds == frozenset[type]((bool, type(None))) else None


def _are_names(names: JSONValue) -> bool:
    if not isinstance(names, list) or not 0 < len(names) <= _COLUMNS:
        return False
    return all(isinstance(name, str) and len(name) <= _NAME for name in names) and len(set(map(str, names))) == len(
        names
    )


def _read(piece: JSONObject) -> tuple[Any, int]:
    kind, data = piece.get("as"), piece.get("data")
    if kind == "json" and isinstance(data, list):
        return untag_floats(data), weigh(data)
    if not isinstance(data, str):
        raise ProgramError("a piece without data")
    if kind == "text":
        return data, len(data)
    if kind not in ("q", "d", "us"):
        raise ProgramError("a piece of no known kind")
    numbers: array[Any] = array("d" if kind == "d" else "q")
    try:
        numbers.frombytes(binascii.a2b_base64(data, strict_mode=True))
    except (binascii.Error, ValueError):
        raise ProgramError("a piece that is no base64 of whole numbers") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return (_times(numbers, piece.get("utc") is True, piece.get("zone")) if kind == "us" else numbers), 8 * len(numbers)


def _times(numbers: Sequence[int], utc: bool, zone: JSONValue) -> list[datetime | None]:
    start = datetime(1970, 1, 1, tzinfo=UTC if utc else None)
    home = _zone(zone) if utc and isinstance(zone, str) and zone not in ("", "UTC") else None
    try:
        times = [None if one == NO_TIME else start + timedelta(microseconds=one) for one in numbers]
        return times if home is None else [time and time.astimezone(home) for time in times]
    except OverflowError:
        raise ProgramError("a time that no calendar has") from None


def _zone(name: str) -> tzinfo:
    """A zone that a program names, or its distance from UTC; UTC where there is none of that name here."""
    if fixed := _FIXED.fullmatch(name):
        sign, hours, minutes = fixed.groups()
        return timezone(int(f"{sign}1") * timedelta(hours=int(hours), minutes=int(minutes)))
    try:
        return ZoneInfo(name[:_ZONE])
    except (KeyError, ValueError, OSError):  # not found, or no name at all
        return UTC


def _joined(pieces: list[Any]) -> Sequence[Any]:
    if len(pieces) == 1:
        return pieces[0]
    if pieces and all(isinstance(piece, array) and piece.typecode == pieces[0].typecode for piece in pieces):
        whole: array[Any] = pieces[0]
        for piece in pieces[1:]:
            whole += piece
        return whole
    return [value for piece in pieces for value in piece]
