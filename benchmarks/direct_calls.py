"""One task by direct tool calling and by CodeAct, with a real model: the tokens of both, and whether the answer is right.

    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python benchmarks/direct_calls.py [--rows 20 50 100] [--large 200000] [--json FILE]

The task is that of examples/03_data_in_and_out.ipynb: orders by region, with a manager to be looked up for each. Tokens
are those that the endpoint counts. The arms:

    rows        direct calls; the tool gives all orders, so they reach the result through the model
    totals      direct calls, and the user has written a tool that gives the totals of each region
    codeact     the orders as a variable (`--in orders --out report`); also with as many rows as `--large`
    codeact, totals   the tool with the totals, and no variable

Direct calls are tried in two ways. "by itself": the model makes the calls. "led": the script makes them in its place, in
the fewest requests there can be, and the model only writes the answer: what it reads is then the least that any model would
have to. Each figure of the answer counts: a manager, a count and a total for each region.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pandas as pd

from codeact_kernel import Session, Settings, tool
from codeact_kernel.capabilities.data import to_dataframe

MANAGERS = {"North": "Nora", "South": "Saul", "East": "Edda", "West": "Wes"}
QUESTION = "Group orders by region: how many orders are there of each, and what is the total amount?\n"
REPORT = 'report is a list with one row per region: region, manager, orders, total. Then show(report, chart="bar", ...) of the totals.'
DIRECT = "Answer with JSON and nothing else: a list with one row per region: region, manager, orders, total."
WITH_TOOL = "One row per region: region, manager, orders, total."
RULES = (
    "Look everything up with the functions, and never make up data. When you have all you need, answer as you are told."
)
NOW = "These were all the calls that are needed. Answer now, with the JSON list of region, manager, orders, total and nothing else."
STEPS, ANSWER_TOKENS = 12, 600


def orders_of(count: int) -> pd.DataFrame:
    """The orders of the example, so many of them."""
    random = np.random.default_rng(7)
    return pd.DataFrame({
        "id": np.arange(count),
        "region": random.choice(list(MANAGERS), count, p=[0.4, 0.3, 0.2, 0.1]),
        "product": random.choice(["lamp", "chair", "table"], count),
        "amount": random.integers(500, 50_000, count) / 100,
    })  # fmt: skip


def totals_of(orders: pd.DataFrame) -> list[dict[str, Any]]:
    grouped = orders.groupby("region")["amount"]
    return [{"region": region, "orders": len(part), "total": round(float(part.sum()), 2)} for region, part in grouped]


def right(answer: object, orders: pd.DataFrame) -> str:
    """How many of the figures are right."""
    wanted = {row["region"]: (MANAGERS[row["region"]], row["orders"], row["total"]) for row in totals_of(orders)}
    rows: Sequence[Any] = answer if isinstance(answer, list) else []
    found: Mapping[Any, Any] = {row.get("region"): row for row in rows if isinstance(row, dict)}
    good = 0
    for region, (manager, count, total) in wanted.items():
        row = found.get(region, {})
        good += row.get("manager") == manager
        good += row.get("orders") == count
        good += isinstance(row.get("total"), int | float) and abs(row["total"] - total) < 0.015
    return f"{good}/{3 * len(wanted)}"


def function(name: str, description: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


MANAGER = function("manager_of", "The manager of a region.", "region")
ROWS = [function("get_orders", "All orders: id, region, product, amount."), MANAGER]
TOTALS = [function("totals_by_region", "Of each region: how many orders, and their total amount."), MANAGER]


class Direct:
    """A conversation with function calls. Counts what the endpoint counts."""

    def __init__(
        self, client: openai.OpenAI, model: str, orders: pd.DataFrame, tools: list[dict[str, Any]], form: str
    ) -> None:
        self.client, self.model, self.orders, self.tools, self.form = client, model, orders, tools, form
        self.messages: list[Any] = [
            {"role": "system", "content": RULES},
            {"role": "user", "content": QUESTION + DIRECT},
        ]
        self.read = self.written = self.requests = self.longest = 0

    def ask(self, most: int = ANSWER_TOKENS) -> Any:
        done = self.client.chat.completions.create(
            model=self.model, messages=self.messages, tools=self.tools, temperature=0, max_tokens=most
        )
        assert done.usage is not None
        self.requests += 1
        self.read += done.usage.prompt_tokens
        self.written += done.usage.completion_tokens
        self.longest = max(self.longest, done.usage.prompt_tokens)
        return done.choices[0].message

    def result(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What a call gives, as little text as there can be."""
        if name == "get_orders":
            if self.form == "CSV":
                return self.orders.to_csv(index=False)
            return json.dumps(self.orders.to_dict("records"), separators=(",", ":"))
        if name == "totals_by_region":
            return json.dumps(totals_of(self.orders), separators=(",", ":"))
        region = arguments.get("region", "")
        return json.dumps({"region": region, "manager": MANAGERS.get(region)}, separators=(",", ":"))

    def answer_calls(self, *calls: tuple[str, str, Mapping[str, Any]]) -> None:
        for number, name, arguments in calls:
            self.messages.append({"role": "tool", "tool_call_id": number, "content": self.result(name, arguments)})

    def by_itself(self) -> dict[str, Any]:
        """The model makes the calls."""
        calls = 0
        message = self.ask()
        while message.tool_calls and self.requests < STEPS:
            calls += len(message.tool_calls)
            self.messages.append(message.model_dump(exclude_none=True))
            self.answer_calls(
                *[(c.id, c.function.name, read_json(c.function.arguments) or {}) for c in message.tool_calls]
            )
            message = self.ask()
        return self.told(message.content or "", calls)

    def led(self) -> dict[str, Any]:
        """The calls are made for it: first the data, then all managers at once. What a call takes to write is left out."""
        first = self.tools[0]["function"]["name"]
        for calls in ([(first, {})], [("manager_of", {"region": region}) for region in MANAGERS]):
            self.ask(most=1)
            self.written -= 1
            numbered = [(f"call{self.requests}{place}", *call) for place, call in enumerate(calls)]
            made = [
                {"id": number, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
                for number, name, arguments in numbered
            ]
            self.messages.append({"role": "assistant", "content": "", "tool_calls": made})
            self.answer_calls(*numbered)
        self.messages.append({"role": "user", "content": NOW})
        return self.told(self.ask().content or "", 0)

    def told(self, text: str, calls: int) -> dict[str, Any]:
        return {
            "calls": calls, "requests": self.requests, "read": self.read, "written": self.written,
            "longest": self.longest, "right": right(read_json(text), self.orders), "answer": text,
        }  # fmt: skip


def read_json(text: str) -> Any:
    """The JSON in a text, or nothing."""
    found = re.search(r"[\[{].*[\]}]", text, re.DOTALL)
    try:
        return json.loads(found[0]) if found else None
    except ValueError:
        return None


@tool
def manager_of(region: str) -> str:
    """The manager of a region."""
    return MANAGERS[region]


async def codeact(model: str, orders: pd.DataFrame, *, totals: bool) -> dict[str, Any]:
    """The same by a program."""

    def totals_by_region() -> list[dict[str, Any]]:
        """Of each region: how many orders, and their total amount."""
        return totals_of(orders)

    async with Session(tools=[totals_by_region, manager_of] if totals else [manager_of], model=model) as session:
        if totals:
            result = await session.ask(QUESTION + WITH_TOOL, settings=Settings(model=model))
            answer: Any = result.value
        else:
            result = await session.ask(
                QUESTION + REPORT, inputs={"orders": orders}, outputs=["report"], settings=Settings(model=model)
            )
            answer = to_dataframe(result.outputs.get("report"))
    if isinstance(answer, pd.DataFrame):
        answer = answer.to_dict("records")
    return {
        "calls": len(result.calls), "requests": result.model_turns, "read": result.usage.prompt_tokens,
        "written": result.usage.completion_tokens, "longest": None, "right": right(answer, orders),
        "answer": result.program,
    }  # fmt: skip


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    client = openai.OpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none", timeout=600)
    model = os.environ.get("CODEACT_MODEL") or next(iter(client.models.list())).id
    found: list[dict[str, Any]] = []

    def tell(arm: str, rows: int, how: str, facts: dict[str, Any]) -> None:
        found.append({"model": model, "arm": arm, "rows": rows, "how": how, **facts})
        print(
            f"{arm:<16} {rows:>8,} {how:<12} {facts['requests']:>9} {facts['read']:>9,} {facts['written']:>9,} {facts['right']:>8}",
            flush=True,
        )

    def direct(tools: list[dict[str, Any]], orders: pd.DataFrame, form: str = "JSON") -> Direct:
        return Direct(client, model, orders, tools, form)

    print(f"{model}\n{'arm':<16} {'rows':>8} {'how':<12} {'requests':>9} {'read':>9} {'written':>9} {'figures':>8}")
    smallest = orders_of(options.rows[0])
    tell("rows, JSON", len(smallest), "by itself", direct(ROWS, smallest).by_itself())
    for form in ("JSON", "CSV"):
        for count in options.rows:
            tell(f"rows, {form}", count, "led", direct(ROWS, orders_of(count), form).led())
    large = orders_of(options.large)
    tell("totals", len(large), "by itself", direct(TOTALS, large).by_itself())
    tell("totals", len(large), "led", direct(TOTALS, large).led())
    for count in (options.rows[0], options.large):
        tell("codeact", count, "by itself", asyncio.run(codeact(model, orders_of(count), totals=False)))
    tell("codeact, totals", len(large), "by itself", asyncio.run(codeact(model, large, totals=True)))
    return found


def extrapolated(found: list[dict[str, Any]], form: str, rows: int) -> str:
    """What so many rows would take, by the slope between the fewest and the most that were measured."""
    led = [one for one in found if one["arm"] == f"rows, {form}" and one["how"] == "led"]
    few, many = led[0], led[-1]
    read, longest = ((many[what] - few[what]) / (many["rows"] - few["rows"]) for what in ("read", "longest"))
    return (
        f"{form}: {read:.1f} tokens read for each row ({longest:.1f} in one request), so {rows:,} rows would be about "
        f"{read * rows / 1e6:.1f} million tokens, and a context of {longest * rows / 1e6:.1f} million"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20, 50, 100], help="that pass through the model")
    parser.add_argument("--large", type=int, default=200_000, help="rows that do not")
    parser.add_argument("--json", help="also write what was found to this file")
    options = parser.parse_args()
    found = measure(options)
    print("\nNot measured, but extrapolated:")
    for form in ("JSON", "CSV"):
        print(extrapolated(found, form, options.large))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
