"""Which tools a program could call directly: those whose arguments and results are plain data as they are."""
# pyright: basic

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
from pydantic import AfterValidator, Field

from codeact_kernel.tools import Registry, as_tool
from codeact_kernel.tools.to_json import is_plain


class Colour(StrEnum):
    RED = "red"


def call(registry: Registry, function: Callable[..., object], **arguments: Any) -> None:
    as_tool(function)
    registry.add(function)
    bound = registry.validate(function.__name__, arguments)

    async def inline(run: Callable[[], object]) -> object:
        return run()

    asyncio.run(registry.call(bound, on_main=inline))


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, float("nan"), "a", [], {}, [1, [2, {"a": None}]], {"a": [{"b": {}}, 1]}]
)
def test_plain_data_is_plain(value: object) -> None:
    assert is_plain(value)


@pytest.mark.parametrize(
    "value",
    [
        (1, 2), {1}, {1: 2}, {"a": (1,)}, [[1], [Colour.RED]], datetime.date(2026, 1, 1), b"a", np.int64(1), range(3),
        pd.DataFrame({"a": [1]}), [{"a": 1}, {"a": np.float64(1)}], Colour.RED, object(), {"a": {None: 1}},
    ],
)  # fmt: skip
def test_everything_else_is_not(value: object) -> None:
    assert not is_plain(value)


def test_a_list_that_contains_itself_is_examined_once() -> None:
    value: list[object] = [1]
    value.append(value)
    assert is_plain(value)


def test_a_tool_is_plain_while_all_its_calls_are() -> None:
    def fetch(rows: bool) -> object:
        """Fetch."""
        return pd.DataFrame({"a": [1]}) if rows else [{"a": 1}]

    registry = Registry()
    assert not registry.is_plain("fetch")
    call(registry, fetch, rows=False)
    assert registry.is_plain("fetch")
    call(registry, fetch, rows=True)
    call(registry, fetch, rows=False)
    assert not registry.is_plain("fetch")


def test_a_tool_whose_arguments_are_converted_or_checked_is_not_plain() -> None:
    def with_day(day: datetime.date) -> int:
        """A day."""
        return day.year

    def with_default(count: int = Field(3)) -> int:
        """A default of pydantic's, which the function itself does not have."""
        return count

    def upper(text: Annotated[str, AfterValidator(str.upper)]) -> str:
        """Changed before the function gets it."""
        return text

    registry = Registry()
    call(registry, with_day, day="2026-01-01")
    call(registry, with_default)
    call(registry, upper, text="a")
    assert not any(map(registry.is_plain, ("with_day", "with_default", "upper")))


def test_a_tool_that_changes_starts_anew() -> None:
    registry = Registry()

    def one() -> object:
        """One."""
        return (1,)

    call(registry, one)

    def one() -> object:
        """One."""
        return 1

    call(registry, one)
    assert registry.is_plain("one")
