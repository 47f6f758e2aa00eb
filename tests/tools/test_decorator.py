# pyright: basic
from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import codeact
import pytest

from codeact_kernel.errors import ToolDefinitionError
from codeact_kernel.tools import Registry, ToolOptions, ToolSpec, default_registry, tool
from codeact_kernel.tools.registry import get_tool


@tool
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def spec(name: str) -> ToolSpec:
    found = default_registry.get(name)
    assert found is not None
    return found


def test_a_marked_function_is_still_the_same_function() -> None:
    def original(number: int = 1) -> int:
        """Twice the number."""
        return 2 * number

    marked = tool(original)
    assert marked is original
    assert marked(4) == 8
    assert inspect.isfunction(marked)
    assert inspect.getdoc(marked) == "Twice the number."
    assert str(inspect.signature(marked)) == "(number: 'int' = 1) -> 'int'"
    assert pickle.loads(pickle.dumps(double))(2) == 4


def test_an_async_function_can_still_be_awaited() -> None:
    @tool
    async def fetch(key: str) -> str:
        """One value."""
        return key * 2

    assert inspect.iscoroutinefunction(fetch)
    assert asyncio.run(fetch("a")) == "aa"
    assert spec("fetch").is_async


def test_marking_a_function_offers_it() -> None:
    @tool
    def get_orders(user_id: int, limit: int = 10) -> list[str]:
        """Orders of one user."""
        return []

    offered = spec("get_orders")
    assert offered.description == "Orders of one user."
    assert offered.parameters == ("user_id", "limit")
    assert offered.required == ("user_id",)
    assert offered.approval_mode == "never_require"
    assert offered.max_invocations is None
    assert not offered.is_async


def test_options_are_kept_and_the_function_is_returned() -> None:
    def send(text: str) -> None: ...

    marked = tool(name="send_mail", description="Sends.", approval_mode="always_require", max_invocations=3)(send)
    offered = spec("send_mail")
    assert marked is send
    assert "send" not in default_registry
    assert (offered.description, offered.approval_mode, offered.max_invocations) == ("Sends.", "always_require", 3)


def test_defining_a_tool_again_replaces_it_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    def make(factor: int) -> Callable[[int], int]:
        @tool
        def scale(number: int) -> int:
            """Scaled."""
            return factor * number

        return scale

    make(2)
    last = make(3)
    other = Registry()
    other.add(last)
    assert list(default_registry) == list(other) == ["scale"]
    assert not recwarn.list


def test_a_tool_that_says_too_little_warns_once_at_the_line_of_the_user() -> None:
    def define() -> None:
        @tool
        def vague(first, second: int, third=1):  # type: ignore[no-untyped-def]
            return first

    with pytest.warns(UserWarning) as caught:
        define()
    assert [str(one.message) for one in caught] == [
        "Add a docstring and type hints for first, third to the tool vague: the model sees only these."
    ]
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        define()  # the same cell again


def test_the_warning_of_a_tool_with_options_names_the_same_file() -> None:
    with pytest.warns(UserWarning, match="Add a docstring to the tool quiet") as caught:

        @tool(max_invocations=1)
        def quiet() -> None: ...

    assert caught[0].filename == __file__


def test_a_description_stands_in_for_the_docstring(recwarn: pytest.WarningsRecorder) -> None:
    @tool(description="Says nothing.")
    def quiet() -> None: ...

    assert not recwarn.list


def test_a_decorated_function_keeps_the_signature_of_the_inner_one() -> None:
    @tool
    @functools.lru_cache
    def cached(number: int) -> int:
        """Cached."""
        return number

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @tool
    @logged
    def plain(text: str) -> str:
        """Plain."""
        return text

    assert cached(2) == 2
    assert cached.cache_info().misses == 1
    assert spec("cached").parameters == ("number",)
    assert spec("plain").parameters == ("text",)


class Shop:
    def orders(self) -> list[int]:
        return []

    @staticmethod
    def closed() -> bool:
        return False


def starred(*numbers: int) -> int:
    return sum(numbers)


def keyworded(**options: int) -> int:
    return sum(options.values())


