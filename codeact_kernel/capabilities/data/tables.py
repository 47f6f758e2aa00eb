"""Convert values of data libraries to tables and columns for programs.

Libraries are looked up in `sys.modules` and never imported: if a value of a library exists, the library is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from ...errors import ProgramError
from ...settings import Limits
from ...tools.to_json import to_json
from ...wire.data_libraries import indexed_columns, is_a, is_labelled, present
from ...wire.jsonable import Unsendable
from .columns import Column, Kind, NumericColumn, ObjectColumn, kind_of, zone_of

__all__ = [
    "InputTable",
    "column_of",
    "from_columns",
    "from_rows",
    "memory_of",
    "result_of",
    "sendable_columns",
    "table_of",
]

_LIMITS = Limits(answer_bytes=1 << 40)
"""Without a limit of bytes, because the size of a piece is checked after encoding."""
_MAX_CHECKED = 1_000
"""Values of a column that decide its kind if its type does not."""
_KINDS: dict[str, Kind] = {"i": "int", "u": "int", "f": "float", "b": "bool", "M": "time", "m": "float"}


@dataclass(frozen=True, slots=True)
class InputTable:
    """Columns of the same length."""

    columns: Sequence[Column]
    rows: int

    def sample(self, count: int) -> list[dict[str, object]]:
        """Return the first rows as dicts."""
        values = [column.values(0, count) for column in self.columns]
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def table_of(value: object) -> InputTable | None:
    """Convert a DataFrame of pandas, polars, pyarrow or another library with Arrow's interface, else return `None`.

    Raises:
        ProgramError: if two columns would have the same name.
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
    """Convert a tool's result that is a table, else return `None`. Its values are as `tools.to_json` gives them.

    Raises:
        ProgramError: if two columns would have the same name.
    """
    if is_a(value, "pandas", "DataFrame"):
        named = _named_columns(value)
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
        return _object_column(name, len(values), cut)
    except ProgramError:  # the error comes up when the column is read
        return ObjectColumn(name, "json", len(values), cut)


def sendable_columns(table: InputTable, count: int) -> tuple[InputTable, dict[str, str]]:
    """Leave out the columns whose first values have no JSON form.

    Args:
        count: how many values of each column to encode.

    Returns:
        The remaining table, and the errors of the columns that were left out, by name.

    Raises:
        ProgramError: if no column would be left.
    """
    sendable: list[Column] = []
    refused: dict[str, str] = {}
    for column in table.columns:
        try:
            _, position = column.piece(0, count)
            while position < min(count, column.length):
                position += column.piece(position, count - position)[1]
            sendable.append(column)
        except ProgramError as error:
            if not sendable and column is table.columns[-1]:
                raise
            refused[column.name] = str(error)
    return InputTable(sendable, table.rows), refused


def column_of(value: object) -> Column | None:
    """Convert a Series or a one-dimensional array, else return `None`."""
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
    """Return the bytes of a DataFrame or an array in memory, including its texts if its library can count them."""
    if is_a(value, "pandas", "DataFrame"):
        return int(value.memory_usage(deep=True).sum())
    if is_a(value, "pandas", "Series"):
        return int(value.memory_usage(deep=True))
    if is_a(value, "polars", "DataFrame"):
        return int(value.estimated_size())
    table = table_of(value)
    return int(getattr(value, "nbytes", 0) or (table.rows * len(table.columns) * 8 if table is not None else 0))


def from_rows(rows: Sequence[object]) -> InputTable | Column:
    """Convert a list of dicts with the same keys to a table, and any other list to one column."""
    first = rows[0] if rows else None
    if isinstance(first, dict) and first and all(isinstance(name, str) for name in cast("dict[object, object]", first)):
        names = cast("dict[str, Any]", first).keys()
        if all(isinstance(row, dict) and cast("dict[str, Any]", row).keys() == names for row in rows):
            records = cast("Sequence[dict[str, Any]]", rows)
            return InputTable([_row_column(name, records) for name in names], len(rows))
    return _object_column("value", len(rows), lambda start, end: list(rows[start:end]))


def from_columns(columns: Mapping[str, Sequence[Any]], rows: int) -> InputTable:
    """Make a table of columns with plain values."""
    return InputTable(
        [
            _object_column(name, rows, lambda start, end, values=values: list(values[start:end]))
            for name, values in columns.items()
        ],
        rows,
    )


def _row_column(name: str, rows: Sequence[dict[str, Any]]) -> Column:
    return _object_column(name, len(rows), lambda start, end: [row[name] for row in rows[start:end]])


