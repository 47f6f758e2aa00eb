"""Which cells are prompts: those that begin with the marker; with `auto`, sentences that no typo makes of Python."""

from __future__ import annotations

import ast
import re
import string

import pytest
from codeact.config_traits import list_flags, parse_options
from codeact.magics import CodeAct
from codeact.prompt_cells import PromptCell, find_late_prompt, find_option, is_like_prose, is_prose, parse
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.error import UsageError

SWITCHES = ("--review", "--dry-run", "--quiet")


@pytest.mark.parametrize(
    ("cell", "options", "text"),
    [
        ("> Which user spent most?", "", "Which user spent most?"),
        (">Which user spent most?", "", "Which user spent most?"),
        (">--review Go.", "--review", "Go."),
        ("> Which user\nspent most?\n", "", "Which user\nspent most?"),
        ("> Which user\n> spent most?", "", "Which user\nspent most?"),
        ("> Which user\n>\n> spent most?", "", "Which user\n\nspent most?"),
        ("> First line.\nx > y is code in the prompt", "", "First line.\nx > y is code in the prompt"),
        (">\nBelow.", "", "Below."),
        ("> --review Go.", "--review", "Go."),
        ("> --timeout 5 --allow a,b Go on.", "--timeout 5 --allow a,b", "Go on."),
        ("> --timeout=5 Go.", "--timeout=5", "Go."),
        ("> --out x --quiet\nGo.", "--out x --quiet", "Go."),
        ('> --model "a b" Go.', '--model "a b"', "Go."),
        ("> --timeout=5", "--timeout=5", ""),
        ("> Say -- in words -- what is up.", "", "Say -- in words -- what is up."),
        ("> one \\\ntwo", "", "one\ntwo"),
        (">", "", ""),
        ("> Which have\n>100 euros?", "", "Which have\n>100 euros?"),
        ("> What is in C:\\dir\\", "", "What is in C:\\dir\\"),
        ("> -- list users", "", "-- list users"),
        ("> --- go on", "", "--- go on"),
        (">\r\nBelow.\r\nMore.", "", "Below.\nMore."),
        ("> ", "", ""),
    ],
)
def test_a_cell_that_begins_with_the_marker_is_a_prompt_with_its_options(cell, options, text):
    assert parse(cell, SWITCHES) == PromptCell(options, text)


PARSER = CodeAct.codeact.parser
FLAGS = list_flags(PARSER)


def _options(cell):
    prompt = parse(cell, list_flags(PARSER, switches=True), FLAGS)
    return {name: value for name, value in vars(parse_options(PARSER, prompt.options)).items() if value}, prompt.text


@pytest.mark.parametrize(
    ("cell", "options", "text"),
    [
        ("> --in orders, rates --dry-run\nTax?", {"inputs": ["orders,rates"], "dry_run": True}, "Tax?"),
        ("> --in orders:schema, rates --review\nTax?", {"inputs": ["orders:schema,rates"], "review": True}, "Tax?"),
        ("> --allow send ,archive --dry-run\nTax?", {"allow": ["send,archive"], "dry_run": True}, "Tax?"),
        ("> --in=orders , rates Total tax?", {"inputs": ["orders,rates"]}, "Total tax?"),
        ("> --out a,\tb, --quiet Go.", {"outputs": ["a,b,"], "quiet": True}, "Go."),
        ("> What does `--dry-run` do, and '--in'?", {}, "What does `--dry-run` do, and '--in'?"),
    ],
)
def test_a_list_goes_on_after_a_comma_and_no_option_behind_it_is_lost(cell, options, text):
    assert _options(cell) == (options, text)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("> --in orders rates --dry-run\nTax?", "'rates' among the options"),
        ("> What's the total --dry-run", "'Whats' among the options"),
        ("> Total --review tax?", "'Total' among the options"),
        ("> --Model x hi", "The option --Model is not known: did you mean --model?"),
        ("> --dry_run x", "The option --dry_run is not known: did you mean --dry-run?"),
    ],
)
def test_an_option_that_would_become_a_part_of_the_prompt_is_an_error(cell, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        _options(cell)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("--dry-run\nTotal?", "--dry-run"),
        ("—dry-run Total?", "--dry-run"),
        ("–Review", "--review"),
        ("-in orders Total?", "--in"),
        ("- in which year?", ""),
        ("--nothing of ours", ""),
        ("Total --in words", ""),
    ],
)
def test_a_prompt_that_begins_with_an_option_is_told_from_any_other(text, flag):
    assert find_option(text, FLAGS) == flag


@pytest.mark.parametrize(
    "cell", ["", "x > 1", ">>> x", ">= 3", ">>x", "# > no", "'> no'", "%%time\n> no", "print('> x')\n> x"]
)
def test_any_other_cell_is_none(cell):
    assert parse(cell, SWITCHES) is None


