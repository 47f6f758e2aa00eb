# pyright: basic
"""`%codeact openapi` in a notebook: operations of a description become tools of the prompts that follow."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ..network.conftest import Server, new_server, server

__all__ = ["new_server", "server"]


@pytest.fixture
def pets(nb, server: Server) -> Iterator[str]:
    """The address of a description of two operations."""
    get = {"operationId": "get-pet", "parameters": [{"name": "id", "in": "path", "schema": {"type": "string"}}]}
    paths = {"/pets/{id}": {"get": get, "delete": {**get, "operationId": "remove-pet"}}}
    data = json.dumps({"openapi": "3.1.0", "paths": paths}).encode()
    server.replies["/openapi.json"] = lambda handler: handler.send(200, data, {"Content-Type": "application/json"})
    yield f"{server.url}/openapi.json"
    for name in nb.get("sorted({s.origin for s in get_ipython()._codeact.frontend.session.tools.specs().values()})"):
        if name.startswith("openapi:"):
            nb.do(f"%codeact openapi remove {name.partition(':')[2]}")


def test_a_program_calls_an_operation_that_was_added(nb, pets, server):
    shown = nb.do(f"%codeact openapi add {pets} shop").stdout
    assert shown.splitlines() == [
        "shop: 2 tools, 1 of them asks before each call.",
        f"Calls go to {server.url}/.",
    ]
    cell = nb.ask("get_pet('rex/1')['path']")
    assert nb.get("codeact.results[-1].value") == "/pets/rex%2F1"
    assert "get-pet(" in cell.text


def test_a_changing_operation_is_denied_where_nobody_can_answer(nb, pets, server):
    nb.do(f"%codeact openapi add {pets} shop")
    cell = nb.ask("remove_pet('1')", options="--max-retries 0")
    assert cell.status == "error"
    assert [one.method for one in server.seen] == ["GET"]


def test_a_failed_call_is_a_tool_failed_for_the_program(nb, pets, server):
    nb.do(f"%codeact openapi add {pets} shop")
    server.replies["/pets/1"] = lambda handler: handler.send(404, b"no such pet", {})
    nb.ask("try:\n    get_pet('1')\nexcept ToolFailed as error:\n    message = str(error)\nmessage")
    assert nb.get("codeact.results[-1].value") == "GET /pets/{id} answered 404 Not Found: no such pet"


def test_descriptions_are_listed_and_removed(nb, pets):
    assert "No descriptions yet" in nb.do("%codeact openapi").stdout
    nb.do(f"%codeact openapi add {pets} shop --untrusted")
    assert nb.do("%codeact openapi").stdout.splitlines() == [
        "shop: 2 tools, 1 of them asks before each call",
        "    get_pet (get-pet)  # read only, outsiders write what it returns",
        "    remove_pet (remove-pet)  # asks before each call, outsiders write what it returns",
    ]
    assert nb.do("%codeact openapi remove shop").stdout == "The tools of shop are no longer offered.\n"
    assert "No descriptions yet" in nb.do("%codeact openapi").stdout


def test_adding_a_description_again_replaces_its_tools(nb, pets):
    nb.do(f"%codeact openapi add {pets} shop")
    nb.do(f"%codeact openapi add {pets} shop --only get-*")
    assert nb.do("%codeact openapi").stdout.splitlines()[1:] == ["    get_pet (get-pet)  # read only"]


def test_a_header_is_taken_from_a_variable_and_shown_nowhere(nb, pets, server):
    nb.do("api_key = 'very' + '-secret'")
    nb.do(f"%codeact openapi add {pets} shop --header X-Api-Key=api_key")
    cell = nb.ask("get_pet('1')['headers']['X-Api-Key']")
    assert server.seen[-1].headers["X-Api-Key"] == "very-secret"
    assert nb.get("codeact.results[-1].value") == "[hidden]"
    assert "very-secret" not in cell.everything


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("add", "Use %codeact openapi to list"),
        ("remove", "Use %codeact openapi to list"),
        ("drop x", "Use %codeact openapi to list"),
        ("add 'x", "Use %codeact openapi to list"),
        ("add a b c", "unrecognized arguments: c"),
        ("remove nothing", "There is no description 'nothing' to remove"),
        ("add /nowhere/x.json", "There is no file '/nowhere/x.json'"),
        ("add http://127.0.0.1:9/x.json", "was not loaded: http://127.0.0.1:9 cannot be reached"),
        ("add x.json --header X=sk-123", "--header X=VARIABLE needs the name of a variable"),
    ],
)
def test_a_wrong_command_is_answered_by_one_sentence(nb, line, says):
    cell = nb.run(f"%codeact openapi {line}")
    [error] = cell.errors
    assert says in error
    assert "Traceback" not in error
    assert "sk-123" not in error
