# pyright: basic
"""Which tools a text finds, and in which order."""

from __future__ import annotations

import pytest

from codeact_kernel.tools import ToolIndex, ToolOptions, ToolSpec
from codeact_kernel.tools.definition import described_tool


def make(name: str, description: str = "", *parameters: str, note: str = "") -> ToolSpec:
    properties = {parameter: {"type": "string", "description": note} for parameter in parameters}
    schema = {"type": "object", "properties": properties}
    return described_tool(name, description, schema, lambda **arguments: None, ToolOptions()).spec


def find(query: str, *specs: ToolSpec) -> list[str]:
    return [spec.name for spec in ToolIndex(specs).rank(query)]


SHOP = [
    make("refundOrder", "Pay a customer back.", "order_id"),
    make("list_orders", "All orders of a day.", "day"),
    make("getWeather", "The weather of a city.", "city", note="Where, such as Oslo."),
    make("send-mail", "Write to a customer.", "address"),
]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("refund", "refundOrder"),
        ("list them", "list_orders"),
        ("What is the weather?", "getWeather"),
        ("pay somebody back", "refundOrder"),
        ("the ADDRESS", "send_mail"),
        ("in Oslo", "getWeather"),
        ("send", "send_mail"),
        ("days", "list_orders"),
    ],
)
def test_a_tool_is_found_by_the_words_of_its_name_description_parameters_and_notes(query, name):
    assert find(query, *SHOP)[0] == name


def test_a_tool_without_a_common_word_is_not_found():
    assert find("refund an order", *SHOP) == ["refundOrder", "list_orders"]
    assert find("xyz !", *SHOP) == find("", *SHOP) == find("refund") == []


def test_a_word_that_few_tools_have_counts_more():
    specs = [*(make(f"order_{i}", "Change an order.") for i in range(9)), make("stock", "How much there is.")]
    assert find("order of the stock", *specs)[0] == "stock"


def test_equal_tools_keep_their_order():
    names = ["zebra_find", "apple_find", "mango_find"]
    assert find("find", *map(make, names)) == names


def test_a_description_with_every_word_does_not_come_before_the_tool_that_is_about_them():
    words = " ".join(" ".join(f"{spec.name} {spec.description}" for spec in SHOP).replace("_", " ").split())
    filler = " ".join(f"word{i}" for i in range(200))
    hostile = [make(f"helper_{i}", f"{words} {words} {filler}") for i in range(3)]
    for query, name in (("refund this order", "refundOrder"), ("weather in the city", "getWeather")):
        assert find(query, *hostile, *SHOP)[0] == name


def test_repeating_a_word_does_not_help_beyond_a_bound():
    specs = [make("spam", "refund " * 900), make("refund", "Refund an order that was paid.")]
    assert find("refund a paid order", *specs)[0] == "refund"


def test_the_words_at_the_end_of_an_endless_description_do_not_count():
    assert find("needle", make("long", "hay " * 1_000 + "needle")) == []


def test_letters_of_other_scripts_are_words():
    assert find("größe", make("size", "Die Größe."), make("weight", "Das Gewicht.")) == ["size"]
