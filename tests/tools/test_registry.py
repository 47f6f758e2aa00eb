# pyright: basic
from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pandas
import pytest

from codeact_kernel.errors import ToolDefinitionError, UserError
from codeact_kernel.settings import Limits
from codeact_kernel.tools import Registry, ToolCallError, default_registry, tool
from codeact_kernel.types import JSONObject, JSONValue


@pytest.fixture
def registry() -> Registry:
    return default_registry


async def inline(function: Callable[[], object]) -> object:
    return function()


def call(registry: Registry, name: str, arguments: JSONObject | None = None, limits: Limits | None = None) -> JSONValue:
    bound = registry.validate(name, arguments or {}, limits=limits or Limits())
    return asyncio.run(registry.call(bound, on_main=inline, limits=limits or Limits()))


def raiser(error: BaseException) -> None:
    @tool
    def fails() -> None:
        """Fails."""
        raise error


@tool
def add(a: int, b: int = 1) -> int:
    """The sum."""
    return a + b


def test_a_tool_is_called_with_its_arguments_and_its_own_defaults(registry: Registry) -> None:
    registry.add(add)
    assert call(registry, "add", {"a": 2, "b": 3}) == 5
    assert call(registry, "add", {"a": 2}) == 3


def test_registries_are_independent_of_each_other(registry: Registry) -> None:
    other = Registry()
    other.add(add)
    assert "add" in other
    assert "add" not in registry


def test_a_function_without_a_mark_is_added_as_it_is(registry: Registry) -> None:
    def count(words: list[str]) -> int:
        return len(words)

    registry.add(count)
    assert registry.specs()["count"].stub == "count(words: list[str]) -> int"


def test_what_programs_cannot_call_by_name_is_not_added(registry: Registry) -> None:
    with pytest.raises(ToolDefinitionError, match=r"sqrt\(x\): a program passes every argument by name"):
        registry.add(math.sqrt)


def one_more() -> Callable[[], int]:
    def one() -> int:
        return 1

    return one


def test_tools_keep_the_order_of_their_first_definition(registry: Registry) -> None:
    for name in ("zebra", "apple", "mango", "apple"):
        tool(name=name, description="A tool.")(one_more())
    assert list(registry) == list(registry.specs()) == ["zebra", "apple", "mango"]
    registry.remove("apple")
    assert list(registry) == ["zebra", "mango"]
    assert len(registry) == 2
    assert registry.get("apple") is None


def test_removing_an_unknown_tool_names_those_that_are_there(registry: Registry) -> None:
    registry.add(add)
    with pytest.raises(UserError, match=r"There is no tool 'addd' to remove. The tools are: add."):
        registry.remove("addd")


@pytest.mark.parametrize("name", ["nope", "__class__", "add ", "Add", "_tools", "\u0430dd", "x" * 10_000])
def test_an_unknown_tool_is_refused_with_the_names_there_are(registry: Registry, name: str) -> None:
    registry.add(add)
    with pytest.raises(ToolCallError, match=r"There is no tool .* The tools are: add.") as caught:
        registry.validate(name, {"a": 1})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "argument a is missing"),
        ({"a": True}, r"argument a should be a valid integer, not True \(bool\)"),
        ({"a": "3"}, r"argument a should be a valid integer, not '3' \(str\)"),
        ({"a": 3.0}, r"argument a should be a valid integer, not 3.0 \(float\)"),
        ({"a": None}, r"argument a should be a valid integer, not None \(NoneType\)"),
        ({"a": 1, "c": 2}, "there is no argument 'c'"),
        ({"a": 1, "argument_1": 2}, "there is no argument 'argument_1'"),
        ({"a": float("nan")}, r"argument a should be a valid integer, not nan \(float\)"),
        ({"a": 1, "\ud800": 1}, "an argument is not JSON"),
    ],
)
def test_wrong_arguments_are_named_before_anything_runs(registry: Registry, arguments: Any, said: str) -> None:
    registry.add(add)
    with pytest.raises(ToolCallError, match=said):
        registry.validate("add", arguments)


def test_the_refusal_shows_the_signature(registry: Registry) -> None:
    registry.add(add)
    with pytest.raises(ToolCallError) as caught:
        registry.validate("add", {"x": 1})
    assert str(caught.value).endswith("Its signature: add(a: int, b: int = 1) -> int")


