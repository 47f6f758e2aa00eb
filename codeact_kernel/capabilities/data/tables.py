"""What the notebook's values are for a program: a table, one column, or a value as a whole.

The libraries are found in `sys.modules`, never imported: a value of a library can only be there when the library is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from ...errors import ProgramError
from ...settings import Limits
from ...tools.data_libraries import indexed_columns, is_a, is_labelled, present
from ...tools.to_json import to_json
from .columns import Column, Kind, NumericColumn, ObjectColumn, kind_of, zone_of

__all__ = ["InputTable", "column_of", "from_rows", "memory_of", "result_of", "sendable_columns", "table_of"]

_LIMITS = Limits(answer_bytes=1 << 40)
"""Of a part of a column, which is measured once it is a piece."""
_LOOKED_AT = 1_000
"""Values of a column that tell what it holds, where its type does not."""
_KINDS: dict[str, Kind] = {"i": "int", "u": "int", "f": "float", "b": "bool", "M": "time", "m": "float"}


@dataclass(frozen=True, slots=True)
class InputTable:
    """Columns of one length."""

    columns: Sequence[Column]
    rows: int

    def sample(self, count: int) -> list[dict[str, object]]:
        """The first rows."""
        values = [column.values(0, count) for column in self.columns]
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def table_of(value: object) -> InputTable | None:
    """The table that a DataFrame of pandas, polars, pyarrow or of anything with Arrow's interface is; else `None`.

    Raises:
        ProgramError: two columns would have one name.
    """
    if is_a(value, "pandas", "DataFrame"):
        return _from_pandas(value)
    if is_a(value, "pandas", "Series") and is_labelled(value):
        labelled = value if value.index.nlevels > 1 or value.index.name is not None else value.rename_axis("index")
        return _from_pandas(labelled.to_frame("value" if value.name is None else value.name))
    if is_a(value, "polars", "LazyFrame"):
        value = value.collect()
    if is_a(value, "polars", "DataFrame"):
        return _table([(name, value.get_column(name)) for name in value.columns], _from_series)
    if hasattr(value, "__arrow_c_stream__") and column_of(value) is None:
        value = _arrow(value)
    if is_a(value, "pyarrow", "RecordBatch", "Table"):
        return _table(list(zip(value.column_names, value.columns, strict=True)), _from_arrow)
    if is_a(value, "numpy", "ndarray") and value.dtype.names:
        return _table([(name, value[name]) for name in value.dtype.names], _from_numpy)
    return None


def result_of(value: object) -> InputTable | None:
    """The table that a tool's result is, with the values that `tools.results` gives the rows of a smaller one.

    Raises:
        ProgramError: two columns would have one name.
    """
    if is_a(value, "pandas", "DataFrame"):
        named = indexed_columns(value)
    elif is_a(value, "polars", "DataFrame"):
        named = [(name, value.get_column(name)) for name in value.columns]
    elif is_a(value, "pyarrow", "RecordBatch", "Table"):
        named = list(zip(value.column_names, value.columns, strict=True))
    else:
        return None
    return _table(named, _result_column)


def _result_column(name: str, values: Any) -> Column:
    dtype = values.dtype if hasattr(values, "dtype") else None
    if is_a(dtype, "numpy", "dtype") and dtype.kind in "iufb" and dtype.itemsize <= 8:
        column = _from_numpy(name, values.to_numpy())
        gaps = dtype.kind == "f" and bool(values.isna().any())
        return replace(column, gaps=gaps) if isinstance(column, NumericColumn) else column

    def cut(start: int, end: int) -> list[Any]:
        part = values.iloc[start:end] if hasattr(values, "iloc") else values.slice(start, end - start)
        return cast("list[Any]", to_json(present(part) if hasattr(part, "iloc") else part, limits=_LIMITS))

    try:
        return _listed(name, len(values), cut)
    except ProgramError:  # that is said where the column is read
        return ObjectColumn(name, "json", len(values), cut)


def sendable_columns(table: InputTable, count: int) -> tuple[InputTable, dict[str, str]]:
    """The table without the columns that have no form as plain data, by their first values; and why, by their names.

    Raises:
        ProgramError: no column would be left.
    """
    kept: list[Column] = []
    refused: dict[str, str] = {}
    for column in table.columns:
        try:
            _, at = column.piece(0, count)
            while at < min(count, column.length):
                at += column.piece(at, count - at)[1]
            kept.append(column)
        except ProgramError as error:
            if not kept and column is table.columns[-1]:
                raise
            refused[column.name] = str(error)
    return InputTable(kept, table.rows), refused


def column_of(value: object) -> Column | None:
    """The column that a Series or a one-dimensional array is; else `None`."""
    if is_a(value, "pandas", "Series", "Index"):
        return _pandas_column(str(value.name), value.to_series() if is_a(value, "pandas", "Index") else value)
    if is_a(value, "polars", "Series"):
        return _from_series(str(value.name), value)
    if is_a(value, "pyarrow", "Array", "ChunkedArray"):
        return _from_arrow("value", value)
    if is_a(value, "numpy", "ndarray") and value.ndim == 1:
        return _from_numpy("value", value)
    return None


def memory_of(value: Any) -> int:
    """Return the bytes that a DataFrame or an array takes in memory, the texts in it counted where its library can."""
    if is_a(value, "pandas", "DataFrame"):
        return int(value.memory_usage(deep=True).sum())
    if is_a(value, "pandas", "Series"):
        return int(value.memory_usage(deep=True))
    if is_a(value, "polars", "DataFrame"):
        return int(value.estimated_size())
    table = table_of(value)
    return int(getattr(value, "nbytes", 0) or (table.rows * len(table.columns) * 8 if table is not None else 0))


def from_rows(rows: Sequence[object]) -> InputTable | Column:
    """The table that a list of dicts with the same keys is, or else the list as one column."""
    first = rows[0] if rows else None
    if isinstance(first, dict) and first and all(isinstance(name, str) for name in cast("dict[object, object]", first)):
        names = cast("dict[str, Any]", first).keys()
        if all(isinstance(row, dict) and cast("dict[str, Any]", row).keys() == names for row in rows):
            records = cast("Sequence[dict[str, Any]]", rows)
            return InputTable([_of_rows(name, records) for name in names], len(rows))
    return _listed("value", len(rows), lambda start, end: list(rows[start:end]))


def _of_rows(name: str, rows: Sequence[dict[str, Any]]) -> Column:
    return _listed(name, len(rows), lambda start, end: [row[name] for row in rows[start:end]])


def _table(named: Iterable[tuple[object, Any]], make: Callable[[str, Any], Column]) -> InputTable:
    columns = [make(str(name), values) for name, values in named]
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ProgramError(f"two columns are named {twice[:60]!r}: rename one of them.")
    return InputTable(columns, columns[0].length if columns else 0)


def _from_pandas(frame: Any) -> InputTable:
    return _table(indexed_columns(frame), _pandas_column)


def _pandas_column(name: str, series: Any) -> Column:
    dtype = series.dtype
    if hasattr(dtype, "tz"):
        return _zoned_times(name, series, str(dtype.tz))
    kind = str(dtype.kind) if hasattr(dtype, "kind") else "O"
    extension = not is_a(dtype, "numpy", "dtype")
    if kind in _KINDS and not (extension and (hasattr(dtype, "categories") or bool(series.isna().any()))):
        plain = {"i": "int64", "u": "uint64", "f": "float64", "b": "bool"}.get(kind) if extension else None
        return _from_numpy(name, series.to_numpy(dtype=plain) if plain else series.to_numpy())

    def cut(start: int, end: int) -> list[Any]:
        part = series.iloc[start:end]
        there = part.notna()
        return part.tolist() if bool(there.all()) else part.astype(object).where(there, None).tolist()

    return _listed(name, len(series), cut)


def _zoned_times(name: str, series: Any, zone: str) -> Column:
    utc = series.dt.tz_convert("UTC").dt.tz_localize(None)

    @cache
    def offsets() -> Any:
        local = series.dt.tz_localize(None)
        return (local - utc).dt.total_seconds().fillna(0).astype("int64").to_numpy()

    times = _numbers(name, "time", len(series), lambda: utc.to_numpy())
    return replace(times, utc=True, zone=zone[:60], offsets=offsets)


def _from_numpy(name: str, values: Any) -> Column:
    kind = _KINDS.get(values.dtype.kind)
    too_large = values.dtype.kind == "u" and values.dtype.itemsize == 8 and len(values) and int(values.max()) >= 2**63
    if kind == "time" and _is_far_away(values):
        return _listed(name, len(values), lambda start, end: list(map(str, values[start:end])))
    if kind is None or too_large:
        return _listed(name, len(values), lambda start, end: values[start:end].tolist())
    return _numbers(name, kind, len(values), lambda: values)


def _is_far_away(times: Any) -> bool:
    """Whether there are years that Python's dates do not have."""
    years = times[times == times].astype("datetime64[Y]").astype("int64") + 1970
    return len(years) > 0 and not 1 <= int(years.min()) <= int(years.max()) <= 9999


