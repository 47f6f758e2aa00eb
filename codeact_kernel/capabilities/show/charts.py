"""Validate charts: Vega-Lite that loads nothing, computes no expressions and stays small.

The page draws charts with Vega-Lite, which can fetch images and data and compute expressions. So only the properties
in `vegalite.json` are allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import cast

from ...errors import ProgramError
from ...limits import ShowLimits
from ...types import JSONObject, JSONValue
from .schema_check import Schema, find_problem

__all__ = ["validate_chart"]

_VERSION = "https://vega.github.io/schema/vega-lite/v5.json"
_VIEWS = ("mark", "layer", "hconcat", "vconcat", "concat", "facet")
_COMPOSITIONS = ("layer", "hconcat", "vconcat", "concat")
_IMAGE = "image"
"""A tooltip uses a value with this name as the URL of an image, without escaping (vega-tooltip 0.30)."""
_NAMING = {"field", "title", "countTitle", "as", "fold", "groupby", "stack", "argmax", "argmin"}
_SCALARS = (str, int, float, bool, type(None))
_REASONS = {
    "data and images cannot be loaded: put the rows into data.values": {"url", "href", "src", "lookup"},
    "a chart has no expressions and no interaction: compute it in the program": {
        "expr", "signal", "params", "param", "selection", "calculate", "condition", "test", "labelExpr", "filter",
    },
    "give rows as data.values": {"datasets", "name", "sequence"},
}  # fmt: skip


def validate_chart(spec: JSONValue, limits: ShowLimits) -> JSONObject:
    """Return the chart with its schema if it may be shown.

    Raises:
        ProgramError: if it may not. The text says where and why.
    """
    if not isinstance(spec, dict):
        raise ProgramError("a chart must be an object with mark, encoding and data")
    if "marks" in spec or "/vega/" in str(spec.get("$schema", "")):
        raise ProgramError("this is a Vega chart: show() takes Vega-Lite, with mark and encoding")
    if problem := find_problem(spec, schema(), schema()):
        raise ProgramError(f"the chart cannot be shown: {problem}{_reason(problem)}")
    if _IMAGE in _names(spec):
        raise ProgramError(f"the chart cannot be shown: give the column or title {_IMAGE!r} another name")
    _ChartChecker(limits).check_view(spec, _Rows())
    return {**spec, "$schema": _VERSION}


@cache
def schema() -> Schema:
    return json.loads(Path(__file__).with_name("vegalite.json").read_text(encoding="utf-8"))


def _reason(problem: str) -> str:
    name = re.split(r" is not allowed| has to be", problem)[0].rpartition(".")[2]
    return next((f" ({reason})" for reason, names in _REASONS.items() if name in names), "")


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a view.

    Attributes:
        columns: the columns of the rows.
        added_columns: the columns that transforms add.
        rows_per_row: the number of rows that transforms make of each row.
        copies: the number of times that facets draw the view.
    """

    rows: list[JSONObject] = field(default_factory=list[JSONObject])
    columns: frozenset[str] = frozenset()
    added_columns: frozenset[str] = frozenset()
    rows_per_row: int = 1
    copies: int = 1

    def count_distinct(self, name: str) -> int:
        """Count the distinct values of a column."""
        return len({json.dumps(row.get(name)) for row in self.rows})


