"""`%codeact to-cell` and `%codeact to-tool`: a program that gave a result gives it again as an ordinary cell."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path

import nbformat
import pytest

from .conftest import Cell, Notebook
from .page import Page

EXAMPLES = Path(__file__).parents[2] / "examples"
RESET = {"02_your_tools.ipynb": "globals().get('ordered', {}).clear()"}
"""What makes the notebook's own state as it was before a prompt."""


def kept(nb: Notebook, command: str = "to-cell") -> str:
    """The text of the new cell."""
    cell = nb.run(f"%codeact {command}")
    assert cell.status == "ok", cell.errors
    (payload,) = [item for item in cell.reply["payload"] if item["source"] == "set_next_input"]
    assert not payload["replace"]
    return payload["text"]


def value_of(nb: Notebook, cell: Cell) -> object:
    """The JSON form of what a cell gave."""
    assert cell.status == "ok", cell.errors
    if not cell.of("execute_result"):
        return None
    number = cell.of("execute_result")[0]["execution_count"]
    return nb.get(
        f"__import__('codeact_kernel.tools.to_json', fromlist=['x']).to_json(Out[{number}], limits=__import__('codeact_kernel.settings', fromlist=['x']).Limits())"
    )


def same_value(nb: Notebook, reset: str = "") -> str:
    """Keep the last program as a cell, run the cell, and see that it gives the value of the turn."""
    expected = nb.get("_codeact.value")
    source = kept(nb)
    if reset:
        nb.do(reset)
    assert value_of(nb, nb.run(source)) == expected
    return source


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_the_program_of_every_example_gives_the_same_value_in_a_cell(name, tmp_path):
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    notebook = Notebook(folder)
    try:
        for cell in nbformat.read(folder / name, as_version=4).cells:
            if cell.cell_type == "code":
                notebook.do(cell.source)
                if cell.source.startswith("%%codeact"):
                    print(same_value(notebook, RESET.get(name, "")))
    finally:
        notebook.close()


TOOLS = '''
import asyncio, datetime, enum
import pandas as pd
from codeact import tool

days = pd.DataFrame({"day": pd.to_datetime(["2026-01-01", "2026-01-02"]), "sold": [3, 4]})
people = [{"name": "Ann", "born": 1990}, {"name": "Bo", "born": 1985}]
big = pd.DataFrame({"n": range(200_000), "half": [n / 2 for n in range(200_000)]})

@tool
def sales() -> object:
    """Sales per day."""
    return days

@tool
def find_people() -> list:
    """All people."""
    return people

@tool
def maybe_table(rows: bool) -> object:
    """A number, or a table."""
    return days if rows else 1

@tool
def week_of(day: datetime.date) -> int:
    """The week of a day."""
    return day.isocalendar().week

@tool
def next_day(day: str) -> datetime.date:
    """The day after."""
    return datetime.date.fromisoformat(day) + datetime.timedelta(days=1)

@tool
async def rate(currency: str) -> float:
    """A rate."""
    await asyncio.sleep(0)
    if currency == "XXX":
        raise ValueError("no such currency")
    return {"NOK": 11.5, "USD": 1.1}[currency]

@tool
def everything() -> object:
    """All rows."""
    return big
'''


