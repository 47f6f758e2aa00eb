"""What each part of a prompt may cost, in tokens of o200k_base, as JSON text: that is how it is sent.

`pytest -s tests/test_prompt_budget.py` prints the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

import pandas as pd
import pytest
from typing_extensions import TypedDict

from codeact_kernel import prompt
from codeact_kernel.data import Data, taken, wanted
from codeact_kernel.model.base import Message
from codeact_kernel.settings import Limits
from codeact_kernel.tools import as_tool
from codeact_kernel.tools.spec import ToolOptions
from codeact_kernel.values import ProgramFailure, RunOutcome

tokenizer = pytest.importorskip("bpe_openai").get_encoding("o200k_base")


class User(TypedDict):
    id: int
    name: str
    region: str
    tier: str


class Line(TypedDict):
    product: str
    qty: int
    unit_price: float


def list_users() -> list[User]:
    """All users."""
    return []


def get_orders_for_user(user_id: int) -> list[Line]:
    """The order lines of one user."""
    return []


def get_discount_rate(tier: Literal["gold", "silver", "bronze"]) -> float:
    """The discount of a tier, as a fraction."""
    return 0.0


def get_tax_rate(region: Literal["EU", "US", "APAC"]) -> float:
    """The tax rate of a region, as a fraction."""
    return 0.0


def compute_line_total(
    qty: int, unit_price: float, discount_rate: Annotated[float, "a fraction"], tax_rate: Annotated[float, "a fraction"]
) -> float:
    """The total of one order line: discount first, then tax."""
    return 0.0


def send_mail(to: str, text: str) -> str:
    """Send a mail."""
    return ""


TOOLS = [
    as_tool(one).spec for one in (list_users, get_orders_for_user, get_discount_rate, get_tax_rate, compute_line_total)
]
TASK = (
    "For every user, compute the grand total of all orders, discount first, then tax.\n"
    "Look up all rates and compute every line total with the tools.\n"
    "Show one row per user (user_id, name, grand_total), sorted by grand_total, largest first."
)
REFERENCE = 2_540
"""Tokens of the same task in the reference, prompts and answers of its two turns."""
PROGRAM = """\
```python
rows = []
for user in list_users():
    discount = get_discount_rate(user['tier'])
    tax = get_tax_rate(user['region'])
    total = 0
    for order in get_orders_for_user(user['id']):
        total += compute_line_total(order['qty'], order['unit_price'], discount, tax)
    rows.append({'user_id': user['id'], 'name': user['name'], 'grand_total': round(total, 2)})
rows.sort(key=lambda row: row['grand_total'], reverse=True)
rows
```"""


def tokens(text: str) -> int:
    return len(tokenizer.encode(json.dumps(text, ensure_ascii=False)[1:-1]))


def cost(message: Message) -> int:
    sent = {"role": message.role, "content": message.content}
    return len(tokenizer.encode(json.dumps(sent, ensure_ascii=False, separators=(",", ":")))) + 4


def parts() -> Iterator[tuple[str, str, int]]:
    """The name of a part, its text, and the tokens that it may have."""
    (system, _) = prompt.first(TASK, TOOLS)
    rules, _, example = system.content.partition("\n\n")
    yield "rules", rules, 165
    for rule in rules.splitlines():
        yield f"  {rule[:24]}", rule, 44
    yield "example", example, 135
    for spec, most in zip(TOOLS, (28, 35, 31, 31, 54), strict=True):
        yield f"tool {spec.name}", spec.stub, most
    mail = as_tool(send_mail, options=ToolOptions(direct=True)).spec
    yield (
        "direct tools",
        without(prompt.first(TASK, [mail])[1].content, prompt.first(TASK, [])[1].content, mail.stub),
        52,
    )
    data = data_room().prompt
    yield "data: two columns, three rows, how to use them", data, 205
    failure = RunOutcome(failure=ProgramFailure(kind="E", message="e", traceback="e"))
    yield "a repair, without what it quotes", prompt.repair(failure, [], "", [], most=100).message.content, 44
    yield "a program refused, without why", prompt.refused(["e"]).message.content, 24
    yield "a look at data, without the data", prompt.observed(["e"], "", most=100).message.content, 37


def without(text: str, *others: str) -> str:
    for line in {line for other in others for line in other.splitlines()}:
        text = text.replace(line, "", 1)
    return text.strip()


def data_room() -> Data:
    frame = pd.DataFrame({"region": ["north", "south", "east"], "amount": [1.5, 2.5, 3.5]})
    return Data([taken(wanted(["orders"])[0], frame, Limits())], (), Limits())


def test_every_part_of_a_prompt_keeps_to_its_budget():
    table = [(name, tokens(text), most) for name, text, most in parts()]
    print("\n" + "\n".join(f"{name:48}{count:5}{most:5}" for name, count, most in table))
    assert [row for row in table if row[1] > row[2]] == []


def test_the_headline_task_costs_less_than_three_tenths_of_the_reference():
    sent = [cost(message) for message in prompt.first(TASK, TOOLS)]
    written = cost(Message("assistant", PROGRAM))
    print(f"\nprompt {sent}, program {written}: {(sum(sent) + written) / REFERENCE:.3f} of {REFERENCE:,}")
    assert sum(sent) + written <= 0.3 * REFERENCE


def test_what_comes_first_is_the_same_whatever_is_asked_and_offered():
    firsts = {
        prompt.first(ask, tools, reach)[0] for ask in ("a", "b") for tools in ((), TOOLS) for reach in ("", "x\n")
    }
    assert len(firsts) == 1
    one, other = (prompt.first(ask, TOOLS, "Files.\n")[1].content for ask in ("First.", "Second."))
    assert one.removesuffix("First.") == other.removesuffix("Second.")
