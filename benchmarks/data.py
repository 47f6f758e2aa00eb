"""The notebook's data into a program and back: rows and megabytes per second, and the memory that it takes.

    python benchmarks/data.py [--backend hyperlight] [--sizes 1 10 100] [--rounds 3] [--memory 256Mi] [--json FILE]

Each table has ten columns of eight bytes a value, so 12,500 rows are a megabyte. Times are medians of whole turns with a
scripted model, less that of a turn that does nothing; tables of 50 megabytes and more are timed once. "fetched": every
column has come to the program. "rows": it has also looped over the rows as dicts. "back": how much longer it takes to hand
the same table to the notebook, where it has to be the same DataFrame. The ratio is to writing the frame as CSV and reading
that with the csv module, in this process. Times differ from machine to machine; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codeact_kernel import ScriptedModel, Session, Settings
from codeact_kernel.capabilities.data import to_dataframe
from codeact_kernel.settings import Limits, parse_memory

COLUMNS, WIDTH = 10, 8
ONCE = 50e6
"""Bytes of a table from which on it is timed once."""
NOTHING = "1"
FETCH = "ends = [t[name][-1] for name in t.columns]\n"
PROGRAMS = {
    "fetched": FETCH + "len(t)",
    "rows": "count = 0\nfor row in t:\n    count += 1\ncount",
    "back": FETCH + "out = t\nlen(t)",
}


def column(kind: str, number: int, rows: int) -> Any:
    """One column of `rows` values, eight bytes each."""
    random = np.random.default_rng(number)
    if kind == "integers":
        return random.integers(-(2**40), 2**40, rows)
    if kind == "floats":
        return random.random(rows)
    if kind == "times":
        return pd.to_datetime(random.integers(0, 2**60, rows) // 1000 * 1000)
    if kind == "text of 100":
        return np.array([f"word-{word:03}" for word in range(100)], dtype=object)[random.integers(0, 100, rows)]
    return [f"{value:08}" for value in range(rows)]


KINDS = {
    "numbers": ["integers", "floats"],
    "times": ["times"],
    "text, 100 words": ["text of 100"],
    "text, all different": ["text"],
    "a mix of these": ["integers", "floats", "times", "text of 100", "floats"],
}


def frame_of(kind: str, rows: int) -> pd.DataFrame:
    kinds = (KINDS[kind] * COLUMNS)[:COLUMNS]
    return pd.DataFrame({f"c{number}": column(kind, number, rows) for number, kind in enumerate(kinds)})


def by_csv(frame: pd.DataFrame) -> float:
    """Seconds that the frame takes to CSV and to lists of text."""
    start = time.perf_counter()
    rows = list(csv.reader(io.StringIO(frame.to_csv(index=False))))
    took = time.perf_counter() - start
    assert len(rows) == len(frame) + 1
    return took


class Bench:
    def __init__(self, session: Session, settings: Settings, rounds: int) -> None:
        self.session, self.settings, self.rounds = session, settings, rounds
        self.floor = 0.0

    async def turn(self, program: str, frame: pd.DataFrame, *, back: bool = False) -> float:
        """Seconds of a turn; with `back` until the DataFrame is there."""
        model = ScriptedModel([program])
        await (await self.session.pool(self.settings))[0].ensure_started()
        start = time.perf_counter()
        result = await self.session.ask(
            "Go.", inputs={"t": frame}, outputs=["out"] if back else [], model=model, settings=self.settings
        )
        made: Any = to_dataframe(result.outputs["out"]) if back and result.error is None else None
        took = time.perf_counter() - start
        if result.error is not None:
            raise RuntimeError(str(result.error))
        if program != NOTHING and result.value != len(frame):
            raise RuntimeError(f"{result.value} rows instead of {len(frame)}")
        if back:
            pd.testing.assert_frame_equal(made, frame, check_dtype=False)
        return took

    async def median(self, program: str, frame: pd.DataFrame, *, back: bool = False) -> float:
        rounds = self.rounds if len(frame) * COLUMNS * WIDTH < ONCE else 1
        taken = [await self.turn(program, frame, back=back) for _ in range(rounds)]
        return statistics.median(taken) - self.floor

    async def case(self, kind: str, rows: int) -> dict[str, Any]:
        """What one table takes."""
        frame = frame_of(kind, rows)
        found: dict[str, Any] = {"kind": kind, "rows": rows, "mb": rows * COLUMNS * WIDTH / 1e6}
        found["csv"] = statistics.median(by_csv(frame) for _ in range(self.rounds))
        try:
            found["fetched"] = await self.median(PROGRAMS["fetched"], frame)
            found["rows_too"] = await self.median(PROGRAMS["rows"], frame)
            found["back"] = await self.median(PROGRAMS["back"], frame, back=True) - found["fetched"]
        except RuntimeError as error:
            found["failed"] = str(error).splitlines()[0][:80]
        return found

    async def memory(self, kind: str, rows: int) -> dict[str, Any]:
        """MB that kernel and worker hold before, at most while the table goes in and comes back, and after."""
        frame = frame_of(kind, rows)
        await self.turn(NOTHING, frame)
        await (await self.session.pool(self.settings))[0].ensure_started()
        before = resident()
        found: dict[str, Any] = {"kind": kind, "rows": rows, "before": before}
        for what, back in (("fetched", False), ("back", True)):
            with Watch() as watch:
                found[f"{what}_seconds"] = await self.turn(PROGRAMS[what], frame, back=back) - self.floor
            found[what] = watch.most
        await self.turn(NOTHING, frame)
        found["after"] = resident()
        return found


class Watch:
    """The most memory that kernel and worker hold."""

    def __enter__(self) -> Watch:
        self.most, self._over = (0, 0), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = tuple(map(max, self.most, resident()))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def resident() -> tuple[int, int]:
    """MB that this process holds, and those that it started."""
    me = os.getpid()
    started = {pid for task in Path(f"/proc/{me}/task").iterdir() for pid in _words(task / "children")}
    return _held(str(me)), sum(_held(pid) for pid in started)


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # it ended meanwhile
        return []


def _held(pid: str) -> int:
    words = _words(Path(f"/proc/{pid}/status"))
    return int(words[words.index("VmRSS:") + 1]) // 1000 if "VmRSS:" in words else 0


async def measure(options: argparse.Namespace, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    limits = Limits(memory_bytes=parse_memory(options.memory), run_seconds=600)
    settings = Settings(backend=options.backend, limits=limits, max_retries=0)
    found: dict[str, Any] = {"backend": options.backend, "memory": options.memory, "rounds": options.rounds}
    async with Session(tools=[]) as session:
        bench = Bench(session, settings, options.rounds)
        empty = pd.DataFrame({"a": [1]})
        await bench.turn(NOTHING, empty)
        bench.floor = await bench.median(NOTHING, empty)
        found["cases"] = []
        for size in options.sizes:
            for kind in KINDS:
                case = await bench.case(kind, int(size * 1e6 / COLUMNS / WIDTH))
                found["cases"].append(case)
                tell(case)
        found["memory"] = [await bench.memory(kind, options.rows) for kind in ("numbers", "a mix of these")]
    return found


def line(case: dict[str, Any]) -> None:
    """One row of the table that is printed."""
    cells = [f"{case['kind']:<20} {case['rows']:>9,} {case['mb']:>6.1f}"]
    for name in ("fetched", "rows_too", "back"):
        if name in case:
            took = max(case[name], 1e-4)
            cells.append(
                f"{took:>8.2f} s {case['rows'] / took:>10,.0f}/s {case['mb'] / took:>6.1f} MB/s {took / case['csv']:>6.2f}"
            )
    print(" | ".join([*cells, *([case["failed"]] if "failed" in case else [])]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["embedded", "hyperlight"], default="embedded")
    parser.add_argument("--sizes", type=float, nargs="*", default=[1, 10, 100], help="megabytes")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the tables whose memory is watched")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="256Mi", help="of the guest")
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.backend}, "
        f"a guest of {options.memory}; medians of {options.rounds}; the ratios are to CSV in one process\n"
    )
    print(f"{'table':<20} {'rows':>9} {'MB':>6} | {'fetched':<41} | {'and looped over by rows':<41} | and handed back")
    found = asyncio.run(measure(options, line))
    print(f"\n{options.rows:,} rows, once; MB held by kernel and worker, at most:")
    for row in found["memory"]:
        parts = [f"{name} {row[name][0]:,} + {row[name][1]:,}" for name in ("before", "fetched", "back", "after")]
        seconds = f"fetched in {row['fetched_seconds']:.1f} s, there and back in {row['back_seconds']:.1f} s"
        print(f"{row['kind']:<20} {seconds}; {', '.join(parts)}")
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