class _ChartChecker:
    """Checks the views of one chart."""

    def __init__(self, limits: ShowLimits) -> None:
        self._limits = limits
        self._row_count = 0
        self._views = 0
        self._area = 0.0

    def check_view(self, view: JSONObject, rows: _Rows) -> None:
        kinds = [kind for kind in _VIEWS if kind in view]
        if len(kinds) != 1:
            raise ProgramError(f"the chart cannot be shown: each view must have one of {', '.join(_VIEWS)}")
        self._views += 1
        if self._views > self._limits.chart_views:
            raise ProgramError(f"the chart has more than {self._limits.chart_views} views: show several charts")
        if "data" in view:
            rows = self._read_data(cast("JSONObject", view["data"]), rows)
        for step in cast("list[JSONObject]", view.get("transform", [])):
            rows = self._apply_transform(step, rows)
        self._check_columns(_fields(view.get("encoding")), rows)
        rows = self._apply_facets(view, rows)
        self._check_size(view, rows)
        kind = kinds[0]
        for part in cast("list[JSONObject]", view[kind]) if kind in _COMPOSITIONS else ():
            self.check_view(part, rows)
        if kind == "facet":
            if not isinstance(inner := view.get("spec"), dict):
                raise ProgramError("the chart cannot be shown: a facet must have a spec")
            self.check_view(inner, rows)

    def _read_data(self, data: JSONObject, rows: _Rows) -> _Rows:
        values = cast("list[JSONObject]", data["values"])
        self._row_count += len(values)
        max_rows = self._limits.chart_rows
        if self._row_count > max_rows:
            raise ProgramError(
                f"a chart takes {max_rows:,} rows, not {self._row_count:,}: aggregate them in the program first"
            )
        for row in values:
            for name, cell in row.items():
                if name == "__proto__":
                    raise ProgramError("a chart cannot have a column __proto__: use another name")
                if type(cell) not in _SCALARS:
                    raise ProgramError(f"the chart's column {name[:60]!r} has lists or objects: give text and numbers")
        return replace(rows, rows=values, columns=frozenset(name for row in values for name in row))

    def _apply_transform(self, step: JSONObject, rows: _Rows) -> _Rows:
        self._check_columns(_fields({name: value for name, value in step.items() if name != "as"}), rows)
        added, rows_per_row = [*_as(step)], rows.rows_per_row
        if isinstance(fold := step.get("fold"), list):
            added += [] if "as" in step else ["key", "value"]
            rows_per_row *= max(1, len(fold))
        max_marks = 10 * self._limits.chart_rows
        if self._row_count * rows_per_row > max_marks:
            raise ProgramError(
                f"the chart makes more than {max_marks:,} marks of its rows: aggregate in the program first"
            )
        return replace(rows, added_columns=rows.added_columns | {*added}, rows_per_row=rows_per_row)

    def _check_columns(self, names: Iterator[str], rows: _Rows) -> None:
        for name in names:
            if name not in rows.columns and name not in rows.added_columns:
                columns = ", ".join(sorted(rows.columns)[:40]) or "none: give rows as data.values"
                raise ProgramError(f"the chart names the column {name!r}, and its data has {columns}")

    def _apply_facets(self, view: JSONObject, rows: _Rows) -> _Rows:
        """Multiply the copies of the view by the values of its facets."""
        encoding, facet = (cast("JSONObject", view.get(name) or {}) for name in ("encoding", "facet"))
        channels = [encoding.get(name) for name in ("row", "column", "facet")]
        channels += [facet] if "field" in facet else [facet.get(name) for name in ("row", "column")]
        for channel in channels:
            for name in _fields(channel):
                self._check_columns(iter([name]), rows)
                count = rows.count_distinct(name) if name in rows.columns else self._limits.chart_views
                rows = replace(rows, copies=rows.copies * max(1, count))
        return rows

    def _check_size(self, view: JSONObject, rows: _Rows) -> None:
        limits = self._limits
        sides = [view.get(side) for side in ("width", "height")]
        area = 1.0
        for side in sides:
            area *= side if isinstance(side, int | float) else limits.chart_side
        self._area += area * rows.copies if any(name in view for name in ("mark", "layer")) else 0
        if self._area > limits.chart_pixels:
            raise ProgramError(f"the chart has more than {limits.chart_pixels:,} pixels: make fewer or smaller views")
        for side in ("x", "y"):
            channel = cast("dict[str, JSONObject]", view.get("encoding") or {}).get(side) or {}
            name = channel.get("field")
            if channel.get("type") in ("nominal", "ordinal") and isinstance(name, str) and name in rows.columns:
                count, max_entries = rows.count_distinct(name), limits.chart_entries
                if count > max_entries and "timeUnit" not in channel and "bin" not in channel:
                    raise ProgramError(
                        f"the axis of {name!r} would have {count:,} entries, and may have {max_entries}: "
                        "aggregate first"
                    )


def _fields(node: JSONValue) -> Iterator[str]:
    """Yield the columns that a part of a chart names."""
    if isinstance(node, list):
        for item in node:
            yield from _fields(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in ("field", "argmax", "argmin") and isinstance(value, str):
                yield value
            elif name in ("fold", "groupby") and isinstance(value, list):
                yield from (item for item in value if isinstance(item, str))
            elif isinstance(value, list | dict):
                yield from _fields(value)


def _as(node: JSONValue) -> Iterator[str]:
    """Yield the columns that a transform adds."""
    if isinstance(node, list):
        for item in node:
            yield from _as(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "as":
                yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
            else:
                yield from _as(value)


def _names(node: JSONValue, inside: bool = False) -> Iterator[str]:
    """Yield all texts of a chart that can become a name in a tooltip."""
    if isinstance(node, str):
        yield from (node,) if inside else ()
    elif isinstance(node, list):
        for item in node:
            yield from _names(item, inside)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name != "values":
                yield from _names(value, name in _NAMING)