@pytest.fixture
def tools(nb: Notebook) -> Notebook:
    nb.do(TOOLS)
    return nb


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("[row['sold'] for row in sales()]", ""),
        ("maybe_table(rows=False), maybe_table(rows=True)", ""),
        ("week_of('2026-01-05')", ""),
        ("[next_day('2026-01-05') + '!', len(next_day('2026-02-28'))]", ""),
        ("for person in find_people():\n    person['age'] = 2026 - person['born']\nfind_people()[0]", ""),
        ("rate('NOK') + rate(currency='USD')", ""),
        ("rate.map(currency=['NOK', 'USD'])", ""),
        ("call = rate.submit('NOK')\n{'nok': call.result()}", ""),
        ("await rate('NOK')", ""),
        ("import asyncio\nawait asyncio.gather(*[rate(c) for c in ('NOK', 'USD')])", ""),
        (
            "import asyncio\ncalls = [rate(c) for c in ('NOK', 'USD')]\nresult = await asyncio.gather(*calls)\nsum(result)",
            "",
        ),
        (
            "import asyncio\nasync def main():\n    a, b = await asyncio.gather(rate('NOK'), week_of('2026-01-05'))\n    return [a, b]\nasyncio.run(main())",
            "",
        ),
        ("async def main():\n    return await rate('NOK')\nmain()", ""),
        ("try:\n    rate('XXX')\nexcept ToolFailed as error:\n    text = str(error)\ntext", ""),
        ("try:\n    rate('XXX')\nexcept Exception as error:\n    text = type(error).__name__ + str(error)\ntext", ""),
        ("call_tool('rate', currency='NOK')", ""),
        ("await call_tool_async('rate', currency='NOK')", ""),
        ("rows = everything()\n[len(rows), rows[7]['half'], sum(rows['n'])]", ""),
        ("(1, {2.5, 1.5}, 0.1 + 0.2)", ""),
        ("import datetime\ndatetime.date(2026, 1, 2)", ""),
        ("import datetime\n{datetime.date(2026, 1, 2): 3, 4: None}", ""),
        ("(n * n for n in range(4))", ""),
        ("{'a': 1}.items()", ""),
        ("squares = map(lambda n: n * n, range(4))\nsquares", ""),
        ("numbers = [3, 1, 2]\nnumbers.sort()", ""),
        ("if find_people():\n    total = len(find_people())\nelse:\n    'nobody'", ""),
        ("try:\n    value = 1 / 0\nexcept ZeroDivisionError:\n    value = 'none'", ""),
        ("a, b = 1, 2", ""),
        ("from collections import Counter\ncounts = Counter()\ncounts['x'] += 1", ""),
        ("days.group_by('sold').items()", "--in days"),
        ("days['sold'].sum() + sum(row['sold'] for row in days)", "--in days"),
        ("days = days.where(sold=4)\n[row['day'].isoformat() for row in days]", "--in days"),
        ("people.sort(key=lambda row: row['born'])\npeople", "--in people"),
        ("text = f\"{people[0]['name']:>{len(people) + 3}}\"\ntext", "--in people"),
        ("ages = [2026 - row['born'] for row in people]", "--in people --out ages"),
        ("[{'name': row['name'], 'age': 2026 - row['born']} for row in people]", "--in people --out ages"),
        ("show('hello')\nshow(people, title='People')\nlen(people)", "--in people"),
        ("print('hello')", ""),
    ],
)
def test_a_program_gives_the_same_value_in_a_cell(tools, program, options):
    cell = tools.ask(program, options=options)
    assert cell.status == "ok", cell.errors
    same_value(tools)


def test_the_cell_changes_nothing_of_the_notebook_that_the_program_could_not_change(tools):
    tools.ask(
        "people.sort(key=lambda row: row['born'])\nfor person in find_people():\n    person['x'] = 1\n'done'",
        options="--in people",
    )
    same_value(tools)
    assert tools.get("people") == [{"name": "Ann", "born": 1990}, {"name": "Bo", "born": 1985}]


def test_functions_and_modules_of_the_notebook_keep_their_names(tools):
    tools.do("import datetime\ndef age(x):\n    return 'mine'")
    tools.ask("from datetime import datetime\ndef age(born):\n    return datetime(2026, 1, 1).year - born\nage(1990)")
    source = same_value(tools)
    assert "from datetime import datetime as datetime_2" in source
    assert tools.get("age(0), datetime.date(2026, 1, 1).year") == ("mine", 2026)


def test_a_second_cell_uses_the_same_names_as_the_first(tools):
    tools.ask("[row['sold'] for row in sales()]")
    assert same_value(tools) == same_value(tools)


