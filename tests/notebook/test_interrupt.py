from __future__ import annotations

import re
import time

import psutil
import pytest

from ..escape.attempts import attempt

SLEEPS = 60
QUICKLY = 10
"""Far more than an interrupt needs, far less than what is interrupted takes."""

SETUP = f'''
import asyncio, time

@tool
def log(text: str) -> str:
    """Log."""
    return text

@tool
def block() -> str:
    """Block."""
    print("in the tool", flush=True)
    time.sleep({SLEEPS})
    return "never"

@tool
async def linger() -> str:
    """Linger."""
    print("in the tool", flush=True)
    await asyncio.sleep({SLEEPS})
    return "never"

@tool
def stubborn() -> str:
    """Swallows the first interrupt, as careless code does."""
    print("in the tool", flush=True)
    try:
        time.sleep({SLEEPS})
    except BaseException:
        pass
    return "swallowed"

@tool(approval_mode="always_require")
def drop() -> None:
    """Drop."""

class Waiting:
    name, note = "waiting", ""

    async def stream(self, messages):
        from codeact_kernel.model.base import Delta
        yield Delta(text="```python\\nhalf = 1\\n")
        await asyncio.Event().wait()

kept = 41
'''

LOGGED = '→ log(text="before") = "before"'
# What the program does, and what the cell shows once it does it.
STATES = {
    "a guest's loop": ("log(text='before')\nwhile True: pass", LOGGED),
    "a guest's sleep": ("import time\nlog(text='before')\ntime.sleep(60)", LOGGED),
    "a synchronous tool": ("log(text='before')\nblock()", "in the tool"),
    "an async tool": ("log(text='before')\nawait call_tool_async('linger')", "in the tool"),
    "a stubborn tool": ("log(text='before')\nstubborn()", "in the tool"),
}


def interrupted(nb, sent: str, at: str):
    """Interrupt the cell once it shows `at`, with another cell queued behind it."""
    queued = nb.send("ran_anyway = True")
    nb.wait_for(sent, at)
    started = time.monotonic()
    nb.interrupt()
    cell = nb.finished(sent)
    assert time.monotonic() - started < QUICKLY
    return cell, nb.finished(queued)


def assert_stopped(nb, cell, queued) -> None:
    assert cell.status == "error"
    (error,) = cell.errors
    assert "\n" not in error
    assert error == "Interrupted."
    assert "Stopped." in cell.text
    assert "Stopped." in cell.shown["text/html"]
    assert queued.status == "aborted"
    assert nb.get("kept, 'ran_anyway' in globals(), codeact.results[-1].error.kind") == (41, False, "Interrupted")


def assert_next_cell_works(nb) -> None:
    assert nb.ask("log(text='next')").status == "ok"
    assert nb.get("codeact.results[-1].value") == "next"
    assert len(nb.workers()) == 1


@pytest.mark.parametrize("what", STATES)
def test_stop_during_a_run_ends_it_and_keeps_the_kernel(nb, what):
    program, at = STATES[what]
    nb.do(SETUP)
    nb.ask("1")
    (worker,) = nb.workers()
    nb.script(f"```python\n{program}\n```")
    cell, queued = interrupted(nb, nb.send("%%codeact\nGo."), at)
    assert_stopped(nb, cell, queued)
    assert LOGGED in cell.text
    assert nb.get("codeact.results[-1].calls[0].answer.value, codeact.results[-1].program") == ("before", program)
    _, alive = psutil.wait_procs([psutil.Process(worker)] if psutil.pid_exists(worker) else [], timeout=QUICKLY)
    assert not alive, "the program runs on in its worker"
    assert_next_cell_works(nb)


def test_stop_while_the_model_writes(nb):
    nb.do(SETUP + "import codeact; codeact.use(Waiting())")
    cell, queued = interrupted(nb, nb.send("%%codeact\nGo."), "half = 1")
    assert_stopped(nb, cell, queued)
    assert "half = 1" in cell.text
    assert nb.get("codeact.results[-1].program, len(codeact.results[-1].calls)") == (None, 0)
    assert_next_cell_works(nb)


