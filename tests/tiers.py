"""The tiers of the suite: which tests run without a process, which on every change, and which only before a release.

- *fast* (`scripts/test --fast`): no process is started, and a test of the tier that starts one fails.
- *default* (`scripts/test`): all tests that are not in the full tier.
- *full* (`scripts/test --full`): everything.

A test is in the full tier if it is marked `full`, or if it belongs to a group from which only the tests marked `smoke`
run on every change: tests that drive a page, and tests in a micro-VM or in the science guest that are not about that
boundary or guest. Outside of their own run, `scripts/test --science`, all tests in the science guest are in the full tier.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

__all__ = ["is_fast", "is_full", "rank"]

FAST = (
    "access", "approval", "benchmarks", "bridge", "configuration", "frameworks", "fuzz", "guest", "keep", "model", "network",
    "render", "secrets", "show", "sources/openapi", "tools", "wire", "architecture/test_sizes.py", "files/test_folder.py", "files/test_output.py",
    "jupyter/test_specs.py",
    "memory/test_prices.py", "memory/test_result_json.py", "sandbox/test_readable.py", "sandbox/test_seccomp.py",
    "test_docs.py", "test_preflight.py", "test_prompts.py", "test_prompt_budget.py", "test_tiers.py",
)  # fmt: skip
"""Folders and files whose tests start no process, except for `NOT_FAST` and for tests that are marked `process`."""

NOT_FAST = (
    "approval/test_untrusted.py", "model/test_bounded_http.py", "network/test_guest.py", "secrets/test_canary.py", "show/test_guest.py",
    "show/test_picture.py",
)  # fmt: skip
"""Files in these folders that run programs, draw pictures or take long."""

FIRST = ("browser", "notebook", "jupyter", "escape", "show", "soak")
"""Folders with the longest files. They run first, so that both workers end at about the same time."""

PAGES = "browser"
BOUNDARY = (
    "sandbox/test_contract.py", "sandbox/test_around_the_prelude.py", "sandbox/test_hyperlight.py",
    "escape/test_interpreter.py", "science", "browser/test_science.py",
)  # fmt: skip
"""Files about a boundary or a guest itself: in a micro-VM or the science guest their tests all run on every change."""


def is_below(file: PurePosixPath, names: Iterable[str]) -> bool:
    """Tell whether a test file is one of these files or lies in one of these folders."""
    return any(file == PurePosixPath(name) or PurePosixPath(name) in file.parents for name in names)


def is_fast(file: PurePosixPath, marks: Iterable[str]) -> bool:
    """Tell whether a test starts no process."""
    is_listed = is_below(file, FAST) and not is_below(file, NOT_FAST)
    return is_listed and not {"process", "hyperlight", "science", "full"} & {*marks}


def is_full(file: PurePosixPath, marks: Iterable[str], *, is_science_run: bool = False) -> bool:
    """Tell whether a test runs only when everything runs."""
    marks = {*marks}
    if "full" in marks or ("science" in marks and not is_science_run):
        return True
    if is_below(file, BOUNDARY):
        return False
    only_smoke_tests = is_below(file, [PAGES]) or bool({"hyperlight", "science"} & marks)
    return only_smoke_tests and "smoke" not in marks


def rank(file: PurePosixPath) -> int:
    """Return the place of a test file in the order of the run."""
    return FIRST.index(file.parts[0]) if file.parts[0] in FIRST else len(FIRST)
