"""Runs in the guest as `codeact_table`: a table whose columns come from the host when they are first looked at."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from codeact_calls import service

_BLOCK = 16_384
"""Rows that a first look at a column brings; a second look beyond them brings all of it."""


class Column(Sequence[Any]):
    """One column, as a list. Its values are with the host until they are wanted."""

    def __init__(self, table: int, number: int, length: int) -> None:
        self._of, self._length = (table, number), length
        self._head: Sequence[Any] = ()
        self._all: Sequence[Any] | None = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all())

    def __getitem__(self, at: Any) -> Any:
        if self._all is None and _within(at, self._length):
            if not self._head:
                self._head = _joined(self._pieces(min(_BLOCK, self._length)))
            return self._head[at]
        return self.all()[at]

    def all(self) -> Sequence[Any]:
        """Every value, fetched once."""
        if self._all is None:
            self._all, self._head = _joined(self._pieces(self._length)), ()
        return self._all

    def _pieces(self, end: int) -> Iterator[Sequence[Any]]:
        at = 0
        while at < end:
            piece = _decoded(service("data.column", table=self._of[0], column=self._of[1], start=at, count=end - at))
            at += len(piece)
            yield piece

    def __repr__(self) -> str:
        more = ", …" if self._length > 5 else ""
        return f"[{', '.join(map(repr, self[:5]))}{more}] ({self._length:,} values)"


class Picked(Sequence[Any]):
    """Some values of a column, by their places; still with the host until they are wanted."""

    def __init__(self, column: Sequence[Any], places: Sequence[int]) -> None:
        self._column, self._places = column, places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Any]:
        values = self._column.all() if isinstance(self._column, Column) else self._column
        return iter([values[place] for place in self._places])

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self._column[place] for place in self._places[at]]
        return self._column[self._places[at]]

    def __repr__(self) -> str:
        return repr(self[:5]) if len(self) <= 5 else f"{repr(self[:5])[:-1]}, …] ({len(self):,} values)"


class Times(Sequence[Any]):
    """Microseconds since 1970, seen as datetimes."""

    def __init__(self, numbers: Any, utc: bool) -> None:
        import datetime

        self._numbers, self._delta = numbers, datetime.timedelta
        self._start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC if utc else None)

    def __len__(self) -> int:
        return len(self._numbers)

    def _time(self, number: int) -> Any:
        return None if number == -(2**63) else self._start + self._delta(microseconds=number)

    def __iter__(self) -> Iterator[Any]:
        return map(self._time, self._numbers)

    def __getitem__(self, at: Any) -> Any:
        found = self._numbers[at]
        return [self._time(number) for number in found] if isinstance(at, slice) else self._time(found)

    def __add__(self, other: "Times") -> "Times":
        self._numbers.extend(other._numbers)
        return self


class Table(Sequence[Any]):
    """Rows with named columns: `len(t)`, `t["name"]`, `for row in t`, `t[0]`, `t[:5]`, `t.where(...)`, ...

    A row is a dict. Columns that nobody looks at are never fetched.
    """

    def __init__(self, columns: dict[str, Sequence[Any]], length: int) -> None:
        self._columns, self._length = columns, length

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    @property
    def rows(self) -> "Table":
        """The rows: the table is the list of them."""
        return self

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return self._length > 0

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, str):
            if at not in self._columns:
                raise KeyError(f"{at!r}: the columns are {', '.join(self._columns)}")
            return self._columns[at]
        if isinstance(at, (list, tuple)):
            return self.select(*at)
        if isinstance(at, slice):
            made = {name: column[at] for name, column in self._columns.items()}
            return Table(made, len(range(*at.indices(self._length))))
        return {name: column[at] for name, column in self._columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = self.columns
        for values in zip(*self._columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))

    def __contains__(self, row: object) -> bool:
        return row in self._columns if isinstance(row, str) else any(row == one for one in self)

    def select(self, *names: str) -> "Table":
        """Only these columns."""
        return Table({name: self[name] for name in names}, self._length)

    def where(self, test: Callable[[dict[str, Any]], Any] | None = None, /, **equal: Any) -> "Table":
        """The rows for which `test(row)` is true, or whose columns are equal to what is named."""
        places: Iterable[int] = range(self._length)
        for name, value in equal.items():
            values = _list(self[name])
            places = [place for place in places if values[place] == value]
        if test is not None:
            keep = set(places) if equal else None
            places = [at for at, row in enumerate(self) if (keep is None or at in keep) and test(row)]
        return self._picked(list(places))

    filter = where

    def group_by(self, *names: str) -> dict[Any, "Table"]:
        """`{value: Table of its rows}`, in order of appearance; of several columns the value is a tuple."""
        columns = [self[name] for name in names]
        keys = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
        places: dict[Any, Any] = {}
        for place, key in enumerate(keys):
            if key in places:
                places[key].append(place)
            else:
                places[key] = array("I", [place])
        return {key: self._picked(found) for key, found in places.items()}

    groupby = group_by

    def sort_by(self, *names: str, reverse: bool = False) -> "Table":
        """The rows in the order of these columns; what is missing comes last."""
        places = list(range(self._length))
        for name in reversed(names):
            values = _list(self[name])
            there = [place for place in places if not _missing(values[place])]
            gone = [place for place in places if _missing(values[place])]
            there.sort(key=values.__getitem__, reverse=reverse)
            places = there + gone
        return self._picked(places)

    sort = sort_by

    def page(self, start: int, count: int = 100) -> list[dict[str, Any]]:
        """So many rows from `start`, as a plain list."""
        return list(self[start : start + count])

    def head(self, count: int = 5) -> list[dict[str, Any]]:
        """The first rows, as a plain list."""
        return self.page(0, count)

    def _picked(self, places: Sequence[int]) -> "Table":
        return Table({name: Picked(column, places) for name, column in self._columns.items()}, len(places))

    def __repr__(self) -> str:
        lines = [f"  {row}" for row in self.page(0, 3)]
        more = ["  …"] if self._length > 3 else []
        return "\n".join([f"Table of {self._length:,} rows: {', '.join(self._columns)}", *lines, *more])


def made(told: dict[str, Any]) -> Any:
    """What the host keeps, as what the program sees: a table, one column, or the whole value."""
    if told["kind"] == "table":
        names, rows = told["columns"], told["rows"]
        return Table({name: Column(told["id"], number, rows) for number, name in enumerate(names)}, rows)
    if told["kind"] == "column":
        return Column(told["id"], 0, told["rows"])
    import json

    pieces: list[str] = []
    while piece := service("data.text", value=told["id"], start=sum(map(len, pieces))):
        pieces.append(piece)
    return json.loads("".join(pieces))


def _within(at: Any, length: int) -> bool:
    if isinstance(at, slice):
        return all(part is None or part >= 0 for part in (at.start, at.step)) and 0 <= (at.stop or -1) <= _BLOCK
    return 0 <= at < min(_BLOCK, length)


def _decoded(piece: dict[str, Any]) -> Any:
    kind, data = piece["as"], piece["data"]
    if kind == "json":
        return data
    import binascii

    numbers = array("q" if kind == "us" else kind[0])
    numbers.frombytes(binascii.a2b_base64(data))
    if kind == "us":
        return Times(numbers, piece["utc"])
    if kind == "b":
        return [number == 1 for number in numbers]
    if kind == "I text":
        texts = piece["texts"]
        return [texts[number] for number in numbers]
    return numbers


def _joined(pieces: Iterable[Any]) -> Sequence[Any]:
    whole: Any = None
    for piece in pieces:
        if whole is None:
            whole = piece
        elif type(whole) is type(piece) and getattr(whole, "typecode", "") == getattr(piece, "typecode", ""):
            whole += piece
        else:  # one piece has values missing, another not
            whole = [*whole, *piece]
    return [] if whole is None else whole


def _list(values: Iterable[Any]) -> Sequence[Any]:
    return values.all() if isinstance(values, Column) else values if isinstance(values, list) else list(values)


def _missing(value: Any) -> bool:
    return value is None or value != value
