"""Two hundred runs in a row: memory, descriptors and processes stay as they were."""

from __future__ import annotations

import gc

import psutil

from .conftest import run_in, workers

MIXED = [
    "import asyncio\nawait asyncio.gather(*[call_tool_async('echo', value='y' * 20_000) for _ in range(5)])",
    "import os\nos.abort()",
    "import json, datetime\n1 / 0",
    "fail('no')",
    *["rows = [add(i, b=1) for i in range(3)]\nprint('x' * 5_000)\nrows", "'z' * 300_000", "observe(list(range(500)))"]
    * 4,
]


async def test_two_hundred_runs_keep_memory_and_descriptors_flat(new_pool):
    others = {process.pid for process in workers()}
    programs = new_pool()
    parent = psutil.Process()
    resident: dict[int, list[int]] = {50: [], 200: []}
    descriptors: dict[int, int] = {}
    kinds: set[str | None] = set()
    for number in range(1, 201):
        run = await programs.run(MIXED[number % len(MIXED)])
        kinds.add(run.outcome.failure and run.outcome.failure.kind)
        if number in resident:
            worker = await programs.pool.take()  # it is between two runs: its guest is clean
            await programs.pool.release(worker, clean=True)
            (child,) = [process for process in workers() if process.pid not in others]
            resident[number] = [child.memory_info().rss >> 20, child.pid]
            gc.collect()
            descriptors[number] = parent.num_fds()
    assert kinds == {None, "ZeroDivisionError", "ToolFailed", "Crashed"}  # the runs were what they were meant to be
    assert resident[200][1] == resident[50][1]  # all in one process
    assert resident[200][0] <= resident[50][0] + 8, resident
    assert descriptors[200] <= descriptors[50], descriptors
    await programs.pool.aclose()
    assert {process.pid for process in workers()} == others


async def test_workers_that_are_killed_leave_no_descriptor_and_no_process(new_pool):
    others = {process.pid for process in workers()}
    programs = new_pool()
    parent = psutil.Process()
    descriptors: list[int] = []
    for _ in range(6):
        await programs.run("print('x' * 10**6)\nwhile True: print('x' * 1_000)", seconds=0.1)
        await programs.pool.release(await programs.pool.take(), clean=True)
        gc.collect()
        descriptors.append(parent.num_fds())
    assert max(descriptors[1:]) <= descriptors[0], descriptors
    await programs.pool.aclose()
    assert {process.pid for process in workers()} == others


async def test_hostile_workers_leave_no_descriptor_and_no_process(hostile):
    parent = psutil.Process()
    children = len(parent.children())
    descriptors: list[int] = []
    for _ in range(4):
        worker = await hostile("ready(); hear(); write(b'\\xff' * 20_000_000); stay()")
        assert (await run_in(worker)).failure.kind == "WorkerLost"
        gc.collect()
        descriptors.append(parent.num_fds())
    assert max(descriptors[1:]) <= descriptors[0], descriptors
    assert len(parent.children()) <= children
