"""Calls that a program itself sends off together: `tool.map`, `tool.submit`, and both with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import PATIENCE, program

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def slow(value: Any = None, times: int = 1) -> Any:
    await asyncio.sleep(0.02)
    return value * times


async def odd(value: int) -> int:
    await asyncio.sleep(0.002 * (10 - value))
    if value % 2 == 0:
        raise ValueError(f"{value} is even")
    return value


TOOLS: dict[str, Callable[..., Any]] = {"slow": slow, "odd": odd}


def meeting(count: int) -> Callable[..., Any]:
    """Return the tool `slow`, which here answers only when `count` of its calls are in flight together."""
    came, all_came = 0, asyncio.Event()

    async def slow(value: Any = None, times: int = 1) -> Any:
        nonlocal came
        came += 1
        if came == count:
            all_came.set()
        await asyncio.wait_for(all_came.wait(), PATIENCE)
        return value * times

    return slow


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("slow.map(value=[1, 2, 3])", [1, 2, 3]),
        ("slow.map([1, 2, 3])", [1, 2, 3]),
        ("slow.map(value=range(3), times=2)", [0, 2, 4]),
        ("slow.map((one for one in 'abc'), times=[1, 2, 3])", ["a", "bb", "ccc"]),
        ("slow.map({1: 0, 2: 0}.keys())", [1, 2]),
        ("slow.map(value='ab', times=[1, 2])", ["ab", "abab"]),
        ("slow.map([])", []),
    ],
)
async def test_map_makes_a_call_for_each_item_and_gives_the_values_in_order(programs, text: str, value: list[Any]):
    run = await programs.run(text, tools=TOOLS)
    assert run.value == value
    assert all(call.batch_size == len(value) for call in run.calls)


@pytest.mark.smoke
async def test_calls_of_a_map_are_in_flight_together(programs):
    run = await programs.run("slow.map(value=list(range(12)))", tools={"slow": meeting(12)})
    assert run.value == list(range(12))
    assert run.most_open == 12


@pytest.mark.parametrize("text", ["slow.map(value=[1, 2], times=[1])", "slow.map(value=1)", "slow.map()"])
async def test_a_map_over_no_list_or_lists_of_several_lengths_is_told(programs, text: str):
    run = await programs.run(text, tools=TOOLS)
    assert "TypeError: slow.map(...) takes lists of equal length and repeats other values" in run.error
    assert run.calls == []


async def test_map_raises_what_the_first_item_raised_that_failed(programs):
    run = await programs.run("odd.map([1, 4, 3, 2])", tools=TOOLS)
    assert run.error == "ToolFailed: ValueError: 4 is even"
    assert len(run.calls) == 4


async def test_a_submitted_call_is_under_way_while_the_program_goes_on(programs):
    run = await programs.run(
        program("""
        first, second = slow.submit("a"), slow.submit(value="b", times=2)
        print("on its way")
        [second.result(), first.result(), first.result()]
        """),
        tools={"slow": meeting(2)},
    )
    assert run.value == ["bb", "a", "a"]
    assert run.most_open == 2
    assert [kind for kind, _ in run.seen][:3] == ["call", "call", "stdout"]


async def test_a_submitted_call_raises_where_its_result_is_wanted(programs):
    run = await programs.run(
        program("""
        call = odd.submit(2)
        try:
            call.result()
        except ToolFailed as error:
            first = str(error)
        try:
            await call
        except ToolFailed as error:
            second = str(error)
        [first, second]
        """),
        tools=TOOLS,
    )
    assert run.value == ["ValueError: 2 is even"] * 2


async def test_submitted_calls_can_be_awaited_alone_and_gathered(programs):
    run = await programs.run(
        program("""
        import asyncio
        async def double(one):
            return 2 * await slow.submit(one)
        early = slow.submit("x")
        values = await asyncio.gather(early, slow.submit("y"), call_tool_async("slow", value="z"), double(4))
        [values, await early, early.result()]
        """),
        tools={"slow": meeting(4)},
    )
    assert run.value == [["x", "y", "z", 8], "x", "x"]
    assert run.most_open == 4


async def test_a_call_that_nobody_waits_for_is_made_all_the_same(programs):
    run = await programs.run("slow.submit('left')\n'over'", tools=TOOLS)
    assert run.value == "over"
    assert [call.arguments for call in run.calls] == [{"value": "left"}]
