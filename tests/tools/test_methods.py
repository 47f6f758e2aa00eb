# pyright: basic
"""What users have besides plain functions is offered too: methods, partials, objects, wrapped functions, `**kwargs`."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from dataclasses import dataclass
from typing import Any, NotRequired, Unpack, get_type_hints

import pytest
from typing_extensions import TypedDict

from codeact_kernel import Session
from codeact_kernel.tools import Registry, as_tool, default_registry, tool


class Shop:
    def __init__(self, stock: int) -> None:
        self.stock = stock

    def count(self, product: str, extra: int = 0) -> int:
        """How many are in stock."""
        return self.stock + extra

    async def order(self, product: str) -> str:
        """Order it."""
        return f"ordered {product}"

    def __call__(self, product: str) -> str:
        """Describe the product."""
        return f"a {product}"

    @classmethod
    def open(cls, stock: int) -> int:
        """Open a shop."""
        return cls(stock).stock

    @staticmethod
    def price(product: str) -> float:
        """The price."""
        return 2.5


class Filter(TypedDict):
    name: str
    limit: NotRequired[int]


def call(target: Any, arguments: dict[str, Any], **options: Any) -> Any:
    registry = Registry()
    registry.add_tool(as_tool(target, **options))
    (name,) = registry

    async def on_main(function: Any) -> Any:
        return function()

    return asyncio.run(registry.call(registry.validate(name, arguments), on_main=on_main))


def stub(target: Any, **options: Any) -> str:
    return as_tool(target, **options).spec.stub


def test_a_method_of_an_object_is_offered_without_the_object():
    assert stub(Shop(1).count) == "count(product: str, extra: int = 0) -> int  # How many are in stock."
    assert call(Shop(3).count, {"product": "tea", "extra": 2}) == 5


def test_a_method_of_another_object_is_another_version():
    assert as_tool(Shop(1).count).spec.version != as_tool(Shop(2).count).spec.version


def test_an_async_method_is_awaited():
    assert as_tool(Shop(1).order).spec.is_async
    assert call(Shop(1).order, {"product": "tea"}) == "ordered tea"


@pytest.mark.parametrize("target", [Shop.price, Shop.__dict__["price"]])
def test_a_static_method_is_offered_from_the_class_and_in_its_body(target):
    assert stub(target) == "price(product: str) -> float  # The price."
    assert call(target, {"product": "tea"}) == 2.5


def test_a_class_method_is_offered_from_the_class():
    assert stub(Shop.open, name="open_shop") == "open_shop(stock: int) -> int  # Open a shop."
    assert call(Shop.open, {"stock": 4}, name="open_shop") == 4


def test_static_and_class_methods_can_be_decorated_in_the_body_of_their_class():
    class Store:
        size = 7

        @tool
        @staticmethod
        def inside(x: int) -> int:
            """One."""
            return x

        @staticmethod
        @tool
        def outside(x: int) -> int:
            """Two."""
            return x

        @tool(read_only=True)
        @classmethod
        def measure(cls) -> int:
            """Three."""
            return cls.size

    assert list(default_registry) == ["inside", "outside", "measure"]
    assert (Store.inside(1), Store.outside(2), Store.measure()) == (1, 2, 7)
    assert default_registry.specs()["measure"].read_only


def test_a_partial_keeps_what_it_has_set_and_programs_cannot_change_it():
    def send(server: str, to: str, subject: str = "hello") -> str:
        """Send a message."""
        return f"{server} {to} {subject}"

    for partial in (functools.partial(send, "smtp"), functools.partial(send, server="smtp")):
        assert "server" not in stub(partial)
        assert call(partial, {"to": "ann"}) == "smtp ann hello"
    assert stub(functools.partial(send, server="x")) == (
        "send(*, to: str, subject: str = 'hello') -> str  # Send a message."
    )


def test_an_object_that_can_be_called_has_the_name_of_its_class():
    class PriceList(Shop):
        pass

    assert stub(PriceList(1)) == "price_list(product: str) -> str  # Describe the product."
    assert call(PriceList(1), {"product": "tea"}) == "a tea"


def test_a_wrapper_of_a_method_is_offered_like_the_method():
    method = Shop(3).count

    @functools.wraps(method)
    def logged(*args: Any, **arguments: Any) -> int:
        return method(*args, **arguments)

    assert stub(logged) == "count(product: str, extra: int = 0) -> int  # How many are in stock."
    assert call(logged, {"product": "tea"}) == 3


def test_keywords_that_a_typed_dict_describes_are_parameters():
    def search(query: str, **filters: Unpack[Filter]) -> str:
        """Search."""
        return json.dumps([query, filters])

    assert stub(search) == "search(query: str, *, name: str, limit: int = None) -> str  # Search."
    assert call(search, {"query": "a", "name": "b"}) == '["a", {"name": "b"}]'


def test_keywords_that_a_schema_describes_are_parameters():
    schema = {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]}

    @tool(schema=schema)
    def travel(**arguments: Any) -> list[str]:
        """Travel."""
        return list(arguments.values())

    assert default_registry.specs()["travel"].stub == "travel(from_: str)  # Travel."
    assert call(travel, {"from_": "Rome"}, schema=schema) == ["Rome"]


def test_a_session_takes_a_method_as_it_is():
    assert list(Session(tools=[Shop(1).count]).tools) == ["count"]


@dataclass
class Price:
    amount: float


class Catalogue:
    def price(self, product: str, *, discount: Price | None = None) -> Price:
        """The price of a product."""
        return discount or Price(1.5)

    async def order(self, product: str) -> str:
        """Order it."""
        return f"ordered {product}"

    def __call__(self, product: str) -> Price:
        """Look a product up."""
        return Price(2.5)


@pytest.mark.parametrize(
    ("target", "name", "text", "signature"),
    [
        (Catalogue().price, "price", "The price of a product.", "(product: str, *, discount: {price} | None = None) -> {price}"),
        (Catalogue().order, "order", "Order it.", "(product: str) -> str"),
        (Catalogue(), "catalogue", "Look a product up.", "(product: str) -> {price}"),
        (functools.partial(Catalogue().price, discount=Price(1)), "price", "The price of a product.", "(product: str) -> {price}"),
        (functools.partial(Catalogue().price, "tea"), "price", "The price of a product.", "(*, discount: {price} | None = None) -> {price}"),
    ],
)  # fmt: skip
def test_the_function_that_tool_returns_shows_what_it_calls(target, name, text, signature):
    made = tool(target)
    assert (made.__name__, made.__qualname__, made.__doc__, made.__module__) == (name, name, text, __name__)
    assert str(inspect.signature(made)) == signature.format(price=f"{__name__}.Price")
    parameters = inspect.signature(made).parameters
    assert {*get_type_hints(made)} == {*parameters, "return"}
    assert all(get_type_hints(made)[one] == parameters[one].annotation for one in parameters)


def test_the_function_that_tool_returns_is_async_if_the_method_is():
    ordered = tool(Catalogue().order)
    assert inspect.iscoroutinefunction(ordered)
    assert asyncio.run(ordered("tea")) == "ordered tea"


def test_the_hints_of_a_partial_are_those_of_its_module():
    assert stub(functools.partial(Catalogue().price, "tea"), name="look") == (
        "look(*, discount: {amount: float} | None = None) -> {amount: float}  # The price of a product."
    )


def test_what_tool_returns_can_be_given_to_a_session():
    counted = tool(Shop(1).count)
    assert counted("tea") == 1
    assert list(Session(tools=[counted]).tools) == ["count"]
