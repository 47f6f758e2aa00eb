from __future__ import annotations

import re

import pytest

from .conftest import EXTENSION

ORDERS = '''
db = {1: [3, 4], 2: [50]}

@tool
def get_orders(user_id: int) -> list[int]:
    """Orders of one user."""
    return db[user_id]
'''
TOTALS = """
print("adding")
rows = [{"user": user, "total": sum(get_orders(user_id=user))} for user in (1, 2)]
rows
""".strip()


@pytest.fixture(scope="module")
def happy(kernel):
    """One ordinary cell, and what it left in the notebook."""
    kernel.do(ORDERS)
    cell = kernel.ask(TOTALS, options="--out totals", prompt="Totals per user.")
    result = kernel.get(
        """dict(
            value=codeact.results[-1].value, program=codeact.results[-1].program, ask=codeact.results[-1].ask, error=codeact.results[-1].error,
            stdout=codeact.results[-1].stdout, attempts=codeact.results[-1].attempts, turns=codeact.results[-1].model_turns, model=codeact.results[-1].model,
            calls=[(c.call.name, dict(c.call.arguments), c.answer.value, c.call.line, c.seconds >= 0) for c in codeact.results[-1].calls],
            tokens=(codeact.results[-1].usage.prompt_tokens, codeact.results[-1].usage.completion_tokens),
            times=(codeact.results[-1].timings.model, codeact.results[-1].timings.sandbox, codeact.results[-1].timings.tools, codeact.results[-1].timings.waiting),
            backend=codeact.results[-1].isolation.backend, totals=totals.to_dict("records"),
        )"""
    )
    return cell, result


def test_a_cell_shows_program_calls_output_table_and_where_it_ran(happy):
    cell, _ = happy
    assert cell.status == "ok"
    lines = cell.text.splitlines()
    assert '    print("adding")' in lines
    assert "→ get_orders(user_id=1) = [3, 4]" in lines
    assert "adding" in lines
    table = [line.split() for line in lines[lines.index("user  total") :][:3]]
    assert table == [["user", "total"], ["1", "7"], ["2", "50"]]
    assert re.fullmatch(
        r"\[1 program · 2 calls · about [\d,]+ tokens · WebAssembly\]", lines[lines.index("user  total") + 4]
    )
    model, sent, ran = [line for line in lines if line.startswith(("scripted: ", "sent to the model: ", "ran in: "))]
    assert re.fullmatch(r"scripted: 1 model turn, about \d+ tokens in, about \d+ out", model)
    assert (
        sent
        == "sent to the model: your prompt, the descriptions of get_orders (%codeact prompt shows it word for word)"
    )
    assert ran.startswith("ran in: WebAssembly in a locked-down process")
    (metadata,) = [content["metadata"]["codeact"] for content in cell.of("update_display_data")[-1:]]
    assert metadata["seconds"].keys() == {"model", "sandbox", "tools", "waiting"}
    assert len(metadata["calls"][0]) == 2


def test_the_cell_says_that_the_answers_are_scripted(happy):
    cell, _ = happy
    for text in cell.shown.values():
        assert "from a script, not from a model" in text


def test_a_cell_has_one_output_in_three_forms_which_is_updated_in_place(happy):
    cell, _ = happy
    (first,), updates = cell.of("display_data"), cell.of("update_display_data")
    assert updates
    assert {update["transient"]["display_id"] for update in updates} == {first["transient"]["display_id"]}
    assert set(cell.shown) == {"text/plain", "text/markdown", "text/html"}
    assert not cell.of("execute_result", "stream", "error")
    assert any("[running]" in update["data"]["text/plain"] for update in [first, *updates])
    assert "| 1 | 7 |" in cell.shown["text/markdown"]
    assert ">50</td>" in cell.shown["text/html"]


def test_the_result_holds_everything_that_happened(happy):
    _, result = happy
    rows = [{"user": 1, "total": 7}, {"user": 2, "total": 50}]
    assert result["value"] == rows
    assert result["totals"] == rows
    assert result["program"] == TOTALS
    assert result["ask"] == "Totals per user."
    assert result["stdout"] == "adding\n"
    assert result["error"] is None
    assert result["calls"] == [
        ("get_orders", {"user_id": 1}, [3, 4], 2, True),
        ("get_orders", {"user_id": 2}, [50], 2, True),
    ]
    assert (result["attempts"], result["turns"], result["model"]) == (1, 1, "scripted")
    assert min(result["tokens"]) > 0
    assert result["times"][1] > 0
    assert result["times"][3] == 0
    assert result["backend"] == "embedded"


