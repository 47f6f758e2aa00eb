"""The options file of a folder: one that is made to exhaust the kernel costs it a sentence, and no variable is lost.

Everything runs in an IPython of its own, with little memory to spare.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import codeact_kernel

from .attempts import attempt

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured as on Linux")

SECONDS, MEGABYTES = 5, 200
PLACES = (Path(codeact_kernel.__file__).parents[1], Path(codeact_kernel.__file__).parents[1] / "extension")

SHELL = """
import resource, sys, time
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10

shell = InteractiveShell.instance(colors="NoColor")
shell.run_cell("kept = 6 * 7\\n%load_ext codeact\\n%codeact help")
space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (space + (500 << 20), resource.RLIM_INFINITY))
before, start = peak(), time.process_time()
print("\\nBEGIN")
shell.run_cell(sys.argv[1])
print("\\nEND", time.process_time() - start, peak() - before)
shell.run_cell("print('kept is', kept)")
"""


@dataclass(frozen=True)
class Ran:
    """What a cell printed, what it took, and whether the kernel went on afterwards."""

    printed: str
    seconds: float
    megabytes: float
    goes_on: bool


def run_cell(cell: str, folder: Path) -> Ran:
    """Run a cell in a new IPython that has loaded the extension, in this folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PLACES))}
    done = subprocess.run(
        [sys.executable, "-P", "-c", SHELL, cell],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    printed, _, after = done.stdout.partition("\nBEGIN\n")[2].partition("\nEND ")
    seconds, megabytes = (float(word) for word in after.split()[:2])
    return Ran(printed.strip(), seconds, megabytes, "kept is 42" in after)


def assert_one_sentence(ran: Ran, said: str) -> None:
    """The kernel said so in one line, quickly, and goes on."""
    assert said in ran.printed
    assert len(ran.printed.splitlines()) == 1, ran.printed
    assert len(ran.printed) < 1_000
    assert_cheap(ran)


def assert_cheap(ran: Ran) -> None:
    assert ran.seconds < SECONDS
    assert ran.megabytes < MEGABYTES
    assert ran.goes_on


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a stranger sends it, in the user's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    folder = tmp_path / "from a stranger"
    folder.mkdir()
    return folder


SHAPES = {
    "dotted": "a." * 30_000 + "a = 1\n",
    "header": "[" + "a." * 30_000 + "a]\n",
    "array": "[[" + "a." * 30_000 + "a]]\n",
    "quoted": '"\\"" . ' * 9_000 + "a = 1\n",
    "inline": "limits = {" + "a." * 30_000 + "a = 1}\n",
}


PLAINLY = """
import pathlib, tomllib
try:
    tomllib.loads(pathlib.Path("codeact.toml").read_text())
except MemoryError:
    print("MemoryError")
"""


def test_a_key_of_very_many_parts_does_exhaust_a_parser_that_takes_it(folder):
    """The control: without our check, the same file ends in a MemoryError at the best."""
    (folder / "codeact.toml").write_text(SHAPES["dotted"])
    ran = run_cell(PLAINLY, folder)
    assert "MemoryError" in ran.printed
    assert ran.megabytes > MEGABYTES


@pytest.mark.parametrize(
    "shape", [shape if shape == "dotted" else pytest.param(shape, marks=pytest.mark.full) for shape in SHAPES]
)
@attempt("K5.parts", "brings a codeact.toml with a key of 30,000 parts, written in five ways")
def test_a_key_of_very_many_parts_is_one_sentence(folder, shape):
    (folder / "codeact.toml").write_text(SHAPES[shape])
    ran = run_cell("%codeact config", folder)
    assert_one_sentence(ran, "codeact.toml has a key of more than 32 parts in line 1, so it is not read")


@attempt("K5.project", "brings such a key in a pyproject.toml of other tools that contains our name")
def test_a_pyproject_of_other_tools_with_such_a_key_is_passed_over(folder):
    (folder / "pyproject.toml").write_text("[tool.lint]\ncodeact = 1\n" + SHAPES["dotted"])
    ran = run_cell("%codeact config", folder)
    assert_cheap(ran)
    assert "is not read" not in ran.printed
    (folder / "pyproject.toml").write_text("# [tool.codeact]\n" + "[x]\ny = {" + SHAPES["dotted"] * 4)
    assert_cheap(run_cell("%codeact config", folder))


@attempt("K5.long", "brings options files of a megabyte and more, with one line, with many tables, or endless")
@pytest.mark.full
def test_a_file_that_is_too_long_is_one_sentence(folder):
    for text in ("#" * (3 << 20), "[a]\n" * (1 << 18), "x = " + "[" * (1 << 20), "y = '''" + "\n" * (1 << 20)):
        (folder / "codeact.toml").write_text(text)
        ran = run_cell("%codeact config", folder)
        assert_one_sentence(ran, "codeact.toml has more than 65,536 bytes, so it is not read: shorten it.")
    (folder / "codeact.toml").unlink()
    (folder / "codeact.toml").symlink_to("/dev/zero")
    assert_cheap(run_cell("%codeact config", folder))


@attempt("K5.largest", "brings the slowest files that are still parsed")
@pytest.mark.full
def test_the_worst_file_that_is_parsed_is_cheap(folder):
    lines = "".join(f"n{number:x}{'.a' * 31} = []\n" for number in range(2_000))
    for name, size in (("codeact.toml", 65_000), ("pyproject.toml", 130_000)):
        (folder / name).write_text("[codeact." + "a." * 30 + "a]\n" + lines[:size].rpartition("\n")[0] + "\n[z]\n")
        assert_cheap(run_cell("%codeact config", folder))
        (folder / name).unlink()


@attempt("K5.everywhere", "brings a hundred folders with a pyproject.toml that takes long to parse")
@pytest.mark.full
def test_very_many_files_on_the_way_up_are_one_sentence(folder):
    lines = "".join(f"n{number:x}{'.a' * 31} = []\n" for number in range(1_800))
    below = folder
    for _ in range(100):
        (below / "pyproject.toml").write_text(f"[x.codeact]\n{lines}[z]\n")
        below /= "d"
        below.mkdir()
    assert_one_sentence(run_cell("%codeact config", below), "put a codeact.toml beside the notebook")
