"""Secrets in a real kernel: what the user types, and what tools print, warn and draw. No message has them in it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Notebook

TOOLS = """
%load_ext codeact
import sys, warnings
from IPython.display import SVG, HTML, display
from codeact_kernel import Secret, tool
@tool
def prints() -> int:
    "Prints."
    print("whole", TOKEN.reveal())
    for piece in TOKEN.reveal():
        print(piece, end="", flush=True)
    print(TOKEN.reveal(), file=sys.stderr)
    return 1
@tool
def warns() -> int:
    "Warns."
    warnings.warn(f"deprecated: {TOKEN.reveal()}")
    return 1
@tool
def draws() -> int:
    "Draws."
    display(SVG(f"<svg xmlns='http://www.w3.org/2000/svg'><text>{TOKEN.reveal()}</text></svg>"))
    display(HTML(f"<b>{TOKEN.reveal()}</b>"))
    return 1
@tool
def fails() -> int:
    "Fails."
    raise ValueError(TOKEN.reveal())
"""


class Listening(Notebook):
    """Keeps every message of the kernel as it came."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[str] = []
        super().__init__(folder, HOME=str(folder))

    def _take(self, message: Any) -> None:
        self.heard.append(json.dumps(message, default=str, ensure_ascii=False))
        super()._take(message)


@pytest.fixture
def token() -> str:
    return f"t0k-{secrets.token_hex(12)}"


@pytest.fixture
def nb(tmp_path: Path, token: str) -> Iterator[Listening]:
    notebook = Listening(tmp_path)
    try:
        notebook.do(TOOLS)
        notebook.run("TOKEN = Secret.ask('Token of the shop')\nTOKEN", answers=[token])
        yield notebook
    finally:
        notebook.close()


def test_a_secret_that_the_user_typed_is_in_no_message_and_no_file(nb: Listening, token: str, tmp_path: Path) -> None:
    assert nb.get("TOKEN.reveal()[::-1]") == token[::-1]
    printed = nb.ask("prints()")
    assert printed.stdout.replace("\n", "") == "whole [secret Token of the shop][secret Token of the shop]"
    assert printed.stream("stderr").strip() == "[secret Token of the shop]"
    assert "deprecated: [secret Token of the shop]" in nb.ask("warns()").stream("stderr")
    assert "<text>[secret Token of the shop]</text>" in nb.ask("draws()").everything
    assert (
        "fails raised ValueError: [secret Token of the shop]" in nb.ask("fails()", options="--max-retries 0").everything
    )
    nb.run("%codeact traceback")
    nb.run("print(TOKEN.reveal()); TOKEN.reveal()")
    nb.run("raise ValueError(TOKEN.reveal())")
    assert [message for message in nb.heard if token in message] == []
    files = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any("history" in name for name in files)
    assert [name for name, content in files.items() if token.encode() in content] == []


@pytest.mark.full
def test_without_the_extension_the_control_shows_the_secret(nb: Listening, token: str) -> None:
    nb.run("%unload_ext codeact")
    assert nb.run("print(TOKEN.reveal())").stdout.strip() == token
