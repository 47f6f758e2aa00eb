"""Budgets in a notebook: the option of a cell, and the command that shows, sets and resets that of the session."""

from __future__ import annotations

import re

import pytest

from .conftest import Notebook


@pytest.fixture
def fresh(nb: Notebook) -> Notebook:
    """The module's kernel, whose session has used nothing."""
    nb.do("from codeact import tool\n@tool\ndef add(a: int, b: int) -> int:\n    'The sum.'\n    return a + b")
    nb.do("%codeact budget none")
    nb.do("%codeact budget reset")
    return nb


def rows(shown: str) -> list[list[str]]:
    return [re.split(r"  +", line) for line in shown.splitlines()]


def test_the_command_shows_what_the_session_and_the_last_cell_used(fresh):
    fresh.ask("add(1, 1)")
    fresh.ask("add(1, add(1, 1))", options="--budget 9calls")
    shown = fresh.do("%codeact budget").stdout
    head, tokens, money, calls = rows(shown)
    assert head == ["", "this session", "last cell"]
    assert re.fullmatch(r"~[0-9,]+", tokens[1])
    assert money == ["money", "~$0.00", "~$0.00"]
    assert calls == ["calls", "3", "2"]


def test_the_command_sets_the_budget_of_the_session_and_counts_from_zero(fresh):
    fresh.ask("add(1, 1)")
    shown = rows(fresh.do("%codeact budget 100000tokens, 2 calls").stdout)
    assert shown[1][1].endswith(" of 100,000 tokens")
    assert shown[3][1] == "1 of 2 calls"
    failed = fresh.ask("add(1, 1)\nadd(2, 2)")
    assert failed.status == "error"
    assert "this session has used 2 of 2 calls: raise its budget, for example with %codeact budget" in failed.text
    assert rows(fresh.do("%codeact budget reset").stdout)[3][1] == "0 of 2 calls"
    assert fresh.ask("add(1, 1)").status == "ok"
    assert rows(fresh.do("%codeact budget none  # as before").stdout)[3][1] == "1"


def test_the_count_of_the_session_survives_a_reload_of_the_extension(fresh):
    fresh.ask("add(1, 1)")
    fresh.do("%reload_ext codeact")
    assert rows(fresh.do("%codeact budget").stdout)[3][1] == "1"


def test_a_budget_that_is_none_is_one_sentence(fresh):
    errors = fresh.run("%codeact budget lots").errors
    assert errors == [
        "UserError: %codeact budget: 'lots' is not a budget: write 20000tokens, $0.05 or 50calls, several with commas "
        "between them, or none."
    ]
    assert "--budget: '20' is not a budget" in str(fresh.ask("1", options="--budget 20").errors)


def test_a_cell_takes_money_and_several_parts_with_and_without_quotation_marks(fresh):
    for given in ("$0.05", "20000tokens, 50calls", '"20,000 tokens, $0.05"', "'50 calls'"):
        assert fresh.ask("1", options=f"--budget {given}").status == "ok", given
