"""Tests marked `hyperlight` need a machine on which a micro-VM starts; `scripts/test --hyperlight` makes one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest

REQUIRED = "TEST_CODEACT_HYPERLIGHT"
"""Set, it makes a missing micro-VM a failure rather than a reason to skip."""


@cache
def why_no_micro_vm() -> str:
    """Why none starts here, from trying; empty when one does."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel.sandbox.prepare", "hyperlight"], capture_output=True, text=True
    )
    return (done.stderr or done.stdout).strip() if done.returncode else ""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "hyperlight: runs programs in a real micro-VM")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("hyperlight") and (why := why_no_micro_vm()):
        if os.environ.get(REQUIRED):
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
