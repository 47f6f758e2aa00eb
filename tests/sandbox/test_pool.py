"""The pool: always a warm worker, never a used guest, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from codeact_kernel.errors import SandboxError
from codeact_kernel.sandbox.pool import Pool

from .conftest import run_in, workers


@pytest.fixture(autouse=True)
def only_ours():
    """Pids of workers that other tests share; what a test here starts is the rest."""
    return {process.pid for process in workers()}


@pytest.fixture
def pids(only_ours):
    return lambda: {process.pid for process in workers()} - only_ours


async def died(pool: Pool) -> None:
    """Kill the pool's spare from outside, and wait until the loop has noticed."""
    worker = await pool.take()
    await pool.release(worker, clean=True)
    os.kill(worker_pid(worker), signal.SIGKILL)
    while worker.usable:
        await asyncio.sleep(0)


def worker_pid(worker) -> int:
    return worker._process.pid


async def test_turns_share_one_process_and_never_a_guest(new_pool, pids):
    programs = new_pool()
    assert (await programs.run("left_behind = 1\n1")).value == 1
    first = pids()
    assert (await programs.run("'left_behind' in globals()")).value is False
    assert pids() == first
    assert len(first) == 1


async def test_the_spare_is_warm_before_anybody_asks(new_pool, pids):
    programs = new_pool()
    programs.pool.warm()
    programs.pool.warm()
    worker = await programs.pool.take()
    assert pids() == {worker_pid(worker)}
    await programs.pool.release(worker, clean=True)
    assert await programs.pool.take() is worker
    await worker.kill()


async def test_after_a_time_limit_another_worker_is_warmed_up_unasked(new_pool, pids):
    programs = new_pool()
    await programs.run("while True: pass", seconds=0.3)
    worker = await programs.pool.take()
    assert pids() == {worker_pid(worker)}
    await programs.pool.release(worker, clean=True)
    assert (await programs.run("1")).value == 1
    assert pids() == {worker_pid(worker)}


async def test_a_worker_killed_during_a_run_is_replaced_for_the_next_run_and_the_next_turn(new_pool, pids):
    programs = new_pool()
    async with programs.turn() as turn:

        def kill() -> None:
            (pid,) = pids()
            os.kill(pid, signal.SIGKILL)

        run = await turn.run("kill()\nwhile True: pass", tools={"kill": kill}, keep=True)
        assert run.outcome.failure.kind == "WorkerLost"
        assert (await turn.run("1", keep=True)).value == 1
    assert (await programs.run("2")).value == 2


async def test_a_spare_that_died_while_nobody_looked_is_not_handed_out(new_pool):
    programs = new_pool()
    await died(programs.pool)
    assert (await programs.run("1")).value == 1


async def test_a_guest_left_as_the_program_made_it_is_not_given_to_the_next_turn(new_pool, pids):
    programs = new_pool()
    async with programs.turn() as turn:
        await turn.run("left_behind = 1\n1 / 0", keep=True)
    assert (await programs.run("'left_behind' in globals()")).value is False


async def test_a_turn_that_ends_in_an_exception_kills_its_worker(new_pool, pids):
    programs = new_pool()
    with pytest.raises(ZeroDivisionError):
        async with programs.turn() as turn:
            await turn.run("1")
            before = pids()
            raise ZeroDivisionError
    assert not before & pids()
    assert (await programs.run("1")).value == 1


async def test_a_turn_that_is_cancelled_leaves_a_pool_that_works(new_pool, pids):
    programs = new_pool()
    called = asyncio.Event()

    async def hang() -> None:
        called.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(programs.run("hang()", tools={"hang": hang}))
    await called.wait()
    (running,) = pids()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running not in pids()
    assert (await programs.run("1")).value == 1


async def test_a_turn_cancelled_while_its_worker_starts_leaves_no_process(new_pool, pids):
    programs = new_pool()
    task = asyncio.create_task(programs.run("1"))
    while not pids():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await programs.pool.aclose()
    assert pids() == set()


async def test_two_turns_at_once_have_a_worker_each(new_pool, pids):
    programs = new_pool()
    both = asyncio.Barrier(2)

    async def meet() -> None:
        await both.wait()

    runs = await asyncio.gather(*[programs.run(f"mark = {i}\nmeet()\nmark", tools={"meet": meet}) for i in range(2)])
    assert [run.value for run in runs] == [0, 1]


async def test_a_worker_is_replaced_before_its_processor_time_runs_out(new_pool, pids):
    programs = new_pool(cpu_seconds=2)
    worker = await programs.pool.take()
    worker_of_first_turn = worker_pid(worker)
    await programs.pool.release(worker, clean=True)
    await programs.run("import time\nend = time.time() + 1.1\nwhile time.time() < end: pass")
    await programs.run("1")
    assert worker_of_first_turn not in pids()


async def test_closing_the_pool_leaves_no_process(new_pool, pids):
    programs = new_pool()
    await programs.run("1")
    programs.pool.warm()
    await programs.pool.aclose()
    assert pids() == set()


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 100])
async def test_a_pool_can_be_closed_at_any_moment_of_a_start(new_pool, pids, turns):
    """Counted in turns of the event loop: some of them lie in the middle of making the process."""
    programs = new_pool()
    programs.pool.warm()
    for _ in range(turns):
        await asyncio.sleep(0.0001)
    async with asyncio.timeout(20):
        await programs.pool.aclose()
        while pids():  # a process that was killed is gone a moment later
            await asyncio.sleep(0.01)


async def test_closing_the_pool_while_a_turn_takes_its_worker_leaves_no_process(new_pool, pids):
    programs = new_pool()
    taking = asyncio.create_task(programs.pool.take())
    await asyncio.sleep(0.01)
    await programs.pool.aclose()
    with pytest.raises((SandboxError, asyncio.CancelledError)):
        await taking
    async with asyncio.timeout(20):
        while pids():
            await asyncio.sleep(0.01)


async def test_a_worker_that_cannot_start_is_an_error_each_time_and_no_hang(new_pool, pids):
    programs = new_pool(start_seconds=0.001)
    for _ in range(2):
        with pytest.raises(SandboxError, match="not ready"):
            await programs.run("1")
    await programs.pool.aclose()
    assert pids() == set()


async def test_a_worker_that_never_comes_back_from_its_reset_is_replaced(new_pool, hostile, monkeypatch):
    monkeypatch.setattr("codeact_kernel.sandbox.pool.RESET_SECONDS", 0.2)
    programs = new_pool()
    stuck = await hostile("ready(); hear(); finished(); stay()")
    assert (await run_in(stuck)).value == 1
    await programs.pool.release(stuck, clean=True)
    assert (await programs.run("2")).value == 2
    assert not stuck.usable


async def test_calls_that_were_answered_hold_nothing_while_the_program_makes_more(new_pool):
    most = 0

    async def count(value: int) -> int:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()))
        return value

    run = await new_pool().run("sum(count(value=1) for _ in range(500))", tools={"count": count})
    assert run.value == 500
    assert most < 20
