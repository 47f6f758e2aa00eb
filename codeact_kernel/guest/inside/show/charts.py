"""Convert rows to Vega-Lite charts, and complete charts that a program specifies."""

import re
from datetime import date
from typing import Any

from .limits import max_items
from .tables import count_rows, get_column_names, is_table, read_column, read_rows

_MARKS = ("bar", "line", "point", "area", "pie", "hist")
_BINS = 30
_WIDTH, _HEIGHT, _STEP = 480, 260, 32
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")
_ODD = re.compile(r"[^\w %()/+-]|^image$")


def make_chart(value: Any, chart: Any, x: Any, y: Any, color: Any, title: str | None) -> dict[str, Any]:
    """Return the chart for `show(value, chart=..., x=..., ...)`. `chart` may also be a Vega-Lite spec without data."""
    if isinstance(chart, dict):
        return {**chart, "data": value} | ({"title": _escape_label(title)} if title else {})
    if chart not in _MARKS:
        raise ValueError(f"show(chart={chart!r}): chart must be one of {', '.join(_MARKS)}, or a Vega-Lite spec")
    if not is_table(value):
        raise ValueError("show(rows, chart=...) takes a list of dicts")
    if chart != "hist":
        _check_row_count(value)
    builder = _ChartBuilder(value)
    spec = builder.histogram(x) if chart == "hist" else builder.plain(chart, x, y, color)
    return spec | ({"title": _escape_label(title)} if title else {})


def complete_chart(spec: Any) -> Any:
    """Return the chart with its rows in Vega-Lite's form, and with types for columns that lack them."""
    if not isinstance(spec, dict):
        raise ValueError("show() takes a chart as a dict with mark, encoding and data")
    data = spec.get("data")
    if is_table(data):
        data = {"values": data}
    if isinstance(data, dict) and is_table(data.get("values")):
        table = data["values"]
        _check_row_count(table)
        names = get_column_names(table)
        rows = read_rows(table, max_items["chart_rows"], names)
        data = {**data, "values": [dict(zip(map(str, names), row, strict=True)) for row in rows]}
        types = {name: _detect_type([row[number] for row in rows]) for number, name in enumerate(names)}
        spec = _add_types(spec, types)
    return spec if data is None else {**spec, "data": data}


def _add_types(view: dict[str, Any], types: dict[str, str]) -> dict[str, Any]:
    encoding = view.get("encoding")
    if isinstance(encoding, dict):
        encoding = {
            name: {**channel, "type": types[channel["field"]]}
            if isinstance(channel, dict)
            and channel.get("field") in types
            and not channel.keys() & {"type", "aggregate", "bin", "timeUnit"}
            and name not in ("x2", "y2", "theta2", "radius2")
            else channel
            for name, channel in encoding.items()
        }
        view = {**view, "encoding": encoding}
    if isinstance(view.get("layer"), list):
        view = {
            **view,
            "layer": [_add_types(layer, types) if isinstance(layer, dict) else layer for layer in view["layer"]],
        }
    return view


def _check_row_count(table: Any) -> None:
    if (total := count_rows(table)) > max_items["chart_rows"]:
        raise ValueError(f"a chart takes {max_items['chart_rows']:,} rows, not {total:,}: aggregate them first")


