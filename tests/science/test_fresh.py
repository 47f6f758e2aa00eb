"""Every turn runs in a copy of a guest that has run no program."""

from __future__ import annotations

import asyncio

import pytest

from codeact_kernel import ScriptedModel, Session

from .conftest import SETTINGS, Science

pytestmark = [pytest.mark.science, pytest.mark.asyncio(loop_scope="session")]

CHANGES = """
import random, sys, warnings
import matplotlib
pd.set_option("display.max_rows", 3)
pd.options.mode.copy_on_write = True
np.set_printoptions(precision=1)
matplotlib.rcParams["figure.dpi"] = 30
warnings.simplefilter("error")
pd.DataFrame.left_behind = np.left_behind = True
sys.modules["left_behind"] = pd
np.random.seed(1)
random.seed(1)
pd.DataFrame.sum = lambda self: "forged"
[np.random.rand(), random.random()]
"""
LOOK = """
import random, sys, warnings
import matplotlib
[pd.get_option("display.max_rows"), np.get_printoptions()["precision"], matplotlib.rcParams["figure.dpi"],
 len(warnings.filters) > 0 and warnings.filters[0][0], hasattr(pd.DataFrame, "left_behind"), hasattr(np, "left_behind"),
 "left_behind" in sys.modules, str(pd.DataFrame({"a": [1, 2]}).sum()["a"]), "CHANGES" in globals()]
"""


async def test_nothing_that_a_program_changed_is_there_in_the_next_turn(science: Science):
    before = await science.value(LOOK)
    await science.value(CHANGES)
    assert await science.value(LOOK) == before
    assert before[-2] == "3"


async def test_random_numbers_differ_from_turn_to_turn_and_are_not_those_of_a_seed(science: Science):
    draw = "import random\n[np.random.rand(), random.random(), np.random.default_rng().random(), str(__import__('uuid').uuid4())]"
    draws = [await science.value(draw) for _ in range(3)]
    await science.value(CHANGES)
    draws.append(await science.value(draw))
    for column in zip(*draws, strict=True):
        assert len(set(column)) == len(draws)


async def test_a_retry_finds_the_variables_of_the_program_that_failed(science: Science):
    result = await science.ask("df = pd.DataFrame({'a': [1]})\n1 / 0", "int(df.a.sum())")
    assert (result.value, result.attempts) == (1, 2)


async def test_turns_that_run_at_once_do_not_see_each_other():
    async def one(number: int) -> object:
        async with Session(tools=()) as session:
            program = f"pd.shared = getattr(pd, 'shared', []) + [{number}]\nimport time\ntime.sleep(0.2)\npd.shared"
            model = ScriptedModel([f"```python\n{program}\n```"])
            return (await session.ask("Go.", model=model, settings=SETTINGS)).value

    assert await asyncio.gather(*map(one, range(5))) == [[number] for number in range(5)]


async def test_a_guest_that_runs_out_of_memory_says_so_and_the_next_turn_works(science: Science):
    result = await science.ask("kept = []\nwhile True:\n    kept.append(np.ones(4_000_000))")
    assert result.error is not None
    assert result.error.kind == "MemoryError" or "memory" in result.error.message.lower()
    assert await science.value("int(np.ones(10).sum())") == 10


async def test_an_endless_computation_is_stopped_and_the_next_turn_works(science: Science):
    from dataclasses import replace

    limits = replace(SETTINGS.limits, run_seconds=0.5)
    result = await science.ask("while True:\n    np.ones(100_000).sum()", limits=limits)
    assert result.error is not None and result.error.kind == "TimedOut"
    assert await science.value("1 + 1") == 2


async def test_the_boundary_and_the_guest_are_named(science: Science):
    result = await science.ask("1")
    assert result.isolation is not None
    assert str(result.isolation).startswith("WebAssembly in a locked-down process, science guest")
