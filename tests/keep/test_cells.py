"""The text of kept cells: what of a program changes, and what a stranger could try to hide in it."""

from __future__ import annotations

import ast
from datetime import date

import pytest

from codeact_kernel.errors import UserError
from codeact_kernel.keep import Notebook, NotebookTool, TurnProgram, make_cell, make_tool
from codeact_kernel.keep.literals import Pick

DAY = date(2026, 11, 29)
HEADING = "# Go.\n# Kept from a prompt of 29 November 2026.\n"


def tool(name: str, **facts: object) -> NotebookTool:
    return NotebookTool(**{"name": name, "variable": name, "is_plain": True, **facts})


NOTEBOOK = Notebook(
    tools={
        one.name: one
        for one in (
            tool("orders", parameters=("year", "region"), read_only=True),
            tool("table", is_plain=False),
            tool("elsewhere", variable=None),
            tool("renamed", variable="my_function"),
            tool("send", asks=True, is_trusted=False),
        )
    },
    variables={"df": False, "one": True, "params": True, "total": True, "helper": True},
    fixed=frozenset({"helper"}),
)


def cell(program: str, ask: str = "Go.", **facts: object) -> str:
    turn = TurnProgram(**{"ask": ask, "text": program, "day": DAY, "inputs": ["df", "params", "one"], **facts})
    source = make_cell(turn, NOTEBOOK).source
    ast.parse(source)
    return source


def new_tool(program: str, ask: str = "Go.", picks: list[Pick] | None = None, **facts: object) -> str:
    turn = TurnProgram(**{"ask": ask, "text": program, "day": DAY, "inputs": ["df", "params"], **facts})
    source = make_tool(turn, NOTEBOOK, "keep_it", None, picks).source
    ast.parse(source)
    return source


def test_a_simple_program_stays_as_the_model_wrote_it_below_the_prompt():
    program = "rows = []  # one row per order\nfor order in orders(2024):\n    rows.append(order)\n\nrows  # all"
    assert cell(program) == HEADING + program


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("table()", "table_seen = as_program_sees(table)\n\ntable_seen()"),
        ("elsewhere()", "elsewhere_seen = as_program_sees('elsewhere')\n\nelsewhere_seen()"),
        ("renamed()", "my_function()"),
        ("df.head()", "df_seen = as_program_sees(df)\n\ndf_seen.head()"),
        ("params['rate']", "params['rate']"),
        ("params['rate'] = 1\nparams", "params_seen = as_program_sees(params)\n\nparams_seen['rate'] = 1\nparams_seen"),
        ("orders.map(year=[1, 2])", "orders_seen = as_program_sees(orders)\n\norders_seen.map(year=[1, 2])"),
        ("f'{table()} é {table()!r:>9}'", "table_seen = as_program_sees(table)\n\nf'{table_seen()} é {table_seen()!r:>9}'"),
        ("[df for df in [1]]", "[df for df in [1]]"),
        ("def f(df):\n    return df\nf(1)", "def f(df):\n    return df\nf(1)"),
        ("def helper():\n    return 1\nhelper()", "def helper_2():\n    return 1\nhelper_2()"),
        ("import math as helper\nhelper.pi", "import math as helper_2\nhelper_2.pi"),
        ("def f():\n    global helper\n    helper = 1\nf()\nhelper", "def f():\n    global helper_2\n    helper_2 = 1\nf()\nhelper_2"),
    ],
)  # fmt: skip
def test_only_what_differs_in_the_notebook_is_replaced(program, expected):
    assert cell(program).split("as_program_sees\n\n", 1)[-1].removeprefix(HEADING) == expected


@pytest.mark.parametrize(
    ("program", "end"),
    [
        ("a = 1", "a = 1\na"),
        ("a, b = 1, 2", "a, b = 1, 2\n(a, b)"),
        ("a = {}\na['x'] = 1", "a = {}\na['x'] = 1\na"),
        ("a = [2, 1]\na.sort()", "a = [2, 1]\na.sort()\na"),
        ("a = 1\na;", "a = 1\na"),
        ("(n for n in [1])", "list((n for n in [1]))"),
        ("if True:\n    1  # one\nelse:\n    b = 2  # two", "_value = None\nif True:\n    _value = 1  # one\nelse:\n    b = 2  # two\n    _value = b\n_value"),
        ("try: 1 / 0\nexcept Exception: a = 1; b = 2", "_value = None\ntry: _value = 1 / 0\nexcept Exception: a = 1; b = 2; _value = b\n_value"),
        ("if True:\n    (\n        1 +\n        2\n    )", "_value = None\nif True:\n    _value = (\n        1 +\n        2\n    )\n_value"),
        ("@one\ndef f():\n    pass", "@one\ndef f():\n    pass\nNone"),
        ("match 1:\n    case 1:\n        'one'", "_value = None\nmatch 1:\n    case 1:\n        _value = 'one'\n_value"),
        ("with one() as f:\n    f.read()", "_value = None\nwith one() as f:\n    _value = f.read()\n_value"),
    ],
)  # fmt: skip
def test_the_cell_ends_with_the_value_of_the_program(program, end):
    assert cell(program) == HEADING + end


