"""The benchmark compares like with like, and the page says what it measured. No time is looked at."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plots(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "headline"))
    spec = importlib.util.spec_from_file_location("plots", ROOT / "benchmarks" / "plots.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def task(monkeypatch):
    """The tools of the task by name, and the counter of their calls."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "headline"))
    import workload

    tools = workload.Tools()
    return tools, {function.__name__: function for function in tools.functions("sync")}


def test_the_tables_of_the_page_are_those_of_the_figures(plots):
    text = plots.PAGE.read_text(encoding="utf-8")
    assert text == plots.page(text), "run: python benchmarks/plots.py"


def test_the_plots_are_drawn_from_the_figures_as_they_are(plots):
    for name in plots.PLOTS:
        assert plots.digest() in (plots.STATIC / name).read_text(encoding="utf-8"), "run: python benchmarks/plots.py"


def test_every_answer_behind_a_figure_was_right_or_the_figures_say_why_not(plots):
    for name in ("headline.json", "headline_micro_vm.json"):
        for scenario in plots.figures(name).get("scenarios", ()):
            assert [case for case in scenario["cases"] if case["right"] != case["runs"] and not case["faults"]] == []


@pytest.mark.parametrize(("style", "calls"), [("naive", 36), ("rates once", 26)])
def test_both_projects_get_a_program_that_is_right_with_as_many_calls(task, style, calls):
    import policy
    import workload

    tools, functions = task
    *body, last = ast.parse(policy.OURS[style]).body
    names = dict(functions)
    exec(compile(ast.Module(body, []), "ours", "exec"), names)
    assert workload.fault(eval(compile(ast.Expression(last.value), "ours", "eval"), names), workload.world(8)) == ""
    assert tools.calls == calls

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(policy.REFERENCE[style], {"call_tool": lambda name, **arguments: functions[name](**arguments)})
    assert workload.fault(ast.literal_eval(printed.getvalue()), workload.world(8)) == ""
    assert tools.calls == 2 * calls


def test_direct_calls_take_four_turns_and_each_call_once(task):
    import policy
    import workload

    tools, functions = task
    tools.reset(workload.world(80), 0.0)
    messages, turns = [{"role": "user", "content": workload.TASK}], 0
    while True:
        message = policy.reply({"messages": messages, "tools": [{"function": {"name": "list_users"}}]}, "")
        messages.append(message)
        turns += 1
        for call in message.get("tool_calls") or ():
            result = functions[call["function"]["name"]](**json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})
        if not message.get("tool_calls"):
            break
    assert workload.fault(json.loads(message["content"])["results"], workload.world(80)) == ""
    assert (turns, tools.calls) == (4, 1 + 80 + 3 + 3 + tools.world.lines)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows[:-1], "1 missing"),
        (lambda rows: [{**rows[0], "grand_total": 104.41}, *rows[1:]], "1 wrong rows"),
        (lambda rows: rows[::-1], "not sorted"),
        (lambda rows: str(rows), "no rows"),
    ],
)
def test_a_wrong_answer_is_seen(task, spoil, said):
    import workload

    made = workload.world(8)
    names = {user["id"]: user["name"] for user in made.users}
    rows = [
        {"user_id": number, "name": names[number], "grand_total": total}
        for number, total in sorted(workload.PUBLISHED_TOTALS.items(), key=lambda item: -item[1])
    ]
    assert workload.fault(rows, made) == ""
    assert said in workload.fault(spoil(rows), made)
