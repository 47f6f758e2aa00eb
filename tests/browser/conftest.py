"""A real Jupyter server, a real Chromium, and a user's hands: open a notebook, run a cell, click."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ..notebook.conftest import bare_environment

expect.set_options(timeout=20_000)  # of what a page does at once, on a machine with other work
ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"
PATIENCE = 60
"""Seconds after which something that should show has hung."""
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SETUP = """
import codeact, time, asyncio, os
from codeact import tool, progress, ScriptedModel

class Slowly:
    \"\"\"A model that writes as fast as somebody reads.\"\"\"
    name, note = "slow model", ""
    def __init__(self, text): self.text = text
    async def stream(self, messages):
        from codeact_kernel.model.base import Delta
        for line in self.text.splitlines(keepends=True):
            while line.startswith("# when ") and not os.path.exists(line.split()[2]):
                await asyncio.sleep(0.05)
            yield Delta(text=line)
            await asyncio.sleep(0.2)

def script(*programs):
    codeact.use(ScriptedModel([f"```python\\n{program}\\n```" for program in programs]))

dropped = []
@tool(approval_mode="always_require")
def drop(table: str, rows: int = 0, force: bool = False) -> str:
    \"\"\"Drop a table, for good.

    Not to be undone.
    \"\"\"
    dropped.append([table, rows, force])
    return f"dropped {table}"

@tool
def look_up(key: str) -> str:
    \"\"\"Look something up.\"\"\"
    return key.upper()

@tool
def block(seconds: float) -> str:
    \"\"\"Sleep on the main thread.\"\"\"
    print("in the tool", flush=True)
    time.sleep(seconds)
    return "slept"
"""


@pytest.fixture(scope="module")  # and no longer: its event loop would be in the way of other tests
def browser() -> Iterator[Browser]:
    # Without one on the path it is playwright's own: scripts/browser sees that there is either.
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    root = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS, *root])
        yield browser
        browser.close()


def free_port() -> int:
    """One that nobody has now. Two servers that begin to look at the same place at the same moment get in each other's way."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        return there.getsockname()[1]