def positional(number: int, /) -> int:
    return number


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda: 1, "A lambda has no name, hints or docstring: write the tool with `def`."),
        (Shop, "Shop is a class: put @tool on a function"),
        (Shop.orders, "orders is a method of Shop, so it needs an object: offer it with tool(shop.orders)"),
        (Shop(), "needs a function, not a Shop"),
        (Path.exists, "exists is a method of Path, so it needs an object"),
        (functools.partial(starred, 1), r"starred(*numbers: int): a program passes every argument by name"),
        ("get_orders", "needs a function, not a str"),
        (starred, r"starred(*numbers: 'int'): a program passes every argument by name"),
        (keyworded, r"keyworded(**options: 'int'): a program passes every argument by name"),
        (positional, "positional(number: 'int'): a program passes every argument by name"),
        (generator, "generator is a generator: return a list"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_what_to_do(function: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=re.escape(said)):
        tool(function)
    assert len(default_registry) == 0


@pytest.mark.parametrize(
    "name",
    [
        "_hidden",
        "__call__",
        "größe",
        "get-orders",
        "1st",
        "",
        "class",
        "None",
        "print",
        "eval",
        "x" * 65,
        "execute_code",
        "call_tool",
        "call_tool_async",
        "observe",
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str) -> None:
    def harmless() -> None:
        """Nothing."""

    with pytest.raises(ToolDefinitionError, match=r"use another, @tool\(name=\.\.\.\)"):
        tool(name=name)(harmless)
    assert len(default_registry) == 0


def test_the_tool_of_the_extension_is_this_one_and_takes_each_option_with_its_default() -> None:
    assert codeact.tool is tool
    parameters = {name: one.default for name, one in inspect.signature(tool).parameters.items()}
    options = {option.name: option.default for option in fields(ToolOptions)}
    assert parameters == {"function": None, "name": None, "description": None, "schema": None, **options}


def test_a_name_of_64_characters_is_allowed() -> None:
    tool(name="x" * 64)(double)
    assert "x" * 64 in default_registry


@pytest.mark.parametrize(
    "options",
    [{"approval_mode": "sometimes"}, {"max_invocations": 0}, {"max_invocations": True}, {"max_invocations": "3"}],
)
def test_an_option_of_the_wrong_kind_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match="use"):
        tool(**options)(double)


def define(source: str) -> ToolSpec:
    scope: dict[str, Any] = {"tool": tool}
    exec(compile(source, "<cell>", "exec"), scope)  # the user's own cell, without a file to read its source from
    return spec("f")


def test_the_version_changes_with_code_schema_and_options_and_with_nothing_else() -> None:
    cell = "@tool\ndef f(a: int) -> int:\n    'F.'\n    return [a + n for n in (1,)]\n"
    variants = [
        cell,
        cell.replace("(1,)", "(2,)"),
        cell.replace("a: int", "a: float"),
        cell.replace("'F.'", "'G.'"),
        cell.replace("@tool", "@tool(approval_mode='always_require')"),
    ]
    versions = [define(variant).version for variant in variants]
    assert len(set(versions)) == len(variants)
    assert define(cell).version == versions[0]


def test_functions_of_one_source_that_close_over_different_things_are_different_tools():
    def offer(database):
        @tool(name="drop", approval_mode="always_require")
        def drop(table: str) -> str:
            """Drop."""
            return f"{database}: {table}"

        return get_tool(drop).spec.version

    assert offer("test") != offer("production")


def test_an_object_as_a_default_makes_a_tool_of_its_own_and_a_plain_default_does_not():
    def offer(database):
        @tool(name="drop")
        def drop(table: str, where: Any = database) -> str:
            """Drop."""
            return table

        return get_tool(drop).spec.version

    assert offer(object()) != offer(object())
    assert offer("test") == offer("test")


@pytest.mark.parametrize(
    "options", [{"max_concurrency": 0}, {"max_concurrency": True}, {"read_only": 1}, {"thread_safe": "yes"}]
)
def test_an_option_of_the_wrong_kind_is_reported(options: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match=next(iter(options))):
        tool(**options)(constant)


def constant() -> int:
    """One."""
    return 1


def test_an_async_function_is_told_that_it_needs_no_threads() -> None:
    async def fetch() -> int:
        """One."""
        return 1

    with pytest.raises(ToolDefinitionError, match="thread_safe is for functions without `async`"):
        tool(thread_safe=True)(fetch)


def test_what_a_user_says_of_a_tool_is_part_of_its_version() -> None:
    def one() -> int:
        """One."""
        return 1

    tool(one)
    plain = spec("one").version
    tool(read_only=True)(one)
    assert spec("one").read_only
    assert spec("one").version != plain
