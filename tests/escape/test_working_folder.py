"""The working folder and the modules in it: our code imports none of them, the user's code imports them as ever.

The folder is as hostile as it can be: before anybody looks for a module, one of that name is written there. So every
import after the start is tried, those of installed packages, of the standard library, and of what is not installed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..model.conftest import FakeEndpoint, endpoint
from ..network.conftest import Server, new_server, server
from ..notebook.conftest import Notebook, bare_environment
from ..notebook.test_kernel import start
from .attempts import attempt

__all__ = ["endpoint", "new_server", "server"]

KERNELS = (pytest.param("python3", marks=pytest.mark.full), "codeact")

PLANTS = """
import os, sys
import timeit  # what IPython itself imports for a cell's magic is IPython's: here it is there already

class Plants:
    "Writes a module of the name that is looked for into the working folder, just before any finder looks."
    folder, asked = os.getcwd(), []

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        file = os.path.join(cls.folder, name + ".py")
        if path is None and name not in sys.modules:
            cls.asked.append(name)
            if not os.path.exists(file):
                with open(file, "w") as out:
                    out.write(f"open('ran-{name}', 'w').close()\\nraise ImportError('{name} was planted')\\n")
            if cls.folder in sys.path_importer_cache:
                sys.path_importer_cache[cls.folder].invalidate_caches()

sys.meta_path.insert(0, Plants)
sys.path.insert(0, "")  # some front ends put it before the standard library, too
"""
TOOLS = """
from codeact import tool
%config CodeAct.approval_ui = "stdin"

@tool(read_only=True)
def orders(user_id: int) -> list[dict[str, float]]:
    "Orders of one user."
    return [{"id": n, "total": 10.0 * n} for n in range(user_id)]

@tool
async def wait(seconds: float) -> float:
    "Wait."
    return seconds

@tool
def fail(n: int) -> int:
    "Raises."
    raise ValueError(f"no {n} in /home/me/file")

@tool(approval_mode="always_require")
def pay(amount: float) -> float:
    "Pay."
    return amount
"""
EVERYTHING = """
import json
show('# hello **you**', kind='markdown')
show([{'a': 1, 'b': 2.5}], title='a table')
show({'a': [1, {'b': None}]}, kind='json')
show([{'x': n, 'y': n * n} for n in range(5)], chart='line', x='x', y='y', title='a chart')
open('/output/notes.txt', 'w').write('notes')
open('/input/w/made-by-the-program.txt', 'w').write('made')
try:
    fail(n=1)
except ToolFailed as error:
    print(error)
print(http_get('{url}/hello').status)
totals = [{'user': n, 'total': sum(row['total'] for row in orders(user_id=n))} for n in range(4)]
[pay(amount=1.5), totals]
"""
COMMANDS = ("status", "doctor", "tools", "config", "approvals", "prompt Hello.", "traceback", "help",
            "history", "history Go", "show 1", "usage", "model x")  # fmt: skip


NOTEBOOK = """{"cells": [{"cell_type": "code", "execution_count": null, "id": "a", "metadata": {}, "outputs": [],
"source": "1 + 1"}], "metadata": {"kernelspec": {"name": "codeact", "display_name": "CodeAct", "language": "python"}},
"nbformat": 4, "nbformat_minor": 5}"""
INSTALLED = ("openai", "h11", "httpx", "anyio", "pydantic", "nbclient", "nbconvert", "nbformat", "jupyter_client", "tqdm",
             "traitlets", "wasmtime", "markdown_it", "pygments", "IPython", "ipykernel", "zmq", "tornado", "jinja2")  # fmt: skip
USERS = """
from codeact import tool
@tool
def first() -> str:
    "First."
    import lazily
    return lazily.value
@tool
async def second() -> str:
    "Second."
    import awaited
    return awaited.value
@tool(thread_safe=True)
def third() -> str:
    "Third."
    import threaded
    return threaded.value
