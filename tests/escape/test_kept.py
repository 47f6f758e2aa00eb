"""F10. What a turn keeps in the kernel's memory: arguments, results, and what is shown, by their weight and not by their text."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from codeact_kernel.limits import ShowLimits
from codeact_kernel.render import bundle

from .attempts import attempt
from .conftest import with_limits
from .hosts import TRIED, offering

in_a_session = pytest.mark.asyncio(loop_scope="session")

MIB = 1 << 20
HEAVY = "[[]] * 150_000"
"""Half a megabyte of JSON that takes twelve megabytes as lists."""


def results(count: int) -> Any:
    """A tool that gives a new heavy list each time."""

    def lists(n: int) -> list[list[int]]:
        """Lists."""
        return [[] for _ in range(150_000)]

    return lists


@attempt("F10.results", "has a tool return many results that are small as JSON and large in memory")
@in_a_session
async def test_the_results_of_a_turn_are_recorded_whole_only_up_to_a_weight(kernel):
    with offering(kernel, results(1)):
        turn = await kernel.turn(
            "seen = [len(lists(n=n)) for n in range(6)]", **with_limits(kernel, result_bytes=40 * MIB)
        )
    assert turn.result.value == [150_000] * 6, turn.seen
    recorded = [call.answer for call in turn.result.calls]
    assert [answer.is_cut for answer in recorded] == [False] * 3 + [True] * 3
    assert [len(answer.value) for answer in recorded] == [150_000] * 3 + [3] * 3
    assert "the rest is not recorded" in bundle(turn.result, "full")["text/plain"]
    kernel.contained()
    await kernel.answers()


@attempt("F10.arguments", "calls a tool many times with arguments that are small as JSON and large in memory")
@in_a_session
@pytest.mark.full
async def test_the_arguments_of_a_turn_are_counted_by_their_weight(kernel):
    def take(value: Any) -> int:
        """Takes it."""
        return len(value)

    program = f"{TRIED}\nheavy = {HEAVY}\nseen = [tried(lambda: take(value=heavy)) for _ in range(6)]"
    with offering(kernel, take):
        turn = await kernel.turn(program, **with_limits(kernel, turn_arguments_bytes=30 * MIB))
    assert [seen.partition(":")[0] for seen in turn.result.value] == ["ran"] * 2 + ["ToolFailed"] * 4, turn.seen
    assert [bool(call.call.arguments) for call in turn.result.calls] == [True] * 2 + [False] * 4
    kernel.contained()
    await kernel.answers()


@attempt("F10.shown", "shows many values that are small as JSON and large in memory")
@in_a_session
async def test_what_a_turn_shows_is_counted_by_its_weight(kernel):
    program = f"{TRIED}\nheavy = [[]] * 50_000\nseen = [tried(lambda: show(heavy, kind='json')) for _ in range(6)]"
    turn = await kernel.turn(program, **with_limits(kernel, show=ShowLimits(turn_bytes=2 * MIB)))
    kinds = [seen.partition(":")[0] for seen in turn.result.value or []]
    assert kinds == ["ran"] * 4 + ["ToolFailed"] * 2, turn.seen
    kernel.contained()
    await kernel.answers()


IN_A_KERNEL = """
import asyncio, sys
from codeact_kernel import ScriptedModel, Session, Settings
from codeact_kernel.settings import Limits

def lists(n: int) -> list[list[int]]:
    "Lists."
    return [[] for _ in range(150_000)]

async def main() -> None:
    limits = Limits(result_bytes=int(sys.argv[1]) << 20, run_seconds=100)
    model = ScriptedModel(["```python\\nn = sum(len(lists(n=n)) for n in range(30))\\nn\\n```"])
    async with Session(tools=[lists]) as session:
        result = await session.ask("Go.", model=model, settings=Settings(backend="embedded", limits=limits))
    assert result.value == 4_500_000, result.error
    print(int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux tells it")
@attempt("F10.peak", "has a tool return thirty results that are large in memory, and measures the kernel's memory")
@pytest.mark.parametrize(("bound", "fits"), [(64, True), (16_384, False)], ids=["bounded", "control"])
@pytest.mark.full
def test_the_memory_of_the_kernel_follows_the_bound_and_not_the_number_of_calls(bound, fits):
    """Thirty of them take 380 MiB, the kernel itself 80."""
    code = textwrap.dedent(IN_A_KERNEL)
    megabytes = int(subprocess.check_output([sys.executable, "-P", "-c", code, str(bound)], text=True, timeout=200))
    assert (megabytes < 280) is fits, megabytes
