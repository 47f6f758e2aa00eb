"""Which charts may be shown: none that loads, computes or grows without end."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from codeact_kernel.capabilities.show.charts import schema, validate_chart
from codeact_kernel.capabilities.show.schema_check import find_problem
from codeact_kernel.errors import ProgramError
from codeact_kernel.limits import ShowLimits

LIMITS = ShowLimits()
ROWS = [{"a": "x", "b": 3, "day": "2026-01-01"}, {"a": "y", "b": 5, "day": "2026-01-02"}]
BAR = {
    "data": {"values": ROWS},
    "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "type": "quantitative"}},
}
RICH = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.20.json",
    "title": {"text": "Sales", "subtitle": "by region", "anchor": "start", "fontSize": 16},
    "description": "What was sold",
    "width": 400,
    "height": {"step": 20},
    "background": "#fff",
    "data": {"values": ROWS},
    "transform": [
        {"filter": {"or": [{"field": "b", "gt": 1}, {"field": "a", "oneOf": ["x", "y"]}]}},
        {"aggregate": [{"op": "sum", "field": "b", "as": "total"}], "groupby": ["a", "day"]},
        {"window": [{"op": "row_number", "as": "n"}], "sort": [{"field": "total", "order": "descending"}]},
        {"fold": ["total", "n"], "as": ["what", "how much"]},
        {"timeUnit": "yearmonth", "field": "day", "as": "month"},
    ],
    "layer": [
        {
            "mark": {"type": "bar", "tooltip": True, "cornerRadiusEnd": 4, "color": "#4c78a8", "opacity": 0.8},
            "encoding": {
                "x": {"field": "a", "type": "nominal", "sort": "-y", "axis": {"labelAngle": -45, "title": None}},
                "y": {
                    "field": "how much", "type": "quantitative", "stack": None,
                    "axis": {"format": ",.0f", "grid": False, "tickCount": 5}, "scale": {"zero": True, "domain": [0, 10]},
                },
                "color": {
                    "field": "what", "type": "nominal", "scale": {"scheme": "category10"},
                    "legend": {"orient": "bottom", "title": "What"},
                },
                "tooltip": [{"field": "a", "type": "nominal"}, {"field": "how much", "format": ".2f", "title": "Sum"}],
            },
        },
        {"mark": {"type": "rule", "strokeDash": [4, 4]}, "encoding": {"y": {"datum": 4}, "color": {"value": "red"}}},
        {"mark": "text", "encoding": {"x": {"field": "a"}, "text": {"aggregate": "count"}, "y": {"value": 10}}},
    ],
    "resolve": {"scale": {"y": "independent"}},
    "config": {"view": {"stroke": None}, "axis": {"labelFontSize": 12}, "bar": {"color": "teal"}},
}  # fmt: skip
FACETS = {
    "data": {"values": ROWS},
    "hconcat": [
        {"facet": {"column": {"field": "a", "type": "nominal"}}, "spec": {"mark": "bar", "encoding": BAR["encoding"]}},
        {
            "mark": {"type": "line", "point": {"filled": True}, "interpolate": "monotone"},
            "encoding": {
                "x": {"field": "day", "timeUnit": "yearmonthdate", "type": "temporal", "axis": {"format": "%d %b"}},
                "y": {"field": "b", "aggregate": "mean", "bin": False},
                "row": {"field": "a", "header": {"labelAngle": 0}},
            },
        },
    ],
}


def with_at(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`spec` with another value at `path`, which may be new."""
    changed = copy.deepcopy(spec)
    *way, last = (int(part) if part.isdecimal() else part for part in path.split("."))
    node: Any = changed
    for part in way:
        if isinstance(node, dict) and not isinstance(node.get(part), dict | list):
            node[part] = {}
        node = node[part]
    node[last] = value
    return changed


def refusal(spec: Any) -> str:
    with pytest.raises(ProgramError) as caught:
        validate_chart(spec, LIMITS)
    return str(caught.value)


