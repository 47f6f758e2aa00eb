"""Ask from a script: the engine without a notebook.

Run it with a model configured in the environment, as the documentation's page on models says; without one it answers
from a script, and says so.
"""

from __future__ import annotations

import asyncio

from codeact_kernel import ModelError, ScriptedModel, Session, tool

ORDERS = {"Alice": [29.97, 19.99], "Bob": [9.99], "Charlie": [39.98]}


@tool
def list_customers() -> list[str]:
    """The names of all customers."""
    return list(ORDERS)


@tool
def get_orders(customer: str) -> list[float]:
    """What one customer paid for each order."""
    return ORDERS[customer]


async def main() -> None:
    """Ask one question and print what came of it."""
    async with Session(tools=[list_customers, get_orders]) as session:
        ask = "Total per customer, the largest first, as rows with customer and total."
        try:
            result = await session.ask(ask)
        except ModelError as error:
            print(f"{error}\nSo the answer comes from a script:\n")
            session.model = ScriptedModel([SCRIPT])
            result = await session.ask(ask)
    if result.error is not None:
        print(f"It failed: {result.error.message}")
        return
    for row in result.value:
        print(f"{row['customer']:10} {row['total']:8.2f}")
    print(f"\n{len(result.calls)} calls, {result.model_turns} model turn, in: {result.isolation}")


SCRIPT = """
rows = [{"customer": name, "total": sum(get_orders(customer=name))} for name in list_customers()]
sorted(rows, key=lambda row: -row["total"])
"""

if __name__ == "__main__":
    asyncio.run(main())
