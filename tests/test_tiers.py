"""The tiers of the suite: a fast test that starts a process fails, and what is left out of a run is only left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from . import tiers

HERE = Path(__file__).parent


def test_a_fast_test_cannot_start_a_process():
    with pytest.raises(RuntimeError, match=r"test_tiers\.py::.* is in the fast tier and starts a process .*: mark it"):
        subprocess.run([sys.executable, "-c", ""], check=True)
    with pytest.raises(RuntimeError, match="starts a process"):
        os.system("true")


@pytest.mark.process
def test_a_test_that_is_marked_so_can():
    subprocess.run([sys.executable, "-c", ""], check=True)


@pytest.mark.parametrize(
    ("file", "marks", "is_full"),
    [
        ("tools/test_results.py", [], False),
        ("tools/test_results.py", ["full"], True),
        ("browser/test_card.py", [], True),
        ("browser/test_card.py", ["smoke"], False),
        ("browser/test_card.py", ["smoke", "full"], True),
        ("sandbox/test_contract.py", ["hyperlight"], False),
        ("files/test_programs.py", ["hyperlight"], True),
        ("files/test_programs.py", ["hyperlight", "smoke"], False),
        ("science/test_frames.py", ["science"], True),
    ],
)
def test_pages_and_micro_vms_run_their_smoke_tests_on_every_change_and_the_rest_in_full(file, marks, is_full):
    assert tiers.is_full(PurePosixPath(file), marks) is is_full


@pytest.mark.parametrize(
    ("file", "marks", "is_full"),
    [
        ("science/test_frames.py", ["science"], False),
        ("science/test_frames.py", ["science", "full"], True),
        ("escape/test_files.py", ["science"], True),
        ("escape/test_files.py", ["science", "smoke"], False),
    ],
)
def test_the_run_of_the_science_guest_tests_the_guest_and_a_part_of_all_else(file, marks, is_full):
    assert tiers.is_full(PurePosixPath(file), marks, is_science_run=True) is is_full


@pytest.mark.parametrize("names", [tiers.FAST, tiers.NOT_FAST, tiers.FIRST, [tiers.PAGES], tiers.BOUNDARY])
def test_every_file_and_folder_of_a_tier_exists(names):
    assert [name for name in names if not (HERE / name).exists()] == []


@pytest.mark.process
def test_a_file_that_is_named_runs_whole_and_a_folder_without_its_full_tests():
    assert count("tests/soak") == 0 < count("tests/soak/test_soak.py") == count("tests/soak", "--full")


def count(*arguments: str) -> int:
    """Return how many tests are selected."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True)
    return sum(int(line.rpartition(": ")[2]) for line in done.stdout.splitlines() if line.startswith("tests/"))