@pytest.mark.parametrize("spec", [BAR, RICH, FACETS], ids=["bar", "rich", "facets"])
def test_what_programs_really_draw_may_be_shown(spec):
    shown = validate_chart(spec, LIMITS)
    assert shown["$schema"] == "https://vega.github.io/schema/vega-lite/v5.json"
    assert {**shown, "$schema": 0} == {**spec, "$schema": 0}


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("data.url", "http://there/x.csv", "data.url is not allowed"),
        ("data", {"url": "http://there/x.csv"}, "put the rows into data.values"),
        ("data", {"sequence": {"start": 0, "stop": 1e9}}, "data.values"),
        ("data", {"name": "source"}, "data.values"),
        ("data.format", {"type": "csv"}, "data.format is not allowed"),
        ("data.values", "a,b\n1,2", "data.values has to be a list"),
        ("datasets", {"source": []}, "datasets is not allowed"),
        ("mark", "image", 'mark has to be one of "bar"'),
        ("mark", "geoshape", 'mark has to be one of "bar"'),
        ("mark", {"type": "image", "url": "http://there/x.png"}, "mark.type has to be one of"),
        ("mark", {"type": "bar", "href": "http://there"}, "mark.href is not allowed"),
        ("mark", {"color": "red"}, "mark has no type"),
        ("mark", {"type": "bar", "tooltip": {"content": "data"}}, "mark.tooltip has to be true or false or null"),
        ("mark", {"type": "bar", "tooltip": {"expr": "1"}}, "mark.tooltip"),
        ("mark", {"type": "bar", "color": {"expr": "1"}}, "mark.color has to be text or null"),
        ("mark", {"type": "bar", "color": {"gradient": "linear"}}, "mark.color has to be text or null"),
        ("mark", {"type": "bar", "color": "url(http://there/x.svg)"}, "mark.color has characters"),
        ("mark", {"type": "bar", "font": "Web Font"}, "mark.font is not allowed"),
        ("mark", {"type": "bar", "style": "x"}, "mark.style is not allowed"),
        ("mark", {"type": "bar", "strokeWidth": 1e9}, "mark.strokeWidth has to be from 0 to 10000"),
        ("params", [{"name": "p", "select": "interval"}], "no expressions and no interaction"),
        ("selection", {"p": {"type": "interval"}}, "no expressions and no interaction"),
        ("usermeta", {"embedOptions": {"loader": {}}}, "usermeta is not allowed"),
        ("$ref", "http://there", "$ref is not allowed"),
        ("projection", {"type": "mercator"}, "projection is not allowed"),
        ("repeat", ["a", "b"], "repeat is not allowed"),
        ("name", "x", "name is not allowed"),
        ("config.signals", [], "config.signals is not allowed"),
        ("config.customFormatTypes", True, "config.customFormatTypes is not allowed"),
        ("config.font", "Web Font", "config.font is not allowed"),
        ("config.locale", {}, "config.locale is not allowed"),
        ("config.style", {}, "config.style is not allowed"),
        ("width", 1e6, "width has to be from 1 to 2000"),
        ("width", {"signal": "1e9"}, "width"),
        ("height", {"step": 1e6}, "height.step has to be from 1 to 100"),
        ("encoding.url", {"field": "a"}, "encoding.url is not allowed"),
        ("encoding.href", {"field": "a"}, "encoding.href is not allowed"),
        ("encoding.description", {"field": "a"}, "encoding.description is not allowed"),
        ("encoding.key", {"field": "a"}, "encoding.key is not allowed"),
        ("encoding.longitude", {"field": "b"}, "encoding.longitude is not allowed"),
        ("encoding.x.condition", {"test": "true", "value": 1}, "no expressions and no interaction"),
        ("encoding.x.impute", {"value": 0, "keyvals": {"start": 0, "stop": 1e9}}, "encoding.x.impute is not allowed"),
        ("encoding.x.formatType", "evil", 'encoding.x.formatType has to be one of "number", "time"'),
        ("encoding.x.format", '") + warn("x', "encoding.x.format has characters"),
        ("encoding.x.format", "') + warn('x", "encoding.x.format has characters"),
        ("encoding.x.format", {"type": "custom"}, "encoding.x.format has to be text"),
        ("encoding.x.axis.labelExpr", "datum.label", "no expressions and no interaction"),
        ("encoding.x.axis.labelColor", {"expr": "1"}, "encoding.x.axis.labelColor has to be text or null"),
        ("encoding.x.axis.tickCount", "second", "encoding.x.axis.tickCount has to be a number"),
        ("encoding.x.axis.tickCount", 10**6, "encoding.x.axis.tickCount has to be from 0 to 100"),
        ("encoding.x.axis.values", list(range(300)), "encoding.x.axis.values has 300 items"),
        ("encoding.x.axis.encode", {}, "encoding.x.axis.encode is not allowed"),
        ("encoding.x.bin", {"step": 1e-9}, "encoding.x.bin.step is not allowed"),
        ("encoding.x.bin", {"maxbins": 10**9}, "encoding.x.bin.maxbins has to be from 2 to 200"),
        ("encoding.x.timeUnit", "'+warn(1)+'", "encoding.x.timeUnit has characters"),
        ("encoding.x.timeUnit", {"unit": "year", "step": 1e-9}, "encoding.x.timeUnit has to be text"),
        ("encoding.x.scale.domain", {"expr": "1"}, "encoding.x.scale.domain has to be"),
        ("encoding.x.scale.range", {"url": "http://there"}, "encoding.x.scale.range has to be a list"),
        ("encoding.x.scale.range", ["url(http://there)"], "encoding.x.scale.range[0]"),
        ("encoding.x.scale.bins", {"step": 1e-9}, "encoding.x.scale.bins is not allowed"),
        ("encoding.x.sort", ["x", {"expr": "1"}], "encoding.x.sort[1] has to be"),
        ("encoding.x.title", 'a" + warn("x") + "', "encoding.x.title has characters"),
        ("encoding.x.title", "a\\", "encoding.x.title has characters"),
        ("encoding.x.title", "a\n", "encoding.x.title has characters"),
        ("encoding.x.field", 'a"] + warn("x', "encoding.x.field has characters"),
        ("encoding.x.field", {"repeat": "row"}, "encoding.x.field has to be text"),
        ("encoding.x.field", "a.b", "encoding.x.field has characters"),
        ("encoding.x.value", {"expr": "1"}, "encoding.x.value has to be"),
        ("encoding.x.value", "url(http://there/x)", "encoding.x.value has characters"),
        ("encoding.x.datum", {"expr": "1"}, "encoding.x.datum has to be"),
        ("encoding.tooltip", {"value": {"image": "http://there"}}, "encoding.tooltip.value has to be"),
        ("encoding.shape", {"value": "M0,0" + "L1,1" * 100}, "encoding.shape.value is longer than"),
        ("transform", [{"calculate": "warn(1)", "as": "c"}], "compute it in the program"),
        ("transform", [{"filter": "datum.b > 1"}], "compute it in the program"),
        ("transform", [{"filter": {"param": "p"}}], "compute it in the program"),
        ("transform", [{"filter": {"field": "b", "equal": {"expr": "1"}}}], "transform[0].filter.equal has to be"),
        ("transform", [{"lookup": "a", "from": {"data": {"url": "x"}}}], "transform[0].lookup is not allowed"),
        ("transform", [{"impute": "b", "key": "a"}], "transform[0].impute is not allowed"),
        ("transform", [{"flatten": ["a"]}], "transform[0].flatten is not allowed"),
        ("transform", [{"pivot": "a", "value": "b"}], "transform[0].pivot is not allowed"),
        ("transform", [{"density": "b", "steps": 1e9}], "transform[0].density is not allowed"),
        ("transform", [{"sample": 10}], "transform[0].sample is not allowed"),
        ("background", "url(http://there)", "background has characters"),
        ("padding", {"left": 1e9}, "padding.left has to be from"),
        ("title", {"text": "x", "font": "Web Font"}, "title.font is not allowed"),
        ("title", {"text": {"expr": "1"}}, "title.text has to be"),
        ("resolve", {"scale": {"__proto__": "shared"}}, "resolve.scale.__proto__ is not allowed"),
        ("__proto__", {}, "__proto__ is not allowed"),
    ],
)  # fmt: skip
def test_each_way_to_load_compute_or_grow_is_refused_by_name(path, value, why):
    assert why in refusal(with_at(BAR, path, value))


