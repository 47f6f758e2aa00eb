"""Receive the values that a program passes to the notebook: columns in pieces, or one value as JSON text.

Everything here comes from the guest, so every field is checked before it is used.
"""

from __future__ import annotations

import binascii
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from importlib import import_module
from typing import Any, cast

from ...bridge.strict_json import loads
from ...errors import BridgeError, ProgramError
from ...json_size import weigh
from ...text import format_bytes
from ...types import JSONObject, JSONValue
from ...wire.jsonable import untag_floats
from ...wire.zones import find_zone
from .columns import NO_TIME

__all__ = ["Frame", "OutputReceiver", "to_dataframe"]

_MAX_COLUMNS, _MAX_NAME, _MAX_ROWS, _MAX_DEPTH, _MAX_ZONE = 2_000, 1_000, 10_000_000, 32, 60


@dataclass(frozen=True, slots=True)
class Frame:
    """A table that a program made.

    Attributes:
        columns: the values by column name: an `array` of 64-bit integers or floats, or a list of JSON values or
            datetimes.
        rows: the number of values in each column.
    """

    columns: dict[str, Sequence[Any]]
    rows: int

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.columns)

    def head(self, count: int) -> Frame:
        """Return the first rows."""
        rows = min(count, self.rows)
        return Frame({name: values[:rows] for name, values in self.columns.items()}, rows)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dicts."""
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]

    def to_dataframe(self) -> Any:
        """Return the table as a `pandas.DataFrame`.

        Raises:
            ImportError: if pandas is not installed.
        """
        pandas: Any = import_module("pandas")  # slow to import, and not always needed
        numpy: Any = import_module("numpy")
        columns = {
            name: numpy.array(values) if isinstance(values, array) else pandas.Series(values, dtype=_dtype(values))
            for name, values in self.columns.items()
        }
        return pandas.DataFrame(columns, index=range(self.rows))


class OutputReceiver:
    """Receives one variable.

    Args:
        header: the guest's description of the variable.
        max_bytes: the maximum size of the variable.

    Attributes:
        size: the bytes so far.

    Raises:
        ProgramError: if the description is not valid.
    """

    def __init__(self, name: str, header: JSONObject, max_bytes: int) -> None:
        names, rows = header.get("columns"), header.get("rows")
        if type(rows) is not int or not 0 <= rows <= _MAX_ROWS:
            raise ProgramError(f"a table may have at most {_MAX_ROWS:,} rows")
        if names is not None and not _are_names(names):
            raise ProgramError(
                f"a table has 1 to {_MAX_COLUMNS:,} columns, with different names of at most {_MAX_NAME:,} characters"
            )
        self.name, self.size = name, 0
        self._max_bytes = max_bytes
        self._rows = rows
        self._names = None if names is None else cast("list[str]", names)
        self._pieces: list[list[Any]] = [[] for _ in self._names or [None]]
        self._lengths = [0] * len(self._pieces)

    def take(self, arguments: JSONObject) -> None:
        """Take the next piece.

        Raises:
            ProgramError: if it is not a valid piece of this variable, or exceeds the limit.
        """
        number, piece = arguments.get("column"), arguments.get("piece")
        if type(number) is not int or not 0 <= number < len(self._pieces) or not isinstance(piece, dict):
            raise ProgramError("not a piece of that variable")
        values, size = _decode(piece)
        self.size += size
        if self.size > self._max_bytes:
            raise ProgramError(f"{self.name} is larger than {format_bytes(self._max_bytes)}: assign less")
        if isinstance(values, str) is not (self._names is None) or not values:
            raise ProgramError("not a piece of that variable")
        if self._names is not None and self._lengths[number] + len(values) > self._rows:
            raise ProgramError("a column with more values than rows")
        self._lengths[number] += len(values)
        self._pieces[number].append(values)

    def assemble(self) -> Frame | JSONValue:
        """Return the complete variable. This can take seconds, so call it in a thread.

        Raises:
            ProgramError: if values are missing, or the text is not JSON.
        """
        if self._names is None:
            try:
                text = "".join(self._pieces[0]).encode()
                return untag_floats(loads(text, limit=self._max_bytes, depth=_MAX_DEPTH))
            except (BridgeError, ValueError) as error:
                raise ProgramError(f"{self.name} cannot be passed to the notebook: {error}") from None
        if any(length != self._rows for length in self._lengths):
            raise ProgramError("a column with fewer values than rows")
        return Frame(dict(zip(self._names, map(_join, self._pieces), strict=True)), self._rows)


def to_dataframe(value: object) -> object:
    """Return the value for the notebook: a table as a DataFrame if pandas is installed, else as a list of dicts."""
    if not isinstance(value, Frame):
        return value
    if hasattr(value, "exact"):  # it came from a guest with pandas: also a Series or an array
        return cast("Any", value).exact
    try:
        return value.to_dataframe()
    except ImportError:
        return value.records()


def _dtype(values: Sequence[Any]) -> str | None:
    """Return a dtype that keeps integers and truth values exact although some are missing."""
    kinds = frozenset[type](map(type, values))
    if kinds == frozenset[type]((int, type(None))):
        return "Int64" if all(value is None or -(2**63) <= value < 2**63 for value in values) else "object"
    return "boolean" if kinds == frozenset[type]((bool, type(None))) else None


def _are_names(names: JSONValue) -> bool:
    if not isinstance(names, list) or not 0 < len(names) <= _MAX_COLUMNS:
        return False
    return all(isinstance(name, str) and len(name) <= _MAX_NAME for name in names) and len(set(map(str, names))) == len(
        names
    )


def _decode(piece: JSONObject) -> tuple[Any, int]:
    kind, data = piece.get("as"), piece.get("data")
    if kind == "json" and isinstance(data, list):
        return untag_floats(data), weigh(data)
    if not isinstance(data, str):
        raise ProgramError("the piece has no data")
    if kind == "text":
        return data, len(data)
    if kind not in ("q", "d", "us"):
        raise ProgramError("the kind of the piece is not known")
    numbers: array[Any] = array("d" if kind == "d" else "q")
    try:
        numbers.frombytes(binascii.a2b_base64(data, strict_mode=True))
    except (binascii.Error, ValueError):
        raise ProgramError("the data of the piece is not base64 of 64-bit numbers") from None
    if sys.byteorder == "big":
        numbers.byteswap()
    return (_times(numbers, piece.get("utc") is True, piece.get("zone")) if kind == "us" else numbers), 8 * len(numbers)


def _times(numbers: Sequence[int], utc: bool, zone: JSONValue) -> list[datetime | None]:
    start = datetime(1970, 1, 1, tzinfo=UTC if utc else None)
    local_zone = _find_zone(zone) if utc and isinstance(zone, str) and zone not in ("", "UTC") else None
    try:
        times = [None if number == NO_TIME else start + timedelta(microseconds=number) for number in numbers]
        return times if local_zone is None else [time and time.astimezone(local_zone) for time in times]
    except OverflowError:
        raise ProgramError("a time is outside of the calendar") from None


def _find_zone(name: str) -> tzinfo:
    """Return the zone with a name or a fixed distance from UTC. An unknown name gives UTC."""
    try:
        return find_zone(name[:_MAX_ZONE])
    except ValueError:
        return UTC


def _join(pieces: list[Any]) -> Sequence[Any]:
    if len(pieces) == 1:
        return pieces[0]
    if pieces and all(isinstance(piece, array) and piece.typecode == pieces[0].typecode for piece in pieces):
        result: array[Any] = pieces[0]
        for piece in pieces[1:]:
            result += piece
        return result
    return [value for piece in pieces for value in piece]
