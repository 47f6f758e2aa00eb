"""Ten prompts over a SQL tool and two table tools, with a real model: right answers, model turns, tokens and seconds.

    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 python benchmarks/prompts.py [--only 3 7] [--json FILE]

Made for small models: they show how a program goes wrong and whether a retry fixes it. An answer is right if the figures
that the question asks for are in the program's value or in what it printed. One run at temperature 0 each, so compare two
versions of the project on the same machine with the same model. To measure another version, put it first on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from codeact_kernel import Session, tool

CUSTOMERS = [
    {"id": 1, "name": "Ann", "country": "France"},
    {"id": 2, "name": "Bob", "country": "Germany"},
    {"id": 3, "name": "Cleo", "country": "France"},
    {"id": 4, "name": "Dan", "country": "Spain"},
]
ORDERS = [
    {"id": 10, "customer": 1, "product": "lamp", "amount": 40.0, "day": "2025-01-05"},
    {"id": 11, "customer": 2, "product": "chair", "amount": 120.5, "day": "2025-01-20"},
    {"id": 12, "customer": 1, "product": "chair", "amount": 80.0, "day": "2025-02-02"},
    {"id": 13, "customer": 3, "product": "table", "amount": 300.0, "day": "2025-02-14"},
    {"id": 14, "customer": 2, "product": "lamp", "amount": 35.5, "day": "2025-03-01"},
    {"id": 15, "customer": 4, "product": "table", "amount": 250.0, "day": "2025-03-09"},
]

PROMPTS = (
    # tools, question, figures that have to be in the answer
    ("sql", "How many customers are there per country?", ("France 2", "Germany 1", "Spain 1")),
    ("sql", "What is the total amount of all orders?", ("826",)),
    ("sql", "Which customer has spent the most, and how much?", ("Cleo", "300")),
    ("sql", "Total amount per product, highest first.", ("table 550", "chair 200.5", "lamp 75.5")),
    ("sql", "What is the average amount of the orders of February 2025?", ("190",)),
    ("tables", "How many orders does each customer have? Give the customers' names.", ("Ann 2", "Bob 2", "Cleo 1", "Dan 1")),
    ("tables", "What is the total amount of the orders from customers in France?", ("420",)),
    ("tables", "Which product was sold most often in 2025, and list the ids of its orders?", ("10", "14")),
    ("tables", "List the orders above 100, with the name of the customer.", ("Bob 120.5", "Cleo 300", "Dan 250")),
    ("tables", "What is the total amount per month?", ("160.5", "380", "285.5")),
)  # fmt: skip


@tool
def run_sql(query: str) -> list[dict]:
    """Run one SQL query on the shop's SQLite database and return its rows.

    Tables: customers(id, name, country), orders(id, customer, product, amount, day). `orders.customer` is a customer's id,
    `day` is text such as '2025-01-31'.
    """
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    for name, rows in (("customers", CUSTOMERS), ("orders", ORDERS)):
        database.execute(f"create table {name} ({', '.join(rows[0])})")
        marks = ", ".join("?" * len(rows[0]))
        database.executemany(f"insert into {name} values ({marks})", [tuple(row.values()) for row in rows])
    return [dict(row) for row in database.execute(query)]


@tool
def customers() -> list[dict]:
    """Return all customers: id, name, country."""
    return CUSTOMERS


@tool
def orders() -> list[dict]:
    """Return all orders: id, customer (the id of a customer), product, amount, day (such as '2025-01-31')."""
    return ORDERS


TOOLS: dict[str, list[Any]] = {"sql": [run_sql], "tables": [customers, orders]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", type=int, nargs="+", help="numbers of prompts, from 1")
    parser.add_argument("--json", type=Path, help="write what each prompt came to")
    chosen = parser.parse_args()
    numbers = chosen.only or range(1, len(PROMPTS) + 1)
    rows = asyncio.run(measure([(number, *PROMPTS[number - 1]) for number in numbers]))
    total = {name: sum(row[name] for row in rows) for name in ("right", "turns", "tokens", "seconds")}
    print(
        f"{total['right']} of {len(rows)} right, {total['turns']} model turns, {total['tokens']:,} tokens, {total['seconds']:.0f} s"
    )
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


async def measure(prompts: list[tuple[int, str, str, tuple[str, ...]]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, tools, question, figures in prompts:
        async with Session(tools=TOOLS[tools]) as session:
            begun = time.monotonic()
            result = await session.ask(question)
        row = {
            "number": number,
            "right": holds(f"{json.dumps(result.value)}\n{result.stdout}\n{result.shown}", figures),
            "turns": result.model_turns,
            "tokens": result.usage.prompt_tokens + result.usage.completion_tokens,
            "seconds": round(time.monotonic() - begun, 1),
            "value": result.value,
            "error": str(result.error or ""),
            "program": result.program,
        }
        rows.append(row)
        print(
            number,
            "right" if row["right"] else "wrong",
            row["turns"],
            f"{row['seconds']} s",
            row["error"][:100],
            row["value"],
        )
    return rows


def holds(answer: str, figures: tuple[str, ...]) -> bool:
    """Whether the answer has each figure; of a pair, the second next to the first."""
    text = re.sub(r'["\'\[\]{}(),:=|]|\.0\b', " ", answer)
    for figure in figures:
        words = figure.split()
        pattern = r"\b[^\n]{0,40}?\b".join(map(re.escape, words))
        backwards = r"\b[^\n]{0,40}?\b".join(map(re.escape, reversed(words)))
        if not re.search(rf"\b{pattern}\b|\b{backwards}\b", text):
            return False
    return True


if __name__ == "__main__":
    main()
