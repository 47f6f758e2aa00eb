"""Whatever a program, a tool or an endpoint does: one clear outcome in the cell, and the next cell works."""

from __future__ import annotations

import re
from html import unescape

import pytest

TOOLS = '''
@tool
def fails() -> int:
    """Always fails."""
    raise ValueError("no such order in /home/someone/orders.db")

@tool
def odd() -> object:
    """Returns something that is no data."""
    return object()

@tool
def exits() -> None:
    """Ends the interpreter, or tries to."""
    raise SystemExit(3)

@tool
def stops() -> None:
    """Raises what an interrupt raises."""
    raise KeyboardInterrupt

@tool
def double(n: int) -> int:
    """Twice n."""
    return 2 * n
'''

# Program, options, kinds of failure that are right for it, and what the sentence must say.
FAILING = {
    "an endless loop": ("while True: pass", "--timeout 1", {"TimedOut"}, "stopped after 1 s"),
    "a long sleep": ("import time\ntime.sleep(60)", "--timeout 1", {"TimedOut"}, "stopped after 1 s"),
    "an interrupt of its own": ("raise KeyboardInterrupt", "", {"KeyboardInterrupt"}, "KeyboardInterrupt"),
    "an exit": ("import sys\nsys.exit(3)", "", {"SystemExit"}, "3"),
    "a gigabyte": ("x = bytearray(10**9)", "", {"MemoryError", "OutOfMemory"}, "Memory"),
    "deep recursion": ("def f(n): return f(n + 1)\nf(0)", "", {"RecursionError", "Crashed"}, "recursion"),
    "a tool that raises": ("fails()", "", {"ToolFailed"}, "fails raised ValueError: no such order in <path>"),
    "a result that is no data": ("odd()", "", {"ToolFailed"}, "object"),
    "a tool that exits": ("exits()", "", {"ToolFailed"}, "sys.exit"),
    "a tool that raises KeyboardInterrupt": ("stops()", "", {"ToolFailed"}, "KeyboardInterrupt"),
    "an unknown tool": ("call_tool('no' + 'pe')", "", {"ToolFailed"}, "There is no tool 'nope'"),
    "a wrong argument name": ("call_tool('dou' + 'ble', m=2)", "", {"ToolFailed"}, "double"),
    "a wrong argument type": ("double(n=str(2) + 'x')", "", {"ToolFailed"}, "double"),
    "an unknown tool by name": ("call_tool('nope')", "", {"Refused"}, "nope"),
    "no Python at all": ("def broken(:", "", {"Refused"}, "line 1"),
}


def assert_nothing_of_ours_shows(cell) -> None:
    everything = cell.everything
    assert "codeact_kernel" not in everything
    assert "site-packages" not in everything
    assert not re.search(r'File "/', everything)
    for text in [cell.stdout, *cell.errors]:
        assert "Traceback" not in text


def assert_kernel_lives(nb) -> None:
    assert nb.do("1 + 1").of("execute_result")[0]["data"]["text/plain"] == "2"
    cell = nb.ask("sum(double(n=n) for n in range(4))")
    assert cell.status == "ok"
    assert nb.get("codeact.results[-1].value") == 12


@pytest.mark.parametrize("what", FAILING)
def test_a_failing_program_has_one_clear_outcome(nb, what):
    program, options, kinds, says = FAILING[what]
    nb.do(TOOLS)
    cell = nb.ask(program, options=f"{options} --max-retries 0")
    assert cell.status == "error"
    (error,) = cell.errors
    assert "\n" not in error
    kind, message = nb.get("codeact.results[-1].error.kind, codeact.results[-1].error.message")
    assert kind in kinds
    assert says.lower() in f"{kind}: {message}".lower()
    assert error.startswith("ProgramError: ")
    assert says.lower() in error.lower()
    for form in ("text/plain", "text/html"):
        assert says.lower() in unescape(cell.shown[form]).replace("<span>\\</span>", "\\").lower()
    assert_nothing_of_ours_shows(cell)
    assert_kernel_lives(nb)


def test_a_hundred_megabytes_of_prints_are_cut_and_the_rest_goes_on(nb):
    nb.do(TOOLS)
    cell = nb.ask("for _ in range(100):\n    print('x' * 1_000_000)\n'printed'")
    assert cell.status == "ok"
    assert nb.get("codeact.results[-1].value") == "printed"
    assert nb.get("len(codeact.results[-1].stdout)") <= 1 << 20
    assert nb.get("codeact.results[-1].stdout[:3], codeact.results[-1].stdout.rstrip()[-3:]") == ("xxx", "xxx")
    assert max(len(text) for text in cell.shown.values()) < 100_000
    assert "not shown" in cell.text or "left out" in cell.text
    assert_nothing_of_ours_shows(cell)
    assert_kernel_lives(nb)


