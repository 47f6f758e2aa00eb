"""What is particular to a micro-VM: it is restored or replaced, whatever a program does to it. Real micro-VMs only."""

from __future__ import annotations

import psutil
import pytest
import pytest_asyncio

from codeact_kernel.sandbox.pool import Pool
from codeact_kernel.settings import Limits

from .conftest import LIMITS, PATIENCE, Programs, answers, program, workers

pytestmark = [pytest.mark.hyperlight, pytest.mark.asyncio(loop_scope="session")]

RAW_SLEEP = """
import importlib._bootstrap, importlib.machinery
real = importlib._bootstrap._load(importlib.machinery.BuiltinImporter.find_spec("time"))
real.sleep(0.1)
"""
"""The guest's own sleep, from under our guard: it breaks a micro-VM beyond restoring."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def vm():
    """A pool of its own: which process its worker is, is part of these tests."""
    pool = Pool("hyperlight", LIMITS)
    yield Programs(pool)
    await pool.aclose()


async def process(vm: Programs) -> int:
    """The process whose micro-VM the next turn gets."""
    worker = await vm.pool.take()
    await vm.pool.release(worker, clean=True)
    return worker._process.pid


async def test_twenty_turns_in_a_row_each_have_fresh_memory_in_one_process(vm):
    first = await process(vm)
    seen = set()
    for turn in range(20):
        run = await vm.run(
            f"import random\nassert 'left_behind' not in globals()\nleft_behind = {turn}\nrandom.random()"
        )
        seen.add(run.value)
    assert len(seen) == 20
    assert await process(vm) == first


async def test_a_changed_tool_needs_no_new_micro_vm(vm):
    first = await process(vm)
    assert (await vm.run("price('x')", tools={"price": lambda product: 1})).value == 1
    assert (await vm.run("price('x', 3)", tools={"price": lambda product, count: 2 * count})).value == 6
    assert await process(vm) == first


async def test_a_megabyte_printed_arrives_whole(vm):
    run = await vm.run("for line in range(10_000):\n    print(f'{line:099}')\nprint('é' * 20_000)")
    assert run.stdout == "".join(f"{line:099}\n" for line in range(10_000)) + "é" * 20_000 + "\n"


async def test_an_endless_loop_is_killed_on_time_and_another_process_takes_over(vm):
    first = await process(vm)
    run = await vm.run("while True: pass", seconds=2)
    assert run.error == "TimedOut: the program was stopped after 2 s (--timeout allows more)"
    assert not psutil.pid_exists(first)
    await answers(vm)


async def test_memory_that_runs_out_is_told_with_its_limit_and_the_same_process_recovers(vm):
    first = await process(vm)
    run = await vm.run("print('before')\nrows = []\nwhile True:\n    rows.append(bytearray(1 << 20))")
    assert run.error == "MemoryError: out of memory (limit 128 MiB)"
    assert run.outcome.state_lost
    assert run.stdout == "before\n"
    await answers(vm)
    assert await process(vm) == first


async def test_a_repair_after_memory_ran_out_gets_a_fresh_guest_in_the_same_turn(vm):
    async with vm.turn() as turn:
        assert (await turn.run("left_behind = bytearray(1 << 30)", keep=True)).outcome.state_lost
        assert (await turn.run("'left_behind' in globals()", keep=True)).value is False


@pytest.mark.parametrize("size", [64, 256])
async def test_the_memory_that_was_asked_for_is_the_memory_there_is(size):
    programs = Programs(Pool("hyperlight", Limits(memory_bytes=size << 20)))
    try:
        assert (await programs.run(f"len(bytearray({size - 14} << 20))")).value == size - 14 << 20
        assert (await programs.run(f"bytearray({size + 14} << 20)")).error.endswith(f"(limit {size} MiB)")
    finally:
        await programs.pool.aclose()


async def test_an_abort_is_restored_and_a_second_one_in_a_row_replaces_the_process(vm):
    first = await process(vm)
    for _ in range(2):
        assert (await vm.run("import os\nos.abort()")).outcome.state_lost
        await answers(vm)
    assert await process(vm) == first
    for _ in range(2):
        assert (await vm.run("import os\nos.abort()")).outcome.failure.kind == "Crashed"
    await answers(vm)
    assert await process(vm) != first


async def test_a_micro_vm_broken_beyond_restoring_is_replaced_and_costs_the_turn_one_line(vm):
    first = await process(vm)
    async with vm.turn() as turn:
        run = await turn.run(RAW_SLEEP, keep=True)
        assert run.error == "WorkerLost: the program broke its micro-VM, which was replaced"
        assert run.outcome.state_lost
        assert (await turn.run("add(1)", keep=True)).value == 2
    assert await process(vm) != first


async def test_a_message_that_no_buffer_holds_costs_the_guest_only(vm):
    run = await vm.run("from wit_world.imports import tools\ntools.dispatch('codeact', 'x' * 20_000)")
    assert run.error == "Crashed: the program crashed its sandbox; its variables are gone"
    await answers(vm)


async def test_what_fills_the_buffer_below_our_streams_costs_the_guest_only(vm):
    run = await vm.run("import os\n[os.write(1, b'x' * 3_000) for _ in range(10)]\n7")
    assert run.outcome.failure is None or run.outcome.state_lost
    await answers(vm)


async def test_what_is_printed_below_our_streams_is_not_shown_and_does_no_harm(vm):
    run = await vm.run("import os\n[os.write(1, b'x' * 3_000) for _ in range(5)]\n7")
    assert (run.value, run.stdout) == (7, "")


async def test_a_long_life_keeps_memory_and_descriptors_flat(vm):
    pid = await process(vm)
    sizes = []
    for turn in range(31):
        await vm.run("rows = [str(number) for number in range(10_000)]\nlen(echo(rows))")
        if turn % 10 == 0:
            found = psutil.Process(pid)
            sizes.append((found.memory_info().rss >> 20, found.num_fds()))
    assert sizes[-1][0] - sizes[1][0] <= 5
    assert sizes[-1][1] == sizes[1][1]


async def test_no_process_is_left_when_the_pool_is_closed():
    before = {found.pid for found in workers()}
    programs = Programs(Pool("hyperlight", LIMITS))
    assert (await programs.run(program("6 * 7"), seconds=PATIENCE)).value == 42
    await programs.pool.aclose()
    assert {found.pid for found in workers()} == before
