"""Five follow-up prompts after one prompt: right answers, model turns, tokens and seconds.

    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python benchmarks/follow_ups.py [--scripted] [--json FILE]

The first prompt is always answered by a good program, so that each follow-up has something to follow. With --scripted
good programs answer the follow-ups, too, which measures the tokens only. The rows of the tool must never be in a
request; the benchmark ends with an error if they are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from prompts import holds

from codeact_kernel import Delta, Message, ModelClient, ScriptedModel, Session, from_environment, tool

ROWS = 5_000
REGIONS, CATEGORIES = ("Europe", "Asia", "Africa"), ("Tech", "Books", "Toys")
FIRST = "Revenue per category in 2025."
PROGRAM = """
totals = {}
for order in get_orders(2025):
    totals[order["category"]] = totals.get(order["category"], 0) + order["revenue"]
[{"category": category, "revenue": revenue} for category, revenue in sorted(totals.items())]
"""
FOLLOW_UPS = (
    ("Now only for Europe.", PROGRAM.replace("get_orders(2025):\n", "get_orders(2025):\n    if order['region'] == 'Europe':\n    ").replace("    totals[order", "        totals[order", 1)),
    ("Plot that.", "show(previous, chart='bar', x='category', y='revenue')"),
    ("Same for last year.", PROGRAM.replace("2025", "2024")),
    ("Plot that as a bar chart.", "show(previous, chart='bar', x='category', y='revenue')"),
    ("Now only Tech.", "[row for row in previous if row['category'] == 'Tech']"),
)  # fmt: skip


def make_orders(year: int) -> list[dict[str, Any]]:
    return [
        {
            "customer": f"confidential-{number}",
            "region": REGIONS[number % 3],
            "category": CATEGORIES[number // 3 % 3],
            "revenue": float(number % 7 + year - 2000),
        }
        for number in range(ROWS)
    ]


@tool
def get_orders(year: int) -> list[dict[str, Any]]:
    """Return all orders of a year: customer, region ('Europe', 'Asia', 'Africa'), category, revenue."""
    return make_orders(year)


def totals(year: int, **wanted: str) -> tuple[str, ...]:
    """The revenue per category, as figures that an answer has to have."""
    sums: dict[str, float] = {}
    for order in make_orders(year):
        if all(order[key] == value for key, value in wanted.items()):
            sums[order["category"]] = sums.get(order["category"], 0) + order["revenue"]
    return tuple(f"{category} {revenue:g}" for category, revenue in sums.items())


FIGURES = {
    "Now only for Europe.": totals(2025, region="Europe"),
    "Same for last year.": totals(2024),
    "Now only Tech.": totals(2025, category="Tech"),
}


class Watched:
    """Passes prompts on, and refuses those with a row of the tool in them."""

    def __init__(self, model: ModelClient) -> None:
        self.name, self.note, self._model = model.name, model.note, model

    async def stream(self, messages: Sequence[Message], functions: Sequence[Any] = ()) -> AsyncGenerator[Delta, None]:
        if any("confidential-" in message.content for message in messages):
            raise SystemExit("A row of the tool's result is in a request.")
        async for delta in self._model.stream(messages):
            yield delta


async def measure(scripted: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for ask, program in FOLLOW_UPS:
        async with Session(tools=[get_orders]) as session:
            await session.ask(FIRST, model=ScriptedModel([f"```python{PROGRAM}```"]))
            model = (
                ScriptedModel([f"```python\n{program.strip()}\n```"])
                if scripted
                else await session.choose(from_environment())
            )
            begun = time.monotonic()
            result = await session.ask(ask, model=Watched(model))
        answer = f"{json.dumps(result.value)}\n{result.stdout}"
        has_chart = any(item.kind == "chart" for item in result.shown)
        row = {
            "ask": ask,
            "right": result.error is None and (holds(answer, FIGURES[ask]) if ask in FIGURES else has_chart),
            "turns": result.model_turns,
            "tokens": result.usage.prompt_tokens + result.usage.completion_tokens,
            "seconds": round(time.monotonic() - begun, 1),
            "error": str(result.error or ""),
            "program": result.program,
        }
        rows.append(row)
        print(
            ask,
            "right" if row["right"] else "wrong",
            row["turns"],
            row["tokens"],
            f"{row['seconds']} s",
            row["error"][:100],
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--scripted", action="store_true", help="answer with good programs instead of asking a model")
    parser.add_argument("--json", type=Path, help="write what each prompt came to")
    chosen = parser.parse_args()
    rows = asyncio.run(measure(chosen.scripted))
    print(f"{sum(row['right'] for row in rows)} of {len(rows)} right, {sum(row['tokens'] for row in rows):,} tokens")
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
