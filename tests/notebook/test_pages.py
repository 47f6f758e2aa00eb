"""Run every code block of the README and of the documentation as a reader would run it."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from traitlets.config import PyFileConfigLoader

from codeact_kernel.configuration import environment, parse_layer

from ..model.conftest import FakeEndpoint, Reply, Request
from .conftest import Notebook, bare_environment

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "prompt", "bash", "toml", "text", "{eval-rst}", "{toctree}"}

# What the model writes for prompts of the pages that do not show a program.
PROGRAMS = {
    "How much did each customer spend? Show rows with customer and total, the largest first.": "[{'customer': name, 'total': sum(line['qty'] * line['unit_price'] for line in get_orders(customer=name))} for name in list_customers()]",
    "The total amount per region.": "totals = [{'region': region, 'total': part['amount'].sum()} for region, part in orders.group_by('region').items()]",
    "Send a voucher of 10 percent to the customer who spent the most.": 'send_voucher(customer="Alice", percent=10)',
}
ASKING = (
    "README.md",
    *(f"docs/{name}.md" for name in ("start", "database", "recipes", "data", "access", "showing", "together")),
)
"""Pages whose prompts an endpoint answers; the other pages bring their own answers."""
ELSEWHERE = ("docs/frameworks.md",)
"""Pages whose blocks another test runs, with packages that most readers do not have."""
EXTERNAL = ("ollama", "llama-server", "vllm")  # foreign programs, which the pages only mention
SERVERS = ("jupyter lab",)  # these commands do not end


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text[: found.start()].count("\n") + 1)
        for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


class Answering(FakeEndpoint):
    """An endpoint that answers the prompts of a page, also with the programs that the page shows below them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.asked = page in ASKING
        self.programs = dict(PROGRAMS)
        found = blocks(page)
        for block, following in pairwise(found):
            if following.language != "text":
                continue
            if block.text.startswith("> "):
                self.programs[block.text.removeprefix("> ").strip()] = following.text
            elif block.text.startswith("%%codeact"):
                self.programs[block.text.partition("\n")[2].strip()] = following.text

    def reply_to(self, request: Request) -> Reply:
        if not request.body:
            return super().reply_to(request)
        messages = "\n".join(message["content"] for message in request.body["messages"])
        (program,) = [program for ask, program in self.programs.items() if messages.rstrip().endswith(ask)] or [""]
        parts = [self.chunk(f"```python\n{program}\n```"), self.chunk(finish="stop"), self.usage(100, 20)]
        return Reply(body=self.stream(*parts), headers={"Content-Type": "text/event-stream"})


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_what_it_is(page):
    assert {block.language for block in blocks(page)} <= LANGUAGES


@pytest.mark.parametrize(
    "page",
    [
        page if page == "README.md" else pytest.param(page, marks=pytest.mark.full)
        for page in PAGES
        if any(b.language in ("python", "bash") for b in blocks(page)) and page not in ELSEWHERE
    ],
)
def test_the_blocks_of_a_page_run_one_after_the_other(page, tmp_path):
    answering = Answering(page)
    serve = threading.Thread(target=answering.server.serve_forever, kwargs={"poll_interval": 0.01})
    serve.start()
    answering.offers("a-model")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    notebook = Notebook(tmp_path, **home(tmp_path, answering))
    try:
        notebook.do("%load_ext codeact")
        if page == "docs/start.md":  # this page is written for the CodeAct kernel
            notebook.do("%codeact kernel marker\nfrom codeact import tool")
        for block in blocks(page):
            if block.language in ("python", "prompt"):
                run_cell(notebook, block, tmp_path)
            elif block.language == "bash":
                run_commands(block, tmp_path, home(tmp_path, answering))
    finally:
        notebook.close()
        answering.closing.set()
        answering.server.shutdown()
        serve.join()
        answering.server.server_close()


def home(folder: Path, answering: Answering) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    model = {"OPENAI_BASE_URL": answering.url} if answering.asked else {}
    return bare_environment(folder) | {"PATH": path, "HOME": str(folder)} | model


def run_cell(notebook: Notebook, block: Block, folder: Path) -> None:
    if block.text.startswith("c = get_config()"):  # a configuration file instead of a cell
        (folder / "ipython_config.py").write_text(block.text)
        parse_layer("the page", PyFileConfigLoader("ipython_config.py", path=str(folder)).load_config()["CodeAct"])
        return
    cell = notebook.run(block.text, answers=["y"] * 5)
    assert cell.status == "ok", f"line {block.line}: {cell.errors}"
    assert not [error for error in cell.errors if "UsageError" in error], f"line {block.line}: {cell.errors}"


def run_commands(block: Block, folder: Path, environ: dict[str, str]) -> None:
    for line in block.text.splitlines():
        command = line.partition(" #")[0].strip()
        if command.startswith("pip install"):
            extras = {extra for name in shlex.split(command)[2:] for extra in Requirement(name).extras}
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            assert extras <= set(project["optional-dependencies"])
        elif command.startswith("scripts/"):
            assert os.access(ROOT / command.split()[0], os.X_OK)
            text = (ROOT / command.split()[0]).read_text()
            assert all(option in text for option in command.split()[1:])
        elif command.startswith("export "):
            given = dict(word.split("=", 1) for word in shlex.split(command)[1:])
            environment({name: value for name, value in given.items() if name.startswith("CODEACT_")})
            assert all(name.startswith(("CODEACT_", "OPENAI_", "AZURE_OPENAI_", "OLLAMA_")) for name in given)
        elif command and not command.startswith((*EXTERNAL, *SERVERS)):
            done = subprocess.run(
                ["bash", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"line {block.line}: {command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_a_blocks_toml_is_configuration(page):
    for block in blocks(page):
        if block.language == "toml":
            table = tomllib.loads(block.text)
            parse_layer("the page", table.get("tool", {}).get("codeact", table))


def test_every_message_on_the_page_of_troubles_is_one_that_the_code_can_say():
    spoken = []
    for file in [*(ROOT / "codeact_kernel").rglob("*.py"), *(ROOT / "extension").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                spoken.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                spoken.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert len(headings) > 30
    assert [one for one in headings if not any(one.rstrip(".") in said for said in spoken)] == []
