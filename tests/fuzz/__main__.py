"""Looks for inputs that break a target's promise, with coverage to guide it. `scripts/fuzz` installs what it needs.

    python -m tests.fuzz [SECONDS] [--only TARGET...] [--results FILE] [--keep]

Each target starts from its corpus and runs for so many seconds, as many at a time as there are processors. What is
found goes to `build/fuzz/TARGET/`: new inputs to `corpus/`, and `crash-...` where a promise was broken, which is also
this command's failure. The figures are JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from .targets import CORPUS, TARGETS

ROOT = Path(__file__).resolve().parents[2]
FOUND = ROOT / "build" / "fuzz"
LONGEST = 8_192
"""Bytes of an input."""
KEPT_LENGTH, KEPT_BYTES = 2_500, 14_000
"""Of an input that is kept, and of a target's corpus."""


def main() -> int:
    """Run the targets and print the figures; 1 where one of them found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="for each target")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=[*TARGETS], metavar="TARGET")
    parser.add_argument("--results", type=Path, help="where the figures go, beside the screen")
    parser.add_argument("--keep", action="store_true", help="take what was found into the corpus")
    options = parser.parse_args()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        made = dict(zip(options.only, pool.map(lambda name: fuzz(name, options.seconds), options.only), strict=True))
    if options.keep:
        for name in options.only:
            keep(name)
    figures = {
        "python": platform.python_version(),
        "atheris": version("atheris"),
        "seconds": options.seconds,
        "executions": sum(one["executions"] for one in made.values()),
        "findings": sum(len(one["findings"]) for one in made.values()),
        "targets": made,
    }
    print(json.dumps(figures, indent=1))
    if options.results:
        options.results.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if figures["findings"] else 0


def fuzz(target: str, seconds: int) -> dict:
    """Run one target in a process of its own."""
    folder = FOUND / target
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "corpus").mkdir(parents=True)
    code, said = _libfuzzer(
        target, f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=3000",
        "-print_final_stats=1", f"-dict={Path(__file__).with_name('words.dict')}", f"-artifact_prefix={folder}/",
        str(folder / "corpus"), str(CORPUS / target),
    )  # fmt: skip
    findings = sorted(path.name for path in folder.iterdir() if re.match("crash-|timeout-|oom-|leak-", path.name))
    if code:
        print(f"{target}: {said[-3_000:]}", file=sys.stderr)
        findings = findings or [f"ended with {code}"]
    return {
        "executions": _number(r"number_of_executed_units:\s*(\d+)", said),
        "edges": _number(r"cov: (\d+)", said),
        "features": _number(r"ft: (\d+)", said),
        "corpus": len(list((CORPUS / target).iterdir())),
        "new_inputs": len(list((folder / "corpus").iterdir())),
        "findings": findings,
    }


def keep(target: str) -> None:
    """Make the corpus the few inputs that reach all that it and what was found reach, the smallest first.

    What was written by hand (`seed...`) stays: it is there for a reason that coverage does not see.
    """
    fewest = FOUND / target / "fewest"
    shutil.rmtree(fewest, ignore_errors=True)
    fewest.mkdir()
    found, kept = FOUND / target / "corpus", CORPUS / target
    code, said = _libfuzzer(target, "-set_cover_merge=1", f"-max_len={KEPT_LENGTH}", str(fewest), str(kept), str(found))
    if code:
        raise SystemExit(f"{target}: {said[-3_000:]}")
    by_hand = {path.name: path.read_bytes() for path in kept.iterdir() if path.name.startswith("seed")}
    shutil.rmtree(kept)
    kept.mkdir()
    for name, content in by_hand.items():
        (kept / name).write_bytes(content)
    free = KEPT_BYTES - sum(map(len, by_hand.values()))
    for path in sorted(fewest.iterdir(), key=lambda path: path.stat().st_size):
        free -= path.stat().st_size
        if free > 0 and path.read_bytes() not in by_hand.values():
            shutil.copy(path, kept / path.name[:12])


def _libfuzzer(target: str, *options: str) -> tuple[int, str]:
    """Its exit code, and what it said."""
    folder = FOUND / target
    again = folder / "run"
    again.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m {__package__}.one "$0" {target} "$@"\n')
    again.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'extension'}"}
    with (folder / "log").open("wb") as log:
        code = subprocess.run([again, *options], stdout=log, stderr=log, cwd=ROOT, env=environment).returncode
    return code, (folder / "log").read_text(errors="replace")


def _number(pattern: str, text: str) -> int:
    """The last one: the figures are told again and again."""
    return int(([0, *re.findall(pattern, text)])[-1])


if __name__ == "__main__":
    sys.exit(main())
