"""One task by direct tool calling, by another project's CodeAct and by ours, side by side: tokens, seconds, right or wrong.

    python -m venv build/reference
    build/reference/bin/pip install --pre agent-framework-core agent-framework-openai agent-framework-hyperlight wasmtime==50.0.1
    python benchmarks/headline --reference build/reference/bin/python [--json docs/results/headline.json]
    scripts/in-vm --write docs/results -- .venv/bin/python benchmarks/headline --micro-vm --reference ... --json ...

The model is `oracle.py`, which makes no mistake; with OPENAI_BASE_URL (or OPENAI_API_KEY) and OPENAI_MODEL set it is that
one, and its tokens are those that it counts. Arms run in turn within a run, each in a process that is kept; figures are
medians. Without micro-VMs the reference's guest runs in wasmtime (the arm "stand-in"); with --micro-vm it and ours are real
micro-VMs. The exit status is 1 when any answer was wrong. To read: workload, policy, oracle, reference, ours, measure, report.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from measure import Bench, Case, Model, Scenario, about
from report import judged, merged, printed

NATIVE = (
    Case("direct"),
    Case("stand-in", "naive"),
    Case("stand-in", "rates once"),
    Case("embedded", "naive"),
    Case("embedded", "rates once"),
    Case("embedded", "naive", marked=True),
    Case("embedded", "rates once", marked=True),
)
NAIVE = tuple(case for case in NATIVE if case.style == "naive")
MICRO_VM = (Case("reference", "naive"), Case("hyperlight", "naive"), Case("hyperlight", "naive", marked=True))
SCENARIOS = (
    *(Scenario(f"{ms} ms", NATIVE, latency=ms / 1000) for ms in (0, 50, 100, 200)),
    Scenario("100 ms, synchronous tools", NAIVE, latency=0.1, kind="sync"),
    Scenario("cold", NAIVE, cold=True),
    Scenario("80 users, 50 ms", NATIVE, users=80, latency=0.05, rounds=3, waits=False),
    Scenario("800 users, 50 ms", NATIVE, users=800, latency=0.05, rounds=1, waits=False),
)
IN_MICRO_VM = (  # an emulated machine needs a second and more to restore one
    Scenario("0 ms", MICRO_VM, pause=3),
    Scenario("100 ms", MICRO_VM, latency=0.1, pause=3),
    Scenario("cold", tuple(case for case in MICRO_VM if not case.marked), cold=True, rounds=3),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", help="a Python that has agent-framework; without it only our arms run")
    parser.add_argument("--micro-vm", action="store_true", help="real micro-VMs, ours and the reference's")
    parser.add_argument("--only", nargs="+", help="names of scenarios; the others stay in the JSON as they are")
    parser.add_argument("--rounds", type=int, help="of every scenario")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    scenarios = IN_MICRO_VM if options.micro_vm else SCENARIOS
    names = [scenario.name for scenario in scenarios]
    if unknown := set(options.only or ()) - set(names):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(names)}")
    results = []
    with Bench(Model.of(os.environ), options.reference) as bench:
        for scenario in scenarios:
            if options.only and scenario.name not in options.only:
                continue
            if options.rounds:
                scenario = dataclasses.replace(scenario, rounds=options.rounds)
            results.append(bench.measured(scenario))
            print(printed(results[-1]), flush=True)
            if options.json:  # after each: a run takes long
                merged(options.json, about(bench), results, names)
    print(judged(results))
    wrong = [fault for result in results for case in result["cases"] for fault in case["faults"]]
    print("\n".join(["", *(f"WRONG: {fault}" for fault in wrong)]) if wrong else "\nEvery answer was right.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
