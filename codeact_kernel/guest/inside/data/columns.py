"""Columns whose values are fetched from the host when a program first reads them."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from ..tool_calls import call_host

_BLOCK = 16_384
"""Values that the first read of a column fetches. A read beyond them fetches the whole column."""


class Mask(list[bool]):
    """A list of booleans, one for each row. Comparing a column returns it, and a table takes it in brackets."""

    def __bool__(self) -> bool:
        raise ValueError("comparing a column gives one answer for each row: use & and | and ~, or any() and all()")

    def __and__(self, other: Iterable[Any]) -> "Mask":
        return Mask(a and b for a, b in zip(self, other, strict=True))

    def __or__(self, other: Iterable[Any]) -> "Mask":
        return Mask(a or b for a, b in zip(self, other, strict=True))

    def __invert__(self) -> "Mask":
        return Mask(not a for a in self)


class Values(Sequence[Any]):
    """A column as a list with methods of a pandas Series. Figures leave out missing values."""

    codeact_kind = "column"

    def drop_missing(self) -> list[Any]:
        """Return the values that are not missing."""
        return [value for value in self if not is_missing(value)]

    def sum(self) -> Any:
        return sum(self.drop_missing())

    def mean(self) -> Any:
        values = self.drop_missing()
        return sum(values) / len(values) if values else None

    def median(self) -> Any:
        import statistics

        return statistics.median(values) if (values := self.drop_missing()) else None

    def std(self) -> Any:
        import statistics

        return statistics.stdev(values) if len(values := self.drop_missing()) > 1 else None

    def min(self) -> Any:
        return min(self.drop_missing(), default=None)

    def max(self) -> Any:
        return max(self.drop_missing(), default=None)

    def count(self, *value: Any) -> int:
        """Count the values that are not missing, or those that are equal to `value`."""
        return sum(item == value[0] for item in self) if value else len(self.drop_missing())

    def unique(self) -> list[Any]:
        """Return each value once, in order of appearance."""
        return list(dict.fromkeys(none_if_missing(value) for value in self))

    def nunique(self) -> int:
        return len(set(self.drop_missing()))

    def value_counts(self) -> dict[Any, int]:
        """Return how often each value occurs, the most frequent first."""
        import collections

        return dict(collections.Counter(self.drop_missing()).most_common())

    def isin(self, values: Iterable[Any]) -> Mask:
        accepted = list(values)
        return Mask(value in accepted for value in self)

    def tolist(self) -> list[Any]:
        return list(self)

    def _compare(self, other: Any, how: Callable[[Any, Any], Any]) -> Mask:
        if isinstance(other, Sequence) and not isinstance(other, (str, bytes)):
            return Mask(_compare_values(how, a, b) for a, b in zip(self, other, strict=True))
        return Mask(_compare_values(how, a, other) for a in self)

    def __eq__(self, other: object) -> Any:
        return self._compare(other, eq)

    def __ne__(self, other: object) -> Any:
        return self._compare(other, ne)

    def __lt__(self, other: Any) -> Mask:
        return self._compare(other, lt)

    def __le__(self, other: Any) -> Mask:
        return self._compare(other, le)

    def __gt__(self, other: Any) -> Mask:
        return self._compare(other, gt)

    def __ge__(self, other: Any) -> Mask:
        return self._compare(other, ge)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        rest = ", …" if len(self) > 5 else ""
        return f"[{', '.join(map(repr, self[:5]))}{rest}] ({len(self):,} values)"


class LocalColumn(Values):
    """A part of a column whose values are in the guest."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __getitem__(self, index: Any) -> Any:
        return LocalColumn(self._values[index]) if isinstance(index, slice) else self._values[index]

    def all(self) -> Sequence[Any]:
        return self._values


class Column(Values):
    """A column as a list. Its values stay on the host until a program reads them."""

    def __init__(self, table: int, number: int, length: int) -> None:
        self._ids, self._length = (table, number), length
        self._head: Sequence[Any] = ()
        self._all: Sequence[Any] | None = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def __getitem__(self, index: Any) -> Any:
        if self._all is None and _is_in_head(index, self._length):
            if not self._head:
                self._head = _join(self._fetch_pieces(min(_BLOCK, self._length)))
            result = self._head[index]
        else:
            result = self.all()[index]
        return LocalColumn(result) if isinstance(index, slice) else result

    def all(self) -> Sequence[Any]:
        """Return every value; they are fetched once."""
        if self._all is None:
            self._all, self._head = _join(self._fetch_pieces(self._length)), ()
        return self._all

    def _fetch_pieces(self, end: int) -> Iterator[Sequence[Any]]:
        start = 0
        while start < end:
            piece = _decode(
                call_host("data", "column", table=self._ids[0], column=self._ids[1], start=start, count=end - start)
            )
            start += len(piece)
            yield piece


