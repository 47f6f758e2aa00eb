"""Read tables, whether they are lists of dicts or objects with columns and rows."""

from typing import Any

from ..tool_calls import get_kind, to_jsonable


def is_table(value: Any) -> bool:
    """Return whether the value is a list of dicts, or an object with columns and rows."""
    if hasattr(value, "columns") and hasattr(value, "rows"):
        return True
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(row, dict) for row in value)


def count_rows(table: Any) -> int:
    """Return the number of rows of a table."""
    return len(table if isinstance(table, (list, tuple)) else table.rows)


def get_column_names(table: Any) -> list[Any]:
    """Return the names of a table's columns, in the table's order."""
    if isinstance(table, (list, tuple)):
        return list(dict.fromkeys(name for row in table for name in row))
    return list(table.columns)


def read_rows(table: Any, max_rows: int, names: list[Any]) -> list[list[Any]]:
    """Return the first rows of a table as lists of cells."""
    first = table if isinstance(table, (list, tuple)) else table.rows
    rows = (row if isinstance(row, dict) else dict(zip(names, row, strict=True)) for row in first[:max_rows])
    return [[to_cell(row.get(name)) for name in names] for row in rows]


def read_column(table: Any, name: Any) -> list[Any]:
    """Return one column of a table. For a table of the notebook, no other column is fetched."""
    if get_kind(table) in ("table", "rows"):
        return [to_cell(value) for value in table[name]]
    index = get_column_names(table).index(name)
    rows = table if isinstance(table, (list, tuple)) else table.rows
    return [to_cell(row.get(name) if isinstance(row, dict) else row[index]) for row in rows]


def to_cell(value: Any) -> Any:
    """Return one cell as JSON, or its `str` if it has no JSON form."""
    try:
        return to_jsonable(value, non_finite=drop_non_finite)
    except TypeError:
        return str(value)


def drop_non_finite(value: float) -> None:
    """Replace infinity and NaN with `None`, because images and cells cannot show them."""
