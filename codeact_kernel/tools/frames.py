"""Values of numpy and pandas as plain Python, one level deep. The libraries are found in `sys.modules`, never imported:
a value of a library can only be there when the library is.
"""

from __future__ import annotations

import sys
from typing import Any, TypeGuard

from ..errors import ProgramError

__all__ = ["cells", "is_a", "plain", "says_something"]


def cells(value: object) -> int:
    """How many values are in an array, a frame or a series; 0 for what is none."""
    if _is_numpy(value) or is_a(value, "pandas", "DataFrame", "Series", "Index"):
        return value.size
    return 0


def plain(value: object) -> object:
    """`value` of numpy or pandas by the rule of `results`; anything else as it is.

    Raises:
        ProgramError: two columns or labels would become one key.
    """
    if _is_numpy(value):
        return _plain_numpy(value)
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return value
    if any(value is getattr(pandas, name, None) for name in ("NaT", "NA")):
        return None
    if is_a(value, "pandas", "Period"):
        return str(value)
    if is_a(value, "pandas", "DataFrame"):
        return _rows(value)
    if is_a(value, "pandas", "Series") and says_something(value.index):
        return _labelled(value)
    if is_a(value, "pandas", "Series", "Index") or is_a(value, "pandas.api.extensions", "ExtensionArray"):
        return value.tolist()
    return value


def is_a(value: object, module: str, *names: str) -> TypeGuard[Any]:
    """Whether `value` is of one of the library's types of those names."""
    kinds = [getattr(sys.modules.get(module), name, None) for name in names]
    return any(isinstance(kind, type) and isinstance(value, kind) for kind in kinds)


def says_something(index: Any) -> bool:
    """Whether the index of a frame or series is data, and not just the numbers of the rows."""
    return index.inferred_type != "integer" or any(name is not None for name in index.names)


def _is_numpy(value: object) -> TypeGuard[Any]:
    return is_a(value, "numpy", "generic", "ndarray")


def _plain_numpy(value: Any) -> object:
    if str(value.dtype).endswith("[ns]"):  # Python's own dates have no nanoseconds: numpy would give bare integers
        value = value.astype(f"{value.dtype.kind}8[us]")
    if value.dtype.char == "g":  # a long double has no Python type: numpy gives itself back
        value = value.astype(float)
    return value.tolist()


def _rows(frame: Any) -> list[object]:
    if says_something(frame.index):
        try:
            frame = frame.reset_index()
        except ValueError:
            raise ProgramError("the index and a column of the DataFrame have one name: rename one of them.") from None
    if not frame.columns.is_unique:
        raise ProgramError("two columns of the DataFrame have one name: rename one of them.")
    names = list(frame.columns)
    columns = [frame.iloc[:, position].tolist() for position in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _labelled(series: Any) -> dict[object, object]:
    if not series.index.is_unique:
        raise ProgramError("a label of the Series is there twice: return series.reset_index() or series.tolist().")
    return dict(zip(series.index.tolist(), series.tolist(), strict=True))
