"""Make a `pandas.DataFrame` of the value of a turn."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from .errors import UserError

__all__ = ["make_dataframe"]


def make_dataframe(data: Any) -> Any:
    """Return a `pandas.DataFrame` of a list of rows or values, a dict of columns or values, or a `Frame`.

    Raises:
        UserError: if pandas is not installed, or `data` is not a table.
    """
    try:
        pandas: Any = import_module("pandas")
    except ImportError:
        raise UserError("A DataFrame needs pandas: pip install pandas, or use the plain value.") from None
    if isinstance(data, list):
        rows = cast("list[Any]", data)
        is_flat = not any(isinstance(row, list | dict) for row in rows)
        return pandas.DataFrame({"value": rows} if is_flat else rows)
    if isinstance(data, dict):
        pairs = cast("dict[str, Any]", data)
        lengths = {len(cast("list[Any]", value)) if isinstance(value, list) else -1 for value in pairs.values()}
        is_table = len(lengths) == 1 and -1 not in lengths
        return pandas.DataFrame(pairs if is_table else {"key": list(pairs), "value": list(pairs.values())})
    if hasattr(data, "to_dataframe"):
        return data.to_dataframe()
    raise UserError("This result is not a table: its plain value is in .value.")
