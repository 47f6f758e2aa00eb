"""Ten prompts of an analyst about a DataFrame of 200,000 rows, on each guest: right answers, turns, tokens, seconds.

    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python benchmarks/analyst.py [--scripted] [--guest NAME ...] [--json FILE]

With --scripted the programs are those that a good model would write with pandas. An answer is right if the figures that
pandas gives in this process are in the value, in what was shown, or in what was printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codeact_kernel import ScriptedModel, Session, from_environment
from codeact_kernel.types import TurnResult

ROWS = 200_000
REGIONS, PRODUCTS = ["North", "South", "East", "West"], ["Chair", "Desk", "Lamp", "Shelf", "Sofa"]
_random = np.random.default_rng(7)
ORDERS = pd.DataFrame(
    {
        "day": pd.Timestamp("2025-01-01") + pd.to_timedelta(_random.integers(0, 365, ROWS), unit="D"),
        "region": _random.choice(REGIONS, ROWS),
        "product": _random.choice(PRODUCTS, ROWS),
        "customer": _random.integers(1, 2_000, ROWS),
        "quantity": _random.integers(1, 10, ROWS),
        "price": _random.gamma(4, 20, ROWS).round(2),
        "discount": np.where(_random.random(ROWS) < 0.1, np.nan, _random.choice([0.0, 0.05, 0.1], ROWS)),
    }
)
ORDERS["amount"] = (ORDERS.quantity * ORDERS.price).round(2)
CUSTOMERS = pd.DataFrame(
    {"customer": range(1, 2_000), "segment": [("Home", "Office", "School")[n % 3] for n in range(1_999)]}
)


@dataclass(frozen=True)
class Prompt:
    """A prompt, the program of a good model, and the figures of a right answer."""

    ask: str
    program: str
    figures: Callable[[], Iterable[float]]
    is_chart: bool = False


def slope() -> float:
    return float(np.polyfit(ORDERS.quantity, ORDERS.amount, 1)[0])


PROMPTS = (
    Prompt("Total amount per region.", "df.groupby('region').amount.sum()", lambda: ORDERS.groupby("region").amount.sum()),
    Prompt(
        "A pivot table: total amount by region (rows) and product (columns).",
        "df.pivot_table(index='region', columns='product', values='amount', aggfunc='sum')",
        lambda: ORDERS.pivot_table(index="region", columns="product", values="amount", aggfunc="sum").to_numpy().ravel(),
    ),
    Prompt(
        "Join df with customers on customer, and give the total amount per segment.",
        "df.merge(customers, on='customer').groupby('segment').amount.sum()",
        lambda: ORDERS.merge(CUSTOMERS, on="customer").groupby("segment").amount.sum(),
    ),
    Prompt(
        "Total amount per month.",
        "df.set_index('day').resample('MS').amount.sum()",
        lambda: ORDERS.set_index("day").resample("MS").amount.sum(),
    ),
    Prompt(
        "Total amount per day, then its 7-day rolling mean: the largest value of that rolling mean.",
        "float(df.groupby('day').amount.sum().rolling(7).mean().max())",
        lambda: [ORDERS.groupby("day").amount.sum().rolling(7).mean().max()],
    ),
    Prompt(
        "Put amount into the bins 0-100, 100-500, 500-10000 and count the orders in each bin.",
        "pd.cut(df.amount, [0, 100, 500, 10_000]).value_counts(sort=False).rename(str)",
        lambda: pd.cut(ORDERS.amount, [0, 100, 500, 10_000]).value_counts(),
    ),
    Prompt(
        "A linear regression of amount on quantity: the slope.",
        "from sklearn.linear_model import LinearRegression\nfloat(LinearRegression().fit(df[['quantity']], df.amount).coef_[0])",
        lambda: [slope()],
    ),
    Prompt(
        "Draw a bar chart of the total amount per product.",
        "df.groupby('product').amount.sum().plot.bar(title='Amount per product')",
        list,
        is_chart=True,
    ),
    Prompt(
        "How many values of discount are missing? Fill them with 0 and give the mean discount after that.",
        "{'missing': int(df.discount.isna().sum()), 'mean': float(df.discount.fillna(0).mean())}",
        lambda: [ORDERS.discount.isna().sum(), ORDERS.discount.fillna(0).mean()],
    ),
    Prompt(
        "The three customers with the highest total amount in each region, with their totals.",
        "t = df.groupby(['region', 'customer'], as_index=False).amount.sum()\n"
        "t.sort_values('amount', ascending=False).groupby('region').head(3).sort_values(['region', 'amount'])",
        lambda: ORDERS.groupby(["region", "customer"]).amount.sum().groupby("region").nlargest(3),
    ),
)  # fmt: skip


def is_right(prompt: Prompt, result: TurnResult) -> bool:
    """Tell whether the answer has all figures, to three digits."""
    if result.error is not None:
        return False
    if prompt.is_chart:
        return any(item.kind in ("chart", "image") for item in result.shown)
    found = {*numbers(result.value), *numbers(result.stdout), *numbers(result.text)}
    for item in result.shown:
        found.update(numbers(item.data))
    return all(
        any(math.isclose(float(figure), number, rel_tol=1e-3) for number in found) for figure in prompt.figures()
    )


def numbers(value: Any) -> Iterable[float]:
    """Yield the numbers in a value or a text."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, (int, float)):
        yield float(value)
    elif isinstance(value, str):
        yield from (float(text.replace(",", "")) for text in re.findall(r"-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?", value))
    elif isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers(item)


async def measure(guest: str, prompts: Sequence[Prompt], *, scripted: bool) -> list[dict[str, Any]]:
    """Ask each prompt in a session of its own."""
    settings = replace(from_environment(), backend="embedded", guest=guest)
    rows: list[dict[str, Any]] = []
    async with Session(tools=()) as session:
        for prompt in prompts:
            pool, _ = await session.pool(settings)
            pool.warm()
            model = ScriptedModel([f"```python\n{prompt.program}\n```"]) if scripted else None
            begun = time.perf_counter()
            inputs = {"df": ORDERS, "customers": CUSTOMERS} if "customers" in prompt.ask.split() else {"df": ORDERS}
            result = await session.ask(prompt.ask, inputs=inputs, model=model, settings=settings, new=True)
            row = {
                "ask": prompt.ask,
                "right": is_right(prompt, result),
                "turns": result.model_turns,
                "tokens": result.usage.prompt_tokens + result.usage.completion_tokens,
                "seconds": round(time.perf_counter() - begun, 1),
                "error": str(result.error or "")[:200],
                "program": result.program,
                "value": str(result.value)[:300],
            }
            rows.append(row)
            print(
                f"{guest:9} {'right' if row['right'] else 'WRONG'} {row['turns']} {row['tokens']:6} {row['seconds']:6} {prompt.ask[:60]} {row['error'][:90]}",
                flush=True,
            )
    return rows


async def main() -> None:
    """Measure, and print one line for each guest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scripted", action="store_true", help="with the programs of a good model")
    parser.add_argument("--guest", nargs="+", default=["standard", "science"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {guest: await measure(guest, PROMPTS, scripted=options.scripted) for guest in options.guest}
    for guest, rows in found.items():
        print(f"{guest}: {sum(row['right'] for row in rows)} of {len(rows)} right, {sum(row['turns'] for row in rows)} model turns, "
              f"{sum(row['tokens'] for row in rows):,} tokens, {sum(row['seconds'] for row in rows):.0f} s")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
