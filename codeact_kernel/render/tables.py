"""Make tables of the values that people read as tables, with the numbers of a column aligned as in pandas."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from ..text import plural, truncate_middle
from ..types import JSONObject, JSONValue
from .escaping import escape_controls, one_line
from .values import format_number, is_scalar, value_text

__all__ = ["TextTable", "make_table", "table_lines", "to_table"]

_MAX_ROWS, _MAX_COLUMNS, _MAX_CELLS = 100, 100, 2_000
"""What a file holds of a table. A table with many columns has fewer rows."""
_TEXT_ROWS, _TEXT_COLUMNS = 20, 20
"""What is shown where the user cannot scroll."""
_MAX_UNCOUNTED = 10
"""A table with more rows than this says how many it has."""
_MAX_ROW_CHARS, _MAX_CELL_CHARS = 1_000, 2_000
_MAX_WIDTH = 60
"""Characters of a column of text. A longer cell moves the rest of its row to the right."""
_MAX_DECIMALS = 6
_MIN_FILLED = 0.7
"""The share of its cells that a dict of dicts has to fill to be a table."""
_DECIMALS = re.compile(r"-?\d+\.(\d+)")


@dataclass(frozen=True, slots=True)
class TextTable:
    """The first rows and columns of a table, as text.

    Attributes:
        columns: the names of the columns; empty if they have none.
        rows: lists with a cell for each column.
        numeric: for each column, whether it has numbers only.
        total_rows, total_columns: how many rows and columns the whole table has.
        has_labels: whether the first column names the rows.
    """

    columns: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    total_rows: int
    total_columns: int
    has_labels: bool = False

    @property
    def size(self) -> str:
        """Say how many rows and columns there are, and how many of them are shown; empty for a small table."""
        rows, columns = plural(self.total_rows, "row"), plural(self.total_columns, "column")
        hidden = [
            plural(len(shown), noun)
            for shown, total, noun in (
                (self.rows, self.total_rows, "row"),
                (self.numeric, self.total_columns, "column"),
            )
            if len(shown) < total
        ]
        if hidden:
            return f"{rows} × {columns}; the first {' and '.join(hidden)} shown"
        return f"{rows} × {columns}" if self.total_rows > _MAX_UNCOUNTED else ""

    def for_text(self) -> TextTable:
        """Return the part of the table that is shown where the user cannot scroll."""
        return replace(
            self,
            columns=self.columns[:_TEXT_COLUMNS],
            rows=[row[:_TEXT_COLUMNS] for row in self.rows[:_TEXT_ROWS]],
            numeric=self.numeric[:_TEXT_COLUMNS],
        )


def to_table(value: JSONValue) -> TextTable | None:
    """Return a value as a table if people read it as one, else `None`.

    That is a list of objects, a list of lists of scalars, a dict of scalars, a dict of columns of one length, or a
    dict of such dicts.
    """
    if isinstance(value, list) and value:
        return _from_list(value)
    return _from_dict(value) if isinstance(value, dict) and value else None


def make_table(
    names: Sequence[str], rows: Sequence[Sequence[JSONValue]], total: int, *, has_labels: bool = False
) -> TextTable:
    """Make a table of the first rows and columns.

    Args:
        names: the names of all columns.
        total: the number of all rows.
    """
    columns = names[:_MAX_COLUMNS]
    shown = rows[: max(1, min(_MAX_ROWS, _MAX_CELLS // max(1, len(columns))))]
    max_chars = min(_MAX_CELL_CHARS, _MAX_ROW_CHARS * _MAX_ROWS // max(1, len(columns) * len(shown)))
    cells = [_write_column([row[index] for row in shown], max_chars) for index in range(len(columns))]
    return TextTable(
        [truncate_middle(escape_controls(name), max_chars) for name in columns] if any(columns) else [],
        [list(row) for row in zip(*cells, strict=True)],
        [all(type(row[index]) in (int, float, type(None)) for row in shown) for index in range(len(columns))],
        total,
        len(names),
        has_labels,
    )


def table_lines(table: TextTable) -> list[str]:
    """Write a table in columns of text."""
    table = table.for_text()
    header = [table.columns] if table.columns else []
    cells = [[one_line(cell) for cell in row] for row in (*header, *table.rows)]
    widths = [
        min(_MAX_WIDTH, max((len(row[column]) for row in cells), default=0)) for column in range(len(table.numeric))
    ]
    lines = [
        "  ".join(
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, table.numeric, strict=True)
        ).rstrip()
        for row in cells
    ]
    return [*lines, f"({table.size})"] if table.size else lines


def _from_list(value: list[JSONValue]) -> TextTable | None:
    beginning = value[:_MAX_ROWS]
    if all(isinstance(item, dict) for item in value):
        rows = cast("list[JSONObject]", beginning)
        names = list(dict.fromkeys(name for row in rows for name in row))
        return make_table(names, [[row.get(name) for name in names] for row in rows], len(value)) if names else None
    if not all(isinstance(item, list) and item and all(map(is_scalar, item)) for item in value):
        return None
    lists = cast("list[list[JSONValue]]", value)
    width = max(map(len, lists))
    padded = [[*row, *[None] * (width - len(row))] for row in lists[:_MAX_ROWS]]
    return make_table([str(number) for number in range(width)], padded, len(value))


def _from_dict(value: JSONObject) -> TextTable | None:
    names, items = list(value)[:_MAX_ROWS], list(value.values())
    if all(map(is_scalar, items)):
        return make_table(["", ""], list(zip(names, items, strict=False)), len(value), has_labels=True)
    if all(isinstance(item, dict) and item and all(map(is_scalar, item.values())) for item in items):
        rows = cast("list[JSONObject]", items[:_MAX_ROWS])
        columns = list(dict.fromkeys(name for row in rows for name in row))
        if sum(map(len, rows)) < _MIN_FILLED * len(rows) * len(columns):
            return None
        cells = [[name, *map(row.get, columns)] for name, row in zip(names, rows, strict=True)]
        return make_table(["", *columns], cells, len(value), has_labels=True)
    if all(isinstance(item, list) and all(map(is_scalar, item)) for item in items):
        lists = cast("list[list[JSONValue]]", items)
        lengths = {len(item) for item in lists}
        if len(lengths) == 1 and lengths != {0}:
            return make_table(list(value), list(zip(*(item[:_MAX_ROWS] for item in lists), strict=True)), lengths.pop())
    return None


def _write_column(values: list[JSONValue], max_chars: int) -> list[str]:
    """Write the cells of a column. Its rounded floats have the same number of decimals, so that they line up."""
    cells = [format_number(value) if isinstance(value, float) else _write_cell(value, max_chars) for value in values]
    floats = [isinstance(value, float) and math.isfinite(value) for value in values]
    matches = [_DECIMALS.fullmatch(cell) for cell, is_float in zip(cells, floats, strict=True) if is_float]
    decimals = max((len(match[1]) for match in matches if match), default=0)
    if decimals > _MAX_DECIMALS or not all(matches):  # some number has an exponent
        return cells
    return [
        f"{value:.{decimals}f}" if is_float else cell
        for value, cell, is_float in zip(values, cells, floats, strict=True)
    ]


def _write_cell(value: JSONValue, max_chars: int) -> str:
    if isinstance(value, str):
        return truncate_middle(escape_controls(truncate_middle(value, max_chars)), max_chars)
    return "" if value is None else value_text(value, max_chars)
