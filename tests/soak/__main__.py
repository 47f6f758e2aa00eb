"""`python -m tests.soak [TURNS] [--seed N] [--results FILE]`: turns with random faults, and a table of how they ended."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from pathlib import Path

from .soak import Report, soak


def main() -> int:
    """Run it; 1 where a turn went wrong or something was left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("turns", nargs="?", type=int, default=500)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--results", type=Path, help="where the figures go, beside the screen")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    report = asyncio.run(soak(options.turns, options.seed))
    print(table(report))
    if options.results:
        options.results.write_text(json.dumps(figures(report), indent=1) + "\n")
    return 0 if report.passed else 1


def table(report: Report) -> str:
    lines = [f"{'fault':31}{'turns':>6}{'s each':>8}  ended"]
    for name, ends in sorted(report.ends.items()):
        counts = ", ".join(f"{end} {count}" for end, count in ends.most_common())
        lines.append(
            f"{name.replace('_', ' '):31}{ends.total():6}{report.seconds_by_fault[name] / ends.total():8.2f}  {counts}"
        )
    lines += [f"good turns after them: {report.good} of {report.turns}, in {report.seconds:.0f} s"]
    lines += [f"left behind, {what}: {', '.join(found) or 'nothing'}" for what, found in report.left.items()]
    return "\n".join([*lines, *report.wrong])


def figures(report: Report) -> dict:
    return {
        "seed": report.seed,
        "turns": report.turns,
        "good_turns_after_them": report.good,
        "seconds": round(report.seconds),
        "wrong": report.wrong,
        "left_behind": report.left,
        "descriptors": {"before": report.descriptors[0], "after": report.descriptors[1]},
        "faults": {
            name: {
                "turns": ends.total(),
                "seconds_each": round(report.seconds_by_fault[name] / ends.total(), 2),
                "ended": dict(ends),
            }
            for name, ends in sorted(report.ends.items())
        },
    }


if __name__ == "__main__":
    sys.exit(main())
