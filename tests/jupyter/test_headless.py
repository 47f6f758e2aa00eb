"""`codeact-kernel run`: a notebook executed without a front end, in a process of its own as a user runs it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import nbformat
import psutil
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


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "codeact_kernel", *arguments]
    own = bare_environment(folder) | environment
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=120)


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


@pytest.mark.full
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


@pytest.mark.full
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
        pytest.param(lambda folder: folder, "cannot be read: Is a directory", marks=pytest.mark.full),
        pytest.param(
            lambda folder: (folder / "x.ipynb").write_text("no") and folder / "x.ipynb",
            "is not a notebook: name an",
            marks=pytest.mark.full,
        ),
        pytest.param(
            lambda folder: notebook(folder, "1", kernel="nowhere"),
            "kernel 'nowhere' is not installed here",
            marks=pytest.mark.full,
        ),
    ],
)
def test_what_cannot_be_executed_is_one_sentence(tmp_path, make, said):
    done = run(tmp_path, "run", str(make(tmp_path)))
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.full
def test_a_page_that_cannot_be_written_is_one_sentence_before_anything_runs(tmp_path):
    file = notebook(tmp_path, "open('ran', 'w').close()")
    for page, why in (("missing/page.html", "there is no folder missing"), (".", "it is a folder")):
        done = run(tmp_path, "run", str(file), "--html", page)
        assert done.returncode == 1
        assert f"{page} cannot be written: {why}." in done.stderr
    assert not (tmp_path / "ran").exists()


def test_what_a_notebook_says_is_harmless_in_a_terminal(tmp_path):
    forged = (
        "from IPython.display import publish_display_data as publish\n"
        "publish({'text/plain': ''}, transient={'codeact': {'ask': '\\x1b]52;c;eA==\\x07\\x1b[2J\\u202eask', 'state': [1], 'calls': -5}})\n"
        "raise Exception('\\x1b]0;title\\x07\\x1b[2Jgone')"
    )
    file = notebook(tmp_path, "> \x1b[2Jprompt", "print(1)", forged)
    done = run(tmp_path, "run", str(file), "--output", "done.ipynb")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "Traceback" not in done.stderr
    file = notebook(tmp_path, forged)
    done = run(tmp_path, "run", str(file))
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "gone" in done.stdout


@pytest.mark.full
def test_a_kernel_that_does_not_start_is_a_sentence_and_the_notebook_is_written(tmp_path):
    kernels = tmp_path / "jupyter" / "kernels"
    for name, argv in (("missing", ["/no/such/python"]), ("ends", [sys.executable, "-c", "pass"])):
        (kernels / name).mkdir(parents=True)
        (kernels / name / "kernel.json").write_text(
            json.dumps({"argv": [*argv, "{connection_file}"], "display_name": name, "language": "python"})
        )
        file = notebook(tmp_path, "1", kernel=name)
        done = run(tmp_path, "run", str(file), "--output", "done.ipynb", JUPYTER_PATH=str(tmp_path / "jupyter"))
        assert done.returncode == 1
        assert "A cell failed: it cannot be executed" in done.stdout or "the kernel died" in done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        assert (tmp_path / "done.ipynb").exists()
        (tmp_path / "done.ipynb").unlink()


def test_stopping_it_leaves_nothing_running_and_is_a_sentence(tmp_path):
    file = notebook(tmp_path, "open('began', 'w').close()\nimport time\ntime.sleep(600)")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "codeact_kernel", "run", str(file), "--output", "done.ipynb"],
        cwd=tmp_path, env=bare_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (tmp_path / "began").exists():
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    shown, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "A cell failed: you stopped it" in shown
    assert (tmp_path / "done.ipynb").exists()
    assert "Traceback" not in errors, errors
    assert psutil.wait_procs(children, timeout=10)[1] == []


@pytest.mark.full
def test_a_long_name_of_the_folder_for_temporary_files_is_no_obstacle(tmp_path):
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    assert run(tmp_path, "run", str(notebook(tmp_path, "1")), TMPDIR=str(deep)).returncode == 0


@pytest.mark.full
def test_a_kernel_that_dies_is_said_to_have_died(tmp_path):
    done = run(tmp_path, "run", str(notebook(tmp_path, "import os; os._exit(3)")))
    assert done.returncode == 1
    assert "the kernel died" in done.stdout


def test_the_demo_runs_an_example_that_is_right(tmp_path):
    done = run(tmp_path, "demo", "--html", "demo.html")
    assert done.returncode == 0, done.stderr
    assert "Recorded answer of" in done.stdout
    assert [line.split() for line in done.stdout.splitlines() if "Diana" in line][-1] == ["4", "Diana", "104.40"]
    assert (tmp_path / "demo.html").stat().st_size > 10_000
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".ipynb"] == []
