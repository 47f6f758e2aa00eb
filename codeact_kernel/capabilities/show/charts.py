"""Whether a chart may be shown: Vega-Lite of the kind that loads nothing, computes nothing and stays small.

A page draws a chart with a program of its own, and that program can be told to fetch pictures and data, and to compute
expressions. So what may be said to it is a list (`vegalite.json`), and all else is refused.
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
from .schema_check import Schema, problem

__all__ = ["checked_chart"]

_VERSION = "https://vega.github.io/schema/vega-lite/v5.json"
_VIEWS = ("mark", "layer", "hconcat", "vconcat", "concat", "facet")
_SEVERAL = ("layer", "hconcat", "vconcat", "concat")
_PICTURE = "image"
"""A tooltip takes what has this name for the address of a picture, and does not escape it (vega-tooltip 0.30)."""
_NAMING = {"field", "title", "countTitle", "as", "fold", "groupby", "stack", "argmax", "argmin"}
_SCALARS = (str, int, float, bool, type(None))
_REASONS = {
    "data and pictures cannot be loaded: put the rows into data.values": {"url", "href", "src", "lookup"},
    "a chart has no expressions and no interaction: compute it in the program": {
        "expr", "signal", "params", "param", "selection", "calculate", "condition", "test", "labelExpr", "filter",
    },
    "give rows as data.values": {"datasets", "name", "sequence"},
}  # fmt: skip


def checked_chart(spec: JSONValue, limits: ShowLimits) -> JSONObject:
    """The chart as it may be shown.

    Raises:
        ProgramError: it may not; says where and why.
    """
    if not isinstance(spec, dict):
        raise ProgramError("a chart is an object with mark, encoding and data")
    if "marks" in spec or "/vega/" in str(spec.get("$schema", "")):
        raise ProgramError("this is a Vega chart: show() takes Vega-Lite, with mark and encoding")
    if wrong := problem(spec, schema(), schema()):
        raise ProgramError(f"the chart cannot be shown: {wrong}{_reason(wrong)}")
    if _PICTURE in _names(spec):
        raise ProgramError(f"the chart cannot be shown: give the column or title {_PICTURE!r} another name")
    _Check(limits).view(spec, _Rows())
    return {**spec, "$schema": _VERSION}


@cache
def schema() -> Schema:
    return json.loads(Path(__file__).with_name("vegalite.json").read_text(encoding="utf-8"))


def _reason(wrong: str) -> str:
    name = re.split(r" is not allowed| has to be", wrong)[0].rpartition(".")[2]
    return next((f" ({reason})" for reason, names in _REASONS.items() if name in names), "")


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a view draws: rows, the names that transforms add, and how many rows those make of each."""

    rows: list[JSONObject] = field(default_factory=list[JSONObject])
    columns: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    times: int = 1
    copies: int = 1
    """How often the view is drawn, by facets."""

    def different(self, name: str) -> int:
        """How many values a column has."""
        return len({json.dumps(row.get(name)) for row in self.rows})


