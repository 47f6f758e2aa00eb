"""A short soak of the same kind as `scripts/soak`, in a process of its own: it ends every worker that it can find."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .faults import FAULTS

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc"),
]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "extension")])
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
    )


def test_after_every_fault_the_session_answers_and_nothing_is_left_behind():
    done = python("-m", "tests.soak", str(len(FAULTS)))
    assert done.returncode == 0, done.stdout + done.stderr  # the seed is its first line
    assert f"good turns after them: {len(FAULTS)} of {len(FAULTS)}" in done.stdout


PLANTED = {
    "descriptor": ("worker_client.Worker.kill = forgetful", "left behind, descriptors: nothing"),
    "process": ("worker_client.Worker.kill = unkilled", "left behind, processes: nothing"),
    "dead worker": ("worker_client.Worker.usable = property(lambda self: True)", "good turns after them: 2 of 2"),
}
BUGGY = """
import asyncio, os
from codeact_kernel.sandbox import worker_client
from tests.soak import bench, faults, soak
from tests.soak.__main__ import table

kill = worker_client.Worker.kill
async def forgetful(self):
    os.dup(0)
    await kill(self)
async def unkilled(self):
    self._usable = False
{bug}
soak.FAULTS = {{faults.killed_with_a_call_open: faults.RECOVERED}}
print(table(asyncio.run(soak.soak(2, 1))))
for process in bench.children():
    process.kill()
"""


@pytest.mark.parametrize("what", PLANTED)
def test_a_bug_of_each_kind_would_be_noticed(what):
    bug, absent = PLANTED[what]
    done = python("-c", BUGGY.format(bug=bug))
    assert "left behind, tasks: nothing" in done.stdout, done.stderr
    assert absent not in done.stdout, done.stdout