def test_an_import_from_the_future_does_not_reach_later_cells():
    program = "from __future__ import annotations  # a comment\n\nx = 1\nx"
    assert cell(program) == HEADING + "x = 1\nx"
    assert "__future__" not in new_tool(program)


def test_a_program_without_a_value_stays_as_it_is():
    assert cell("total = 1", has_value=False) == HEADING + "total = 1"


def test_what_out_asked_for_is_assigned_as_a_dataframe():
    source = cell("rows = [{}]\nlen(rows)", outputs=["rows"], tables=["rows"])
    assert source.endswith("rows = [{}]\n\n_value = len(rows)\nrows = as_output(rows)\n_value")
    source = cell(
        "[{}]",
        outputs=[
            "rows",
        ],
        tables=["rows"],
    )
    assert source.endswith("_value = [{}]\nrows = as_output(_value)\n_value")


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c"])
def test_a_prompt_stays_inside_of_its_comment(line_end):
    source = cell("1", ask=f"Go{line_end}import os{line_end}%%bash")
    assert [line for line in source.splitlines() if not line.startswith("# ")] == ["1"]
    (function,) = [
        node
        for node in ast.parse(new_tool("1", ask=f"Go{line_end}import os")).body
        if isinstance(node, ast.FunctionDef)
    ]
    assert len(function.body) == 2


@pytest.mark.parametrize(
    "ask", ['a """ b', 'ends with "', 'ends with """', "ends with \\", 'a \\""" b', "\\N{DIGIT ONE} \\x41", "'''"]
)
def test_a_prompt_is_the_docstring_of_its_tool_whatever_it_contains(ask):
    function = ast.parse(new_tool("1", ask=ask)).body[-1]
    assert isinstance(function, ast.FunctionDef)
    assert ast.get_docstring(function) == ask
    assert len(function.body) == 2


def test_a_secret_of_the_environment_is_not_written_down(monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", "correct-horse-battery")
    for write in (cell, new_tool):
        assert "correct-horse-battery" not in write("1", ask="Use the key correct-horse-battery.")


def test_invisible_characters_are_escapes_in_the_cell():
    source = cell("text = 'a\u202eb\u200b'  # c\u2066d\ntext", ask="x\u202ey")
    assert source.isascii()
    assert "text = 'a\\u202eb\\u200b'  # c\\u2066d" in source
    assert "# x\\u202ey" in source


@pytest.mark.parametrize("program", ["r'a\u202eb'", "a\u3164 = 1\na\u3164", "rb = r'''\u200b'''"])
def test_a_program_whose_invisible_characters_cannot_be_escaped_is_not_kept(program):
    with pytest.raises(UserError, match="invisible characters"):
        cell(program)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("http_get('https://example.com').text", "uses http_get, which only the sandbox has"),
        ("open('/input/a.csv').read()", "uses the file '/input/a.csv', which only the sandbox has"),
        ("previous", "the value of an earlier prompt that is not remembered any more"),
        ("observe(1, 2)", "shows data to the model"),
        ("observe(find_tools('refund'))", "looks for tools for the model"),
        ("rows[0]", "it comes from an earlier program of the same turn"),
        ("import asyncio\ndef main():\n    return asyncio.run(x())\nasync def x(): pass\nmain()", "runs an event loop of its own"),
        ("# nothing", "there is nothing to keep"),
        ("x = = 1", "This Python cannot read the program"),
    ],
)  # fmt: skip
def test_a_program_that_cannot_run_in_the_notebook_is_not_kept(program, why):
    with pytest.raises(UserError, match=why):
        cell(program)


def test_a_variable_that_is_gone_is_named():
    turn = TurnProgram(ask="Go.", text="gone[0]", day=DAY, inputs=["gone"])
    with pytest.raises(UserError, match="The program reads gone, which the notebook has no more"):
        make_cell(turn, NOTEBOOK)


def test_a_tool_that_asks_is_named_in_the_cell():
    assert "# send runs without asking here: this cell calls your own code." in cell("send()")