def _from_series(name: str, series: Any) -> Column:
    dtype = str(series.dtype)
    if series.null_count() == 0 and (dtype.startswith(("Int", "UInt", "Float", "Boolean", "Duration"))):
        return _from_numpy(name, series.to_numpy())
    return _listed(name, len(series), lambda start, end: series.slice(start, end - start).to_list())


def _from_arrow(name: str, values: Any) -> Column:
    dtype = str(values.type)
    if values.null_count == 0 and dtype.startswith(("int", "uint", "float", "double", "halffloat")):
        array = values.to_numpy() if hasattr(values, "chunks") else values.to_numpy(zero_copy_only=False)
        return _from_numpy(name, array)
    return _listed(name, len(values), lambda start, end: values.slice(start, end - start).to_pylist())


def _numbers(name: str, kind: Kind, length: int, values: Callable[[], Any]) -> NumericColumn:
    @cache
    def made() -> Any:
        array = values()
        if array.dtype.kind == "M":
            return array.astype("datetime64[us]").view("int64")
        if array.dtype.kind == "m":
            seconds = array.astype("timedelta64[us]").astype("float64") / 1e6
            seconds[array != array] = float("nan")  # NaT is the only one that is not itself
            return seconds
        return array

    return NumericColumn(name, kind, length, made)


def _listed(name: str, length: int, cut: Callable[[int, int], list[Any]]) -> ObjectColumn:
    first = cut(0, min(length, _LOOKED_AT))
    return ObjectColumn(name, kind_of(first), length, cut, zone_of(first))


def _arrow(value: Any) -> Any:
    pyarrow = sys.modules.get("pyarrow")
    return value if pyarrow is None else cast("Any", pyarrow).table(value)
