"""What tokens cost is known for the models of providers with a list of prices, and is not guessed for others."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from codeact_kernel.memory.prices import price
from codeact_kernel.memory.spending import UsedTokens
from codeact_kernel.types import Usage

USED = UsedTokens(
    group="day",
    model="gpt-4.1-mini",
    endpoint="https://api.openai.com/v1",
    is_live=True,
    turns=2,
    answers=4,
    usage=Usage(prompt_tokens=4_000_000, completion_tokens=1_000_000),
    seconds=3.0,
)


def test_tokens_of_a_known_model_have_the_price_of_its_list():
    assert price(USED) == Decimal("4") * Decimal("0.4") + Decimal("1.6")
    assert price(dataclasses.replace(USED, answers=1)) == price(USED)


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("gpt-4.1-mini", "http://127.0.0.1:11434/v1"), ("gpt-4.1-mini", ""), ("my-own", "https://api.openai.com/v1"),
        ("", "https://api.openai.com/v1"), ("gpt-4.1-mini", "not a URL"), ("gpt-4.1-mini", "https://openai.example/v1"),
    ],
)  # fmt: skip
def test_another_model_or_the_same_name_elsewhere_has_no_price(model, endpoint):
    assert price(dataclasses.replace(USED, model=model, endpoint=endpoint)) is None


def test_answers_that_come_from_no_model_cost_nothing():
    assert price(dataclasses.replace(USED, is_live=False)) == 0
    assert price(dataclasses.replace(USED, answers=0)) == 0