def test_the_result_shows_itself_like_the_cell(nb):
    nb.ask("[{'a': 1}]")
    (shown,) = nb.run("_codeact").of("execute_result")
    assert set(shown["data"]) == {"text/plain", "text/markdown", "text/html"}
    assert ">1</td>" in shown["data"]["text/html"]


def test_a_quiet_cell_shows_nothing_and_still_binds_the_result(nb):
    cell = nb.ask("print('hello'); 6 * 7", options="--quiet --out answer")
    assert cell.status == "ok"
    assert cell.outputs == []
    assert nb.get("answer, codeact.results[-1].value, codeact.results[-1].stdout") == (42, 42, "hello\n")


def test_a_quiet_cell_still_says_that_its_program_failed(nb):
    cell = nb.ask("1 / 0", options="--quiet --max-retries 0")
    (error,) = cell.errors
    assert "ZeroDivisionError" in error
    assert not cell.of("display_data")


def test_a_dry_run_prints_what_the_model_would_be_asked_and_asks_nobody(nb):
    nb.do(ORDERS)
    nb.script("```python\n1\n```")
    prompt = "Totals of {db} for $HOME."
    dry = nb.run(f"%%codeact --dry-run\n{prompt}")
    assert nb.run(f"%codeact prompt {prompt}").stdout == dry.stdout
    assert nb.asked == []
    nb.run(f"%%codeact\n{prompt}")
    (messages,) = nb.asked
    assert messages[-1].endswith("\n" + prompt)
    assert dry.stdout == f"--- system ---\n{messages[0]}\n\n--- user ---\n{messages[1]}\n"


def test_braces_and_dollars_in_a_prompt_stay_as_typed(nb):
    nb.do("name = 'interpolated'")
    nb.ask("1", prompt="What is {name}, $name and {1+1}?")
    assert nb.get("codeact.results[-1].ask") == "What is {name}, $name and {1+1}?"


def test_the_time_limit_of_a_cell_is_the_one_given(nb):
    cell = nb.ask("while True: pass", options="--timeout 0.5 --max-retries 0")
    assert nb.get("codeact.results[-1].error.kind") == "TimedOut"
    assert "0.5 s" in cell.text


def test_without_retries_a_program_that_fails_is_not_mended(nb):
    cell = nb.ask("1 / 0", "1", options="--max-retries 0")
    assert cell.status == "error"
    assert len(nb.asked) == 1
    assert nb.get("codeact.results[-1].error.kind") == "ZeroDivisionError"


def test_as_many_repairs_as_allowed_and_no_more(nb):
    nb.ask("1 / 0", "2 / 0", "3 / 0", options="--max-retries 1")
    assert len(nb.asked) == 2
    assert nb.get("codeact.results[-1].attempts, codeact.results[-1].program") == (2, "2 / 0")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("%%codeact\n   \n", "The prompt is missing"),
        ("%%codeact --nonsense\nGo.", "--nonsense"),
        ("%%codeact --timeout soon\nGo.", "--timeout"),
        ("%%codeact --timeout 0\nGo.", "--timeout"),
        ("%%codeact --timeout nan\nGo.", "--timeout"),
        ("%%codeact --max-retries -1\nGo.", "--max-retries"),
        ("%%codeact --max-retries 1.5\nGo.", "--max-retries"),
        ("%%codeact --out 1x\nGo.", "1x"),
        ("%%codeact --backend nowhere\nGo.", "'nowhere' is not a backend: choose auto"),
        ("%%codeact --memory 1Mi\nGo.", "'1Mi' is not a memory size: use 64Mi to 2Gi"),
        ("%%codeact --memory lots\nGo.", "'lots' is not a memory"),
        ("%codeact backend nowhere", "'nowhere' is not a backend"),
        ("%codeact recorded", "Name the file"),
        ("%codeact recorded missing.json", "missing.json"),
    ],
)
def test_a_mistake_on_the_line_is_one_sentence_and_asks_nobody(nb, cell, says):
    nb.script("```python\n1\n```")
    shown = nb.run(cell)
    assert shown.status == "error"
    (error,) = shown.errors
    assert says in error
    assert "\n" not in error
    assert nb.asked == []


