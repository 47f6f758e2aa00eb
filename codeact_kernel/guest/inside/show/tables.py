"""Read tables, whether they are lists of dicts or have columns and rows."""

from typing import Any

from ..tool_calls import kind_of, to_jsonable


def is_table(value: Any) -> bool:
    """A list of dicts, or something with columns and rows."""
    if hasattr(value, "columns") and hasattr(value, "rows"):
        return True
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(row, dict) for row in value)


def count_rows(table: Any) -> int:
    """How many rows a table has."""
    return len(table if isinstance(table, (list, tuple)) else table.rows)


def column_names(table: Any) -> list[Any]:
    """The names of a table's columns, as the table has them."""
    if isinstance(table, (list, tuple)):
        return list(dict.fromkeys(name for row in table for name in row))
    return list(table.columns)


def read_rows(table: Any, max_rows: int, names: list[Any]) -> list[list[Any]]:
    """The first rows of a table, as lists of cells."""
    first = table if isinstance(table, (list, tuple)) else table.rows
    rows = (row if isinstance(row, dict) else dict(zip(names, row, strict=True)) for row in first[:max_rows])
    return [[to_cell(row.get(name)) for name in names] for row in rows]


def read_column(table: Any, name: Any) -> list[Any]:
    """One column of a table; of one that the notebook gave no other is fetched."""
    if kind_of(table) in ("table", "rows"):
        return [to_cell(value) for value in table[name]]
    at = column_names(table).index(name)
    rows = table if isinstance(table, (list, tuple)) else table.rows
    return [to_cell(row.get(name) if isinstance(row, dict) else row[at]) for row in rows]


def to_cell(value: Any) -> Any:
    """One cell as JSON; what has no form there as its text."""
    try:
        return to_jsonable(value, non_finite=drop_non_finite)
    except TypeError:
        return str(value)


def drop_non_finite(value: float) -> None:
    """A picture or a cell has no place for infinity and NaN."""
