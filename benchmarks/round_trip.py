"""One tool call, there and back: ours beside pydantic-monty's host call, a thread and loop for each call, and the floor.

    python benchmarks/round_trip.py [--backend hyperlight] [--rounds 5] [--calls 1000] [--json FILE]

A program calls a tool that returns its argument, as often as asked, in a row; its own clock times each call. All arms
run in turn on the same machine, so compare them within one run: figures go up and down with what else runs, and "best" is
the round that was disturbed least. A Python that was built without optimisation doubles ours. Two
processes talk in all arms but the thread's: pydantic-monty (`pip install pydantic-monty`) runs programs in a worker
process as well. "Slower at the end" is the median of the last tenth of the calls as a ratio to that of the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.sandbox.pool import Pool
from codeact_kernel.sandbox.worker_client import RunClock
from codeact_kernel.session import Session
from codeact_kernel.settings import Limits, Settings
from codeact_kernel.tools.decorator import tool
from codeact_kernel.types import CallOutcome, CallResult, ToolCall

PROGRAM = """
import time
took = []
for i in range({calls}):
    start = time.{clock}()
    answer = {wait}echo(value=i)
    took.append(time.{clock}() - start)
    assert answer == i
took
"""
ECHO = "import os\nwhile data := os.read(0, 65536):\n    os.write(1, data)"
Arm = Callable[[int], Awaitable[list[float]]]


def program(calls: int, clock: str = "time", wait: str = "") -> str:
    return PROGRAM.format(calls=calls, clock=clock, wait=wait)


@tool
def echo(value: int) -> int:
    """The value itself."""
    return value


async def aecho(value: int) -> int:
    return value


class Ours:
    """Our bridge alone, and a whole turn: types checked, decided, recorded, each step an event."""

    def __init__(self, backend: str) -> None:
        self.pool = Pool(backend, Limits())
        self.settings = Settings(backend=backend)
        self.session = Session([echo])

    async def bridge(self, calls: int) -> list[float]:
        async def answer(call: ToolCall) -> CallOutcome:
            return CallResult(value=call.arguments["value"])

        async with self.pool.checkout() as sandbox:
            outcome = await sandbox.run(
                program(calls),
                tools={"echo": ["value"]},
                keep=False,
                answer=answer,
                write=lambda *_: None,
                clock=RunClock(120),
            )
        assert outcome.failure is None, outcome.failure
        return [float(str(one)) for one in _list(outcome.value)]

    async def turn(self, calls: int) -> list[float]:
        model = ScriptedModel([f"```python\n{program(calls)}\n```"])
        result = await self.session.ask("x", model=model, settings=self.settings)
        assert result.error is None, result.error
        return [float(str(one)) for one in _list(result.value)]

    async def close(self) -> None:
        await self.pool.aclose()
        await self.session.aclose()


def _list(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value


class Theirs:
    """pydantic-monty: `Monty` blocks the host's thread, `AsyncMonty` leaves its loop free, as ours does."""

    async def blocking(self, calls: int) -> list[float]:
        from pydantic_monty import Monty

        with Monty() as pool, pool.checkout(limits={"max_suspensions": calls + 10}) as session:
            return session.feed_run(program(calls, "perf_counter"), external_lookup={"echo": lambda value: value})

    async def on_a_loop(self, calls: int) -> list[float]:
        return await self._on_a_loop(program(calls, "perf_counter"), lambda value: value, calls)

    async def with_a_coroutine(self, calls: int) -> list[float]:
        return await self._on_a_loop(program(calls, "perf_counter", "await "), aecho, calls)

    async def _on_a_loop(self, text: str, function: Callable[..., object], calls: int) -> list[float]:
        from pydantic_monty import AsyncMonty

        async with AsyncMonty() as pool, pool.checkout(limits={"max_suspensions": calls + 10}) as session:
            return await session.feed_run(text, external_lookup={"echo": function})


async def thread_each(calls: int) -> list[float]:
    """What agent-framework-hyperlight does in the host for each call; its micro-VM is not in this figure."""
    took: list[float] = []
    for i in range(calls):
        start = time.perf_counter()
        thread = threading.Thread(target=lambda i=i: asyncio.run(aecho(i)))
        thread.start()
        thread.join()
        took.append(time.perf_counter() - start)
    return took


async def ping_pong(calls: int) -> list[float]:
    """The floor: 100 bytes to a Python that only sends them back, read by our loop."""
    loop = asyncio.get_running_loop()
    process = subprocess.Popen([sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdin and process.stdout
    into, out = process.stdin.fileno(), process.stdout.fileno()
    took: list[float] = []
    done = loop.create_future()
    start = 0.0

    def send() -> None:
        nonlocal start
        start = time.perf_counter()
        os.write(into, b"x" * 100)

    def heard() -> None:
        os.read(out, 65536)
        took.append(time.perf_counter() - start)
        done.set_result(None) if len(took) == calls else send()

    loop.add_reader(out, heard)
    send()
    await done
    loop.remove_reader(out)
    process.stdin.close()
    process.wait()
    process.stdout.close()
    return took


def figures(took: list[float]) -> dict[str, float]:
    tenth = max(1, len(took) // 10)
    ordered = sorted(took)
    return {
        "p50": ordered[len(took) // 2],
        "p99": ordered[int(len(took) * 0.99)],
        "slower_at_the_end": statistics.median(took[-tenth:]) / statistics.median(took[:tenth]),
    }


async def measure(backend: str, rounds: int, calls: int, arms: dict[str, Arm]) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            found[name].append(figures(await arm(calls)))
    rows: list[dict[str, Any]] = []
    for name, several in found.items():
        row = {key: statistics.median(one[key] for one in several) for key in several[0]}
        rows.append({"arm": name, "calls": calls, **row, "best_p50": min(one["p50"] for one in several)})
    return rows


async def run(backend: str, rounds: int, calls: int) -> list[dict[str, Any]]:
    ours = Ours(backend)
    arms: dict[str, Arm] = {f"ours, {backend}: the bridge": ours.bridge, f"ours, {backend}: a whole turn": ours.turn}
    if find_spec("pydantic_monty"):
        monty, name = Theirs(), f"pydantic-monty {version('pydantic-monty')}"
        arms |= {f"{name}, Monty": monty.blocking, f"{name}, AsyncMonty": monty.on_a_loop}
        arms |= {f"{name}, AsyncMonty, coroutine": monty.with_a_coroutine}
    arms |= {"a thread and a loop for each call": thread_each, "the floor: two Pythons and a pipe": ping_pong}
    await ours.bridge(10)
    await ours.turn(10)
    rows = await measure(backend, rounds, calls, arms)
    rows += await measure(backend, 1, 10_000, dict(list(arms.items())[:2]))
    await ours.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--backend", choices=["embedded", "hyperlight"], default="embedded")
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    rows = asyncio.run(run(options.backend, options.rounds, options.calls))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {sys.version.split(' (')[0]} in {sys.prefix}\n")
    print(f"{'arm':<48} {'calls':>6} {'p50 µs':>8} {'best':>8} {'p99 µs':>8}  slower at the end")
    for row in rows:
        times = " ".join(f"{row[key] * 1e6:>8.0f}" for key in ("p50", "best_p50", "p99"))
        print(f"{row['arm']:<48} {row['calls']:>6} {times}  {row['slower_at_the_end']:.2f}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            facts = {"python": platform.python_version(), "cores": os.cpu_count(), "rounds": options.rounds}
            json.dump({**facts, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
