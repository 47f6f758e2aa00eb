"""A large result of a tool, as the list that a small result is.

The rows are fetched from the host when they are first read. In addition to the methods of a list it has those of a
`Table`, so that a program can read one column before or after the rows are fetched.
"""

from collections.abc import Callable, Iterator
from typing import Any

from .columns import LocalColumn
from .table import Table

_MAX_CELLS = 5_000_000
"""Maximum size of rows that are kept as dicts in the guest's memory. Rows of larger results are created while they are
read, and cannot be changed.
"""


class Row(dict[str, Any]):
    """A row of a result that is too large for the guest's memory. It can be read and copied."""

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("this result is too large to be changed in place: change a copy, dict(row)")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(self),)


for _name in ("__setitem__", "__delitem__", "__ior__", "update", "setdefault", "pop", "popitem", "clear"):
    setattr(Row, _name, Row._refuse)


class Rows(list[Any]):
    """A list of dicts that is fetched when it is first read."""

    codeact_kind = "rows"

    _table: Table | None = None

    def __new__(cls, table: Any = ()) -> Any:
        # `type(rows)(...)` of another iterable creates a list, for example in `dataclasses.asdict`.
        return super().__new__(cls) if isinstance(table, Table) else list(table)

    def __init__(self, table: Any = ()) -> None:
        super().__init__()
        self._table = table

    @property
    def is_whole(self) -> bool:
        """Whether all rows are in the guest."""
        return self._table is None

    @property
    def _is_huge(self) -> bool:
        return self._table is not None and len(self._table) * len(self._table.columns) > _MAX_CELLS

    def _fill(self) -> None:
        if self._is_huge:
            raise TypeError("this result is too large to be changed or copied as a whole: take a part of it")
        if self._table is not None:
            rows = list(self._table)
            self._table = None
            super().extend(rows)

    def table(self) -> Table:
        """Return the current rows as a table."""
        if self._table is not None:
            return self._table
        names = dict.fromkeys(name for row in self for name in row)
        return Table({name: LocalColumn([row.get(name) for row in self]) for name in names}, len(self))

    def __len__(self) -> int:
        return super().__len__() if self._table is None else len(self._table)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Any]:
        if self._is_huge:
            return map(Row, self.table())
        self._fill()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self._fill()
        return super().__reversed__()

    def __getitem__(self, key: Any) -> Any:
        is_place = isinstance(key, (int, slice)) and not isinstance(key, bool)
        if not is_place and not hasattr(type(key), "__index__"):
            return self.table()[key]
        if self._is_huge:
            result = self.table()[key]
            return [Row(row) for row in result] if isinstance(key, slice) else Row(result)
        self._fill()
        return super().__getitem__(key)

    def __contains__(self, row: object) -> bool:
        return any(row is own or row == own for own in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> Any:
        return [*self, *other] if isinstance(other, list) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return [*other, *self] if isinstance(other, list) else NotImplemented

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (list(self),)

    def __getattr__(self, name: str) -> Any:
        has_rows = not self.is_whole or all(isinstance(row, dict) for row in self)
        if name.startswith("_") or not hasattr(Table, name) or not has_rows:
            raise AttributeError(f"a list has no {name!r}")
        return getattr(self.table(), name)

    def __repr__(self) -> str:
        return super().__repr__() if self._table is None else repr(self._table).replace("Table", "List", 1)


def _fill_first(method: Callable[..., Any]) -> Callable[..., Any]:
    def filled(self: Rows, *args: Any, **options: Any) -> Any:
        self._fill()
        return method(self, *args, **options)

    return filled


for _name in (
    *("__delitem__", "__ge__", "__gt__", "__iadd__", "__imul__", "__le__", "__lt__", "__mul__", "__rmul__"),
    *("__setitem__", "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse"),
    "sort",
):
    setattr(Rows, _name, _fill_first(getattr(list, _name)))