def _table(named: Iterable[tuple[object, Any]], make: Callable[[str, Any], Column]) -> InputTable:
    columns = [make(str(name), values) for name, values in named]
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ProgramError(f"two columns are named {duplicate[:60]!r}: rename one of them.")
    return InputTable(columns, columns[0].length if columns else 0)


def _from_pandas(frame: Any) -> InputTable:
    return _table(_named_columns(frame), _pandas_column)


def _named_columns(frame: Any) -> list[tuple[str, Any]]:
    try:
        return indexed_columns(frame)
    except Unsendable as error:
        raise ProgramError(str(error)) from None


def _pandas_column(name: str, series: Any) -> Column:
    dtype = series.dtype
    if hasattr(dtype, "tz"):
        return _zoned_times(name, series, str(dtype.tz))
    kind = str(dtype.kind) if hasattr(dtype, "kind") else "O"
    is_extension = not is_a(dtype, "numpy", "dtype")
    if kind in _KINDS and not (is_extension and (hasattr(dtype, "categories") or bool(series.isna().any()))):
        numpy_dtype = {"i": "int64", "u": "uint64", "f": "float64", "b": "bool"}.get(kind) if is_extension else None
        return _from_numpy(name, series.to_numpy(dtype=numpy_dtype) if numpy_dtype else series.to_numpy())

    def cut(start: int, end: int) -> list[Any]:
        part = series.iloc[start:end]
        is_present = part.notna()
        return part.tolist() if bool(is_present.all()) else part.astype(object).where(is_present, None).tolist()

    return _object_column(name, len(series), cut)


def _zoned_times(name: str, series: Any, zone: str) -> Column:
    utc = series.dt.tz_convert("UTC").dt.tz_localize(None)

    @cache
    def offsets() -> Any:
        local = series.dt.tz_localize(None)
        return (local - utc).dt.total_seconds().fillna(0).astype("int64").to_numpy()

    times = _numeric_column(name, "time", len(series), lambda: utc.to_numpy())
    return replace(times, utc=True, zone=zone[:60], offsets=offsets)


def _from_numpy(name: str, values: Any) -> Column:
    kind = _KINDS.get(values.dtype.kind)
    is_too_large = (
        values.dtype.kind == "u" and values.dtype.itemsize == 8 and len(values) and int(values.max()) >= 2**63
    )
    if kind == "time" and _is_out_of_range(values):
        return _object_column(name, len(values), lambda start, end: list(map(str, values[start:end])))
    if kind is None or is_too_large:
        return _object_column(name, len(values), lambda start, end: values[start:end].tolist())
    return _numeric_column(name, kind, len(values), lambda: values)


def _is_out_of_range(times: Any) -> bool:
    """Return whether a time has a year that Python's dates do not support."""
    years = times[times == times].astype("datetime64[Y]").astype("int64") + 1970
    return len(years) > 0 and not 1 <= int(years.min()) <= int(years.max()) <= 9999


def _from_series(name: str, series: Any) -> Column:
    dtype = str(series.dtype)
    if series.null_count() == 0 and (dtype.startswith(("Int", "UInt", "Float", "Boolean", "Duration"))):
        return _from_numpy(name, series.to_numpy())
    return _object_column(name, len(series), lambda start, end: series.slice(start, end - start).to_list())


def _from_arrow(name: str, values: Any) -> Column:
    dtype = str(values.type)
    if values.null_count == 0 and dtype.startswith(("int", "uint", "float", "double", "halffloat")):
        array = values.to_numpy() if hasattr(values, "chunks") else values.to_numpy(zero_copy_only=False)
        return _from_numpy(name, array)
    return _object_column(name, len(values), lambda start, end: values.slice(start, end - start).to_pylist())


def _numeric_column(name: str, kind: Kind, length: int, values: Callable[[], Any]) -> NumericColumn:
    @cache
    def make() -> Any:
        array = values()
        if array.dtype.kind == "M":
            return array.astype("datetime64[us]").view("int64")
        if array.dtype.kind == "m":
            seconds = array.astype("timedelta64[us]").astype("float64") / 1e6
            seconds[array != array] = float("nan")  # only NaT differs from itself
            return seconds
        return array

    return NumericColumn(name, kind, length, make)


def _object_column(name: str, length: int, cut: Callable[[int, int], list[Any]]) -> ObjectColumn:
    first = cut(0, min(length, _MAX_CHECKED))
    return ObjectColumn(name, kind_of(first), length, cut, zone_of(first))


def _arrow(value: Any) -> Any:
    pyarrow = sys.modules.get("pyarrow")
    return value if pyarrow is None else cast("Any", pyarrow).table(value)
