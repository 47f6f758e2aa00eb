# pyright: basic
"""A JSON schema makes a tool that is checked, shown and called like one with type hints."""

from __future__ import annotations

import asyncio
import inspect
import json
import warnings
from typing import Any, get_type_hints

import pytest

from codeact_kernel import tool_from_schema
from codeact_kernel.errors import ToolDefinitionError
from codeact_kernel.tools import ToolCallError, default_registry, tool
from codeact_kernel.tools.names import spell_parameters, spell_tool


def offer(properties: dict[str, Any], required: list[str] | None = None, name: str = "find", **more: Any) -> str:
    """Offer a tool that returns its arguments, and return its stub."""
    schema = {"type": "object", "properties": properties, "required": required or [], **more}
    return tool_from_schema(name, "", schema, lambda **arguments: arguments).codeact_tool.spec.stub


def call(name: str, arguments: dict[str, Any]) -> Any:
    async def on_main(function: Any) -> Any:
        return function()

    return asyncio.run(default_registry.call(default_registry.validate(name, arguments), on_main=on_main))


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "str"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": ["string", "null"]}, "str | None"),
        ({"type": "string", "nullable": True}, "str | None"),
        ({"enum": ["a", "b"]}, "Literal['a', 'b']"),
        ({"const": 1}, "Literal[1]"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "int | str"),
        ({"type": "array", "items": {"type": "integer"}}, "list[int]"),
        ({"type": "array"}, "list"),
        ({"type": "object"}, "dict"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "dict[str, int]"),
        ({"type": "dict", "properties": {"x": {"type": "float"}}, "required": ["x"]}, "{x: float}"),
        ({"type": "object", "properties": {"x": {"type": "integer"}}}, "{x: int (optional)}"),
        ({"$ref": "#/$defs/Point"}, "{x: int (optional)}"),
        ({"allOf": [{"$ref": "#/$defs/Point"}, {"required": ["x"]}]}, "{x: int}"),
    ],
)  # fmt: skip
def test_each_kind_of_schema_is_shown_as_a_type(schema, text):
    points = {"Point": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    stub = offer({"value": schema}, ["value"], **{"$defs": points})
    assert stub == f"find(value: {text})"


@pytest.mark.parametrize(
    "schema", [{}, {"type": "any"}, {"$ref": "https://example.com/x.json"}, {"$ref": "#/nowhere"}, {"not": {}}, True, 3]
)
def test_a_part_that_says_nothing_usable_takes_any_value(schema):
    assert offer({"value": schema}, ["value"]) == "find(value)"
    assert call("find", {"value": [1]}) == {"value": [1]}


def test_descriptions_and_bounds_are_shown_at_every_depth():
    inner = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 5, "description": "How many."}},
    }
    assert offer({"list": {"type": "array", "items": inner}}, ["list"]).splitlines()[1:] == [
        "    list.n: How many. (1 to 5)"
    ]


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"type": "integer"}, "1", "should be a valid integer"),
        ({"type": "integer", "minimum": 1}, 0, "should be greater than or equal to 1"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "A1", "should match pattern"),
        ({"type": "string", "minLength": 2}, "a", "should have at least 2 characters"),
        ({"enum": ["a", "b"]}, "c", "should be 'a' or 'b'"),
        ({"type": "array", "maxItems": 1}, [1, 2], "should have at most 1 item"),
        ({"type": "object", "properties": {"size": {}}}, {"sise": 1}, "there is no argument 'sise' in value (did you mean 'size'?)"),
    ],
)  # fmt: skip
def test_a_call_that_breaks_the_schema_is_refused_before_it_runs(schema, value, fault):
    offer({"value": schema}, ["value"])
    with pytest.raises(ToolCallError) as caught:
        call("find", {"value": value})
    assert fault in str(caught.value)


def test_an_object_may_have_further_keys_where_the_schema_says_so():
    offer({"value": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": True}})
    assert call("find", {"value": {"a": 1, "b": [2]}}) == {"value": {"a": 1, "b": [2]}}


def test_what_a_program_leaves_out_or_gives_as_none_is_left_to_the_tool():
    offer(
        {"limit": {"type": "integer"}, "page": {"type": "integer", "default": 1}, "any": {"type": ["string", "null"]}}
    )
    assert call("find", {"limit": None, "any": None}) == {"any": None}


def test_required_parameters_come_first():
    assert offer({"a": {"type": "integer"}, "b": {"type": "string"}}, ["b"]) == "find(b: str, a: int = None)"


def test_a_pattern_that_could_take_forever_takes_no_time():
    offer({"value": {"type": "string", "pattern": "^(a+)+$"}}, ["value"])
    with pytest.raises(ToolCallError, match="should match pattern"):
        call("find", {"value": "a" * 5_000 + "!"})


def test_a_schema_that_grows_without_end_is_cut():
    bomb: dict[str, Any] = {"$defs": {"a": {"properties": {str(i): {"$ref": "#/$defs/a"} for i in range(40)}}}}
    assert len(offer({"value": {"$ref": "#/$defs/a"}}, ["value"], **bomb)) < 10_000
    circle = {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}, "c": {"allOf": [{"$ref": "#/$defs/c"}] * 40}}
    }
    assert offer({"value": {"$ref": "#/$defs/a"}, "more": {"$ref": "#/$defs/c"}}, **circle)