class ColumnView(Values):
    """Some values of a column, by their positions. They too stay on the host until a program reads them."""

    def __init__(self, column: Sequence[Any], places: Sequence[int]) -> None:
        self._column, self._places = column, places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Any]:
        values = self._column.all() if isinstance(self._column, Column) else self._column
        return iter([values[place] for place in self._places])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ColumnView(self._column, self._places[index])
        return self._column[self._places[index]]


class Times(Sequence[Any]):
    """Microseconds since 1970 as datetimes. With a zone, each is the local time of that zone."""

    def __init__(self, numbers: Any, utc: bool, zone: str = "", offsets: Any = None) -> None:
        import datetime

        self._numbers, self._delta = numbers, datetime.timedelta
        self._start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC if utc else None)
        self._offsets: Any = offsets or array("i", bytes(4 * len(numbers)))
        names = (zone,) if zone else ()  # without a name, the times have different zones
        zones = {
            offset: datetime.timezone(self._delta(seconds=offset), *names)
            for offset in (set(self._offsets) if utc else ())
        }
        self._starts = {
            offset: datetime.datetime(1970, 1, 1, tzinfo=tz) + self._delta(seconds=offset)
            for offset, tz in zones.items()
        }

    def __len__(self) -> int:
        return len(self._numbers)

    def _time(self, number: int, offset: int) -> Any:
        if number == -(2**63):
            return None
        return self._starts.get(offset, self._start) + self._delta(microseconds=number)

    def __iter__(self) -> Iterator[Any]:
        return map(self._time, self._numbers, self._offsets)

    def __getitem__(self, index: Any) -> Any:
        numbers, offsets = self._numbers[index], self._offsets[index]
        return list(map(self._time, numbers, offsets)) if isinstance(index, slice) else self._time(numbers, offsets)

    def __add__(self, other: "Times") -> "Times":
        self._numbers.extend(other._numbers)
        self._offsets.extend(other._offsets)
        self._starts |= other._starts
        return self


def _is_in_head(index: Any, length: int) -> bool:
    if isinstance(index, slice):
        return (
            all(part is None or part >= 0 for part in (index.start, index.step)) and 0 <= (index.stop or -1) <= _BLOCK
        )
    return 0 <= index < min(_BLOCK, length)


def _decode(piece: dict[str, Any]) -> Any:
    kind, data = piece["as"], piece["data"]
    if kind == "json":
        return data
    import binascii

    numbers = array("q" if kind == "us" else kind[0])
    numbers.frombytes(binascii.a2b_base64(data))
    if kind == "us":
        return Times(numbers, piece["utc"], piece.get("zone", ""), _decode_offsets(piece, len(numbers)))
    if piece.get("gaps"):  # NaN stands for what is missing
        return [None if number != number else number for number in numbers]
    if kind == "b":
        return [number == 1 for number in numbers]
    if kind == "I text":
        texts = piece["texts"]
        return [texts[number] for number in numbers]
    return numbers


def _decode_offsets(piece: dict[str, Any], count: int) -> Any:
    """Return the offset from UTC, in seconds, of each time of a piece."""
    distinct = piece.get("offsets")
    if distinct is None or "places" not in piece:
        return distinct and array("i", distinct) * count
    import binascii

    places = array("I")
    places.frombytes(binascii.a2b_base64(piece["places"]))
    return array("i", [distinct[place] for place in places])


def _join(pieces: Iterable[Any]) -> Sequence[Any]:
    whole: Any = None
    for piece in pieces:
        if whole is None:
            whole = piece
        elif type(whole) is type(piece) and getattr(whole, "typecode", "") == getattr(piece, "typecode", ""):
            whole += piece
        else:  # only one of the two pieces has missing values
            whole = [*whole, *piece]
    return [] if whole is None else whole


def is_missing(value: Any) -> bool:
    """Return whether the value is `None` or NaN."""
    return value is None or value != value


def none_if_missing(value: Any) -> Any:
    """Replace NaN with `None`: NaN is not equal to itself, so each NaN would count as a distinct value."""
    return None if value is None or value != value else value


def _compare_values(how: Callable[[Any, Any], Any], a: Any, b: Any) -> bool:
    if a is None and how is not eq and how is not ne:
        return False  # a missing value is neither less nor greater
    return bool(how(a, b))
