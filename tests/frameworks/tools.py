"""Functions as users of agent frameworks have them, which the tests offer through each framework."""

from __future__ import annotations

import asyncio
import datetime
import enum
from typing import Annotated, Any, Literal

import pandas
from pydantic import BaseModel, Field

from codeact_kernel.tools import Registry


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Line(BaseModel):
    product: str
    quantity: int = Field(ge=1, description="How many.")


class Order(BaseModel):
    customer: str
    lines: list[Line]
    due: datetime.date | None = None


class Receipt(BaseModel):
    number: int
    total: float


def measure(city: Annotated[str, Field(description="The city.")], unit: Unit = Unit.CELSIUS, days: int | None = None) -> dict[str, float]:  # fmt: skip
    """Measure the temperature."""
    return {"temperature": 21.5 if unit is Unit.CELSIUS else 70.7, "days": days or 1}


async def place(order: Order, urgent: bool = False) -> Receipt:
    """Place an order."""
    await asyncio.sleep(0)
    lines = order["lines"] if isinstance(order, dict) else order.lines  # Agent Framework passes a dict for a model
    return Receipt(number=7, total=len(lines) * (2.5 if urgent else 2.0))


def list_sales(region: Literal["north", "south"], limit: int = 2) -> pandas.DataFrame:
    """List the sales of a region."""
    return pandas.DataFrame({"region": [region] * limit, "amount": range(limit)})


def name_day(day: datetime.date, tags: set[str]) -> str:
    """Name the day."""
    return f"{day:%d.%m.%Y} {sorted(tags)}"


def forget() -> None:
    """Forget everything."""


CALLS = [
    (measure, {"city": "Rome", "unit": "fahrenheit"}, {"temperature": 70.7, "days": 1}),
    (place, {"order": {"customer": "ann", "lines": [{"product": "tea", "quantity": 2}]}, "urgent": True}, {"number": 7, "total": 2.5}),
    (list_sales, {"region": "north", "limit": 1}, [{"region": "north", "amount": 0}]),
    (name_day, {"day": "2024-02-01", "tags": ["b", "a"]}, "01.02.2024 ['a', 'b']"),
    (forget, {}, None),
]  # fmt: skip
"""A function, the arguments that a program passes, and what the program gets."""

STUBS = """\
measure(city: str, unit: Literal['celsius', 'fahrenheit'] = 'celsius', days: int | None = None) -> dict[str, float]  # Measure the temperature.
    city: The city.
place(order: {customer: str, lines: list of {product: str, quantity: int}, due: str | None (optional)}, urgent: bool = False) -> {number: int, total: float}  # Place an order.
    order.lines.quantity: How many. (>= 1)
    order.due: format date
list_sales(region: Literal['north', 'south'], limit: int = 2) -> list[dict]  # List the sales of a region.
name_day(day: str, tags: list[str]) -> str  # Name the day.
    day: format date
forget() -> None  # Forget everything."""
"""What the model reads about them, whatever framework they come from."""


class Shop:
    """Has methods, as users offer them to several frameworks."""

    def find(self, product: Annotated[str, Field(description="Its name.")], limit: int = 1) -> list[Line]:
        """Find a product."""
        return [Line(product=product, quantity=limit)]

    async def order(self, product: str) -> str:
        """Order a product."""
        return f"ordered {product}"


def call(tool: Any, arguments: dict[str, Any]) -> Any:
    """Add a tool to a registry, and call it there as a program does."""
    registry = Registry()
    registry.add(tool)
    (name,) = registry

    async def on_main(function: Any) -> Any:
        return function()

    return asyncio.run(registry.call(registry.validate(name, arguments), on_main=on_main))