def test_a_huge_wrong_argument_does_not_make_a_huge_message(registry: Registry) -> None:
    registry.add(add)
    with pytest.raises(ToolCallError) as caught:
        registry.validate("add", {"a": "x" * 300_000, "y" * 100_000: 1})
    assert len(str(caught.value)) <= Limits().error_characters
    with pytest.raises(ToolCallError, match="arguments are larger than 1,048,576 bytes"):
        registry.validate("add", {"a": "x" * (1 << 20)})


def test_what_was_validated_is_what_runs_after_a_redefinition_and_a_change(registry: Registry) -> None:
    @tool(name="pay")
    def first(cents: list[int]) -> str:
        """Pays."""
        return f"first paid {cents}"

    arguments: JSONObject = {"cents": [5]}
    bound = registry.validate("pay", arguments)
    before = registry.specs()["pay"].version

    @tool(name="pay")
    def second(cents: list[int]) -> str:
        """Pays."""
        return f"second paid {cents}"

    arguments["cents"] = [5_000]
    assert asyncio.run(registry.call(bound, on_main=inline)) == "first paid [5]"
    assert bound.tool.spec.version == before != registry.specs()["pay"].version


def test_a_tool_that_changes_its_arguments_changes_only_its_own_copy(registry: Registry) -> None:
    @tool
    def spoil(rows: list[int]) -> list[int]:
        """Spoils."""
        rows.append(99)
        return rows

    bound = registry.validate("spoil", {"rows": [1]})
    for _ in range(2):
        assert asyncio.run(registry.call(bound, on_main=inline)) == [1, 99]


def test_equal_calls_have_equal_canonical_arguments(registry: Registry) -> None:
    registry.add(add)
    left, right = registry.validate("add", {"a": 1, "b": 2}), registry.validate("add", {"b": 2, "a": 1})
    assert left == right
    assert left.arguments == '{"a":1,"b":2}'


def test_a_sync_tool_runs_where_the_caller_says_and_an_async_tool_on_the_loop(registry: Registry) -> None:
    @tool
    def here() -> str:
        """Thread."""
        return threading.current_thread().name

    @tool
    async def there() -> str:
        """Thread."""
        return threading.current_thread().name

    def on_main(function: Callable[[], object]) -> Awaitable[object]:
        return asyncio.to_thread(function)

    async def both() -> list[JSONValue]:
        return [await registry.call(registry.validate(name, {}), on_main=on_main) for name in ("here", "there")]

    sync_thread, async_thread = asyncio.run(both())
    assert sync_thread != async_thread == threading.current_thread().name


def test_a_sync_function_that_returns_an_awaitable_is_awaited(registry: Registry) -> None:
    async def later(number: int) -> int:
        return number

    @tool
    def soon(number: int) -> Awaitable[int]:
        """Later."""
        return later(number)

    assert call(registry, "soon", {"number": 3}) == 3


def test_a_later_change_of_the_result_by_the_tool_changes_nothing(registry: Registry) -> None:
    state = [[1]]

    @tool
    def shared() -> list[list[int]]:
        """Shared."""
        return state

    answer = call(registry, "shared")
    state[0].append(2)
    assert answer == [[1]]


def test_an_exception_is_told_by_type_and_message_and_kept_as_cause(registry: Registry) -> None:
    raiser(KeyError("user 7"))
    with pytest.raises(ToolCallError) as caught:
        call(registry, "fails")
    assert str(caught.value) == "fails raised KeyError: 'user 7'"
    assert isinstance(caught.value.__cause__, KeyError)


class BrokenText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Base(BaseException):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(3), "fails: the tool called sys.exit, so it gave no result."),
        (Base("odd"), "fails raised Base: odd"),
        (StopIteration(), "fails raised StopIteration"),
        (StopAsyncIteration(), "fails raised StopAsyncIteration"),
        (BrokenText(), "fails raised BrokenText"),
        (
            ExceptionGroup("two", [ValueError("a"), TypeError("b")]),
            "fails raised ExceptionGroup: two (2 sub-exceptions)",
        ),
        (ValueError("it broke\nTraceback (most recent call last):\n  File x"), "fails raised ValueError: it broke"),
        (
            OSError(2, "No such file", "/home/me/My Files/a.csv"),
            "fails raised FileNotFoundError: [Errno 2] No such file: <path>",
        ),
        (
            ValueError("read /etc/passwd, ~/x.txt and C:\\Users\\me\\x"),
            "fails raised ValueError: read <path>, <path> and <path>",
        ),
        (ValueError("sqlite:////srv/db.sqlite file:///srv/x"), "fails raised ValueError: sqlite:<path> <path>"),
        (ValueError("path=/srv/x at:/srv/y (/srv/z)"), "fails raised ValueError: path=<path> at:<path> (<path>)"),
        (
            ValueError("GET https://host.example/orders/3 and/or 1 / 2 ./x"),
            "fails raised ValueError: GET https://host.example/orders/3 and/or 1 / 2 ./x",
        ),
    ],
)
def test_an_error_is_told_without_traceback_or_absolute_path(
    registry: Registry, error: BaseException, said: str
) -> None:
    raiser(error)
    with pytest.raises(ToolCallError) as caught:
        call(registry, "fails")
    assert str(caught.value) == said