class _Check:
    """One chart, view by view."""

    def __init__(self, limits: ShowLimits) -> None:
        self._limits = limits
        self._given = 0
        self._views = 0
        self._area = 0.0

    def view(self, view: JSONObject, rows: _Rows) -> None:
        kinds = [kind for kind in _VIEWS if kind in view]
        if len(kinds) != 1:
            raise ProgramError(f"the chart cannot be shown: each view has one of {', '.join(_VIEWS)}")
        self._views += 1
        if self._views > self._limits.chart_views:
            raise ProgramError(f"the chart has more than {self._limits.chart_views} views: show several charts")
        if "data" in view:
            rows = self._data(cast("JSONObject", view["data"]), rows)
        for step in cast("list[JSONObject]", view.get("transform", [])):
            rows = self._transformed(step, rows)
        self._known(_fields(view.get("encoding")), rows)
        rows = self._faceted(view, rows)
        self._bounded(view, rows)
        kind = kinds[0]
        for part in cast("list[JSONObject]", view[kind]) if kind in _SEVERAL else ():
            self.view(part, rows)
        if kind == "facet":
            if not isinstance(inner := view.get("spec"), dict):
                raise ProgramError("the chart cannot be shown: a facet has a spec")
            self.view(inner, rows)

    def _data(self, data: JSONObject, rows: _Rows) -> _Rows:
        given = cast("list[JSONObject]", data["values"])
        self._given += len(given)
        most = self._limits.chart_rows
        if self._given > most:
            raise ProgramError(f"a chart takes {most:,} rows, not {self._given:,}: aggregate them in the program first")
        for row in given:
            for name, cell in row.items():
                if name == "__proto__":
                    raise ProgramError("a chart has no column __proto__: give it another name")
                if type(cell) not in _SCALARS:
                    raise ProgramError(f"the chart's column {name[:60]!r} has lists or objects: give text and numbers")
        return replace(rows, rows=given, columns=frozenset(name for row in given for name in row))

    def _transformed(self, step: JSONObject, rows: _Rows) -> _Rows:
        self._known(_fields({name: value for name, value in step.items() if name != "as"}), rows)
        made, times = [*_as(step)], rows.times
        if isinstance(fold := step.get("fold"), list):
            made += [] if "as" in step else ["key", "value"]
            times *= max(1, len(fold))
        most = 10 * self._limits.chart_rows
        if self._given * times > most:
            raise ProgramError(f"the chart makes more than {most:,} marks of its rows: aggregate in the program first")
        return replace(rows, made=rows.made | {*made}, times=times)

    def _known(self, names: Iterator[str], rows: _Rows) -> None:
        for name in names:
            if name not in rows.columns and name not in rows.made:
                told = ", ".join(sorted(rows.columns)[:40]) or "none: give rows as data.values"
                raise ProgramError(f"the chart names the column {name!r}, and its data has {told}")

    def _faceted(self, view: JSONObject, rows: _Rows) -> _Rows:
        """Each facet is a picture of its own."""
        encoding, facet = (cast("JSONObject", view.get(name) or {}) for name in ("encoding", "facet"))
        channels = [encoding.get(name) for name in ("row", "column", "facet")]
        channels += [facet] if "field" in facet else [facet.get(name) for name in ("row", "column")]
        for channel in channels:
            for name in _fields(channel):
                self._known(iter([name]), rows)
                count = rows.different(name) if name in rows.columns else self._limits.chart_views
                rows = replace(rows, copies=rows.copies * max(1, count))
        return rows

    def _bounded(self, view: JSONObject, rows: _Rows) -> None:
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
                count, most = rows.different(name), limits.chart_entries
                if count > most and "timeUnit" not in channel and "bin" not in channel:
                    raise ProgramError(
                        f"the axis of {name!r} would have {count:,} entries, and may have {most}: aggregate first"
                    )


def _fields(node: JSONValue) -> Iterator[str]:
    """The columns that a part of a chart names."""
    if isinstance(node, list):
        for one in node:
            yield from _fields(one)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name in ("field", "argmax", "argmin") and isinstance(value, str):
                yield value
            elif name in ("fold", "groupby") and isinstance(value, list):
                yield from (one for one in value if isinstance(one, str))
            elif isinstance(value, list | dict):
                yield from _fields(value)


def _as(node: JSONValue) -> Iterator[str]:
    """The columns that a transform adds."""
    if isinstance(node, list):
        for one in node:
            yield from _as(one)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "as":
                yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))
            else:
                yield from _as(value)


def _names(node: JSONValue, inside: bool = False) -> Iterator[str]:
    """All text of a chart that can become a name in a tooltip."""
    if isinstance(node, str):
        yield from (node,) if inside else ()
    elif isinstance(node, list):
        for one in node:
            yield from _names(one, inside)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name != "values":
                yield from _names(value, name in _NAMING)