def test_an_unknown_verb_is_answered_with_the_known_ones(nb):
    shown = nb.run("%codeact nonsense")
    assert shown.status == "error"
    (error,) = shown.errors
    assert "%codeact nonsense is not known: choose one of approvals, backend, budget, config" in error
    assert "Traceback" not in error


def test_status_names_the_boundary_the_model_and_the_tools(nb):
    nb.do(ORDERS)
    nb.script()
    lines = dict(line.split(maxsplit=1) for line in nb.do("%codeact status").stdout.splitlines())
    assert lines["boundary"].startswith("WebAssembly in a locked-down process")
    assert lines["model"].startswith("scripted.")
    assert lines["tools"] == "get_orders"
    assert lines["allowed"].startswith("nothing")


def test_status_without_a_model_says_how_to_get_one(nb):
    assert "No model is configured" in nb.do("%codeact status").stdout
    assert "No model is configured" in nb.do("%codeact model").stdout


def test_the_tools_are_listed_as_the_model_sees_them(nb):
    assert "No tools yet" in nb.do("%codeact tools").stdout
    nb.do(ORDERS)
    nb.do('@tool(approval_mode="always_require")\ndef drop(name: str) -> None:\n    "Drop a table."')
    listed = nb.do("%codeact tools").stdout
    assert "get_orders(user_id: int) -> list[int]" in listed
    assert listed.count("asks before each call") == 1
    assert "asks before each call" in listed.partition("drop(")[2]


def test_the_backend_is_named_with_the_boundary_it_really_has(nb):
    assert nb.do("%codeact backend").stdout.startswith("embedded  WebAssembly in a locked-down process")


def test_where_nobody_chose_the_status_tells_the_micro_vm_or_why_there_is_none(nb):
    nb.do("%codeact backend auto")
    status = nb.do("%codeact status").stdout
    if "boundary  Hyperlight micro-VM" not in status:
        assert "boundary  WebAssembly in a locked-down process" in status
        (why,) = [line for line in status.splitlines() if line.startswith("          not a micro-VM: ")]
        assert len(why) > 40
    nb.do("import os; os.environ['CODEACT_BACKEND'] = 'embedded'")
    nb.forget_options()
    assert nb.do("%codeact backend").stdout.startswith("embedded  ")
    assert nb.options == {}  # looking chooses nothing


def test_a_backend_that_does_not_start_is_not_chosen(nb):
    shown = nb.run("%codeact backend hyperlight")
    if shown.status == "error":
        (error,) = shown.errors
        assert "hyperlight backend" in error
        assert "Traceback" not in error
        assert nb.do("%codeact backend").stdout.startswith("embedded ")
    else:
        assert shown.stdout.startswith("hyperlight Hyperlight micro-VM")


def test_a_cell_whose_backend_does_not_start_asks_no_model(nb):
    cell = nb.ask("6 * 7", options="--backend hyperlight")
    if cell.status == "error":
        (error,) = cell.errors
        assert "hyperlight backend" in error
        assert "embedded" in error or "cannot run here" in error
        assert nb.asked == []
    else:
        assert "Hyperlight micro-VM" in cell.text.splitlines()[-1]


def test_a_cell_can_ask_for_less_memory_and_the_limit_is_reported(nb):
    cell = nb.ask("bytearray(100 << 20)", options="--memory 96Mi --max-retries 0")
    assert "MemoryError: out of memory (limit 96 MiB)" in cell.text


def test_another_model_is_used_from_then_on(nb):
    nb.do("import os; os.environ['OPENAI_BASE_URL'] = 'http://127.0.0.1:9/v1'")
    try:
        assert nb.do("%codeact model someone-else").stdout.strip() == "someone-else, at http://127.0.0.1:9/v1"
        assert nb.do("%codeact model").stdout.strip() == "someone-else, at http://127.0.0.1:9/v1"
    finally:
        nb.do("del os.environ['OPENAI_BASE_URL']")


