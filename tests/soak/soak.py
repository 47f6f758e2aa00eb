"""Many turns in one process, each with a fault of `faults.py` and a good turn after it; and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest.mock import patch

import psutil

from codeact_kernel import Session
from codeact_kernel.paths import cache_folder
from codeact_kernel.sandbox import worker_client

from ..model.conftest import FakeEndpoint
from .bench import Bench
from .faults import FAULTS

__all__ = ["Report", "soak"]

PATIENCE = 90
"""Seconds after which a turn counts as one that never ends."""
_WORKER = "codeact_kernel.sandbox.worker_main"


@dataclass
class Report:
    """What a soak came to.

    Attributes:
        ends: for each fault, how its turns ended, and how often.
        wrong: turns that ended as they may not; they are named with the seed, so that they can be had again.
        left: what was left behind, by what it is.
        descriptors: how many were open before, and at the end.
    """

    seed: int
    turns: int = 0
    good: int = 0
    seconds: float = 0.0
    ends: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    seconds_by_fault: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    left: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    descriptors: tuple[int, int] = (0, 0)

    @property
    def passed(self) -> bool:
        return not self.wrong and not any(self.left.values()) and self.good == self.turns


async def soak(turns: int, seed: int) -> Report:
    """Run so many turns; each fault comes about as often as the others, in an order that the seed tells."""
    report = Report(seed)
    random = Random(seed)
    started = time.monotonic()
    await _one_session(Random(seed), Report(seed), [])  # what is imported and opened once is no leak
    before = _Left()
    with _own_places() as folder:
        order: list = []
        while len(order) < turns:
            order += random.sample([*FAULTS], len(FAULTS))
        await _one_session(random, report, order[:turns])
        report.left["files"] = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    report.left |= before.behind()
    report.descriptors = before.descriptors, len(_descriptors())
    report.seconds = time.monotonic() - started
    return report


async def _one_session(random: Random, report: Report, order: list) -> None:
    endpoint = FakeEndpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def add(a: int, b: int = 0) -> int:
        return a + b

    async def fault() -> object:
        assert bench.hook is not None
        return await bench.hook()

    session = Session(tools=[add, fault])
    bench = Bench(random, session, endpoint)
    try:
        with _interposed(bench):
            await _good(bench, report, "the first turn")
            report.good = 0
            for turn in order:
                await _turn(bench, report, turn)
            await session.aclose()
            report.left["tasks"] = [repr(task) for task in asyncio.all_tasks() - {asyncio.current_task()}]
    finally:
        await session.aclose()
        endpoint.closing.set()
        endpoint.server.shutdown()
        thread.join()
        endpoint.server.server_close()


async def _turn(bench: Bench, report: Report, fault) -> None:
    name = fault.__name__
    report.turns += 1
    where = f"turn {report.turns} of seed {report.seed}, {name}"
    started = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            ended = await fault(bench)
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        ended = f"{type(error).__name__}: {error}"
    report.seconds_by_fault[name] += time.monotonic() - started
    report.ends.setdefault(name, Counter())[ended] += 1
    if ended not in FAULTS[fault]:
        report.wrong.append(f"{where}: {ended}")
    await _good(bench, report, where)


async def _good(bench: Bench, report: Report, after: str) -> None:
    number = bench.number()
    try:
        async with asyncio.timeout(PATIENCE):
            ended = await bench.ask(f"sum([add({number}, b=n) for n in range(3)])", expected=3 * number + 3)
    except Exception as error:
        ended = f"{type(error).__name__}: {error}"
    if ended == "right":
        report.good += 1
    else:
        report.wrong.append(f"the good turn after {after}: {ended}")


@contextmanager
def _interposed(bench: Bench) -> Iterator[None]:
    """What `bench.interposed` names stands before the next worker."""
    command = worker_client.python_command

    def python(module: str, *arguments: str) -> tuple[str, ...]:
        made = command(module, *arguments)
        if module == _WORKER and bench.interposed:
            return (sys.executable, *bench.interposed.pop(0), *made)
        return made

    with patch.object(worker_client, "python_command", python):
        yield


@contextmanager
def _own_places() -> Iterator[Path]:
    """Temporary files and the working folder, where nothing else writes."""
    with tempfile.TemporaryDirectory() as folder:
        places = {"TMPDIR": folder, "TMP": folder, "TEMP": folder}
        with chdir(folder), patch.dict(os.environ, places), patch.object(tempfile, "tempdir", None):
            yield Path(folder)


class _Left:
    """What there is before; `behind` is what there is more of later."""

    def __init__(self) -> None:
        gc.collect()
        self._descriptors = _descriptors()
        self.descriptors = len(self._descriptors)
        self._cached = _cached()
        self._threads = set(threading.enumerate())
        # A worker gets PATH: so each one is known again, also when its kernel or its copy is not its parent any more.
        self._mark = f"/nonexistent/{uuid.uuid4().hex}"
        os.environ["PATH"] = f"{os.environ['PATH']}{os.pathsep}{self._mark}"

    def behind(self) -> dict[str, list[str]]:
        gc.collect()
        os.environ["PATH"] = os.environ["PATH"].removesuffix(f"{os.pathsep}{self._mark}")
        return {
            "processes": [f"{one.pid} {one.name()} {one.status()}" for one in self._processes()],
            "descriptors": [f"{at} {what}" for at, what in (_descriptors() - self._descriptors)],
            "cache": sorted(_cached() - self._cached),
            "threads": [one.name for one in set(threading.enumerate()) - self._threads if "asyncio_" not in one.name],
        }

    def _processes(self) -> Iterator[psutil.Process]:
        children = {child.pid for child in psutil.Process().children(recursive=True)}
        for one in psutil.process_iter():
            try:
                if one.pid in children or (one.pid != os.getpid() and self._mark in one.environ().get("PATH", "")):
                    yield one
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue


def _descriptors() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists
            found.add((entry.name, str(entry.readlink())))
    return found


def _cached() -> set[str]:
    folder = cache_folder()
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
