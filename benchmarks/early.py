"""What is gained when a program begins while the model still writes it: the headline task with and without.

    python benchmarks/early.py [--rounds 5] [--json FILE]

Both run in turn, against the oracle of `benchmarks/headline`, with the program that looks each rate up once: its first
three statements only read, so they can run while the loop below them is still being written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).with_name("headline")))

from oracle import Oracle, Pace
from ours import Ours
from workload import fault, world

STYLE, SPEEDS, LATENCIES = "rates once", (40, 80), (0.0, 0.1, 0.5)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = "none"
    oracle = Oracle()
    arms = {wait: Ours("embedded", oracle.url, "oracle") for wait in (False, True)}
    arms[True]._settings = replace(arms[True]._settings, wait=True)
    rows: list[dict[str, float]] = []
    for speed in SPEEDS:
        for latency in LATENCIES:
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for number in range(options.rounds + 1):
                for wait, arm in arms.items():
                    oracle.begin(STYLE, Pace(tokens_per_second=speed))
                    run = await arm.run(users=8, latency=latency, kind="async", marked=True)
                    if problem := fault(run["answer"], world(8)):
                        sys.exit(f"A wrong answer: {problem}")
                    if number:  # the first is to get warm
                        seconds[wait].append(run["wall"])
            early, late = median(seconds[False]), median(seconds[True])
            rows.append({"tokens_per_second": speed, "latency": latency, "early": early, "wait": late})
            print(
                f"{speed} tokens/s, tools {latency * 1000:3.0f} ms: {early:.2f} s, with --wait {late:.2f} s", flush=True
            )
    if options.json:
        options.json.write_text(json.dumps({"rounds": options.rounds, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
