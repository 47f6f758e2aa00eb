"""The small clocks: what a sandbox, a call and a computation cost, each as a ratio to something known in the same run.

    python benchmarks/small_clocks.py [--backend hyperlight] [--rounds 7] [--first-start] [--json FILE]

Absolute times differ from machine to machine and from minute to minute; the ratios are what to compare. Every answer
is checked before its time counts. `--first-start` also times a start with an empty compile cache (about 10 s of CPU).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from codeact_kernel.sandbox.pool import Pool, Sandbox
from codeact_kernel.sandbox.worker_client import RunClock, Worker
from codeact_kernel.settings import Limits
from codeact_kernel.types import CallOutcome, CallResult, JSONValue, ToolCall

CPU = {
    "loop of integers": "total = 0\nfor i in range(300_000):\n    total += i * i % 7\ntotal",
    "sorting and dicts": "d = {str(i * 7919 % 50_021): i for i in range(50_000)}\nsum(map(int, sorted(d)[:100]))",
    "json": "import json\nrows = [{'a': i, 'b': str(i)} for i in range(20_000)]\nlen(json.loads(json.dumps(rows)))",
    "strings": "' '.join(str(i) for i in range(100_000)).upper().count('9')",
    "regular expressions": "import re\nlen(re.findall(r'(\\d+)-(\\w)', '12-a 345-b ' * 20_000))",
}
IMPORTS = "import datetime, statistics, csv, json, re, hashlib, decimal, collections, itertools, dataclasses, textwrap, asyncio"
ROUND_TRIPS = """
import time
took = []
for i in range(1000):
    start = time.time()
    echo(value=i)
    took.append(time.time() - start)
took.sort()
[took[500], took[990]]
"""


async def echo(call: ToolCall) -> CallOutcome:
    return CallResult(value=call.arguments["value"])


async def run(sandbox: Sandbox, program: str) -> JSONValue:
    outcome = await sandbox.run(
        program, tools={"echo": ["value"]}, keep=False, answer=echo, write=lambda *_: None, clock=RunClock(60)
    )
    if outcome.failure is not None:
        raise RuntimeError(f"{program!r}: {outcome.failure}")
    return outcome.value


async def timed(pool: Pool, program: str, expected: JSONValue = None) -> float:
    """Seconds of `program` in a fresh guest that is ready."""
    async with pool.checkout() as sandbox:
        await sandbox.open()
        start = time.perf_counter()
        value = await run(sandbox, program)
        took = time.perf_counter() - start
    if expected is not None and value != expected:
        raise RuntimeError(f"{program!r} gave {value!r} instead of {expected!r}")
    return took


def natively(program: str) -> tuple[float, JSONValue]:
    """The same program in this CPython."""
    *lines, last = program.split("\n")
    namespace: dict[str, JSONValue] = {}
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        exec("\n".join(lines), namespace)
        value = eval(last, namespace)
    return time.perf_counter() - start, value


def bare_python() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", "1+1"], check=True)
    return time.perf_counter() - start


async def cold_start(backend: str, limits: Limits) -> float:
    start = time.perf_counter()
    worker = await Worker.start(backend, limits)
    took = time.perf_counter() - start
    await worker.kill()
    return took


def first_start() -> float:
    """From an empty compile cache to a finished program, in a process of its own."""
    program = (
        "import asyncio\nfrom codeact_kernel.session import Session\nfrom codeact_kernel.model.scripted import ScriptedModel\n"
        "async def main():\n async with Session() as s:\n"
        "  r = await s.ask('x', model=ScriptedModel(['```python\\n1+1\\n```']))\n  assert r.value == 2\n"
        "asyncio.run(main())"
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "CODEACT_CACHE": f"{folder}/c"})
        return time.perf_counter() - start


async def measure(backend: str, rounds: int, with_first_start: bool) -> list[dict[str, JSONValue]]:
    limits = Limits()
    pool = Pool(backend, limits)
    await timed(pool, "1 + 1", 2)
    median = statistics.median

    async def several(make: Callable[[], object]) -> float:
        taken: list[float] = []
        for _ in range(rounds):
            result = make()
            taken.append(await result if asyncio.iscoroutine(result) else result)  # type: ignore[arg-type]
        return median(taken)

    rows: list[dict[str, JSONValue]] = []

    def row(what: str, seconds: float, against: str, reference: float) -> None:
        rows.append({"what": what, "seconds": seconds, "against": against, "ratio": seconds / reference})

    bare = await several(bare_python)
    row(
        "a trivial program in a fresh guest that is ready",
        await several(lambda: timed(pool, "1 + 1", 2)),
        "python -I -S",
        bare,
    )

    async def turnaround() -> float:
        start = time.perf_counter()
        await timed(pool, "1 + 1", 2)
        return time.perf_counter() - start

    row("the same, including the reset of the guest before it", await several(turnaround), "python -I -S", bare)
    row("start of a worker, guest compiled", await several(lambda: cold_start(backend, limits)), "python -I -S", bare)
    if with_first_start:
        row("first start ever, guest not compiled", first_start(), "python -I -S", bare)
    trips: list[list[float]] = []
    for _ in range(rounds):
        async with pool.checkout() as sandbox:
            value = await run(sandbox, ROUND_TRIPS)
            assert isinstance(value, list)
            trips.append([float(str(item)) for item in value])
    row("one tool call, median of 1,000", median(t[0] for t in trips), "python -I -S", bare)
    row("one tool call, 99th percentile", median(t[1] for t in trips), "python -I -S", bare)
    for name, program in CPU.items():
        native = [natively(program) for _ in range(rounds)]
        expected = native[0][1]
        row(
            name,
            await several(lambda p=program, e=expected: timed(pool, p, e)),
            "native CPython",
            median(n[0] for n in native),
        )
    row(
        "12 imports from the pack, asyncio among them",
        await several(lambda: timed(pool, IMPORTS)),
        "python -I -S",
        bare,
    )
    await pool.aclose()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backend", choices=["embedded", "hyperlight"], default="embedded")
    parser.add_argument("--first-start", action="store_true")
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    rows = asyncio.run(measure(options.backend, options.rounds, options.first_start))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; medians of {options.rounds}\n"
    )
    print(f"{'what':<52} {'ms':>10}   {'ratio':>8}  against")
    for row in rows:
        print(f"{row['what']:<52} {float(str(row['seconds'])) * 1e3:>10.2f}   {row['ratio']:>8.2f}  {row['against']}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rounds": options.rounds, "python": platform.python_version(), "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