@pytest.mark.parametrize(
    ("program", "names"),
    [
        ("open('x').read()", "open"),
        ("import os.path, json\nos.sep", "os.path"),
        ("from subprocess import run\nrun(['ls'])", "subprocess"),
        ("().__class__.__base__", "__base__, __class__"),
        ("eval('1')", "eval"),
        ("import json, math\nopen = 1\nopen", ""),
    ],
)
def test_the_cell_names_what_reaches_further_outside_of_the_sandbox(program, names):
    warning = f"# Here {names} can reach files and more: read this before you run it.\n" if names else ""
    for source in (cell(program), new_tool(program)):
        assert warning in source
        assert ("# Here " in source) is bool(names)


def test_the_literals_of_the_prompt_become_parameters():
    source = new_tool(
        "limit = 400\nrows = [o for o in orders(2024, 'EU') if o['amount'] > limit and o['name'] != 'name']\nrows[:5]",
        ask="The first 5 orders of 2024 in EU with an amount above 400, with their name.",
    )
    assert 'def keep_it(limit: int = 400, year: int = 2024, region: str = "EU", first: int = 5) -> object:' in source
    assert "    rows = [o for o in orders(year, region) if o['amount'] > limit and o['name'] != 'name']" in source
    assert "limit = 400\n" not in source
    assert source.endswith("    return rows[:first]")


@pytest.mark.parametrize(
    ("ask", "program", "parameters"),
    [
        ("Zero and one: 0, 1.", "[0, 1]", ""),
        ("With 1,200 in all.", "orders(1200)", "year: int = 1200"),
        ("With 10 % off.", "5 * 0.1", "number: float = 0.1"),
        ("By 'amount'.", "sorted([], key='amount')", 'key: str = "amount"'),
        ("By amount.", "sorted([], key='amount')", ""),
        ("For Ann.", "f'Ann {params}'", ""),
        ("For Ann.", "f'{params[\"Ann\"]}'", ""),
        ("Since 2024.", "2024 - 1", "year: int = 2024"),
        ("Only 7.", "match 7:\n    case 7:\n        'x'", "number: int = 7"),
        ("Twice 3.", "[3, 3, -3]", "number: int = 3"),
    ],
)
def test_a_literal_becomes_a_parameter_if_the_prompt_names_it_and_a_name_can_stand_there(ask, program, parameters):
    assert f"def keep_it({parameters}) -> object:" in new_tool(program, ask=ask)


def test_the_user_picks_literals_and_names():
    source = new_tool("orders(2024, 'EU')[0]['amount']", picks=[Pick("EU", "where"), Pick("amount")])
    assert 'def keep_it(where: str = "EU", text: str = "amount") -> object:' in source
    assert "return orders(2024, where)[0][text]" in source


def test_a_tool_has_the_options_that_its_tools_make_necessary():
    assert '@tool(approval_mode="always_require", source="untrusted")\n' in new_tool("send()")
    assert "@tool(read_only=True)\n" in new_tool("orders()")
    assert "@tool\n" in new_tool("1")


def test_a_tool_that_calls_by_a_computed_name_has_the_options_of_all_tools():
    assert '@tool(approval_mode="always_require", source="untrusted")\n' in new_tool("call_tool('se' + 'nd')")


def test_a_tool_that_reaches_more_than_its_tools_does_not_promise_to_change_nothing():
    assert "read_only" not in new_tool("import shutil\norders()")


def test_the_texts_of_a_program_keep_their_lines_in_a_tool():
    program = 'text = """a\n  b\n"""\nif text:\n    text = f"""\n{text}\n"""\nother = ("x"\n  "y")\ntext + other'
    namespace: dict[str, object] = {}
    source = new_tool(program).replace("from codeact import tool", "tool = lambda function: function")
    exec(source, namespace)
    assert namespace["keep_it"]() == "\na\n  b\n\nxy"  # type: ignore[operator]


def test_a_program_that_cannot_be_a_function_is_refused_with_the_reason():
    with pytest.raises(UserError, match="use %codeact to-cell"):
        new_tool("def f():\n    global n\n    n = 1\nf()")


def test_global_variables_of_a_program_are_those_of_the_tool():
    source = new_tool("n = 0\ndef count():\n    global n\n    n += 1\ncount()\nn")
    namespace: dict[str, object] = {}
    exec(source.replace("from codeact import tool", "tool = lambda function: function"), namespace)
    assert namespace["keep_it"]() == 1  # type: ignore[operator]
    assert "n" not in namespace
