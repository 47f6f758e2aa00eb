"""A key in the environment, and everywhere that a key could end up: it is sent to its endpoint, and is nowhere else."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ..model.conftest import FakeEndpoint, endpoint
from .conftest import SESSION, Notebook

__all__ = ["endpoint"]

TOOLS = """
%load_ext codeact
import os
from codeact import tool
%config CodeAct.approval_ui = 'stdin'
@tool
def fails(n: int) -> None:
    "Raises with the key in its text."
    raise ValueError(f"401 for {os.environ['OPENAI_API_KEY']} at /home/me/secret/file.py")
@tool
def fine(n: int) -> int:
    "n."
    return n
@tool(approval_mode="always_require")
def gated(n: int) -> int:
    "n."
    return n
"""
LOOKS_AROUND = """
import os, sys
found = [dict(os.environ), sys.argv, repr(globals()), fine(n=1)]
for path in ("/proc/self/environ", "/proc/1/environ"):
    try:
        found.append(open(path).read())
    except OSError as error:
        found.append(str(error))
open("/output/found.txt", "w").write(repr(found))
show(repr(found))
print(found)
found
"""


class Listening(Notebook):
    """Keeps every message of the kernel as it came."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.heard: list[str] = []
        super().__init__(folder, **environment)

    def _take(self, message) -> None:
        self.heard.append(json.dumps(message, default=str))
        super()._take(message)


@pytest.fixture
def key() -> str:
    return f"sk-{secrets.token_hex(16)}"


@pytest.fixture
def nb(tmp_path: Path, endpoint: FakeEndpoint, key: str) -> Iterator[Listening]:
    endpoint.offers("m")
    notebook = Listening(tmp_path, HOME=str(tmp_path), OPENAI_API_KEY=key, OPENAI_BASE_URL=endpoint.url)
    try:
        notebook.do(TOOLS)
        yield notebook
    finally:
        notebook.close()


def answer(endpoint: FakeEndpoint, *programs: str) -> None:
    endpoint.replies.clear()
    for program in programs:
        text = endpoint.chunk(f"```python\n{program}\n```\n")
        endpoint.answers(endpoint.stream(text, endpoint.chunk(finish="stop"), endpoint.usage(1, 1)))


def test_the_key_is_sent_to_its_endpoint_and_is_nowhere_else(nb, endpoint, key, tmp_path):
    answer(endpoint, LOOKS_AROUND)
    assert nb.run("%%codeact --record answers.jsonl\nLook around.").status == "ok"
    answer(
        endpoint,
        "fails(n=1)",
        "try:\n    fails(n=2)\nexcept ToolFailed as error:\n    observe(str(error))",
        "fine(n=2)",
    )
    assert nb.run("%%codeact\nMend it.").status == "ok"
    answer(endpoint, "gated(n=1)")
    nb.run("%%codeact --max-retries 0\nAsk.", answers=["s"])
    endpoint.replies.clear()
    endpoint.fails(401, f"Incorrect API key provided: {key}. You can find your key elsewhere.")
    assert "OPENAI_API_KEY" in nb.run("%%codeact\nGo.").everything
    endpoint.replies.clear()
    endpoint.fails(500, f"request with Authorization: Bearer {key} failed")
    nb.run("%%codeact\nGo.")
    endpoint.replies.clear()
    endpoint.answers(endpoint.stream({"error": {"message": f"bad key {key}"}}, done=False))
    nb.run("%%codeact\nGo.")
    for command in ("status", "config", "doctor", "tools", "approvals", "help", "traceback"):
        nb.run(f"%codeact {command}")
    for shown in ("_codeact", "codeact.results[-1].error", f"{SESSION}.model", "vars(_codeact) if hasattr(_codeact, '__dict__') else _codeact"):  # fmt: skip
        nb.run(shown)

    sent = [request for request in endpoint.requests if key in request.headers.get("authorization", "")]
    assert sent, "the control: the endpoint got it"
    assert [request.path for request in endpoint.requests if key in json.dumps(request.body)] == []
    assert any(key in text for text in nb.heard) is False
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name == "answers.jsonl" for path in files)
    assert any(path.name == "found.txt" for path in files)
    assert [str(path) for path, content in files.items() if key.encode() in content] == []
    for pid in nb.workers():
        for process in (worker := psutil.Process(pid), *worker.children()):
            assert key not in " ".join([*process.cmdline(), *process.environ().values()])


@pytest.mark.full
def test_a_tool_that_raises_with_the_key_is_told_without_it(nb, endpoint, key):
    answer(endpoint, "fails(n=1)")
    cell = nb.run("%%codeact --max-retries 0\nGo.")
    assert "401 for <secret> at <path>" in cell.everything
    traceback = nb.run("%codeact traceback").stdout
    assert "ValueError: 401 for <secret> at /home/me/secret/file.py" in traceback
    assert key not in cell.everything + traceback
