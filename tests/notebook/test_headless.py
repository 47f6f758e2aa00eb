"""Front ends that show no card: a console asks on stdin; where nobody is, the answer is no, at once, and the run is red."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from .conftest import bare_environment, console

SETUP = '''
%load_ext codeact
import codeact
from codeact import tool

dropped = []
@tool(approval_mode="always_require")
def drop(table: str) -> str:
    """Drop a table."""
    dropped.append(table)
    return f"dropped {table}"

codeact.use(codeact.ScriptedModel(["```python\\ndrop('old')\\n```"] * 3))
'''
NBCLIENT = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], 4)
try:
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
finally:
    nbformat.write(notebook, sys.argv[1])
"""


@pytest.fixture
def notebook(tmp_path):
    # The second cell warms the sandbox up, so that the third shows what a denial takes.
    cells = [SETUP, "%codeact status", "import time; began = time.time()", "%%codeact --max-retries 0\nGo."]
    file = tmp_path / "notebook.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell.strip()) for cell in cells]), file)
    return file


@pytest.mark.parametrize("runner", ["nbclient", pytest.param("papermill", marks=pytest.mark.full)])
def test_a_batch_run_is_denied_at_once_with_the_three_ways_to_allow_and_ends_red(notebook, tmp_path, runner):
    command = {
        "nbclient": [sys.executable, "-c", NBCLIENT, str(notebook)],
        "papermill": [sys.executable, "-m", "papermill", "-k", "python3", str(notebook), str(notebook)],
    }[runner]
    done = subprocess.run(
        command, env=bare_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    said = done.stderr + done.stdout
    for way in ("--allow drop", "CODEACT_ALLOW=drop", 'c.CodeAct.allow = ["drop"]'):
        assert way in said, said[-3000:]
    saved = nbformat.read(notebook, 4)
    assert "widgets" not in saved.metadata
    outputs = saved.cells[-1].outputs
    shown = [output for output in outputs if output.output_type == "display_data"]
    assert len(shown) == 1
    assert "application/vnd.jupyter.widget-view+json" not in shown[0].data
    assert "denied, nobody could be asked" in shown[0].data["text/plain"]


def test_a_batch_run_that_was_allowed_beforehand_is_green(notebook, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", NBCLIENT, str(notebook)],
        env=bare_environment(tmp_path) | {"CODEACT_ALLOW": "drop"}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "dropped old" in nbformat.read(notebook, 4).cells[-1].outputs[0].data["text/plain"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal to type into")
def test_a_console_asks_on_stdin(tmp_path):
    (tmp_path / "setup.ipy").write_text(SETUP)
    with console(tmp_path, "python3") as terminal:
        terminal.sendline("%run -i setup.ipy")
        terminal.expect(r"In \[2\]:")
        terminal.sendline("get_ipython().run_cell_magic('codeact', '--max-retries 0', 'Go.')")
        terminal.expect("Allow drop")
        terminal.sendline("not today")
        terminal.expect("ToolDenied: not today")
        terminal.expect(r"In \[3\]:")
        terminal.sendline("print('dropped', dropped, codeact.results[-1].calls[0].decision.by)")
        terminal.expect(r"dropped \[\] user")
