"""Turn values of numpy, pandas, polars and pyarrow into plain Python, one level deep.

The host imports this module and a guest with pandas gets its source, so tools and programs can pass the same values.
The libraries are looked up in `sys.modules` and never imported: their values only exist if they are imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeGuard, cast

from .jsonable import Unsendable

__all__ = ["cells", "indexed_columns", "is_a", "is_index_data", "is_labelled", "name_column", "plain", "present"]

_ARROW = ("Table", "RecordBatch", "Array", "ChunkedArray")


_TYPES = {
    "numpy": ("dtype",),
    "pandas.api.extensions": ("ExtensionDtype",),
    "polars": ("DataType",),
    "pyarrow": ("DataType",),
}
"""Types of columns, as in `df.dtypes`."""


def cells(value: object) -> int:
    """Return the number of values in an array, a frame, a series or a range; 0 for any other value."""
    if _is_numpy(value) or is_a(value, "pandas", "DataFrame", "Series", "Index"):
        return value.size
    if is_a(value, "polars", "DataFrame"):
        return value.height * value.width
    if is_a(value, "pyarrow", "Table", "RecordBatch"):
        return value.num_rows * value.num_columns
    if isinstance(value, range) or is_a(value, "polars", "Series") or is_a(value, "pyarrow", *_ARROW):
        return len(value)
    return 0


def plain(value: object) -> object:
    """Return a value of one of these libraries by the rule of `to_json`; return any other value unchanged.

    Raises:
        Unsendable: Two columns or labels would become one key.
    """
    if _is_numpy(value):
        return _plain_numpy(value)
    if _is_arrow(value) and (converted := _plain_arrow(value)) is not value:
        return converted
    if any(is_a(value, module, *names) for module, names in _TYPES.items()):
        return str(value)
    if is_a(value, "shapely", "Geometry") or is_a(value, "shapely.geometry.base", "BaseGeometry"):
        return value.wkt
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return value
    if any(value is getattr(pandas, name, None) for name in ("NaT", "NA")):
        return None
    if is_a(value, "pandas", "Period", "Interval"):
        return str(value)
    if is_a(value, "pandas", "DataFrame"):
        return _rows(indexed_columns(value))
    if is_a(value, "pandas", "Series") and is_labelled(value):
        return _labelled(value)
    if is_a(value, "pandas", "MultiIndex"):
        return [list(labels) for labels in value.tolist()]
    if is_a(value, "pandas", "Series", "Index"):
        return present(value)
    if is_a(value, "pandas.api.extensions", "ExtensionArray"):
        return value.tolist()
    return value


def is_a(value: object, module: str, *names: str) -> TypeGuard[Any]:
    """Whether `value` is an instance of one of the named types of the library."""
    kinds = [getattr(sys.modules.get(module), name, None) for name in names]
    return any(isinstance(kind, type) and isinstance(value, kind) for kind in kinds)


def is_index_data(index: Any) -> bool:
    """Whether the index of a frame or series is data, and not only the numbers of the rows.

    Row numbers are a range, or the rest of a range after a filter: in order, and not much larger than the number of
    rows. Labels such as 1001 and 1002 are also a range for pandas.
    """
    if index.inferred_type != "integer" or any(name is not None for name in index.names):
        return True
    if len(index) == 0:
        return False
    if _are_given(index):
        return True
    in_order = is_a(index, "pandas", "RangeIndex") or bool(index.is_monotonic_increasing and index.is_unique)
    return not (in_order and min(index[0], index[-1]) >= 0 and max(index[0], index[-1]) <= 2 * len(index))


def _are_given(labels: Any) -> bool:
    """Whether labels in even steps, such as 1, 2, 3, are not the result of a filter: pandas 3 keeps that as a range."""
    if is_a(labels, "pandas", "RangeIndex") or int(sys.modules["pandas"].__version__.partition(".")[0]) < 3:
        return False
    steps = set((labels[1:] - labels[:-1]).unique().tolist())
    return len(steps) <= 1 and (labels[0], steps or {1}) != (0, {1})


def is_labelled(series: Any) -> bool:
    """Whether the labels of a series are data; those of `value_counts()` always are."""
    is_count = series.name in ("count", "proportion") and not is_a(series.index, "pandas", "RangeIndex")
    return is_count or is_index_data(series.index)


def indexed_columns(frame: Any) -> list[tuple[str, Any]]:
    """Return the columns of a pandas DataFrame with their names, after those of an index with data.

    Raises:
        Unsendable: Two columns would have the same name.
    """
    columns = [(name_column(label), frame.iloc[:, at]) for at, label in enumerate(frame.columns)]
    levels = _levels(frame.index) if is_index_data(frame.index) else []
    named = dict(columns)
    for name, values in list(levels):
        if name in named and list(values) == list(named[name]):  # of `set_index(name, drop=False)`
            levels = [level for level in levels if level[0] != name]
        elif name in named:
            raise Unsendable(f"the index and a column are both named {name[:60]!r}: rename one of them.")
    names = [name for name, _ in [*levels, *columns]]
    if twice := next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None:
        where = "levels of the index" if any(name == twice for name, _ in levels) else "columns of the DataFrame"
        raise Unsendable(f"two {where} have one name, {twice[:60]!r}: rename one of them.")
    return [*levels, *columns]


def _levels(index: Any) -> list[tuple[str, Any]]:
    is_multi = index.nlevels > 1
    return [
        (
            name_column(name) if name is not None else f"level_{at}" if is_multi else "index",
            index.get_level_values(at).to_series(index=range(len(index))),
        )
        for at, name in enumerate(index.names)
    ]


def name_column(label: object) -> str:
    """Return the text of a column's label; several parts are joined, as in `total_sum`."""
    if isinstance(label, tuple):
        return "_".join(name_column(part) for part in cast("tuple[object, ...]", label) if part != "")
    if hasattr(label, "isoformat"):
        return str(cast("Any", label).isoformat())
    return str(label)