class _ChartBuilder:
    def __init__(self, table: Any) -> None:
        self.table = table
        self.columns: dict[str, list[Any]] = {}
        self.fields: dict[str, str] = {}

    def values(self, name: Any) -> list[Any]:
        if name not in self.columns:
            names = get_column_names(self.table)
            if name not in names:
                raise ValueError(f"there is no column {name!r}: the columns are {', '.join(map(str, names))}")
            self.columns[name] = read_column(self.table, name)
        return self.columns[name]

    def channel(self, name: Any, discrete: bool = False) -> dict[str, Any]:
        values = self.values(name)
        field = self.fields.setdefault(name, f"_{len(self.fields)}" if _ODD.search(str(name)) else str(name))
        kind = _detect_type(values)
        channel: dict[str, Any] = {"field": field, "type": kind, "title": _escape_label(name)}
        if kind == "nominal":
            channel["sort"] = None  # in the order of the rows
        elif discrete:
            channel["type"] = "ordinal"
        elif kind == "temporal" and all(value is None or _DAY.fullmatch(value) for value in values):
            channel["scale"] = {"type": "utc"}  # browsers read a date as midnight UTC
        return channel

    def plain(self, chart: str, x: Any, y: Any, color: Any) -> dict[str, Any]:
        if x is None:
            raise ValueError(f'show(rows, chart="{chart}", x=..., y=...): x is missing')
        if isinstance(y, (list, tuple)):
            x, y, color = self.fold(x, list(y))
        if y is None and chart not in ("bar", "pie"):
            raise ValueError(f'show(rows, chart="{chart}", x=..., y=...): y is missing')
        counted = {"aggregate": "count", "type": "quantitative", "title": "count"}
        if chart == "pie":
            # The type gives distinct colours instead of shades of one.
            slices = {**self.channel(x, discrete=True), "type": "nominal", "sort": None}
            encoding = {"theta": counted if y is None else self.channel(y), "color": slices}
        else:
            upright = chart != "bar" or y is None or _detect_type(self.values(y)) == "quantitative"
            encoding = {
                "x": self.channel(x, discrete=chart == "bar" and upright),
                "y": counted if y is None else self.channel(y, discrete=not upright),
            }
            if color is not None:
                encoding["color"] = self.channel(color, discrete=chart != "point")
        mark = {"type": "arc" if chart == "pie" else chart, "tooltip": True}
        columns = [self.columns[name] for name in self.fields]
        values = [dict(zip(self.fields.values(), cells, strict=True)) for cells in zip(*columns, strict=True)]
        return {"data": {"values": values}, "mark": mark, "encoding": encoding, **_get_size(encoding)}

    def fold(self, x: Any, columns: list[Any]) -> tuple[str, str, str]:
        """Combine several columns of numbers into one column, with another for their names."""
        keys = self.values(x)
        folded = [(x, name, value) for name in columns for x, value in zip(keys, self.values(name), strict=True)]
        names = (str(x), "value", "series")
        self.columns = dict(zip((names[0], "series", "value"), map(list, zip(*folded, strict=True)), strict=True))
        return names

    def histogram(self, x: Any) -> dict[str, Any]:
        """Count the values in the guest, so that the chart can have any number of rows."""
        from math import floor, log10

        if x is None:
            raise ValueError('show(rows, chart="hist", x=...): x is missing')
        numbers = [value for value in self.values(x) if isinstance(value, (int, float))]
        if not numbers:
            raise ValueError(f"the column {x!r} has no numbers to count")
        low, high = min(numbers), max(numbers)
        wide = (high - low) / _BINS or 1.0
        power = 10.0 ** floor(log10(wide))
        step = next(size * power for size in (1, 2, 5, 10) if size * power >= wide)
        counts: dict[int, int] = {}
        for number in numbers:
            counts[floor(number / step)] = counts.get(floor(number / step), 0) + 1
        values = [
            {"from": bin_number * step, "to": (bin_number + 1) * step, "count": counts[bin_number]}
            for bin_number in sorted(counts)
        ]
        return {
            "data": {"values": values},
            "mark": {"type": "bar", "tooltip": True},
            "width": _WIDTH,
            "height": _HEIGHT,
            "encoding": {
                "x": {"field": "from", "type": "quantitative", "bin": "binned", "title": _escape_label(x)},
                "x2": {"field": "to"},
                "y": {"field": "count", "type": "quantitative", "title": "count"},
            },
        }


def _get_size(encoding: dict[str, Any]) -> dict[str, Any]:
    """Return a readable size. A side with discrete entries grows with their number."""
    if "theta" in encoding:
        return {"width": _HEIGHT, "height": _HEIGHT}
    discrete = {side for side in ("x", "y") if encoding[side]["type"] in ("nominal", "ordinal")}
    return {
        name: {"step": _STEP} if side in discrete else size
        for side, name, size in (("x", "width", _WIDTH), ("y", "height", _HEIGHT))
    }


def _detect_type(values: list[Any]) -> str:
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
        return "quantitative"
    if present and all(isinstance(value, str) and _is_time(value) for value in present):
        return "temporal"
    return "nominal"


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text) and date.fromisoformat(text[:10]))
    except ValueError:
        return False


def _escape_label(name: Any) -> str:
    """Return a name as a title, without characters that break charts.

    A page takes the title "image" for the address of an image.
    """
    text = re.sub(r"[\x00-\x1f\x7f\u2028\u2029]", " ", str(name).replace('"', "”").replace("\\", "/"))[:300]
    return text.capitalize() if text == "image" else text