class Server:
    """A Jupyter server with settings, kernels and notebooks of its own."""

    def __init__(self, folder: Path) -> None:
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        self.notebooks.joinpath("setup.py").write_text(SETUP)
        runtime = folder / "runtime"
        places = {"DATA": "data", "CONFIG": "config", "RUNTIME": "runtime"}
        environment = bare_environment(folder) | {
            f"JUPYTER_{name}_DIR": str(folder / place) for name, place in places.items()
        }
        del environment["CODEACT_CARD"]  # a user sees the default
        kernel = folder / "data" / "kernels" / "ours"
        kernel.mkdir(parents=True)
        argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel.joinpath("kernel.json").write_text(
            json.dumps({"argv": argv, "display_name": "ours", "language": "python"})
        )
        extensions = folder / "data" / "labextensions"
        extensions.mkdir()
        extensions.joinpath("codeact-kernel").symlink_to(ROOT / "labextension")  # an installed wheel puts it there
        settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        settings.joinpath("notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
        environment["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
        options = {
            "ServerApp.root_dir": str(self.notebooks), "ServerApp.port": str(free_port()), "ServerApp.port_retries": "200",
            "IdentityProvider.token": "", "ServerApp.disable_check_xsrf": "True", "ServerApp.open_browser": "False",
            "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        }  # fmt: skip
        root = ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
        self._log = (folder / "server.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *root, *(f"--{name}={value}" for name, value in options.items())],
            env=environment, stdout=self._log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True,
        )  # fmt: skip
        self.url = self._wait_for(runtime)

    def _wait_for(self, runtime: Path) -> str:
        """The server says in a file where it listens; its port is free by then, not just before."""
        deadline = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < deadline:
            for file in runtime.glob("jpserver-*.json") if runtime.exists() else ():
                try:
                    url = json.loads(file.read_text())["url"].rstrip("/")
                    urllib.request.urlopen(f"{url}/api/status", timeout=5).close()
                    return url
                except (OSError, ValueError):
                    pass
            assert self._process.poll() is None, "the server has ended: see its log"
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def end_kernels(self) -> None:
        with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=PATIENCE) as answer:
            sessions = json.load(answer)
        for session in sessions:
            request = urllib.request.Request(f"{self.url}/api/sessions/{session['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=PATIENCE).close()

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self._process.pid).children(recursive=True)
        return [child for child in children if "codeact_kernel.sandbox.worker_main" in " ".join(child.cmdline())]

    def close(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("jupyter"))
    yield server
    server.close()


class Front:
    """One notebook in one front end, with a user before it."""

    def __init__(self, page: Page, server: Server, kind: str, name: str) -> None:
        self.page = page
        self.kind = kind
        self.name = name
        self._server = server
        self.server = server.url
        self.folder = server.notebooks
        self._file = server.notebooks / f"{name}.ipynb"
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: self._note(request.url))

    def choose_kernel(self) -> None:
        """On a busy machine a front end may not see in time that its kernel has started, and asks which to take."""
        asking = self.page.locator(".jp-Dialog", has_text="Select Kernel")
        self.page.add_locator_handler(asking, lambda dialog: dialog.locator(".jp-mod-accept").click())

    def _note(self, url: str) -> None:
        if not url.startswith((self._server.url, self._server.url.replace("http", "ws"), "data:", "blob:")):
            self.foreign.append(url)

    def open(self, *cells: str) -> None:
        """A new notebook: the set-up first, then these cells."""
        self.write("%load_ext codeact\n%run -i setup.py", *cells)
        self.goto()
        self.run(0)
        self.done(0)

    def write(self, *cells: str, kernel: str = "ours") -> None:
        """A notebook with these cells."""
        notebook = new_notebook(cells=[new_code_cell(cell.strip("\n")) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        nbformat.write(notebook, self._file)

    def goto(self) -> None:
        path = f"/doc/tree/{self.name}.ipynb?reset" if self.kind == "lab" else f"/notebooks/{self.name}.ipynb"
        self.page.goto(self._server.url + path)
        self.page.wait_for_selector(".jp-Notebook", timeout=2_000 * PATIENCE)
        self.until(lambda: self.status == "idle", 2 * PATIENCE)

    def goto_again(self) -> None:
        """Reload the page; the kernel lives on."""
        self.page.reload()
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=2_000 * PATIENCE)

    @property
    def status(self) -> str | None:
        """What the notebook's status dot says."""
        dot = self.page.query_selector(".jp-Notebook-ExecutionIndicator")
        return dot and dot.get_attribute("data-status")

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def card(self, index: int = 1) -> Locator:
        return self.cell(index).locator(".ca")

    def run(self, index: int) -> None:
        """Ctrl+Enter, until the cell has really started: just after its start a front end loses one silently."""
        started = re.compile(r"\[[\d*]+\]")
        deadline = time.monotonic() + PATIENCE
        before = self.prompt(index)
        while time.monotonic() < deadline:
            self.cell(index).locator(".cm-content").first.click()
            self.page.keyboard.press("Control+Enter")
            for _ in range(20):
                if started.search(self.prompt(index)) and self.prompt(index) != before:
                    return
                time.sleep(0.05)
        raise AssertionError("the cell does not start")

    def prompt(self, index: int) -> str:
        return self.cell(index).locator(".jp-InputPrompt").inner_text()

    def done(self, index: int, seconds: float = PATIENCE) -> str:
        """The text of the cell's outputs, once it has run."""
        self.until(lambda: re.search(r"\[\d+\]", self.prompt(index)) is not None, seconds)
        return self.text(index)

    def text(self, index: int = 1) -> str:
        return "\n".join(self.cell(index).locator(".jp-OutputArea").all_inner_texts())

    def whole(self, index: int, seconds: float = PATIENCE) -> str:
        """The text of the cell's outputs once it has run, with everything open that is folded away."""
        self.done(index, seconds)
        expect(self.card(index)).to_have_count(0)  # the finished card has taken its place
        self.unfold(index)
        return self.text(index)

    def unfold(self, index: int) -> None:
        self.cell(index).locator(".jp-OutputArea details").evaluate_all(
            "nodes => nodes.forEach(n => { n.open = true; })"
        )

    def menu(self, menu: str, entry: str) -> None:
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_text(entry, exact=True).first.click()

    def save(self) -> dict[str, Any]:
        """The notebook as it stands in its file."""
        before = self._file.stat().st_mtime_ns
        self.menu("File", "Save Notebook")
        self.until(lambda: self._file.stat().st_mtime_ns > before and self._whole())
        return json.loads(self._file.read_text(encoding="utf-8"))

    def _whole(self) -> bool:
        """Whether the file is there again: the server empties it before it writes it."""
        return self._file.read_text(encoding="utf-8").rstrip().endswith("}")

    def watch_frames(self) -> None:
        """From now on the page notes how long it does nothing else."""
        self.page.evaluate("""() => { let last = performance.now(); window.longest = 0;
            const step = now => { window.longest = Math.max(window.longest, now - last); last = now;
                requestAnimationFrame(step); }; requestAnimationFrame(step); }""")

    def longest_pause(self) -> float:
        """Milliseconds between two frames, at most, since `watch_frames`."""
        return float(self.page.evaluate("window.longest"))

    def saved_cell(self, index: int = 1) -> list[dict[str, Any]]:
        return self.save()["cells"][index]["outputs"]

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it does not happen"
            time.sleep(0.03)

    def state(self, text: str, index: int = 1) -> None:
        """Wait until the card says so."""
        expect(self.card(index).locator(".ca-state")).to_have_text(text, timeout=1_000 * PATIENCE)

    def click(self, name: str, index: int = 1, within: Locator | None = None) -> None:
        """A button of the card, once it takes clicks; as slow as a user."""
        time.sleep(0.8)  # a card takes no click in the first half second, and a busy page draws late
        (within or self.card(index)).get_by_role("button", name=name, exact=True).first.click()

    def ask(self, *programs: str, options: str = "", index: int = 1) -> None:
        """Put a prompt into a cell, whose model answers with these programs, and run it."""
        self.type(index, f"script(*{list(programs)!r})\nget_ipython().run_cell_magic('codeact', {options!r}, 'Go.')")
        self.run(index)

    def get(self, expression: str, index: int = -1) -> str:
        """The text of an expression in the kernel, by the notebook's last cell."""
        count = self.page.locator(".jp-Notebook .jp-Cell").count()
        self.type(count + index if index < 0 else index, f"print({expression})")
        self.run(count - 1)
        return self.done(count - 1).strip()

    def type(self, index: int, code: str) -> None:
        self.cell(index).locator(".cm-content").first.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{self.kind}-{name}.png")


@pytest.fixture(params=["lab", pytest.param("notebook", marks=pytest.mark.full)])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def front(browser: Browser, server: Server, kind: str, request: pytest.FixtureRequest) -> Iterator[Front]:
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    front = Front(page, server, kind, name)
    front.choose_kernel()
    try:
        yield front
        assert front.foreign == [], "the page loads something from elsewhere"
    finally:
        if front.errors:
            print("The page said:", *front.errors, sep="\n")
        front.shot(f"end-of-{name}")
        page.close()
        server.end_kernels()
