"""Each turn runs in a copy of a worker that was ready: seen from outside, by processes and by what programs draw."""

from __future__ import annotations

import asyncio
import sys

import psutil
import pytest

from codeact_kernel.sandbox.worker_client import Worker
from codeact_kernel.settings import Limits

from .conftest import answers, run_in, workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")

DRAW = (
    "import os, random, secrets, uuid\n[os.urandom(8).hex(), random.random(), secrets.token_hex(), str(uuid.uuid4())]"
)


@pytest.fixture
async def started():
    """A worker, its process and the copy that waits in it."""
    before = {process.pid for process in workers()}
    worker = await Worker.start("embedded", Limits())
    (original,) = [process for process in workers() if process.pid not in before]
    (copy,) = original.children()
    yield worker, original, copy
    await worker.kill()


async def test_each_turn_has_a_process_of_its_own_and_the_worker_stays(started):
    worker, original, copy = started
    assert (await run_in(worker)).value == 1
    await worker.wait_ready()
    (following,) = original.children()
    assert following.pid != copy.pid
    assert not copy.is_running()
    assert (await run_in(worker)).value == 1


async def test_a_worker_that_is_to_be_copied_has_no_threads(started):
    _, original, copy = started
    assert (original.num_threads(), copy.num_threads()) == (1, 2)  # the copy has the engine's own


async def test_no_two_turns_draw_the_same_random_numbers(new_pool):
    programs = new_pool()
    drawn = [(await programs.run(DRAW)).value for _ in range(3)]
    assert len({str(one[place]) for one in drawn for place in range(4)}) == 12


async def test_a_program_can_draw_many_random_numbers_at_once(new_pool):
    run = await new_pool().run("import os\nlen(set(os.urandom(100_000)))")
    assert run.value == 256


async def test_a_worker_that_is_killed_takes_its_copy_with_it(started):
    worker, original, copy = started
    running = asyncio.create_task(run_in(worker, "while True: pass"))
    await asyncio.sleep(0.1)
    original.kill()
    assert (await running).failure.kind == "WorkerLost"
    psutil.wait_procs([copy], timeout=10)
    assert not copy.is_running()


async def test_a_copy_that_is_killed_is_a_lost_worker(started):
    worker, original, copy = started
    running = asyncio.create_task(run_in(worker, "while True: pass"))
    await asyncio.sleep(0.1)
    copy.kill()
    outcome = await running
    assert str(outcome.failure).startswith("WorkerLost: the sandbox's process ended by itself (-9)")
    assert not original.is_running()


async def test_what_a_program_leaves_in_its_process_is_gone_with_it(new_pool):
    programs = new_pool()
    async with programs.turn() as turn:
        assert (await turn.run("left_behind = bytearray(50 << 20)\n1 / 0", keep=True)).error.startswith("ZeroDivision")
        assert (await turn.run("len(left_behind) >> 20", keep=True)).value == 50
    await answers(programs)
