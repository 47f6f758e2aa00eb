"""`codeact-kernel run`: a notebook executed without a front end, in a process of its own as a person runs it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import nbformat
import pytest

from ..notebook.conftest import bare_environment

TOOLS = """
import codeact
from codeact import tool

@tool
def double(n: int) -> int:
    "Twice n."
    return 2 * n

@tool(approval_mode="always_require")
def pay(amount: int) -> str:
    "Pay."
    return f"paid {amount}"

codeact.use(codeact.ScriptedModel(["sum([double(n=n) for n in range(5)])", "pay(amount=3)"]))
"""


def notebook(folder: Path, *cells: str, kernel: str = "python3") -> Path:
    spec = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=spec)
    nbformat.write(node, folder / "report.ipynb")
    return folder / "report.ipynb"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "codeact_kernel", *arguments]
    return subprocess.run(
        command, cwd=folder, env=bare_environment(folder), capture_output=True, text=True, timeout=120
    )


PROMPTS = (
    "%load_ext codeact",
    TOOLS,
    "%%codeact --max-retries 0\nAdd the doubles up.",
    "%%codeact --max-retries 0\nPay 3.",
)


def test_a_notebook_is_executed_in_its_folder_and_each_prompt_is_a_line_of_the_summary(tmp_path):
    (tmp_path / "sub").mkdir()
    file = notebook(tmp_path / "sub", *PROMPTS, "open('here', 'w').close()")
    done = run(tmp_path, "run", str(file), "--allow", "pay,double", "--html", "page.html", "--output", "done.ipynb")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "sub" / "here").exists()
    header, first, second = done.stdout.strip().splitlines()
    assert header.split() == ["prompt", "state", "calls", "denied", "tokens", "seconds"]
    assert first.startswith("Add the doubles up.")
    assert first.split()[-5:-2] == ["done", "5", "0"]
    assert second.split()[-5:-2] == ["done", "1", "0"]
    assert "Add the doubles up." in (tmp_path / "page.html").read_text()
    executed = nbformat.read(tmp_path / "done.ipynb", as_version=4)
    assert "paid 3" in str(executed.cells[3].outputs)
    assert "transient" not in (tmp_path / "done.ipynb").read_text()
    assert nbformat.read(file, as_version=4).cells[2].outputs == []


def test_what_nobody_allowed_is_denied_and_the_notebook_fails_and_is_written_all_the_same(tmp_path):
    file = notebook(tmp_path, *PROMPTS, "print('not reached')")
    done = run(tmp_path, "run", str(file), "--html", "page.html")
    assert done.returncode == 1
    assert done.stdout.splitlines()[3].split()[-5:-2] == ["denied", "1", "1"]
    assert "A cell failed: " in done.stdout
    assert "pay needs approval and nobody is here to give it" in done.stdout
    assert "nobody is here to give it" in (tmp_path / "page.html").read_text()


def test_the_bar_shows_the_cells_the_call_and_the_tokens(tmp_path):
    slow = TOOLS.replace("return 2 * n", "import time; time.sleep(0.3); return 2 * n")
    file = notebook(tmp_path, "%load_ext codeact", slow, PROMPTS[2])
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))  # a terminal has a size
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "codeact_kernel", "run", str(file)],
        cwd=tmp_path, env=bare_environment(tmp_path), stdout=subprocess.PIPE, stderr=child, text=True,
    )  # fmt: skip
    os.close(child)
    shown = b""
    try:
        while piece := os.read(parent, 65536):
            shown += piece
    except OSError:  # how Linux says that nobody holds the other end
        pass
    finally:
        os.close(parent)
    assert process.communicate(timeout=60)[0]
    assert process.returncode == 0
    text = shown.decode()
    assert "3/3 cells" in text
    assert "double(n=" in text
    assert " tokens" in text
    assert not [line for line in text.splitlines() if "WARNING" in line]


def test_a_prompt_of_the_codeact_kernel_counts_as_one(tmp_path):
    prompts = (TOOLS, "> --max-retries 0\nAdd the doubles up.", "> --max-retries 0 Pay 3.")
    file = notebook(tmp_path, *prompts, kernel="codeact-test")
    prefix = tmp_path / "prefix"
    assert run(tmp_path, "install", "--prefix", str(prefix), "--name", "codeact-test").returncode == 0
    environment = bare_environment(tmp_path) | {"JUPYTER_PATH": str(prefix / "share" / "jupyter")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel", "run", str(file), "--allow", "pay"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split("  ")[0] for line in done.stdout.strip().splitlines()[1:]] == ["Add the doubles up.", "Pay 3."]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "missing.ipynb", "cannot be read: No such file"),
        (lambda folder: folder, "cannot be read: Is a directory"),
        (lambda folder: (folder / "x.ipynb").write_text("no") and folder / "x.ipynb", "is not a notebook"),
        (lambda folder: notebook(folder, "1", kernel="nowhere"), "kernel 'nowhere' is not installed here"),
    ],
)
def test_what_cannot_be_executed_is_one_sentence(tmp_path, make, said):
    done = run(tmp_path, "run", str(make(tmp_path)))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path):
    done = run(tmp_path, "run", str(notebook(tmp_path, "1")), "--html", "missing/page.html")
    assert done.returncode == 1
    assert "missing/page.html cannot be written: No such file or directory." in done.stderr


def test_a_kernel_that_dies_is_said_to_have_died(tmp_path):
    done = run(tmp_path, "run", str(notebook(tmp_path, "import os; os._exit(3)")))
    assert done.returncode == 1
    assert "the kernel died" in done.stdout


def test_the_demo_runs_an_example_that_is_right(tmp_path):
    done = run(tmp_path, "demo", "--html", "demo.html")
    assert done.returncode == 0, done.stderr
    assert "Recorded answer of" in done.stdout
    assert [line.split() for line in done.stdout.splitlines() if "Diana" in line][-1] == ["4", "Diana", "104.4"]
    assert (tmp_path / "demo.html").stat().st_size > 10_000
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".ipynb"] == []