def test_the_user_learns_which_variables_the_cell_assigns_and_what_they_decided_in_the_turn(tools):
    tools.do(
        "mine = 1\n@tool(approval_mode='always_require')\ndef send(text: str) -> str:\n    'Send.'\n    return text"
    )
    tools.ask("mine = 2\ntry:\n    send('a')\nexcept ToolDenied:\n    mine = 3\nmine")
    cell = tools.run("%codeact to-cell")
    assert "assigns variables that your notebook has: mine" in cell.stdout
    assert "You denied calls of send: the cell makes them." in cell.stdout
    assert "# send runs without asking here" in cell.reply["payload"][0]["text"]


def test_programs_that_went_on_from_another_are_kept_together(tools):
    tools.ask("rows = sales()\nobserve(rows[0])", "sum(row['sold'] for row in rows)")
    assert same_value(tools).count("sales_seen()") == 1
    tools.ask("rows = sales()\nobserve(rows[0])", "rows = sales()\nlen(rows)")
    assert same_value(tools).count("sales_seen()") == 1


def test_a_program_that_reads_earlier_results_is_kept_with_them(tools):
    tools.ask("[row['sold'] for row in sales()]", options="--new")
    tools.ask("sum(previous) + len(results[max(results)])")
    assert "previous_seen = as_program_sees(codeact.results[" in same_value(tools)
    assert "which the notebook has until the kernel restarts" in tools.run("%codeact to-cell").stdout
    tools.ask("[{'n': n, 'half': n / 2} for n in range(3)]", options="--new")
    tools.ask("previous.group_by('n').items()")
    same_value(tools)


def test_a_failed_prompt_leaves_the_program_before_it_to_be_kept(tools):
    tools.ask("1 + 1", prompt="The good one.")
    tools.ask("1 / 0", options="--max-retries 0")
    assert 'The program of "The good one." is in the cell below.' in tools.run("%codeact to-cell").stdout


def test_the_program_of_an_earlier_prompt_is_kept_after_it_was_chosen(tools):
    tools.ask("'first'", prompt="The first one.")
    tools.ask("'second'", prompt="The second one.")
    tools.do("_codeact = codeact.results[-2]")
    assert "'first'" in same_value(tools)


def test_a_program_nested_as_deeply_as_a_program_may_be_gives_a_cell_or_a_sentence(tools):
    for depth in (50, 90):
        tools.ask(f"len({'[' * depth}{']' * depth})")
        cell = tools.run("%codeact to-cell")
        assert cell.status == "ok" or "nested too deeply" in cell.errors[0]


def test_a_finished_card_has_the_texts_of_its_buttons(tmp_path):
    page = Page(tmp_path)
    try:
        page.do("%load_ext codeact")
        page.do(TOOLS)
        page.script("```python\n[row['sold'] for row in sales()]\n```", "Nothing.")
        texts = [
            unescape(text)
            for text in re.findall(
                'data-codeact-copy="([^"]+)" title="Copy as',
                page.run("%%codeact\nGo.", answers=[]).shown["text/html"],
                re.DOTALL,
            )
        ]
        assert texts[0] == kept(page)
        assert "def go() -> list:" in texts[1]
        assert "Copy as" not in page.run("%%codeact\nSay something.", answers=[]).shown["text/html"]
    finally:
        page.close()


def test_a_program_that_needs_what_a_failed_one_left_is_not_kept(tools):
    tools.ask("rows = sales()\n1 / 0", "len(rows)")
    cell = tools.run("%codeact to-cell")
    assert "it comes from an earlier program of the same turn. Run the prompt again" in cell.errors[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("```python\n1 / 0\n```", "The prompt failed, so there is no program to keep"),
        ("Nothing to do.", "The model answered in words and without a program"),
        (
            "```python\nopen('/output/a.txt', 'w').write('a')\n```",
            "uses the file '/output/a.txt', which only the sandbox has",
        ),
    ],
)
def test_where_there_is_nothing_to_keep_one_sentence_says_why(nb, answer, why):
    nb.do("globals().pop('_codeact', None)")
    nb.script(answer)
    nb.run("%%codeact --max-retries 0\nGo.")
    for command in ("to-cell", "to-tool keep_it"):
        cell = nb.run(f"%codeact {command}")
        assert cell.status == "error"
        assert why in cell.errors[0]
        assert "Traceback" not in cell.errors[0]