def _is_numpy(value: object) -> TypeGuard[Any]:
    return is_a(value, "numpy", "generic", "ndarray")


def _plain_numpy(value: Any) -> object:
    if str(value.dtype).endswith("[ns]"):  # without this, numpy returns integers, as Python's dates have no nanoseconds
        value = value.astype(f"{value.dtype.kind}8[us]")
    if value.dtype.names:
        return [_record_fields(row) for row in value] if value.ndim else _record_fields(value)
    if value.dtype.char == "g":  # numpy returns a long double unchanged, as Python has no such type
        value = value.astype(float)
    return value.tolist()


def _record_fields(record: Any) -> object:
    """Return a record as an object of its fields, like a NamedTuple; rows of multidimensional arrays stay arrays."""
    return record if record.ndim else {name: record[name] for name in record.dtype.names}


def _is_arrow(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in ("polars", "pyarrow") or hasattr(value, "__arrow_c_stream__")


def _plain_arrow(value: Any) -> object:
    if is_a(value, "polars", "LazyFrame"):
        value = value.collect()
    if is_a(value, "polars", "DataFrame"):
        return value.to_dicts()
    if is_a(value, "polars", "Series"):
        return value.to_list()
    if is_a(value, "pyarrow", "Scalar"):
        return value.as_py()
    if is_a(value, "pyarrow", "Array", "ChunkedArray"):
        return value.to_pylist()
    if is_a(value, "pandas", "DataFrame", "Series"):
        return value
    if hasattr(value, "__arrow_c_stream__") and not is_a(value, "pyarrow", *_ARROW):
        pyarrow: Any = sys.modules.get("pyarrow")
        if pyarrow is None:
            return value
        value = pyarrow.table(value)
    if is_a(value, "pyarrow", "Table", "RecordBatch"):
        return _rows(list(zip(value.column_names, value.columns, strict=True)))
    return value


def _rows(columns: Sequence[tuple[str, Any]]) -> list[object]:
    names = [name for name, _ in columns]
    if len(set(names)) < len(names):
        raise Unsendable("two columns of the table have one name: rename one of them.")
    listed = [present(values) for _, values in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*listed, strict=True)]


def present(values: Any) -> list[object]:
    """Return the values of a column or an index, with `None` for missing values."""
    if not is_a(values, "pandas", "Series", "Index"):
        return values.to_pylist()
    is_present = values.notna()
    if bool(is_present.all()):
        return values.tolist()
    return [value if known else None for value, known in zip(values.tolist(), is_present.tolist(), strict=True)]


def _labelled(series: Any) -> object:
    if series.index.nlevels > 1:
        return _rows(indexed_columns(series.to_frame("value" if series.name is None else series.name)))
    if not series.index.is_unique:
        raise Unsendable("a label of the Series occurs twice: return series.reset_index() or series.tolist().")
    return dict(zip(present(series.index), present(series), strict=True))