def test_an_async_tool_fails_in_the_same_words(registry: Registry) -> None:
    @tool
    async def fails(code: int) -> None:
        """Fails."""
        raise SystemExit(code) if code else ValueError("no")

    with pytest.raises(ToolCallError, match="the tool called"):
        call(registry, "fails", {"code": 1})
    with pytest.raises(ToolCallError, match="fails raised ValueError: no"):
        call(registry, "fails", {"code": 0})


def test_a_long_error_is_cut(registry: Registry) -> None:
    raiser(ValueError("x" * 10_000_000))
    with pytest.raises(ToolCallError) as caught:
        call(registry, "fails", limits=Limits(error_characters=80))
    assert len(str(caught.value)) == 80
    assert str(caught.value).endswith("...")


def test_an_interrupt_of_a_synchronous_tool_passes_through_to_the_main_thread(registry: Registry) -> None:
    raiser(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        call(registry, "fails")


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
def test_a_tool_that_raises_what_looks_like_a_cancellation_is_reported(
    registry: Registry, error: BaseException
) -> None:
    raiser(error)
    with pytest.raises(ToolCallError, match=f"fails raised {type(error).__name__}"):
        call(registry, "fails")


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_an_async_tool_cannot_end_the_loop_it_runs_on(registry: Registry, error: type[BaseException]) -> None:
    @tool
    async def fails() -> None:
        """Fails."""
        raise error

    registry.add(fails)
    with pytest.raises(ToolCallError, match="fails"):
        call(registry, "fails")


def test_a_cancelled_call_is_cancelled_and_not_told(registry: Registry) -> None:
    @tool
    async def wait() -> None:
        """Waits."""
        await asyncio.Event().wait()

    async def cancelled() -> None:
        bound = registry.validate("wait", {})
        async with asyncio.timeout(0):
            await registry.call(bound, on_main=inline)

    with pytest.raises(TimeoutError):
        asyncio.run(cancelled())


def test_a_tool_that_returns_an_object_is_refused_by_its_type_name(registry: Registry) -> None:
    @tool
    def opaque() -> object:
        """Opaque."""
        return object()

    with pytest.raises(ToolCallError, match=r"opaque: a value of type object cannot be sent: return text"):
        call(registry, "opaque")


def test_a_stub_shows_the_keys_that_results_had_but_no_value(registry: Registry) -> None:
    rows: list[JSONValue] = [{"product": "secret pen", "qty": 1}, {"product": "book", "qty": None}]

    @tool
    def get_orders(user_id: int) -> list[dict]:  # type: ignore[type-arg]
        """Orders of one user."""
        return rows  # type: ignore[return-value]

    before = registry.specs()["get_orders"]
    call(registry, "get_orders", {"user_id": 1})
    after = registry.specs()["get_orders"]
    assert before.stub == "get_orders(user_id: int) -> list[dict]  # Orders of one user."
    assert after.stub == "get_orders(user_id: int) -> list of {product: str, qty: int | None}  # Orders of one user."
    assert after.version == before.version


def test_what_was_seen_is_forgotten_when_the_tool_changes_and_kept_when_it_does_not(registry: Registry) -> None:
    def define(description: str) -> None:
        @tool(description=description)
        def look() -> Any:
            return {"a": 1}

    define("One.")
    call(registry, "look")
    define("One.")
    assert "-> {a: int}" in registry.specs()["look"].stub
    define("Two.")
    assert "->" not in registry.specs()["look"].stub


def test_a_data_frame_is_known_by_its_columns_after_the_first_call(registry: Registry) -> None:
    @tool
    def table() -> pandas.DataFrame:
        """A table."""
        return pandas.DataFrame({"city": ["Rome"], "people": [2.8]})

    assert call(registry, "table") == [{"city": "Rome", "people": 2.8}]
    assert registry.specs()["table"].stub == "table() -> list of {city: str, people: float}  # A table."
