"""The history in a notebook: what is listed, shown and added up, what is not kept, and what a broken history costs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..model.conftest import FakeEndpoint, endpoint
from ..notebook.conftest import SESSION, Notebook

__all__ = ["endpoint"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Notebook]:
    notebook = Notebook(folder, JPY_SESSION_NAME="reports/<b>sales.ipynb")
    try:
        notebook.do("%load_ext codeact\nfrom codeact import tool")
        yield notebook
    finally:
        notebook.close()


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "data" / "codeact-kernel" / "history.sqlite"


@pytest.fixture
def nb(kernel: Notebook, file: Path) -> Notebook:
    """The module's kernel, with an empty history."""
    kernel.forget_everything()
    kernel.do("%config CodeAct.approval_ui = 'stdin'\n" + "get_ipython()._codeact.frontend.journal.close()")
    for path in file.parent.glob("history.*"):
        if path.is_file():
            path.unlink()
    kernel.do("@tool\ndef add(a: int, b: int) -> int:\n    'The sum.'\n    return a + b")
    return kernel


def test_before_the_first_turn_it_is_empty(nb):
    for command in ("history", "history text", "usage", "show 1"):
        assert nb.do(f"%codeact {command}").stdout == "Your history is empty.\n"


def test_turns_are_listed_with_their_cell_and_found_by_their_words(nb):
    nb.ask("add(a=1, b=2)", prompt="How many <i>orders</i>?\nExactly.")
    nb.ask("1 / 0", options="--max-retries 0", prompt="Divide.")
    shown = nb.do("%codeact history").stdout.splitlines()
    assert len(shown) == 2
    assert shown[0].startswith("1  2")
    assert "<b>sales.ipynb [" in shown[0]
    assert "How many <i>orders</i>?\\nExactly." in shown[0]
    assert shown[0].endswith("done, 1 call")
    assert shown[1].endswith("failed")
    assert nb.do("%codeact history order").stdout.splitlines() == [shown[0]]
    assert nb.do("%codeact history nothing like it").stdout == "No turn in your history contains 'nothing like it'.\n"
    cell = nb.get("get_ipython().execution_count")
    assert f"[{cell - 5}]" in shown[0]


def test_the_card_of_an_earlier_turn_is_shown_again_as_it_was(nb):
    card = nb.ask("print('hello')\nadd(a=1, b=2)", prompt="How much?").shown
    nb.ask("2", prompt="Another.")
    cell = nb.do("%codeact show 1")
    assert {kind: cell.shown[kind] for kind in ("text/plain", "text/html")} == {
        kind: card[kind] for kind in ("text/plain", "text/html")
    }
    assert cell.stdout.startswith("Turn 1, asked on 20")
    assert " in <b>sales.ipynb, cell " in cell.stdout
    assert cell.stdout.endswith("done, 1 call.\n")


@pytest.mark.parametrize("argument", ["", "x", "-1", "1.5", "1 2", "²", "9" * 30, "1; DROP"])
def test_what_is_no_number_of_a_turn_is_a_sentence(nb, argument):
    nb.ask("1")
    (error,) = nb.run(f"%codeact show {argument}").errors
    assert "Name the turn by its number: %codeact show N." in error


def test_a_number_without_a_turn_is_a_sentence(nb):
    nb.ask("1")
    (error,) = nb.run("%codeact show 99").errors
    assert error == "UserError: The history has no turn 99: %codeact history lists the turns."


def test_usage_adds_up_cells_session_and_days_and_marks_estimates(nb):
    for _ in range(2):
        nb.ask("add(a=1, b=2)")
    lines = nb.do("%codeact usage").stdout.splitlines()
    assert lines[0].split() == ["turns", "tokens", "in", "tokens", "out", "seconds", "money"]
    assert [line.split("  ")[0] for line in lines[1:4]][2] == "this session"
    assert "turn 1" in lines[1]
    assert lines[3].split()[2] == "2"
    assert lines[4].startswith("20")
    assert lines[4].split()[1:4] == lines[3].split()[2:5]
    assert "~" in lines[1]
    assert lines[1].endswith("$0"), "a script costs nothing"
    assert "estimated from the length of the texts" in lines[-1]


