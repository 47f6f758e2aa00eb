"""Show values of numpy, pandas and matplotlib: a DataFrame as a table, a figure as a picture."""

import sys
from collections.abc import Iterator
from typing import Any

from codeact_kernel.wire.data_libraries import indexed_columns, is_a, is_labelled, plain, present


class FrameRows:
    """The rows of a DataFrame, which are read when they are shown."""

    def __init__(self, columns: list[Any]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0]) if self._columns else 0

    def __getitem__(self, part: slice) -> list[list[Any]]:
        cells = [present(column.iloc[part]) for column in self._columns]
        return [list(row) for row in zip(*cells, strict=True)]

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self[:])


class FrameTable:
    """A DataFrame with the attributes of a table."""

    def __init__(self, frame: Any) -> None:
        named = indexed_columns(frame)
        self.columns = [name for name, _ in named]
        self.rows = FrameRows([values for _, values in named])


def adapt(value: Any) -> Any:
    """Return what `show` takes instead of a value of these libraries; any other value as it is."""
    if is_a(value, "pandas", "DataFrame"):
        return FrameTable(value)
    if is_a(value, "pandas", "Series"):
        series = value if is_labelled(value) else value.reset_index(drop=True)
        return FrameTable(series.to_frame("value" if series.name is None else series.name))
    if "matplotlib.pyplot" in sys.modules:
        from codeact_kernel.wire.pictures import draw_figure

        from .drawn import drawn

        figure = getattr(value, "figure", value)
        if is_a(figure, "matplotlib.figure", "Figure"):
            drawn.add(id(figure))
            return draw_figure(figure)
    return plain(value) if type(value).__module__.partition(".")[0] in ("numpy", "pandas") else value
