"""The marks, the tiers and the report of the suite.

`hyperlight` needs a machine on which a micro-VM starts (`scripts/test --hyperlight` makes one), `attempt` counts a test
as an attempt to get out, for the table of docs/escapes.md, and the other marks choose a tier: see `tiers.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings

from codeact_kernel.sandbox.guest_selector import GuestSelector

from . import tiers

HERE = Path(__file__).parent

# A busy machine takes longer than hypothesis allows an example, and no test asserts on time.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

REQUIRED = "TEST_CODEACT_HYPERLIGHT"
"""If this variable is set, a missing micro-VM is a failure and no reason to skip."""

RECORD = "TEST_CODEACT_ESCAPES"
"""Names the file to which each attempt adds a line of JSON."""

PROCESS_EVENTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system")
SLOWEST = 10
"""Number of test files that the report names."""

running_fast_test = ""
"""The id of the running test if it is in the fast tier."""


SCIENCE_REQUIRED = "TEST_CODEACT_SCIENCE"
"""If this variable is set, a missing science guest is a failure and no reason to skip."""

# What runs must not depend on what is installed or compiled here: tests name the science guest where they want it.
os.environ["CODEACT_GUEST"] = "standard"


@cache
def why_no_science() -> str:
    """Compile the science guest if that was not done yet, and return why that failed; empty when it is ready."""
    command = [sys.executable, "-P", "-m", "codeact_kernel", "guest", "install", "science"]
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stderr or done.stdout).strip() if done.returncode else ""


@cache
def why_no_micro_vm() -> str:
    """Start a micro-VM, and return why it failed; empty when it started."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel.sandbox.precompile", "hyperlight"], capture_output=True, text=True
    )
    return (done.stderr or done.stdout).strip() if done.returncode else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run all tiers of the suite, not only the default one")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "hyperlight: runs programs in a real micro-VM")
    config.addinivalue_line("markers", "science: runs programs in the science guest")
    config.addinivalue_line("markers", "attempt(id, tries): counts in the table of attempts")
    config.addinivalue_line("markers", "full: runs with --full only, or when its file is named")
    config.addinivalue_line("markers", "smoke: runs on every change, in a group that else runs with --full only")
    config.addinivalue_line("markers", "process: starts a process, in a file that is otherwise in the fast tier")
    config.addinivalue_line("markers", "fast: starts no process (set by tests/tiers.py)")
    sys.addaudithook(refuse_process_in_fast_test)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the fast tier, leave out the full one, and put the files with the longest tests first."""
    items.sort(key=lambda item: tiers.rank(test_file(item)))
    left_out: list[pytest.Item] = []
    is_science_run = bool(os.environ.get(SCIENCE_REQUIRED))
    for item in items:
        marks = [mark.name for mark in item.iter_markers()]
        if tiers.is_fast(test_file(item), marks):
            item.add_marker("fast")
        if tiers.is_full(test_file(item), marks, is_science_run=is_science_run) and not is_wanted(item, config):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in {*left_out}]


def is_wanted(item: pytest.Item, config: pytest.Config) -> bool:
    """Tell whether the command line asks for a test of the full tier: by --full, or by the name of its file."""
    names = [Path(argument.partition("::")[0]) for argument in config.args]
    return bool(config.getoption("--full")) or any((config.invocation_params.dir / name) == item.path for name in names)


def test_file(item: pytest.Item) -> PurePosixPath:
    return PurePosixPath(item.path.relative_to(HERE).as_posix())


test_file.__test__ = False  # type: ignore[attr-defined]


def refuse_process_in_fast_test(event: str, arguments: tuple[object, ...]) -> None:
    if running_fast_test and event in PROCESS_EVENTS:
        raise RuntimeError(
            f"{running_fast_test} is in the fast tier and starts a process ({arguments[0]!r}): mark it `process`."
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    global running_fast_test
    running_fast_test = item.nodeid if item.get_closest_marker("fast") else ""
    try:
        return (yield)
    finally:
        running_fast_test = ""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any]:
    report = (yield).get_result()
    mark, file = item.get_closest_marker("attempt"), os.environ.get(RECORD)
    if mark is None or file is None or report.skipped or (call.when != "call" and report.passed):
        return
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    where = params.get("programs", params.get("kernel", params.get("backend", "kernel")))
    if "browser" in item.path.parts:
        where = "page"
    line = {"id": mark.args[0], "tries": mark.args[1], "where": str(where), "contained": report.passed}
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("hyperlight") and (why := why_no_micro_vm()):
        if os.environ.get(REQUIRED):
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    if item.get_closest_marker("science") and (why := why_no_science()):
        if os.environ.get(SCIENCE_REQUIRED):
            pytest.fail(why, pytrace=False)
        pytest.skip(why)


@pytest.fixture(scope="session", autouse=True)
def standard_guest() -> Generator[None]:
    """Let `auto` mean the standard guest, for the same reason as above."""
    select = GuestSelector.select

    async def select_standard(self: GuestSelector, wanted: str, *rest: Any) -> Any:
        return await select(self, "standard" if wanted == "auto" else wanted, *rest)

    with mock.patch.object(GuestSelector, "select", select_standard):
        yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [
        report for kind in terminalreporter.stats.values() for report in kind if isinstance(report, pytest.TestReport)
    ]
    seconds = seconds_by_file(reports)
    if len(seconds) > 1:
        terminalreporter.section(f"slowest files of {seconds.total():,.0f} seconds in all")
        for file, total in seconds.most_common(SLOWEST):
            terminalreporter.write_line(f"{total:8.1f} s  {file}")


def seconds_by_file(reports: Iterable[pytest.TestReport]) -> Counter[str]:
    """Add up set-up, call and tear-down of all tests of each file."""
    seconds: Counter[str] = Counter()
    for report in reports:
        seconds[report.nodeid.partition("::")[0]] += report.duration
    return seconds
