"""`--tools` finds the functions that it names, and says in one sentence why it does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact_kernel.errors import UserError
from codeact_kernel.jupyter import cli
from codeact_kernel.server.user_tools import load_tools
from codeact_kernel.tools import default_registry

MODULE = """
from codeact_kernel import tool

@tool
def marked() -> int:
    \"\"\"Marked.\"\"\"
    return 1

class Shop:
    def find(self, number: int) -> int:
        \"\"\"Find an order.\"\"\"
        return number

shop = Shop()
tool(shop.find)

def plain() -> int:
    \"\"\"Plain.\"\"\"
    return 2

constant = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "some_tools.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("some_", "tools_in_")):
            del sys.modules[name]
    default_registry.clear()


def test_a_module_of_the_working_folder_offers_what_it_marks() -> None:
    assert set(load_tools(["some_tools"])) == {"marked", "find"}


def test_a_file_offers_what_it_marks(folder: Path) -> None:
    assert set(load_tools([str(folder / "some_tools.py")])) == {"marked", "find"}


def test_named_functions_need_no_mark_and_can_be_methods() -> None:
    assert set(load_tools(["some_tools:plain, shop.find"])) == {"plain", "find"}


def test_a_module_that_was_imported_before_offers_the_same() -> None:
    load_tools(["some_tools:plain"])
    assert "marked" in load_tools(["some_tools"])


def test_several_sources_are_put_together(folder: Path) -> None:
    (folder / "some_more.py").write_text("def other() -> int:\n    return 1\n")
    assert set(load_tools(["some_tools:plain", "some_more.py:other"])) == {"plain", "other"}


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        ("some_missing", "", "the import failed with ModuleNotFoundError: No module named 'some_missing'"),
        ("some_missing.py", "", "this file does not exist"),
        ("some/path", "", "this is not the name of a module"),
        ("some_tools:nothing", "", "some_tools does not define nothing"),
        ("some_tools:constant", "", "some_tools:constant: "),
        ("some_broken", "1 / 0", "the import failed with ZeroDivisionError: division by zero"),
        ("some_broken", "raise SystemExit(3)", "the import failed with SystemExit: 3"),
        ("some_empty", "x = 1", "it marks no function with @tool: mark one, or name one: some_empty:NAME"),
    ],
)
def test_what_cannot_be_loaded_is_explained_in_one_sentence(folder: Path, source: str, text: str, message: str) -> None:
    if text:
        (folder / f"{source}.py").write_text(text)
    with pytest.raises(UserError) as caught:
        load_tools([source])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_two_tools_with_the_same_name_are_an_error(folder: Path) -> None:
    (folder / "some_more.py").write_text("def plain() -> int:\n    return 9\n")
    with pytest.raises(UserError, match="there is another tool plain"):
        load_tools(["some_tools:plain", "some_more:plain"])


def test_the_command_reports_such_an_error_and_ends(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mcp", "--tools", "some_missing"]) == 1
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err.startswith("--tools some_missing: the import failed with")


def test_an_option_with_an_invalid_value_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mcp", "--timeout", "soon"]) == 1
    assert capfd.readouterr().err.startswith("--timeout: 'soon' is not a number of seconds")
