"""What each part of a prompt may cost, in tokens of o200k_base, as JSON text: that is how it is sent.

`pytest -s tests/test_prompt_budget.py` prints the table.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import bpe_openai
import pandas as pd
import pytest

from codeact_kernel.capabilities.data import Data, load_input, parse_input_names
from codeact_kernel.model.base import Message
from codeact_kernel.settings import Limits
from codeact_kernel.tools import ToolOptions, ToolSpec, as_tool, join_stubs
from codeact_kernel.turn.turn import prompt
from codeact_kernel.types import ProgramFailure, RunOutcome

tokenizer = bpe_openai.get_encoding("o200k_base")


class Headline(NamedTuple):
    """A task that others were measured with as well."""

    tools: Sequence[ToolSpec]
    task: str
    program: str


def send_mail(to: str, text: str) -> str:
    """Send a mail."""
    return ""


@pytest.fixture(scope="module")
def headline() -> Headline:
    """The task of benchmarks/headline: its tools, its text, and the program that is written for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks" / "headline"))
        policy, workload = importlib.import_module("policy"), importlib.import_module("workload")
    tools = [as_tool(one).spec for one in workload.Tools().functions("async")]
    return Headline(tools, workload.TASK, f"```python\n{policy.OURS['naive']}```")


def tokens(text: str) -> int:
    return len(tokenizer.encode(json.dumps(text, ensure_ascii=False)[1:-1]))


def cost(message: Message) -> int:
    sent = {"role": message.role, "content": message.content}
    return len(tokenizer.encode(json.dumps(sent, ensure_ascii=False, separators=(",", ":")))) + 4


def parts(headline: Headline) -> Iterator[tuple[str, str, int]]:
    """The name of a part, its text, and the tokens that it may have."""
    (system, _) = prompt.write_first_messages(headline.task, headline.tools)
    rules, _, example = system.content.partition("\n\n")
    yield "rules", rules, 165
    for rule in rules.splitlines():
        yield f"  {rule[:24]}", rule, 44
    yield "example", example, 135
    for spec, most in zip(headline.tools, (34, 42, 40, 39, 58), strict=True):
        yield f"tool {spec.name}", spec.stub, most
    mail = as_tool(send_mail, options=ToolOptions(direct=True)).spec
    yield (
        "direct tools",
        without(
            prompt.write_first_messages(headline.task, [mail])[1].content,
            prompt.write_first_messages(headline.task, [])[1].content,
            mail.stub,
        ),
        52,
    )
    data = data_room().instructions
    yield "data: two columns, three rows, how to use them", data, 205
    failure = RunOutcome(failure=ProgramFailure(kind="E", message="e", traceback="e"))
    yield (
        "a repair, without what it quotes",
        prompt.report_failure(failure, [], "", [], max_characters=100).message.content,
        44,
    )
    yield "a program refused, without why", prompt.report_rejection(["e"]).message.content, 24
    yield "a look at data, without the data", prompt.report_observed(["e"], "", max_characters=100).message.content, 37


def without(text: str, *others: str) -> str:
    for line in {line for other in others for line in other.splitlines()}:
        text = text.replace(line, "", 1)
    return text.strip()


def data_room() -> Data:
    frame = pd.DataFrame({"region": ["north", "south", "east"], "amount": [1.5, 2.5, 3.5]})
    return Data([load_input(parse_input_names(["orders"])[0], frame, Limits())], (), Limits())


def test_every_part_of_a_prompt_keeps_to_its_budget(headline):
    table = [(name, tokens(text), most) for name, text, most in parts(headline)]
    print("\n" + "\n".join(f"{name:48}{count:5}{most:5}" for name, count, most in table))
    assert [row for row in table if row[1] > row[2]] == []


def test_the_headline_task_keeps_to_its_tokens(headline):
    # What this is beside others was measured: docs/speed.md. Three tenths of the reference's there would be 718.
    sent = [cost(message) for message in prompt.write_first_messages(headline.task, headline.tools)]
    written = cost(Message("assistant", headline.program))
    print(f"\nprompt {sent}, program {written}")
    assert sum(sent) + written <= 770


def shop() -> Iterator[ToolSpec]:
    """Sixteen tools of a shop, whose parameters are described as those of tau-bench are: each time again."""
    notes = {
        "order_id": "The order id, such as '#W0000000'. Be careful there is a '#' symbol at the beginning of the id.",
        "item_ids": "The item ids, each such as '1008292230'. There could be duplicate items in the list.",
        "payment_id": "The payment method, such as 'gift_card_0000000', from the user or order details.",
        "user_id": "The user id, such as 'sara_doe_496'.",
        "address": "The whole address with city, state and country, such as '123 Main St, Apt 1, San Francisco, CA, USA'.",
    }
    for number in range(16):
        names = [name for place, name in enumerate(notes) if number % 5 in (place, (place + 2) % 5, (place + 3) % 5)]

        def serve() -> str:
            return ""

        serve.__signature__ = inspect.Signature(
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, notes[name]])
                for name in names
            ],
            return_annotation=str,
        )
        about = f"Change number {number} of an order. Explain the details and ask the user for a confirmation first."
        yield as_tool(serve, name=f"change_{number}", description=about).spec


def test_a_note_that_many_tools_have_is_paid_for_once():
    specs = list(shop())
    apart, together = tokens("\n".join(spec.stub for spec in specs)), tokens(join_stubs(specs))
    print(f"\n16 tools: {apart} tokens with each note where it belongs, {together} with each note once")
    assert together <= 0.76 * apart


def test_tools_that_repeat_nothing_cost_what_they_cost_alone(headline):
    assert join_stubs(headline.tools) == "\n".join(spec.stub for spec in headline.tools)


def test_what_comes_first_is_the_same_whatever_is_asked_and_offered(headline):
    offered = headline.tools
    firsts = {
        prompt.write_first_messages(ask, tools, instructions)[0]
        for ask in ("a", "b")
        for tools in ((), offered)
        for instructions in ("", "x\n")
    }
    assert len(firsts) == 1
    one, other = (prompt.write_first_messages(ask, offered, "Files.\n")[1].content for ask in ("First.", "Second."))
    assert one.removesuffix("First.") == other.removesuffix("Second.")
