from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from codeact_kernel.errors import ModelError
from codeact_kernel.model.base import Delta, Message, ModelClient
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.model.usage import estimate
from codeact_kernel.types import Usage

MESSAGES = (Message("user", "Who spent the most?"),)


def ask(model: ModelClient, messages: Sequence[Message] = MESSAGES) -> list[Delta]:
    async def collect() -> list[Delta]:
        return [delta async for delta in model.stream(messages)]

    return asyncio.run(collect())


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def test_answers_come_in_the_order_of_the_script() -> None:
    model = ScriptedModel(["one", "two"])
    assert [text_of(ask(model)), text_of(ask(model))] == ["one", "two"]


def test_an_answer_comes_in_small_pieces_and_ends_like_a_real_one() -> None:
    *texts, last = ask(ScriptedModel(["```python\nprint(1)\n```"]))
    assert len(texts) > 2
    assert last == Delta(usage=estimate(MESSAGES, "```python\nprint(1)\n```"), finish="stop")


def test_an_answer_may_be_made_from_the_messages() -> None:
    model = ScriptedModel([lambda messages: messages[-1].content.upper()])
    assert text_of(ask(model)) == "WHO SPENT THE MOST?"


def test_the_usage_may_be_given() -> None:
    usage = Usage(prompt_tokens=5, completion_tokens=6)
    assert ask(ScriptedModel(["x"], usage=usage))[-1].usage == usage


def test_a_script_that_runs_out_says_so() -> None:
    model = ScriptedModel(["one"], name="demo")
    ask(model)
    with pytest.raises(ModelError, match="'demo' has 1 answers and was asked once more: add an answer"):
        ask(model)


def test_what_was_asked_is_kept() -> None:
    model = ScriptedModel(["one", "two"])
    more = (*MESSAGES, Message("assistant", "one"), Message("user", "Repair it."))
    ask(model)
    ask(model, list(more))
    assert model.asked == [MESSAGES, more]


def test_a_script_says_that_it_is_one() -> None:
    model = ScriptedModel([], name="demo")
    assert (model.name, model.note) == ("demo", "Answers come from a script, not from a model.")


def test_an_estimate_counts_four_characters_as_a_token_and_rounds_up() -> None:
    messages = (Message("system", "12345"), Message("user", "678"))
    assert estimate(messages, "x") == Usage(prompt_tokens=2, completion_tokens=1, estimated=True)
    assert estimate((), "") == Usage(estimated=True)