def test_help_names_every_verb_that_tab_offers(nb):
    shown = nb.do("%codeact help").stdout
    for command in nb.get("list(__import__('codeact.commands').commands.COMMANDS)"):
        assert f"%codeact {command}" in shown
    assert nb.do("%codeact").stdout == shown


def test_a_reset_gives_a_fresh_sandbox(nb):
    nb.ask("1")
    before = nb.workers()
    nb.do("%codeact reset")
    nb.ask("2")
    assert nb.get("codeact.results[-1].value") == 2
    assert not before & nb.workers()


def test_loading_twice_makes_nothing_twice(nb):
    nb.ask("1")
    workers = nb.workers()
    nb.do(f"_first = {EXTENSION}.frontend")
    nb.do("%load_ext codeact")
    nb.do("import codeact; codeact.load_ipython_extension(get_ipython())")
    assert nb.get(f"_first is {EXTENSION}.frontend")
    assert nb.get("len([m for m in get_ipython().Completer.custom_matchers if 'codeact' in m.__module__])") == 1
    assert nb.workers() == workers


def test_an_unloaded_extension_is_gone_and_can_be_loaded_again(nb):
    nb.ask("1")
    nb.do("%unload_ext codeact")
    assert nb.workers() == set()
    (error,) = nb.run("%%codeact\nGo.").errors
    assert "%%codeact` not found" in error
    nb.do("import codeact; codeact.unload_ipython_extension(get_ipython())")
    nb.do("%load_ext codeact")
    nb.ask("3")
    assert nb.get("codeact.results[-1].value") == 3
    nb.do("%reload_ext codeact")
    nb.ask("4")
    assert nb.get("codeact.results[-1].value") == 4


def test_running_the_cell_of_a_tool_again_replaces_it_in_the_same_sandbox(nb):
    cell = "@tool\ndef price() -> int:\n    'The price.'\n    return {}"
    nb.do(cell.format(1))
    nb.ask("price()")
    assert nb.get("codeact.results[-1].value") == 1
    workers = nb.workers()
    nb.do(cell.format(2))
    nb.ask("price()")
    assert nb.get("codeact.results[-1].value") == 2
    assert nb.workers() == workers
    assert len(workers) == 1


def test_a_program_starts_without_the_variables_of_the_cell_before(nb):
    nb.ask("leftover = 1")
    nb.ask("'leftover' in globals()")
    assert nb.get("codeact.results[-1].value") is False


def test_a_tool_runs_on_the_main_thread_and_sees_the_notebook(nb):
    nb.do(
        """
import contextvars, sqlite3, threading
stock = {"solaris": 7}
variable = contextvars.ContextVar("variable")
token = variable.set("set in a cell")
db = sqlite3.connect(":memory:")
_ = db.execute("create table books (title text)").execute("insert into books values ('Ubik')")

@tool
def look() -> dict[str, object]:
    "Look around."
    print("printed by the tool")
    variable_seen = variable.get()
    variable.set("set by the tool")
    stock["solaris"] -= 1
    return {
        "thread": threading.current_thread().name, "stock": stock["solaris"], "variable": variable_seen,
        "title": db.execute("select title from books").fetchone()[0],
    }
"""
    )
    cell = nb.ask("look()")
    assert nb.get("codeact.results[-1].value") == {
        "thread": "MainThread", "stock": 6, "variable": "set in a cell", "title": "Ubik",
    }  # fmt: skip
    assert cell.stdout == "printed by the tool\n"
    assert nb.get("stock, variable.get()") == ({"solaris": 6}, "set by the tool")


def test_a_figure_shown_by_a_tool_lands_in_its_cell(nb):
    nb.do("%matplotlib inline\nimport matplotlib.pyplot as plt")
    nb.do("@tool\ndef plot(values: list[int]) -> None:\n    'Plot.'\n    plt.plot(values)\n    plt.show()")
    cell = nb.ask("plot(values=[1, 3, 2])")
    images = [shown["data"] for shown in cell.of("display_data") if "image/png" in shown["data"]]
    assert len(images) == 1
    assert nb.run("1").of("display_data") == []


