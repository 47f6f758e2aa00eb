"""What a notebook keeps of its prompts: results under the names of IPython, the thread, and recorded programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Notebook

TOOL = '''
from codeact import tool

@tool
def get_orders(year: int) -> list[dict]:
    """Orders of a year: region, revenue."""
    return [{"region": "Europe", "revenue": 2.0}, {"region": "Asia", "revenue": 3.0}]
'''
SUM = "sum(order['revenue'] for order in get_orders(2025))"


@pytest.fixture
def fresh(nb: Notebook) -> Notebook:
    """The module's kernel, with an empty thread."""
    nb.do("%codeact thread clear")
    nb.do("_codeact = None")
    return nb


def test_the_value_of_a_prompt_cell_is_in_out_and_in_the_underscore(fresh):
    cell = fresh.ask("[1, 2, 3]")
    assert cell.status == "ok"
    assert not cell.of("execute_result"), "it is shown once"
    number = fresh.get("max(Out)")
    assert fresh.get(f"Out[{number}]") == [1, 2, 3]
    fresh.ask("41")
    fresh.do("answer = _ + 1")
    assert fresh.get("answer") == 42


def test_a_failed_prompt_takes_no_good_result_away(fresh):
    fresh.ask("[{'a': 1}]")
    before = fresh.get("max(Out)")
    assert fresh.ask("1 / 0", options="--max-retries 0").status == "error"
    assert fresh.get("(_codeact.value, codeact.results[-1].error.kind, codeact.results[-2].value, max(Out))") == (
        [{"a": 1}],
        "ZeroDivisionError",
        [{"a": 1}],
        before,
    )


def test_the_first_prompt_can_be_looked_at_even_if_it_failed(fresh):
    fresh.ask("1 / 0", options="--max-retries 0")
    assert fresh.get("_codeact.error.kind") == "ZeroDivisionError"


def test_a_result_is_a_dataframe_if_it_can_be(fresh):
    fresh.ask("[{'a': 1}, {'a': 2}]")
    assert fresh.get("(type(_codeact.df).__name__, int(_codeact.df['a'].sum()))") == ("DataFrame", 3)
    fresh.ask("5")
    (error,) = fresh.run("_codeact.df").errors
    assert "This result is not a table: its plain value is in .value." in error


def test_an_answer_in_words_is_in_out_as_text(fresh):
    fresh.script("The middle value.", "The middle value.")
    fresh.run("%%codeact\nWhat is a median?")
    fresh.do("words = _")
    assert fresh.get("words") == "The middle value."


def test_a_follow_up_reads_the_value_before_it_and_the_footer_says_so(fresh):
    fresh.ask("[1, 2, 3]", prompt="List some numbers.")
    cell = fresh.ask("sum(previous)", prompt="Add them up.")
    assert fresh.get("_codeact.value") == 6
    assert "continues: List some numbers." in cell.text


def test_new_forgets_the_prompts_before(fresh):
    fresh.ask("[1, 2, 3]")
    cell = fresh.ask("'previous' in dir()", options="--new")
    assert fresh.get("_codeact.value") is False
    assert "continues" not in cell.text


def test_the_thread_can_be_seen_word_for_word_and_parts_of_it_dropped(fresh):
    fresh.ask("[1, 2, 3]", prompt="List some numbers.")
    fresh.ask("7", prompt="Name one.")
    shown = fresh.run("%codeact thread").stdout
    assert "List some numbers.\n" in shown
    assert "```python\n7\n```\nIt gave: int\n" in shown
    number = shown.split(". Name one.")[0].splitlines()[-1]
    assert f"nothing along from prompt {number}" in fresh.run(f"%codeact thread drop {number}").stdout
    assert "Name one" not in fresh.run("%codeact thread").stdout
    assert "There is no prompt 999" in fresh.run("%codeact thread drop 999").errors[0]
    fresh.run("%codeact thread clear")
    assert fresh.run("%codeact thread").stdout.startswith("The next prompt takes nothing along")


def test_a_follow_up_has_a_variable_as_it_is_now(fresh):
    fresh.do("import pandas\ndf = pandas.DataFrame({'a': [1, 2]})")
    fresh.ask("sum(df['a'])", options="--in df")
    fresh.do("df = pandas.DataFrame({'a': [10, 20]})")
    fresh.ask("sum(df['a'])", prompt="And now?")
    assert fresh.get("_codeact.value") == 30


def test_a_variable_of_the_thread_does_not_take_the_place_of_an_output_with_its_name(fresh):
    fresh.do("import pandas\ndf = pandas.DataFrame({'a': [1, 2]})")
    fresh.ask("df", options="--in df")
    fresh.ask("[{'a': 2 * row['a']} for row in previous]", options="--out df", prompt="Double.")
    assert fresh.get("df.to_dict('list')") == {"a": [2, 4]}


def test_a_value_that_the_user_changes_is_still_what_the_prompt_gave(fresh):
    fresh.ask("[1, 2, 3]")
    fresh.do("Out[max(Out)].append(99)")
    fresh.ask("sum(previous)", prompt="Add them up.")
    assert fresh.get("_codeact.value") == 6