@pytest.mark.parametrize("wrap", ["layer", "hconcat", "vconcat", "concat"])
def test_what_is_refused_is_refused_at_any_depth(wrap):
    inner = with_at(BAR, "encoding.x.axis.labelExpr", "warn(1)")
    assert "labelExpr is not allowed" in refusal({wrap: [{wrap: [BAR, inner]}]})
    facet = {"facet": {"row": {"field": "a"}}, "spec": inner, "data": BAR["data"]}
    assert "spec.encoding.x.axis.labelExpr is not allowed" in refusal(facet)


@pytest.mark.parametrize("where", ["field", "title", "as", "array", "count", "fold"])
def test_no_tooltip_gets_a_name_that_a_page_takes_for_a_picture_to_load(where):
    """vega-tooltip puts the value of what is named "image" unescaped into <img src>: seen to run a script."""
    rows = [{"a": "x", "b": 3, "image": 'x" onerror="alert(1)'}]
    spec = with_at(with_at(BAR, "data.values", rows), "mark", {"type": "bar", "tooltip": True})
    match where:
        case "field":
            spec = with_at(spec, "encoding.x.field", "image")
        case "title":
            spec = with_at(spec, "encoding.x.title", "image")
        case "array":
            spec = with_at(spec, "encoding.tooltip", [{"field": "a", "title": ["image"]}])
        case "as":
            spec = with_at(spec, "transform", [{"aggregate": [{"op": "max", "field": "a", "as": "image"}]}])
        case "count":
            spec = with_at(spec, "config.countTitle", "image")
        case _:
            spec = with_at(spec, "transform", [{"fold": ["b"], "as": ["image", "value"]}])
    assert "give the column or title 'image' another name" in refusal(spec)