def test_the_shown_items_are_shown_again(tools):
    tools.ask("show([{'a': 1}, {'a': 2}], chart='bar', x='a', y='a')\nshow('**hello**')")
    cell = tools.run(kept(tools))
    assert any('alt="Chart"' in data["data"].get("text/html", "") for data in cell.of("display_data"))
    assert "<strong>hello</strong>" in cell.everything


def test_a_tools_error_in_a_cell_is_the_one_of_the_program(tools):
    tools.do("from codeact import as_program_sees, ToolFailed, ToolError")
    cell = tools.run("as_program_sees(rate)('XXX')")
    assert "ToolFailed" in cell.errors[0]
    assert "no such currency" in cell.errors[0]
    assert tools.get("'ToolFailed' in dir(__builtins__)") is False


def test_a_program_becomes_a_tool_that_the_next_program_calls(tools):
    tools.ask("[row['sold'] for row in sales() if row['sold'] > 3]", prompt="Which sales are above 3?")
    source = kept(tools, "to-tool sales_above")
    assert "def sales_above(sold: int = 3) -> list:" in source
    assert '"""Which sales are above 3?"""' in source
    tools.do(source)
    assert tools.get("sales_above(), sales_above(sold=0)") == ([4], [3, 4])
    cell = tools.ask("sales_above(sold=0)")
    assert cell.status == "ok", cell.errors
    assert tools.get("_codeact.value") == [3, 4]


def test_a_tool_that_awaits_others_is_async(tools):
    tools.ask("import asyncio\nsum(await asyncio.gather(*[rate(c) for c in ('NOK', 'USD')]))", prompt="NOK and USD?")
    tools.do(kept(tools, 'to-tool both first="NOK"'))
    assert tools.run("await both(first='USD')").of("execute_result")[0]["data"]["text/plain"] == "2.2"
    tools.ask("both(first='USD')")
    assert tools.get("_codeact.value") == 2.2


def test_a_tool_asks_if_one_of_its_tools_does(tools):
    tools.do("@tool(approval_mode='always_require')\ndef send(text: str) -> str:\n    'Send.'\n    return text")
    tools.ask("send(text='Hello')", options="--allow send", prompt="Send 'Hello'.")
    assert '@tool(approval_mode="always_require")\ndef greet(text: str = "Hello") -> str:' in kept(
        tools, "to-tool greet"
    )


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("", "Name the tool: %codeact to-tool NAME"),
        ("show", "is the name of a function that every program has"),
        ("sales", "calls the tool sales itself"),
        ("ok 77", "77 is not in the program"),
        ("ok row=3", "row: a parameter cannot have this name"),
    ],
)
def test_a_tool_that_cannot_be_written_says_why(tools, argument, why):
    tools.ask("[row['sold'] for row in sales() if row['sold'] > 3]")
    assert why in tools.run(f"%codeact to-tool {argument}").errors[0]


def test_the_recipe_shows_what_the_commands_write(nb):
    page = (EXAMPLES.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
    first = page.partition("```python\n")[2].partition("```")[0]
    section = page.partition("## Keep a program\n")[2].partition("\n## ")[0]
    blocks = [block.partition("\n") for block in section.split("```")[1::2]]
    texts = [text for _, _, text in blocks]
    nb.do(first)
    nb.do(texts[0])
    nb.script(f"```python\n{texts[2]}\n```")
    nb.do(texts[1])
    for command, shown in ((texts[3], texts[4]), (texts[5], texts[6])):
        written = kept(nb, command.removeprefix("%codeact ").strip())
        day = re.compile("from a prompt of .*")
        assert day.sub("", written) == day.sub("", shown.strip())


def test_a_tool_without_a_function_in_the_notebook_is_found_by_its_name(nb: Notebook):
    nb.do(
        "from codeact_kernel import tool_from_schema\n"
        "tool_from_schema('web.search', 'Search.', {'properties': {'from': {'type': 'string'}}}, lambda **given: given);"
    )
    nb.ask("web_search(from_='here')")
    assert nb.get("_codeact.value") == {"from": "here"}
    same_value(nb)