@pytest.mark.parametrize(
    "command", ["thread drop " + "9" * 5_000, "thread drop ²", "show " + "9" * 40, "history " + "%" * 60_000]
)
def test_odd_arguments_are_answered_in_a_sentence(fresh, command):
    cell = fresh.run(f"%codeact {command}")
    assert cell.status == "ok" or cell.reply["ename"] in ("UsageError", "UserError")
    assert "damaged" not in cell.everything


def test_a_new_prompt_has_no_variable_of_the_thread_if_it_takes_nothing_along(fresh):
    fresh.do("import pandas\ndf = pandas.DataFrame({'salary': [1, 2]})")
    fresh.ask("df", options="--in df")
    assert "salary" not in fresh.run("%%codeact --dry-run --limits thread_tokens=0\nMore").stdout


def test_reloading_the_extension_keeps_the_results_and_the_thread(fresh):
    fresh.ask("[1, 2, 3]")
    count = fresh.get("len(codeact.results)")
    fresh.do("%reload_ext codeact")
    assert fresh.get("len(codeact.results)") == count
    fresh.ask("sum(previous)", prompt="Add them up.")
    assert fresh.get("_codeact.value") == 6


def test_a_name_of_the_user_is_not_taken(fresh):
    fresh.do("kept = codeact\ncodeact = 5")
    try:
        fresh.ask("1")
        assert fresh.get("codeact") == 5
    finally:
        fresh.do("codeact = kept")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recorded")


@pytest.fixture
def kernels(folder: Path) -> Iterator[list[Notebook]]:
    """Two kernels in one folder, one after the other, that reuse what is recorded there."""
    opened: list[Notebook] = []
    try:
        yield opened
    finally:
        for kernel in opened:
            kernel.close()


def start(kernels: list[Notebook], folder: Path) -> Notebook:
    kernel = Notebook(folder, CODEACT_REUSE="auto")
    kernels.append(kernel)
    kernel.do("%load_ext codeact\n" + TOOL)
    return kernel


def test_a_restarted_kernel_asks_no_model_and_every_command_about_that_works(kernels, folder):
    first = start(kernels, folder)
    assert first.ask(SUM, prompt="Revenue").status == "ok"
    second = start(kernels, folder)
    second.script()
    cell = second.run("%%codeact\nRevenue", cell="revenue")
    assert (second.get("_codeact.value"), second.asked) == (5.0, [])
    assert "The recorded program of " in cell.text
    assert "Run the cell again to ask the model." in cell.text
    listed = second.run("%codeact locks").stdout
    assert listed.endswith("Revenue\n")
    assert "not trusted" not in listed
    assert second.run("%codeact pin").stdout.startswith("Pinned: this prompt keeps its program of ")
    second.run("%%codeact\nRevenue", cell="revenue")
    assert second.asked == []
    assert second.run("%codeact locks").stdout.endswith("Revenue, pinned\n")
    second.run("%codeact unpin")
    second.script("```python\n1\n```")
    second.run("%%codeact\nRevenue", cell="revenue")
    assert second.get("_codeact.value") == 1

    (file,) = (folder / ".codeact" / "prompts").iterdir()
    file.write_text(file.read_text().replace('"1"', '"destroy()"'))
    assert "not trusted" in second.run("%codeact locks").stdout
    assert "    destroy()" in second.run("%codeact locks").stdout
    assert "Nothing is trusted yet" not in second.run("%codeact locks trust").stdout
    assert "not trusted" not in second.run("%codeact locks").stdout
    file.write_text("<<<<<<< HEAD\n")
    assert "has an unresolved merge conflict" in second.run("%codeact locks").stdout
    hostile = {
        "codeact_lock": 1,
        "ask": "Sum\n2026-01-01  Fine",
        "recorded": "2026-01-01T00:00:00+00:00",
        "answer": "Pay\u202e me",
    }
    file.write_text(json.dumps(hostile))
    assert second.run("%codeact locks").stdout == "2026-01-01  Sum\\n2026-01-01  Fine, not trusted\n    Pay\\u202e me\n"


def test_a_variable_that_an_earlier_prompt_brought_along_is_no_part_of_a_lock(kernels, tmp_path):
    kernel = start(kernels, tmp_path)
    kernel.do("import pandas\ndf = pandas.DataFrame({'a': [1, 2]})")
    kernel.ask("sum(df['a'])", options="--in df", prompt="Sum")
    kernel.ask("max(df['a'])", prompt="And the largest?")
    (file,) = (tmp_path / ".codeact" / "prompts").glob("and-*")
    lock = json.loads(file.read_text())
    assert "inputs" not in lock
    assert list(lock["depends"]["inputs"]) == ["df"]


def test_programs_are_recorded_beside_the_notebook_wherever_it_goes(kernels, folder):
    kernel = Notebook(folder, CODEACT_REUSE="auto")
    kernels.append(kernel)
    kernel.do("%load_ext codeact")
    kernel.do("import os\nos.mkdir('elsewhere')\nos.chdir('elsewhere')")
    kernel.ask("1", prompt="Elsewhere")
    assert not (folder / "elsewhere" / ".codeact").exists()
    assert any(file.name.startswith("elsewhere-") for file in (folder / ".codeact" / "prompts").iterdir())