def test_data_may_well_say_image():
    rows = [{"a": "image", "b": 3}]
    spec = with_at(with_at(BAR, "data.values", rows), "encoding.x.scale.domain", ["image", "video"])
    assert validate_chart(spec, LIMITS)["data"] == {"values": rows}


def test_a_column_that_the_data_has_not_is_reported_with_those_it_has():
    assert "names the column 'c', and its data has a, b, day" in refusal(with_at(BAR, "encoding.x.field", "c"))
    assert "names the column 'c'" in refusal(with_at(RICH, "transform.1.groupby", ["c"]))
    assert "its data has none: give rows" in refusal({"mark": "bar", "encoding": BAR["encoding"]})
    assert "its data has none: give rows" in refusal(with_at(BAR, "data.values", []))


def test_sizes_are_bounded():
    many = [{"a": str(n), "b": n} for n in range(5_001)]
    assert "a chart takes 5,000 rows, not 5,001: aggregate" in refusal(with_at(BAR, "data.values", many))
    numbers = with_at(with_at(BAR, "data.values", many[:3_000]), "encoding.x", {"field": "b", "type": "quantitative"})
    assert "a chart takes 5,000 rows, not 6,000: aggregate" in refusal({"hconcat": [numbers, numbers]})
    assert "would have 5,000 entries, and may have 500" in refusal(with_at(BAR, "data.values", many[:5_000]))
    folds = with_at(with_at(BAR, "data.values", many[:400]), "transform", [{"fold": ["a", "b"] * 20}] * 3)
    assert "makes more than 50,000 marks" in refusal(folds)
    assert "more than 20 views" in refusal({"layer": [{"hconcat": [BAR] * 15}, {"hconcat": [BAR] * 15}]})
    wide = with_at(with_at(BAR, "width", 2_000), "height", 2_000)
    assert "more than 6,000,000 pixels" in refusal({"vconcat": [wide, wide]})
    facets = with_at(with_at(BAR, "data.values", many[:300]), "encoding.row", {"field": "b"})
    assert "more than 6,000,000 pixels" in refusal(facets)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ([], "a chart must be an object"),
        ({}, "each view must have one of mark, layer"),
        ({**BAR, "layer": [BAR]}, "each view must have one of mark, layer"),
        ({"marks": [], "scales": []}, "this is a Vega chart"),
        ({**BAR, "$schema": "https://vega.github.io/schema/vega/v5.json"}, "this is a Vega chart"),
        ({"facet": {"row": {"field": "a"}}, "data": BAR["data"]}, "a facet must have a spec"),
        (with_at(BAR, "data.values", [{"a": {"image": 1}, "b": 1}]), "column 'a' has lists or objects"),
        (with_at(BAR, "data.values", [json.loads('{"__proto__": 1}')]), "a chart cannot have a column __proto__"),
        (with_at(BAR, "data.values", [1]), "data.values[0] has to be an object"),
    ],
)
def test_what_is_no_chart_is_told_so(spec, why):
    assert why in refusal(spec)


VALUES = [None, True, 1, 1.0, -1, 2.5, 1e9, "", "bar", 'a"b', [], ["x"], [1, 2], {}, {"x": 1}]


def leaves(node: Any, path: str = "") -> Iterator[str]:
    if path:
        yield path
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, f"{path}.{name}".lstrip("."))


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(BAR, id="bar"),
        pytest.param(RICH, id="rich", marks=pytest.mark.full),
        pytest.param(FACETS, id="facets"),
    ],
)
def test_our_reading_of_the_schema_is_the_jsonschema_librarys(spec):
    judge = jsonschema.Draft202012Validator(schema())
    jsonschema.Draft202012Validator.check_schema(schema())
    seen: set[bool] = set()
    for path in leaves(spec):
        for value in VALUES:
            changed = with_at(spec, path, value)
            fits = find_problem(changed, schema(), schema()) == ""
            assert fits == judge.is_valid(changed), (path, value)
            seen.add(fits)
    assert seen == {True, False}