def test_a_traceback_shows_the_programs_own_lines(nb):
    cell = nb.ask("def share(n):\n    return 1 / n\n\nshare(0)", options="--max-retries 0")
    for line in ("line 4", "line 2", "return 1 / n", "ZeroDivisionError"):
        assert line in nb.get("codeact.results[-1].error.traceback")
        assert line in cell.shown["text/html"]
    assert nb.get("codeact.results[-1].error.line") in (2, 4)


def test_a_message_of_several_lines_is_still_one_sentence(nb):
    cell = nb.ask("raise ValueError('first\\nsecond')", options="--max-retries 0")
    (error,) = cell.errors
    assert "ValueError: first" in error
    assert "\n" not in error


def test_a_message_of_a_megabyte_is_cut(nb):
    cell = nb.ask("raise ValueError('x' * 1_000_000)", options="--max-retries 0")
    assert max(len(text) for text in [*cell.errors, *cell.shown.values()]) < 100_000
    assert_nothing_of_ours_shows(cell)


def test_a_name_of_a_tool_that_is_a_megabyte_long_is_cut(nb):
    cell = nb.ask("call_tool('x' * 1_000_000)", options="--max-retries 0")
    assert nb.get("codeact.results[-1].error.kind") == "ToolFailed"
    assert max(len(text) for text in cell.shown.values()) < 100_000


def test_a_program_can_catch_what_a_tool_raised(nb):
    nb.do(TOOLS)
    cell = nb.ask("try:\n    fails()\nexcept ToolFailed as error:\n    said = str(error)\nsaid")
    assert cell.status == "ok"
    assert nb.get("codeact.results[-1].value") == "fails raised ValueError: no such order in <path>"


def test_what_cannot_be_data_is_shown_as_its_repr(nb):
    cell = nb.ask("(1 + 2j) * 1")
    assert nb.get("codeact.results[-1].value, codeact.results[-1].text") == ("(1+2j)", "(1+2j)")
    assert "\n(1+2j)\n" in cell.text


def test_the_calls_before_a_timeout_stay_on_the_card(nb):
    nb.do(TOOLS)
    cell = nb.ask("double(n=21)\nwhile True: pass", options="--timeout 1 --max-retries 0")
    assert "→ double(n=21) = 42" in cell.text
    assert nb.get("[c.answer.value for c in codeact.results[-1].calls]") == [42]


def test_without_a_model_one_sentence_names_the_three_ways(nb):
    cell = nb.run("%%codeact\nGo.")
    assert cell.status == "error"
    (error,) = cell.errors
    for way in ("OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "Ollama"):
        assert way in error
    assert "\n" not in error
    assert_nothing_of_ours_shows(cell)
    nb.do(TOOLS)
    assert_kernel_lives(nb)


def test_a_dead_endpoint_is_one_sentence(nb):
    nb.do("import os; os.environ['OPENAI_BASE_URL'] = 'http://127.0.0.1:9/v1'")
    try:
        cell = nb.run("%%codeact --model some-model\nGo.")
    finally:
        nb.do("del os.environ['OPENAI_BASE_URL']")
    assert cell.status == "error"
    (error,) = cell.errors
    assert "http://127.0.0.1:9/v1" in error
    assert "\n" not in error
    assert nb.get("codeact.results[-1].error.kind") == "ModelError"
    assert_nothing_of_ours_shows(cell)
    nb.do(TOOLS)
    assert_kernel_lives(nb)


def test_a_model_that_has_nothing_to_say_is_one_sentence(nb):
    nb.script("   ", "   ")
    cell = nb.run("%%codeact --max-retries 1\nGo.")
    assert cell.status == "error"
    (error,) = cell.errors
    assert error.startswith("ModelError: No usable answer. The answer was empty")
    assert "\n" not in error
    assert "Asked again: The answer was empty" in cell.text


def test_a_worker_that_is_killed_is_replaced(nb):
    nb.do(TOOLS)
    nb.do("import os, signal\n@tool\ndef kill(pid: int) -> None:\n    'Kill.'\n    os.kill(pid, signal.SIGKILL)")
    nb.ask("1")
    (worker,) = nb.workers()
    cell = nb.ask(f"kill(pid={worker})\nimport time\ntime.sleep(20)\n2", options="--max-retries 0")
    assert cell.status == "error"
    assert nb.get("codeact.results[-1].error.kind") == "WorkerLost"
    assert_nothing_of_ours_shows(cell)
    assert_kernel_lives(nb)
    assert worker not in nb.workers()