@pytest.mark.parametrize(("schema", "fault"), [({"x": {1}}, "is not JSON"), ({"x": "y" * 2_000_000}, "the limit is")])
def test_what_is_no_schema_is_refused(schema, fault):
    with pytest.raises(ToolDefinitionError, match=fault):
        tool_from_schema("find", "", schema, lambda: None)


@pytest.mark.parametrize(
    ("own_name", "name"),
    [
        ("fetch-page", "fetch_page"),
        ("web.search", "web_search"),
        ("größe", "grosse"),
        ("2nd", "tool_2nd"),
        ("sum", "tool_sum"),
        ("class", "tool_class"),
        ("call_tool", "tool_call_tool"),
        ("_private", "private"),
        ("搜索", "unnamed"),
        ("x" * 100, "x" * 64),
        ("", "unnamed"),
    ],
)
def test_programs_spell_the_name_of_a_tool_in_a_documented_way(own_name, name):
    assert spell_tool(own_name) == name


def test_a_name_that_is_taken_gets_a_number_or_the_name_of_its_server():
    assert spell_tool("fetch-page", {"fetch_page"}) == "fetch_page_2"
    assert spell_tool("fetch-page", {"fetch_page"}, "web") == "web_fetch_page"
    assert spell_tool("fetch-page", {"fetch_page", "web_fetch_page"}, "web") == "web_fetch_page_2"
    assert spell_tool("sum", (), "math") == "math_sum"
    assert spell_tool("sum", (), "2") == "tool_2_sum"


def test_programs_spell_parameters_that_are_not_python_names():
    names = ["from", "start-date", "start_date", "2nd", "größe", ""]
    assert list(spell_parameters(names).values()) == [
        "from_",
        "start_date_2",
        "start_date",
        "_2nd",
        "grosse",
        "unnamed",
    ]


def test_the_function_gets_the_own_names_of_its_parameters():
    offer({"from": {"type": "string"}, "start-date": {"type": "string"}}, ["from"])
    assert call("find", {"from_": "a", "start_date": "b"}) == {"from": "a", "start-date": "b"}
    assert call("find", {"from": "a"}) == {"from": "a"}


def test_errors_speak_of_the_spelling_in_programs():
    offer({"start-date": {"type": "string"}}, ["start-date"])
    for arguments, fault in (
        ({}, "argument start_date is missing"),
        ({"date": "x"}, "no argument 'date' (did you mean 'start_date'?)"),
    ):
        with pytest.raises(ToolCallError) as caught:
            call("find", arguments)
        assert fault in str(caught.value)


def test_a_name_that_means_something_else_gets_a_prefix_and_a_notice():
    with pytest.warns(
        UserWarning, match="The tool 'sum' is called tool_sum in programs, because its name means something"
    ):
        offer({}, name="sum")


def test_a_name_that_is_only_spelled_otherwise_gives_no_notice():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        offer({}, name="fetch-page")


def test_the_same_tool_again_takes_the_place_of_the_old_one_and_no_other_does():
    for name in ("fetch-page", "fetch-page", "fetch.page"):
        offer({}, name=name)

    @tool
    def fetch_page() -> None:
        """Mine."""

    assert {name: spec.own_name for name, spec in default_registry.specs().items()} == {
        "fetch_page": "fetch_page",
        "fetch_page_2": "fetch.page",
    }


def test_the_result_is_described_by_an_output_schema():
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    found = tool_from_schema("find", "Find.", {}, lambda: {"total": 1}, output_schema=schema)
    assert found.codeact_tool.spec.stub == "find() -> {total: float}  # Find."


def test_an_async_function_is_awaited():
    async def find(**arguments: Any) -> str:
        return json.dumps(arguments)

    tool_from_schema("find", "", {"properties": {"a": {"type": "integer"}}}, find)
    assert call("find", {"a": 1}) == '{"a": 1}'


def test_the_function_that_carries_the_tool_shows_its_parameters():
    found = tool_from_schema(
        "find",
        "Find.",
        {"properties": {"city": {"type": "string"}, "limit": {"type": "integer", "default": 3}}, "required": ["city"]},
        lambda **arguments: arguments,
    )
    assert str(inspect.signature(found)) == "(*, city: str, limit: int = 3)"
    assert get_type_hints(found) == {"city": str, "limit": int}
    assert found(city="Rome") == {"city": "Rome"}


def test_a_function_whose_parameters_have_no_python_names_takes_any_keywords():
    found = tool_from_schema("find", "", {"properties": {"from": {}}}, lambda **arguments: arguments)
    assert found(**{"from": "Rome"}) == {"from": "Rome"}
