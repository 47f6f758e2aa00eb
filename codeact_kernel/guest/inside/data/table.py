"""A table whose columns are fetched from the host when they are first read.

It is a list of dicts. The methods of a DataFrame that programs use most work as well, and no others.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .columns import Column, ColumnView, LocalColumn, Mask, is_missing, none_if_missing


class Table(Sequence[Any]):
    """Rows with named columns: `len(t)`, `t["name"]`, `for row in t`, `t[0]`, `t[:5]`, `t.where(...)`, ...

    A row is a dict. Columns that a program does not read are never fetched.
    """

    codeact_kind = "table"

    def __init__(self, columns: dict[str, Sequence[Any]], length: int) -> None:
        self._columns, self._length = columns, length

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._columns)

    @property
    def rows(self) -> "Table":
        """Return the rows, which are the table itself."""
        return self

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return self._length > 0

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._columns:
                raise KeyError(f"{key!r}: the columns are {', '.join(self._columns)}")
            return self._columns[key]
        if isinstance(key, bool):
            raise TypeError(
                "a table needs a truth value for each row, not a single one: combine comparisons with & and | and ~"
            )
        if isinstance(key, Mask) or (isinstance(key, list) and key and all(isinstance(item, bool) for item in key)):
            if len(key) != self._length:
                raise ValueError(f"the comparison has {len(key):,} rows, but the table has {self._length:,}")
            return self._take_rows([place for place, is_kept in enumerate(key) if is_kept])
        if isinstance(key, (list, tuple)):
            return self.select(*key)
        if isinstance(key, slice):
            columns = {name: column[key] for name, column in self._columns.items()}
            return Table(columns, len(range(*key.indices(self._length))))
        return {name: column[key] for name, column in self._columns.items()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = self.columns
        for values in zip(*self._columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))

    def __contains__(self, row: object) -> bool:
        return row in self._columns if isinstance(row, str) else any(row == own for own in self)

    def select(self, *names: str) -> "Table":
        """Return a table with only these columns."""
        return Table({name: self[name] for name in names}, self._length)

    def where(self, test: Callable[[dict[str, Any]], Any] | None = None, /, **equal: Any) -> "Table":
        """Return the rows for which `test(row)` is true and the named columns have the given values."""
        places: Iterable[int] = range(self._length)
        for name, value in equal.items():
            values = _to_list(self[name])
            places = [place for place in places if values[place] == value]
        if test is not None:
            keep = set(places) if equal else None
            places = [place for place, row in enumerate(self) if (keep is None or place in keep) and test(row)]
        return self._take_rows(list(places))

    filter = where

    def group_by(self, *names: Any) -> "Groups":
        """Return `{value: Table of its rows}`, in order of appearance. For several columns, the value is a tuple."""
        names = _flatten_names(names)
        columns = [self[name] for name in names]
        present = [map(none_if_missing, column) for column in columns]
        keys = present[0] if len(present) == 1 else zip(*present, strict=True)
        places: dict[Any, Any] = {}
        for place, key in enumerate(keys):
            if key in places:
                places[key].append(place)
            else:
                places[key] = array("I", [place])
        return Groups(names, {key: self._take_rows(rows) for key, rows in places.items()})

    groupby = group_by

    def sort_by(self, *names: Any, reverse: Any = False) -> "Table":
        """Return the rows in the order of these columns, missing values last. `reverse` can be one value per column."""
        names = _flatten_names(names)
        backwards = list(reverse) if isinstance(reverse, (list, tuple)) else [reverse] * len(names)
        places = list(range(self._length))
        for name, is_reverse in reversed(list(zip(names, backwards, strict=True))):
            values = _to_list(self[name])
            present = [place for place in places if not is_missing(values[place])]
            missing = [place for place in places if is_missing(values[place])]
            present.sort(key=values.__getitem__, reverse=is_reverse)
            places = present + missing
        return self._take_rows(places)

    sort = sort_by

    def sort_values(self, by: Any, ascending: Any = True) -> "Table":
        is_list = isinstance(ascending, (list, tuple))
        return self.sort_by(by, reverse=[not is_ascending for is_ascending in ascending] if is_list else not ascending)

    def page(self, start: int, count: int = 100) -> list[dict[str, Any]]:
        """Return `count` rows from `start` as a plain list."""
        return list(self[start : start + count])

    def head(self, count: int = 5) -> "Table":
        """Return the first rows."""
        return self[:count]

    def to_dict(self, orient: str = "dict") -> Any:
        return list(self) if orient == "records" else {name: list(column) for name, column in self._columns.items()}

    def iterrows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        return enumerate(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._columns:
            raise AttributeError(f"a Table has no {name!r}: it is a list of dicts, so loop over its rows")
        return self._columns[name]

    def _take_rows(self, places: Sequence[int]) -> "Table":
        return Table({name: ColumnView(column, places) for name, column in self._columns.items()}, len(places))

    def __repr__(self) -> str:
        lines = [f"  {row}" for row in self.page(0, 3)]
        rest = ["  …"] if self._length > 3 else []
        return "\n".join([f"Table of {self._length:,} rows: {', '.join(self._columns)}", *lines, *rest])


class Groups(dict[Any, Table]):
    """`{value: Table of its rows}`. A column's name in brackets returns that column of each group."""

    def __init__(self, names: Sequence[str], tables: dict[Any, Table]) -> None:
        super().__init__(tables)
        self._names = names

    def __missing__(self, name: Any) -> "Grouped":
        if not all(isinstance(name, str) and name in table.columns for table in self.values()):
            raise KeyError(f"{name!r}: the groups are {', '.join(map(repr, list(self)[:10]))}")
        return Grouped(self._names, name, {key: table[name] for key, table in self.items()})


class Grouped(dict[Any, Any]):
    """One column of each group. Its figures are `{value: figure}`."""

    def __init__(self, names: Sequence[str], column: str, values: dict[Any, Any]) -> None:
        super().__init__(values)
        self._names, self._column = names, column

    def _aggregate(self, how: str) -> "Grouped":
        return Grouped(self._names, self._column, {key: getattr(values, how)() for key, values in self.items()})

    def sum(self) -> "Grouped":
        return self._aggregate("sum")

    def mean(self) -> "Grouped":
        return self._aggregate("mean")

    def median(self) -> "Grouped":
        return self._aggregate("median")

    def min(self) -> "Grouped":
        return self._aggregate("min")

    def max(self) -> "Grouped":
        return self._aggregate("max")

    def count(self) -> "Grouped":
        return self._aggregate("count")

    def nunique(self) -> "Grouped":
        return self._aggregate("nunique")

    def sort_values(self, ascending: bool = True) -> "Grouped":
        present = [pair for pair in self.items() if not is_missing(pair[1])]
        missing = [pair for pair in self.items() if is_missing(pair[1])]
        present.sort(key=lambda pair: pair[1], reverse=not ascending)
        return Grouped(self._names, self._column, dict(present + missing))

    def reset_index(self) -> list[dict[str, Any]]:
        """Return the figures as rows."""
        keys = [key if len(self._names) > 1 else (key,) for key in self]
        pairs = zip(keys, self.values(), strict=True)
        return [{**dict(zip(self._names, key, strict=True)), self._column: value} for key, value in pairs]


def _to_list(values: Iterable[Any]) -> Sequence[Any]:
    if isinstance(values, (Column, LocalColumn)):
        return values.all()
    return values if isinstance(values, list) else list(values)


def _flatten_names(names: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of columns, given one by one or as a list."""
    return tuple(name for item in names for name in (item if isinstance(item, (list, tuple)) else [item]))
