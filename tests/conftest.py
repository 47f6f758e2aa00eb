"""Marks: `hyperlight` needs a machine on which a micro-VM starts (`scripts/test --hyperlight` makes one), and `attempt`
counts a test as an attempt to get out, for the table of docs/escapes.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from functools import cache
from typing import Any

import pytest

REQUIRED = "TEST_CODEACT_HYPERLIGHT"
"""Set, it makes a missing micro-VM a failure rather than a reason to skip."""

RECORD = "TEST_CODEACT_ESCAPES"
"""The file to which each attempt adds a line of JSON."""


@cache
def why_no_micro_vm() -> str:
    """Why none starts here, from trying; empty when one does."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel.sandbox.precompile", "hyperlight"], capture_output=True, text=True
    )
    return (done.stderr or done.stdout).strip() if done.returncode else ""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "hyperlight: runs programs in a real micro-VM")
    config.addinivalue_line("markers", "attempt(id, tries): counts in the table of attempts")


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