def test_an_async_tool_is_awaited_and_prints_into_its_cell(nb):
    nb.do(
        "import asyncio\n"
        "@tool\nasync def later(n: int) -> int:\n    'Later.'\n    await asyncio.sleep(0)\n"
        "    print('got', n)\n    return n + 1"
    )
    cell = nb.ask("import asyncio\nawait asyncio.gather(*[call_tool_async('later', n=n) for n in (1, 2, 3)])")
    assert nb.get("codeact.results[-1].value") == [2, 3, 4]
    assert sorted(cell.stdout.splitlines()) == ["got 1", "got 2", "got 3"]


def test_a_tool_cannot_start_a_turn_and_the_outer_one_goes_on(nb):
    nb.do("@tool\ndef nest() -> None:\n    'Nest.'\n    get_ipython().run_cell_magic('codeact', '', 'Inner.')")
    cell = nb.ask("try:\n    nest()\nexcept ToolFailed as error:\n    said = str(error)\nsaid")
    assert cell.status == "ok"
    assert "running already" in nb.get("codeact.results[-1].value")
    assert len(nb.asked) == 1


def test_an_answer_in_words_is_shown_as_words(nb):
    nb.script("Paris is the capital of France.")
    cell = nb.run("%%codeact\nCapital of France?")
    assert cell.status == "ok"
    for text in cell.shown.values():
        assert "Paris is the capital of France" in text
    assert "nothing was run" in cell.text
    assert nb.get("codeact.results[-1].program, codeact.results[-1].answer, codeact.results[-1].error") == (
        None,
        "Paris is the capital of France.",
        None,
    )


def test_a_program_that_shows_data_to_the_model_gets_a_second_one_in_the_same_guest(nb):
    cell = nb.ask("found = [20, 22]\nobserve({'found': found})", "sum(found)")
    assert cell.status == "ok"
    assert nb.get("codeact.results[-1].value, codeact.results[-1].model_turns, codeact.results[-1].attempts") == (
        42,
        2,
        2,
    )
    _, second = nb.asked
    assert '{"found":[20,22]}' in "".join(second[-1].split())


def test_a_repair_sees_the_traceback_and_the_calls_and_keeps_the_variables(nb):
    nb.do(ORDERS)
    cell = nb.ask(
        "print('so far')\norders = get_orders(user_id=1)\nshare = 1 / (len(orders) - 2)",
        "len(orders)",
    )
    assert cell.status == "ok"
    assert nb.get(
        "codeact.results[-1].value, codeact.results[-1].error, codeact.results[-1].attempts, len(codeact.results[-1].calls)"
    ) == (2, None, 2, 1)
    first, second = nb.asked
    assert second[: len(first)] == first
    assert "share = 1 / (len(orders) - 2)" in second[-2]
    message = second[-1]
    for part in (
        "ZeroDivisionError",
        "line 3",
        "share = 1 / (len(orders) - 2)",
        "so far",
        "get_orders with user_id 1 returned",
    ):
        assert part in message
    assert "still there" in message
    assert "asked again: ZeroDivisionError" in cell.text


def test_what_preflight_refuses_is_mended_before_anything_has_happened(nb):
    nb.do("calls = []\n@tool\ndef note(text: str) -> None:\n    'Note.'\n    calls.append(text)")
    nb.ask("note(text='first')\nimport numpy", "note(text='second')")
    assert nb.get("calls") == ["second"]
    assert "numpy" in nb.asked[1][-1]


def test_a_cell_in_another_thread_is_refused(nb):
    nb.script("```python\n1\n```")
    cell = nb.do(
        "import threading\nsaid = []\n"
        "def work():\n    try:\n        get_ipython().run_cell_magic('codeact', '', 'Go.')\n"
        "    except Exception as error:\n        said.append(str(error))\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()"
    )
    assert cell.status == "ok"
    (said,) = nb.get("said")
    assert "main thread" in said


def test_the_interrupt_handler_is_the_kernels_own_again_after_a_turn(nb):
    nb.script("```python\n1\n```")
    nb.do(
        "import signal\nbefore = signal.getsignal(signal.SIGINT)\n"
        "get_ipython().run_cell_magic('codeact', '', 'Go.')\nafter = signal.getsignal(signal.SIGINT)"
    )
    assert nb.get("before is after")
