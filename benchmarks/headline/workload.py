"""The task of the benchmark: users, their orders, five tools to look things up with, and the right answer.

Users and orders are those of the sample that Microsoft publishes with its CodeAct; more users are made up from a seed.
The tools are the same functions in every arm, so each model reads the same names, hints and docstrings.
"""

import asyncio
import functools
import inspect
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from spans import Spans

TASK = (
    "Compute for every user the grand total of all their orders. Look up users, orders, discount rates and tax rates "
    "with the tools, and compute the total of every order line with compute_line_total, which applies the discount "
    "first and then the tax. Make nothing up. The answer is one row per user (user_id, name, grand_total), sorted by "
    "grand_total, largest first."
)
DISCOUNTS = {"gold": 0.20, "silver": 0.10, "bronze": 0.05}
TAXES = {"EU": 0.21, "US": 0.08, "APAC": 0.10}
PRICES = {"Widget": 9.99, "Gadget": 19.99, "Thingamajig": 4.50}
Kind: TypeAlias = Literal["async", "sync"]
PUBLISHED = (
    ("Alice", "EU", "gold", {"Widget": 3, "Gadget": 1}),
    ("Bob", "US", "silver", {"Widget": 1}),
    ("Charlie", "US", "gold", {"Gadget": 2, "Thingamajig": 4}),
    ("Diana", "APAC", "bronze", {"Widget": 10}),
    ("Evan", "EU", "silver", {"Gadget": 1}),
    ("Fiona", "US", "gold", {"Widget": 2, "Thingamajig": 5}),
    ("George", "APAC", "gold", {"Gadget": 3}),
    ("Hana", "EU", "bronze", {"Thingamajig": 2}),
)
PUBLISHED_TOTALS = {4: 104.40, 7: 52.77, 3: 50.09, 1: 48.36, 6: 36.70, 5: 21.77, 8: 10.35, 2: 9.71}


@dataclass(frozen=True)
class World:
    """What the tools look at.

    Attributes:
        users: id, name, region, tier.
        orders: of each user's id its lines: product, qty, unit_price.
    """

    users: Sequence[dict[str, Any]]
    orders: Mapping[int, list[dict[str, Any]]]

    @property
    def lines(self) -> int:
        """How many order lines there are."""
        return sum(map(len, self.orders.values()))

    def totals(self) -> dict[int, Decimal]:
        """The right grand total of each user, computed in decimals and without the tools."""
        return {
            user["id"]: sum(
                (
                    exact(line["product"], line["qty"], user["region"], user["tier"]).quantize(Decimal("0.01"))
                    for line in self.orders[user["id"]]
                ),
                Decimal(),
            )
            for user in self.users
        }


def exact(product: str, qty: int, region: str, tier: str) -> Decimal:
    """The total of an order line before it is rounded."""
    price, discount, tax = (Decimal(str(one)) for one in (PRICES[product], DISCOUNTS[tier], TAXES[region]))
    return qty * price * (1 - discount) * (1 + tax)


@functools.cache
def world(count: int) -> World:
    """So many users: the published eight, and after them ones made up from a fixed seed."""
    dice = random.Random(2026)
    made_up = (
        (
            dice.choice(list(TAXES)),
            dice.choice(list(DISCOUNTS)),
            {product: dice.randint(1, 10) for product in dice.sample(list(PRICES), dice.choice((1, 1, 1, 2)))},
        )
        for _ in itertools.count()
    )
    # A half cent would be rounded as it happens, by the binary fraction next to it.
    clear = (
        one
        for one in made_up
        if all(exact(*line, *one[:2]) % Decimal("0.01") != Decimal("0.005") for line in one[2].items())
    )
    named = ((f"User {number}", *one) for number, one in enumerate(clear, len(PUBLISHED) + 1))
    people = list(itertools.islice(itertools.chain(PUBLISHED, named), count))
    users = [
        {"id": number, "name": name, "region": region, "tier": tier}
        for number, (name, region, tier, _) in enumerate(people, 1)
    ]
    orders = {
        number: [{"product": product, "qty": qty, "unit_price": PRICES[product]} for product, qty in bought.items()]
        for number, (*_, bought) in enumerate(people, 1)
    }
    made = World(users, orders)
    if count == len(PUBLISHED):
        assert {number: float(total) for number, total in made.totals().items()} == PUBLISHED_TOTALS
    return made


def fault(answer: object, made: World) -> str:
    """What is wrong with an answer; empty when it is right: each user once, the totals to the cent, in order."""
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        return f"no rows: {str(answer)[:200]}"
    names = {user["id"]: user["name"] for user in made.users}
    wanted = {(number, names[number], float(total)) for number, total in made.totals().items()}
    got = [(row.get("user_id"), row.get("name"), row.get("grand_total")) for row in answer]
    if len(got) != len(wanted) or set(got) != wanted:
        return f"{len(set(got) - wanted)} wrong rows, {len(wanted - set(got))} missing: {sorted(map(str, set(got) - wanted))[:3]}"
    totals = [row["grand_total"] for row in answer]
    return "" if totals == sorted(totals, reverse=True) else "not sorted"


@dataclass
class Tools:
    """The five tools, over a world that can be changed, each call as slow as it is told to be.

    Attributes:
        latency: seconds that each call takes.
        calls: how many were made since `reset`.
        busy: when at least one of them ran.
    """

    world: World = field(default_factory=lambda: world(8))
    latency: float = 0.0
    calls: int = 0
    busy: Spans = field(default_factory=Spans)

    def reset(self, made: World, latency: float) -> None:
        self.world, self.latency, self.calls, self.busy = made, latency, 0, Spans()

    def functions(self, kind: Kind) -> list[Callable[..., Any]]:
        """The tools as `async def` or as `def`."""
        return [self._slowed(function, kind) for function in self._plain()]

    def _slowed(self, function: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
        @functools.wraps(function)
        async def waits(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            with self.busy.one():
                await asyncio.sleep(self.latency)
                return function(*args, **kwargs)

        @functools.wraps(function)
        def blocks(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            with self.busy.one():
                time.sleep(self.latency)
                return function(*args, **kwargs)

        made = waits if kind == "async" else blocks
        assert inspect.signature(made) == inspect.signature(function)
        return made

    def _plain(self) -> list[Callable[..., Any]]:
        def list_users() -> list[dict[str, Any]]:
            """All users, each with the keys id (int), name (str), region (str), tier (str)."""
            return list(self.world.users)

        def get_orders_for_user(user_id: int) -> list[dict[str, Any]]:
            """The order lines of a user, each with the keys product (str), qty (int), unit_price (float)."""
            return self.world.orders[user_id]

        def get_discount_rate(tier: Literal["gold", "silver", "bronze"]) -> float:
            """The discount of a tier as a fraction, 0.2 for 20 %."""
            return DISCOUNTS[tier]

        def get_tax_rate(region: Literal["EU", "US", "APAC"]) -> float:
            """The tax of a region as a fraction, 0.21 for 21 %."""
            return TAXES[region]

        def compute_line_total(
            qty: int,
            unit_price: float,
            discount_rate: Annotated[float, "A fraction."],
            tax_rate: Annotated[float, "A fraction."],
        ) -> float:
            """The total of one order line, rounded to 2 digits."""
            return round(qty * unit_price * (1 - discount_rate) * (1 + tax_rate), 2)

        return [list_users, get_orders_for_user, get_discount_rate, get_tax_rate, compute_line_total]