def test_a_reloaded_extension_stays_in_its_session(nb):
    nb.ask("1")
    nb.do("%reload_ext codeact")
    nb.ask("2")
    assert nb.do("%codeact usage").stdout.splitlines()[3].split()[:3] == ["this", "session", "2"]


def test_usage_knows_the_price_of_a_model_where_it_is_sold_and_says_where_it_does_not(nb, endpoint, file):
    program = FakeEndpoint.chunk("```python\nadd(a=1, b=2)\n```")
    endpoint.answers(FakeEndpoint.stream(program, FakeEndpoint.chunk(finish="stop"), FakeEndpoint.usage(100, 10)))
    nb.do(f"import os; os.environ['OPENAI_BASE_URL'] = {endpoint.url!r}; os.environ['OPENAI_API_KEY'] = 'none'")
    try:
        nb.do("%%codeact --model gpt-4.1-mini\nGo.")
        assert f"? no price is known for gpt-4.1-mini at {endpoint.url}" in nb.do("%codeact usage").stdout
        with sqlite3.connect(file) as connection:
            assert connection.execute("SELECT endpoint FROM turns").fetchone() == (endpoint.url,)
            connection.execute(
                "UPDATE turns SET endpoint = 'https://api.openai.com/v1', prompt_tokens = 1000000, estimated = 0, "
                "completion_tokens = 1000000"
            )
        shown = nb.do("%codeact usage").stdout
        assert shown.count("$2.00") == 3
        assert "?" not in shown
        assert "list prices" in shown
    finally:
        nb.do(f"del os.environ['OPENAI_BASE_URL'], os.environ['OPENAI_API_KEY']; {SESSION}.model = None")


def test_it_can_be_switched_off_and_then_nothing_is_written(nb, file):
    nb.do("%config CodeAct.history = False")
    nb.ask("1")
    assert not file.exists()
    assert "switched off" in nb.do("%codeact history").stdout
    nb.do("%config CodeAct.history = True")
    nb.ask("2")
    assert len(nb.do("%codeact history").stdout.splitlines()) == 1


def test_turns_that_are_older_than_the_user_wants_are_deleted_when_the_next_session_writes(nb, file):
    nb.ask("1", prompt="An old one.")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE turns SET started = started - 40 * 86400")
    nb.do("%config CodeAct.history_days = 30\nget_ipython()._codeact.frontend.journal.close()")
    nb.ask("2", prompt="A new one.")
    nb.do("import threading\n[one.join() for one in threading.enumerate() if one.name == 'codeact-history'];")
    (line,) = nb.do("%codeact history").stdout.splitlines()
    assert "A new one." in line


def test_a_history_that_cannot_be_written_is_said_once_and_the_turns_run(nb, file):
    file.write_bytes(b"no database" * 1_000)
    file.chmod(0o600)
    first, second = nb.ask("add(a=1, b=2)"), nb.ask("add(a=1, b=3)")
    assert first.text.count("This turn is not in the history. The history ") == 1
    assert "is not in the history" not in second.text
    assert nb.get("_codeact.value") == 4
    (error,) = nb.run("%codeact history").errors
    assert "cannot be used" in error


def test_a_kernel_that_was_killed_is_seen_by_the_next_one(nb, folder):
    other = Notebook(folder)
    try:
        other.do("%load_ext codeact\nfrom codeact import tool")
        other.do(
            "import os, signal\n@tool\ndef crash() -> None:\n    'Ends all.'\n    os.kill(os.getpid(), signal.SIGKILL)"
        )
        other.script("```python\ncrash()\n```")
        other.send("%%codeact\nCrash.")
        other.manager.provisioner.process.wait()
    finally:
        other.client.stop_channels()
        other.manager.shutdown_kernel(now=True)
    assert nb.do("%codeact history").stdout.strip().endswith("Crash.  unknown how it ended, 1 call")
    cell = nb.do("%codeact show 1")
    assert "crash()" in cell.text
    assert "unknown whether it ran: the kernel ended during the call" in cell.text
    assert "nothing was run" not in cell.text
    assert "Unknown: the kernel ended during this turn" in cell.text