@pytest.mark.parametrize(
    "cell",
    [
        "Which user spent the most, and how much?",
        "Show a table of totals per user.",
        "For each user, sum the orders of last year.",
        "If a user has no orders, leave it out.",
        "List the user's 3.5 latest orders!",
        "Compare Alice and Bob. Who spent more?",
        "Über welche Bestellungen wurde geklagt?",
        "List all users.\nThen add their totals.\n",
        "how much did we earn in 2025?",
        "How much did we earn in 2025?",
        "who spent more, Alice or Bob?",
        "what's the total of 3.5 and 4?",
        "so what about the year before that?",
    ],
)
def test_with_auto_a_sentence_is_a_prompt(cell):
    assert is_prose(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "import numpy s np", "if x > 3 then print", "delete all files", "plot x", "compare a and b", "not a list",
        "Delete all files", "Import os.", "From os import path.", "Foo and Bar and x.", "Foo and Bar and 1.", "True is not False.",
        "Foo\nbar\nbaz.", "df.head()?", "Which?", "Print the_list now.", "X = 1 or 2.", "Total - Tax, Net.", "Note: add them up.",
        "# Add them all up.", " Add them all up.", "'Add them all up.'", "Add (all of) them up.", "Os.path is not here.",
        "for x in items?", "return total or subtotal?", "a in b?", "match all the things?", "import numpy as np?", "x is not y?",
        "list all the users.", "Foo in 2025.", "Total i 2024.", "one of 12?3", "df.head().tail()?", "print total sales of 2025",
        "None of them is left.", "What is df.head?", "!Ls the files here.", "%Time the whole thing.",
    ],
)  # fmt: skip
def test_with_auto_everything_else_is_python(cell):
    assert not is_prose(cell)


def test_with_auto_a_comment_without_its_sign_is_prose_for_it_holds_no_code():
    assert is_prose("#Compute the totals."[1:])
    assert not is_prose("#Compute the totals.\nx = 1"[1:])


def _cells_of_python() -> list[str]:
    """Statements of real modules, and what looks most like prose among the shortest of Python."""
    cells = ["Foo and Bar and baz", "Foo if Bar else baz", "not Foo", "Foo in Bar", "Foo is not Bar", "Foo, Bar, baz",
             "del Foo, Bar", "assert Foo, bar", "global Foo, bar", "raise Foo", "from foo import bar", "import foo, bar as Baz",
             "Foo\nbar\nBaz", "pass", "lambda: Foo", "return Foo or bar", "Foo.bar", "-Foo", "await Foo", "Foo - Bar - baz"]  # fmt: skip
    for module in (string, ast):
        with open(module.__file__, encoding="utf-8") as file:
            text = file.read()
        cells += [segment for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)
                  and (segment := ast.get_source_segment(text, node)) and len(segment) < 400]  # fmt: skip
    return cells


PYTHON = _cells_of_python()


def test_with_auto_no_python_is_a_prompt():
    assert len(PYTHON) > 500
    assert [cell for cell in PYTHON if is_prose(cell)] == []


LETTERS = [*"aZ1 ._,!?'-\n:(", "É"]


def _with_one_mistake(cell: str, place: int, letter: str) -> list[str]:
    swapped = cell[:place] + cell[place : place + 2][::-1] + cell[place + 2 :]
    capital = cell[:1].upper() + cell[1:]
    return [
        cell[:place] + cell[place + 1 :], cell[:place] + letter + cell[place:], cell[:place] + letter + cell[place + 1 :],
        swapped, capital,
    ]  # fmt: skip


def test_with_auto_no_short_python_with_one_mistake_anywhere_is_a_prompt():
    taken = [
        wrong
        for cell in PYTHON[:20]
        for place in range(len(cell) + 1)
        for letter in LETTERS
        for wrong in _with_one_mistake(cell, place, letter)
        if is_prose(wrong)
    ]
    assert taken == []


@settings(max_examples=1_500, deadline=None)
@given(st.sampled_from(PYTHON), st.data())
def test_with_auto_no_python_with_one_mistake_is_a_prompt(cell, data):
    place = data.draw(st.integers(0, len(cell)))
    letter = data.draw(st.one_of(st.sampled_from(LETTERS), st.characters(codec="utf-8")))
    assert [wrong for wrong in _with_one_mistake(cell, place, letter) if is_prose(wrong)] == []


@pytest.mark.parametrize(
    ("cell", "prose"),
    [
        ("which user spent the most", True),
        ("Show totals", True),
        (">How much did Bob spend?", True),
        ("How much did Bob's orders cost, in all?", True),
        ("print 'hello world my friend'", False),
        ("from collections import Counter\nCounter?", False),
        ("x?", False),
        ("> but not first: x, y, z", False),
        ("import numpy s np", True),  # a hint is no prompt: it costs a line on the screen
        ("x = (1", False),
        ("for x in range(3) print(x)", False),
    ],
)
def test_a_hint_is_for_words(cell, prose):
    assert is_like_prose(cell) is prose


@pytest.mark.parametrize(
    ("cell", "late"),
    [
        ("# note\n%%codeact --quiet\nAdd.", "%%codeact"),
        ("x = 1\n%%codeact\nAdd.", "%%codeact"),
        ("  %%codeact\nAdd.", "%%codeact"),
        ("# note\n\n> Add.", ">"),
        ("  > Add.", ">"),
        ("> Add.\n%%codeactor", ""),
        ("%%codeact\nAdd.", ""),
        ("x = (1\n  > 2\ny =", ""),
        ("x = 1\n# %%codeact", ""),
    ],
)
def test_a_prompt_that_does_not_begin_its_cell_is_found(cell, late):
    assert find_late_prompt(cell) == late
