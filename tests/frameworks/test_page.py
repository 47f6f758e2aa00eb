# pyright: basic
"""The examples of docs/frameworks.md run as they are written there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from codeact_kernel.tools import default_registry, tool

pytest.importorskip("agent_framework", reason="scripts/test --frameworks installs it")
pytest.importorskip("pydantic_ai", reason="scripts/test --frameworks installs it")
pytest.importorskip("langchain", reason="scripts/test --frameworks installs it")
fake_chat_models = import_module("langchain_core.language_models.fake_chat_models")

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"


def test_the_blocks_of_the_page_run_one_after_the_other():
    from .test_agent_framework import ScriptedClient

    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names = {
        "tool": tool,
        "chat_client": ScriptedClient("find_price", {"product": "tea"}),
        "chat_model": fake_chat_models.FakeListChatModel(responses=["done"]),
        "model": import_module("pydantic_ai.models.test").TestModel(),
    }
    for block in blocks:
        exec(block, names)
    modes = {name: spec.approval_mode for name, spec in default_registry.specs().items()}
    assert modes == {
        "send_mail": "always_require",
        "search_notes": "never_require",
        "count_days": "never_require",
        "find_price": "never_require",
    }