def test_stop_while_the_cell_asks_the_user(nb):
    nb.do(SETUP)
    nb.script("```python\nlog(text='before')\ndrop()\n```")
    nb.answers = []
    cell, queued = interrupted(nb, nb.send("%%codeact\nGo.", allow_stdin=True), "Allow drop(")
    assert_stopped(nb, cell, queued)
    assert_next_cell_works(nb)


def test_an_ordinary_cell_is_interrupted_as_ever_after_a_turn(nb):
    nb.do(SETUP)
    nb.ask("1")
    sent = nb.send("print('here', flush=True)\ntime.sleep(60)")
    nb.wait_for(sent, "here")
    nb.interrupt()
    cell = nb.finished(sent)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert nb.get("kept") == 41


def test_tools_that_wait_behind_the_one_that_is_stopped_do_not_begin(nb):
    nb.do(SETUP + "effects = []\n@tool\ndef effect(n: int) -> None:\n    'Effect.'\n    effects.append(n)\n")
    calls = "[call_tool_async('block'), *[call_tool_async('effect', n=n) for n in range(3)]]"
    nb.script(f"```python\nimport asyncio\nawait asyncio.gather(*{calls})\n```")
    cell, _ = interrupted(nb, nb.send("%%codeact\nGo."), "in the tool")
    assert cell.status == "error"
    assert nb.get("effects") == []
    assert_next_cell_works(nb)


@pytest.mark.parametrize("how", ["interrupt", "time"])
def test_a_tool_that_is_stopped_can_clean_up_in_peace(nb, how):
    nb.do(
        SETUP + "cleaned = []\n@tool\ndef careful() -> None:\n    'Careful.'\n    try:\n"
        "        print('in the tool', flush=True)\n        time.sleep(60)\n    finally:\n        time.sleep(1)\n        cleaned.append(True)\n"
    )
    nb.script("```python\ncareful()\n```")
    limit = " --limits tool_seconds=0.5" if how == "time" else ""
    sent = nb.send(f"%%codeact --max-retries 0{limit}\nGo.")
    if how == "interrupt":
        interrupted(nb, sent, "in the tool")
    else:
        assert "took longer than 0.5 s" in nb.finished(sent).errors[0]
    nb.wait_for(nb.send("while not cleaned: time.sleep(0.05)\nprint('clean')"), "clean")
    assert_next_cell_works(nb)


HOSTILE_ITEMS = "for n in range(50): show('![[' * 6_000 + str(n), kind='markdown')\n'all'"
"""Each takes a tenth of a second and more to draw, and a program sends them faster than that."""


@attempt("F11.stop", "shows fifty items that take long to draw, and is stopped meanwhile")
def test_a_stop_does_not_wait_for_what_is_still_to_be_drawn(nb):
    nb.do(
        "import time\nimport codeact_kernel.render.shown_items as items\n_draw = items.draw_item\n"  # on a quick machine they would be drawn too soon
        "items.draw_item = lambda *item: (print('drawing', flush=True), time.sleep(0.4), _draw(*item))[-1]"
    )
    nb.script(f"```python\n{HOSTILE_ITEMS}\n```")
    sent = nb.send("%%codeact\nGo.")
    nb.wait(lambda: str(nb._outputs[sent]).count("drawing") >= 2)
    started = time.monotonic()
    nb.interrupt()
    cell = nb.finished(sent)
    assert time.monotonic() - started < QUICKLY
    nb.do("items.draw_item = _draw")
    assert cell.errors == ["Interrupted."]
    assert nb.ask("1 + 1").status == "ok"


@attempt("F11.slow", "shows fifty items that take long to draw")
def test_items_that_take_long_to_draw_are_shown_as_text_after_a_few_seconds(nb):
    nb.do("import codeact_kernel.render.shown_items as items; items._SECONDS = 0.3")
    try:
        cell = nb.ask(HOSTILE_ITEMS)
    finally:
        nb.do("items._SECONDS = 3.0")
    assert cell.status == "ok", cell.errors
    shown = re.findall(r'<div style="padding:4px 10px"><(p|pre)[ >]', cell.shown["text/html"])
    assert len(shown) == 50
    assert shown == sorted(shown), "from some item on"
    assert {*shown} == {"p", "pre"}
    assert "characters left out" in cell.shown["text/html"]
