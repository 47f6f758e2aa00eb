"""MCP servers in a notebook: added by a command or a file, asked about, stopped, and killed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from .conftest import Notebook
from .test_keep import same_value

SHOP = str(Path(__file__).parents[1] / "sources" / "shop.py")


@pytest.fixture
def shop(nb: Notebook):
    said = nb.do(f"%codeact mcp add shop {sys.executable} {SHOP}").stdout
    assert said.startswith("shop offers 13 tools: find_product, place_order")
    yield nb
    nb.do("%codeact mcp remove shop")


def test_a_program_calls_tools_of_a_server_and_the_user_is_asked_by_their_own_names(shop: Notebook):
    cell = shop.ask("[find_product(name='tea'), place_order(orders=[{'product': 'tea'}])]", answers=["y", "y"])
    assert shop.get("codeact.results[-1].value") == [{"left": 3}, 7]
    assert cell.questions[0].startswith('Allow find-product(name="tea")')
    assert "find-product(" in cell.text


def test_the_list_shows_servers_tools_state_and_permissions(shop: Notebook):
    said = shop.do("%codeact mcp").stdout
    assert said.startswith("shop  running  shop: ")
    assert (
        "find_product                      asks before each call, results are untrusted  (its own name: find-product)"
        in said
    )
    assert "shop_read_resource                runs without asking, only reads, results are untrusted" in said
    assert "prompts: greet" in said


def test_a_picture_of_a_server_is_shown_in_the_card(shop: Notebook):
    shop.ask("logo()", answers=["y"])
    assert shop.get("len(codeact.results[-1].shown)") == 1


def test_a_question_of_the_server_is_asked_in_the_cell(shop: Notebook):
    cell = shop.ask("wrap()", answers=["y", "true", "with a ribbon"])
    assert cell.questions[1].startswith("shop asks: How shall I wrap it?\n  gift [false, or cancel]: ")
    assert shop.get("codeact.results[-1].value") == "accept gift=True note='with a ribbon'"


def test_a_question_can_be_declined(shop: Notebook):
    shop.ask("wrap()", answers=["y", "cancel"])
    assert shop.get("codeact.results[-1].value") == "decline None"


def test_a_server_that_ends_in_the_middle_is_the_error_of_one_call(shop: Notebook):
    program = "try:\n    end()\nexcept ToolFailed as error:\n    said = str(error)\n[said, find_product(name='cups')]"
    shop.ask(program, answers=["y", "y"])
    said, left = shop.get("codeact.results[-1].value")
    assert said.startswith("The MCP server 'shop' failed: it ended, or closed the connection.")
    assert left == {"left": 5}


def test_the_stop_button_stops_a_call_that_hangs(shop: Notebook):
    shop.script("```python\nhang()\n```")
    shop.do("get_ipython()._codeact.choose('allow', {'hang'})")
    sent = shop.send("%%codeact\nGo.")
    shop.wait_for(sent, "hang()")
    shop.interrupt()
    assert "Stopped" in shop.finished(sent).text


def test_a_file_of_other_programs_is_shown_before_anything_starts(nb: Notebook, tmp_path: Path):
    file = tmp_path / "servers.json"
    file.write_text(
        json.dumps({"mcpServers": {"shop": {"command": sys.executable, "args": [SHOP], "autoApprove": ["end"]}}})
    )
    first = nb.do(f"%codeact mcp add {file}").stdout
    assert "Nothing has started yet" in first
    assert nb.do("%codeact mcp").stdout.startswith("No MCP server.")
    assert "shop offers 13 tools" in nb.do(f"%codeact mcp add {file}").stdout
    assert nb.do("%codeact mcp").stdout.count("asks before each call") == 11
    nb.do("%codeact mcp remove shop")


def test_servers_of_a_folder_start_only_when_the_user_trusts_its_file(nb: Notebook):
    folder = Path(nb.get("__import__('os').getcwd()"))
    file = folder / "codeact.toml"
    file.write_text(f'[mcp.servers.shop]\ncommand = "{sys.executable}"\nargs = ["{SHOP}"]\n')
    try:
        nb.ask("1")
        assert nb.do("%codeact mcp").stdout.startswith("No MCP server.")
        assert "Not in force: mcp" in nb.do("%codeact config").stdout
        nb.do("%codeact config trust")
        nb.ask("find_product(name='tea')", answers=["y"])
        assert nb.get("codeact.results[-1].value") == {"left": 3}
    finally:
        nb.do("%codeact config distrust")
        file.unlink()
        nb.do("%codeact mcp remove shop")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("add", "Use %codeact mcp [add NAME COMMAND …"),
        ("add x no-such-program y", "The MCP server 'x' does not start: 'no-such-program': No such file or directory."),
        ("add x ftp://a.example", "is not an address that begins with https://"),
        ("add x http://a.example", "use https://, because others can read and change"),
        ("add 1x python", "use a name of at most 32 letters"),
        ("add /no/such.json", "cannot be read (No such file or directory)"),
        ("remove nothing", "No MCP server is called 'nothing'."),
        ("add x 'y", "A quotation mark is not closed."),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_one_sentence(nb: Notebook, command: str, said: str):
    cell = nb.run(f"%codeact mcp {command}")
    assert said in cell.everything
    assert "Traceback" not in cell.everything


def test_a_program_that_calls_a_server_gives_the_same_value_in_a_cell(shop: Notebook):
    shop.ask("[find_product(name='tea')['left'], len(report())]", answers=["y", "y"])
    assert "find_product_seen = as_program_sees" in same_value(shop)
