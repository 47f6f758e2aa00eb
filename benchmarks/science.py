"""The science guest against the standard guest, in one run: start of a turn, data in and out, memory, many turns.

python benchmarks/science.py [--rounds 10] [--rows 1000000] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from codeact_kernel import ScriptedModel, Session, Settings
from codeact_kernel.settings import Limits

SETTINGS = Settings(backend="embedded", max_retries=0, limits=Limits(memory_bytes=1 << 30, run_seconds=600))
GROUPBY = "x = pd.DataFrame({'k': np.arange(100_000) % 1_000, 'v': np.arange(100_000.0)})\nfloat(x.groupby('k').v.mean().sum())"


class Bench:
    """A session with one guest."""

    def __init__(self, guest: str) -> None:
        self.guest = guest
        self.session = Session(tools=())
        self.settings = replace(SETTINGS, guest=guest)

    async def ready(self) -> None:
        """Wait until a worker is ready, so that only the turn is timed."""
        pool, _ = await self.session.pool(self.settings)
        async with pool.checkout() as sandbox:
            await sandbox.open()
        await asyncio.sleep(0.05)

    async def turn(self, program: str, **options: Any) -> float:
        """Seconds of a turn."""
        await self.ready()
        begun = time.perf_counter()
        model = ScriptedModel([f"```python\n{program}\n```"])
        result = await self.session.ask("Go.", model=model, settings=self.settings, new=True, **options)
        took = time.perf_counter() - begun
        if result.error is not None:
            raise RuntimeError(f"{self.guest}: {result.error}")
        return took

    async def start(self) -> float:
        """Seconds until a new pool has a worker that is ready."""
        begun = time.perf_counter()
        await self.ready()
        return time.perf_counter() - begun


async def median(rounds: int, *measures: Callable[[], Awaitable[float]]) -> list[float]:
    """The medians of several measures that take turns, so that a busy moment meets all of them."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for times, measure in zip(taken, measures, strict=True):
            times.append(await measure())
    return [statistics.median(times) for times in taken]


def workers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "codeact_kernel.sandbox.worker_main" in child.cmdline()
    ]


def megabytes(process: psutil.Process) -> dict[str, int]:
    found = process.memory_full_info()
    return {"resident": found.rss >> 20, "own": found.uss >> 20}


async def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    standard, science = Bench("standard"), Bench("science")
    found: dict[str, Any] = {"first worker": {"standard": await standard.start(), "science": await science.start()}}
    one, other = await median(options.rounds, lambda: standard.turn("1 + 1"), lambda: science.turn("1 + 1"))
    (grouped,) = await median(options.rounds, lambda: science.turn(GROUPBY))
    found["turn"] = {"standard": one, "science": other, "ratio": other / one, "groupby of 100,000 rows": grouped}
    random = np.random.default_rng(0)
    numbers = pd.DataFrame(random.normal(size=(options.rows, 10)), columns=list("abcdefghij"))
    texts = pd.DataFrame({"t": [f"text {number} of many" for number in range(options.rows)]})
    # The last value of each column: the standard guest fetches a column when it is read.
    read = {
        "standard": "for name in t.columns:\n    t[name][-1]\n1",
        "science": "for name in t.columns:\n    t[name].iloc[-1]\n1",
    }
    for kind, frame in (("numbers", numbers), ("texts", texts)):
        taken = await median(
            3,
            *(
                lambda bench=bench, frame=frame: bench.turn(read[bench.guest], inputs={"t": frame})
                for bench in (standard, science)
            ),
        )
        back = await median(
            3,
            *(
                lambda bench=bench, frame=frame: bench.turn("out = t", inputs={"t": frame}, outputs=["out"])
                for bench in (standard, science)
            ),
        )
        found[f"{kind} in"] = {"standard": taken[0], "science": taken[1], "ratio": taken[1] / taken[0]}
        found[f"{kind} there and back"] = {"standard": back[0], "science": back[1], "ratio": back[1] / back[0]}
    begun = time.perf_counter()
    for _ in range(10):
        await science.turn(GROUPBY)
    found["ten turns in a row"] = time.perf_counter() - begun
    await standard.session.aclose()
    await science.ready()
    found["memory, MB"] = {
        "kernel": megabytes(psutil.Process()),
        "workers": [megabytes(process) for process in workers()],
    }
    benches = [Bench("science") for _ in range(5)]
    await asyncio.gather(*(bench.ready() for bench in benches))
    begun = time.perf_counter()
    await asyncio.gather(*(bench.turn(GROUPBY) for bench in benches))
    found["five at once"] = time.perf_counter() - begun
    for bench in (science, *benches):
        await bench.session.aclose()
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    asyncio.run(main())