@tool
def fourth() -> int:
    "Fourth."
    import helper
    return helper.find()
"""


Opened = tuple[Notebook, Path]


@pytest.fixture
def opened(tmp_path: Path, endpoint: FakeEndpoint) -> Iterator[Callable[..., Opened]]:
    """Starts a kernel, whose model is asked over HTTP, in a folder that holds these files."""
    endpoint.offers("m")
    notebooks: list[Notebook] = []

    def open_kernel(kernel: str, *, load: bool = True, **files: str) -> Opened:
        folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
        folder.mkdir()
        elsewhere.mkdir()
        for name, text in files.items():
            (folder / f"{name}.py").write_text(text)
        environment = {
            "XDG_DATA_HOME": str(elsewhere),
            "IPYTHONDIR": str(elsewhere / "ipython"),
            "OPENAI_BASE_URL": endpoint.url,
        }
        if kernel == "codeact":
            notebooks.append(start(elsewhere, folder, **environment))
        else:
            notebooks.append(Notebook(folder, **environment))
            if load:
                notebooks[-1].do("%load_ext codeact")
        return notebooks[-1], folder

    yield open_kernel
    for notebook in notebooks:
        notebook.close()


def answer(endpoint: FakeEndpoint, *programs: str) -> None:
    """Let the model write these programs."""
    endpoint.replies.clear()
    for program in programs:
        text = endpoint.chunk(f"```python\n{program}\n```\n")
        endpoint.answers(endpoint.stream(text, endpoint.chunk(finish="stop"), endpoint.usage(1, 1)))


def ran(folder: Path) -> list[str]:
    return sorted(path.name.removeprefix("ran-") for path in folder.glob("ran-*"))


def use_everything(nb: Notebook, endpoint: FakeEndpoint, server: Server) -> None:
    """Reach the late imports of our code: all that a program can do, all kinds of ends and questions, the commands."""
    nb.do(TOOLS)
    answer(endpoint, "1 / 0", EVERYTHING.replace("{url}", server.url))
    cell = nb.run(f"%%codeact --mount .:/w:rw --allow-domain {server.url} --out totals\nGo.", answers=["y"])
    assert cell.status == "ok", cell.everything
    assert nb.get("list(totals.columns)") == ["user", "total"]
    answer(endpoint, "(len(totals), pay(amount=2))")
    nb.do("%config CodeAct.approval_ui = 'auto'")  # the card, which no page shows: then it is asked with input()
    assert "ToolDenied" in nb.run("%%codeact --in totals --max-retries 0\nGo.", answers=["n"]).everything
    endpoint.replies.clear()
    endpoint.fails(401, "no such key")
    assert nb.run("%%codeact\nGo.").status == "error"
    for command in COMMANDS:
        nb.run(f"%codeact {command}")
    for text in ("%%codeact --ti", "%codeact do", "@tool(appr"):
        nb.complete(text)
    nb.run("_codeact")


@pytest.mark.parametrize("name", KERNELS)
@attempt("K6.every-import", "plants a module for each name that is imported, in the working folder and during the turn")
def test_no_import_of_our_code_finds_a_module_of_the_working_folder(opened, endpoint, server, name):
    nb, folder = opened(name)
    nb.do(PLANTS)
    use_everything(nb, endpoint, server)
    asked = set(nb.get("sorted(set(Plants.asked))"))
    assert asked >= {"openai", "markdown_it", "anywidget", "pandas", "genai_prices"}, sorted(asked)
    planted = nb.get("sorted(name for name in Plants.asked if name not in sys.modules)")
    assert planted, "the control: some of these modules are not installed, so only the folder has them"
    assert ran(folder) == [], f"of {sorted(asked)}"


def test_without_the_guard_the_same_modules_do_run(opened, endpoint, server):
    """The control."""
    nb, folder = opened("python3", load=False)
    nb.do("import codeact_kernel.import_guard as guard\nguard.install = lambda: None\n%load_ext codeact")
    nb.do(PLANTS)
    nb.run(TOOLS)
    answer(endpoint, "show('# hello', kind='markdown')")
    nb.run("%%codeact --mount .:/w:rw\nGo.")
    assert {"pydantic", "difflib"} & set(ran(folder))


ESCAPE = """
open('/input/w/markdown_it.py', 'w').write("open('ran-markdown_it', 'w').close()\\nraise ImportError")
show('# hello', kind='markdown')
"""


@pytest.mark.parametrize("name", KERNELS)
@attempt(
    "B9.module",
    "writes a module with the name of a kernel module into the working folder, mounted rw, and makes the kernel import it",
)
def test_a_module_that_a_program_writes_into_the_working_folder_is_not_imported(opened, endpoint, name):
    nb, folder = opened(name)
    answer(endpoint, ESCAPE)
    cell = nb.run("%%codeact --mount .:/w:rw\nGo.")
    assert cell.status == "ok", cell.everything
    assert "<h1" in cell.everything, "the Markdown was shown"
    assert (folder / "markdown_it.py").exists()
    assert ran(folder) == []
    nb.run("import markdown_it")  # the control: the user's own import does find it, as in any Python kernel
    nb.run("import sys; sys.modules.pop('markdown_it', None)")
    nb.run("import markdown_it")
    assert ran(folder) == ["markdown_it"]


@pytest.mark.parametrize("name", KERNELS)
@attempt(
    "K6.fresh",
    "sends a folder with modules named like ours and like installed and missing packages, and a first prompt",
)
def test_a_first_prompt_in_a_strangers_folder_runs_none_of_its_modules(opened, endpoint, name):
    names = ("codeact_kernel", "openai", "h11", "anyio", "httpx", "httpx2", "anywidget", "ipywidgets", "markdown_it",
             "mdurl", "pandas", "numpy", "pygments", "pydantic", "brotli", "zstandard", "socksio", "h2", "orjson")  # fmt: skip
    leaves = {name: f"open('ran-{name}', 'w').close()\nraise ImportError\n" for name in names}
    nb, folder = opened(name, **leaves)
    answer(endpoint, "show('# hello', kind='markdown')\n1")
    cell = nb.run("%%codeact\nSay hello.", answers=[])
    assert cell.status == "ok", cell.everything
    nb.run("%codeact doctor")
    assert ran(folder) == []


@pytest.mark.parametrize(
    "way",
    [
        "the command",
        pytest.param("python -P -m", marks=pytest.mark.full),
        pytest.param("python -m", marks=pytest.mark.full),
    ],
)
@attempt("K6.command", "has `doctor`, `list` and `run` started in a folder with modules of each kind")
def test_our_commands_import_nothing_of_the_folder_they_are_started_in(tmp_path, endpoint, way):
    folder = tmp_path / "folder"
    folder.mkdir()
    program = [str(Path(sys.executable).with_name("codeact-kernel"))]
    names = {*sys.stdlib_module_names, *INSTALLED, "brotli", "zstandard", "orjson"}
    if way != "the command":
        program = [sys.executable, *way.split()[1:], "codeact_kernel"]
    if way == "python -m":  # what Python itself imports before it comes to us
        code = "import __future__, runpy, sys, typing; print(*sys.modules)"
        names -= {*subprocess.check_output([sys.executable, "-P", "-c", code], text=True).split()}
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(folder / f'ran-{name}')!r}, 'w').close()\nraise ImportError\n")
    (folder / "n.ipynb").write_text(NOTEBOOK)
    environment = bare_environment(tmp_path / "elsewhere") | {"OPENAI_BASE_URL": endpoint.url}
    for command in (("doctor", "--json"), ("list",), ("run", "n.ipynb", "--html", "n.html")):
        done = subprocess.run(
            [*program, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout, done.stderr
        assert ran(folder) == [], command
    assert (folder / "n.html").exists()


def test_packages_are_found_although_a_library_took_the_method_of_the_stock_finder():
    """As importlib_metadata does when it is imported before the guard is in place."""
    code = (
        "from importlib.machinery import PathFinder; del PathFinder.find_distributions\n"
        "from codeact_kernel import import_guard; import_guard.install()\n"
        "from importlib.metadata import version; print(version('pydantic'))"
    )
    assert subprocess.check_output([sys.executable, "-P", "-c", code], text=True).startswith("2.")


@pytest.mark.parametrize("name", KERNELS)
def test_the_users_own_imports_work_as_in_the_stock_kernel(opened, endpoint, name):
    """From a cell, from a tool of each kind, from a thread, reloaded; and a module that hides an installed one."""
    files = {name: f"value = {name!r}" for name in ("mine", "lazily", "awaited", "threaded", "started", "mdurl")}
    nb, folder = opened(
        name, **files, helper="def find():\n    import nested\n    return nested.value", nested="value = 1"
    )
    nb.do(USERS)
    answer(endpoint, "[first(), second(), third(), fourth()]")
    nb.do("%%codeact\nGo.")
    assert nb.get("codeact.results[-1].value") == ["lazily", "awaited", "threaded", 1]
    nb.do("import threading, importlib, sys, mine, mdurl")
    assert nb.get("[mine.value, mdurl.value]") == ["mine", "mdurl"]
    nb.do("thread = threading.Thread(target=importlib.import_module, args=('started',)); thread.start(); thread.join()")
    assert nb.get("sys.modules['started'].value") == "started"
    (folder / "mine.py").write_text("value = 'changed'  # longer")
    nb.do("importlib.reload(mine)")
    assert nb.get("mine.value") == "changed"
    nb.do("%load_ext autoreload\n%autoreload 2")
    (folder / "mine.py").write_text("value = 'changed once more'")
    nb.do("pass")
    assert nb.get("mine.value") == "changed once more"


@attempt("B9.environment", "writes into the virtual environment, the IPython folder and our package inside an rw mount")
def test_a_program_cannot_change_code_that_kernels_run(opened, endpoint, tmp_path):
    nb, folder = opened("python3")
    nb.do("import codeact_kernel.import_guard as guard, os, sys\nfrom pathlib import Path")
    for place in ("env/lib/site-packages", "env2"):
        (folder / place).mkdir(parents=True)
    nb.do("places = [os.path.realpath('env'), os.path.realpath('not/yet/there')]")
    nb.do("import codeact_kernel.access.mounts as mounts\nmounts.protected_folders = lambda: tuple(places)")
    answer(endpoint, WRITES)
    cell = nb.run("%%codeact --mount .:/w:rw\nGo.")
    assert nb.get("codeact.results[-1].value") == ["PermissionError"] * 9 + ["done"], cell.everything
    assert sorted(path.name for path in folder.iterdir()) == ["env", "env2", "not"]
    assert [*(folder / "env").rglob("*.py"), *(folder / "not").rglob("*.py")] == []


WRITES = """
import os, shutil
def tried(act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        return type(error).__name__
    return "done"
def write(path):
    with open(path, "w") as file:
        file.write("x")
w = "/input/w"
os.makedirs(f"{w}/not/yet")
[
    tried(write, f"{w}/env/lib/site-packages/markdown_it.py"),
    tried(write, f"{w}/ENV/lib/site-packages/markdown_it.py") if os.path.exists(f"{w}/ENV") else "PermissionError",
    tried(write, f"{w}/env/pyvenv.cfg"),
    tried(os.mkdir, f"{w}/env/new"),
    tried(os.rename, f"{w}/env", f"{w}/away"),
    tried(os.rename, f"{w}/env2", f"{w}/env/bin"),
    tried(os.rename, f"{w}/not", f"{w}/away"),
    tried(os.mkdir, f"{w}/not/yet/there"),
    tried(os.rmdir, f"{w}/env/lib/site-packages"),
    tried(write, f"{w}/env2/free.txt"),
]
"""
