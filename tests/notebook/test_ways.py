"""Ways in which people run prompts: in Output widgets, in callbacks, after a reload, in the debugger, from another loop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from codeact_kernel.sandbox.backends import guest_cache

from .conftest import Notebook, bare_environment
from .page import Page

CALL = "get_ipython().run_cell_magic('codeact', {options!r}, 'Go.')"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    page = Page(tmp_path_factory.mktemp("ways"))
    try:
        page.do("%load_ext codeact\nfrom codeact import tool\nimport ipywidgets as w")
        yield page
    finally:
        page.close()


def shown(cell):
    """What an Output widget has: it takes what is displayed or printed, and no updates."""
    return "\n".join(
        [content["data"].get("text/plain", "") for content in cell.of("display_data")] + [cell.stdout, *cell.errors]
    )


@pytest.mark.parametrize(
    "captured",
    [
        "with w.Output(): {call}",
        "w.Output().capture()(lambda: {call})()",
        "w.interact_manual(lambda n: {call}, n=[1]).widget.update()",
        "w.interactive(lambda n: {call}, n=[1]).update()",
        "with w.Output(), w.Output(): {call}",
    ],
)
def test_in_an_output_widget_the_answer_is_shown_when_it_is_there(nb, captured):
    nb.script("```python\nshow([{'a': 7}])\n6 * 7\n```")
    cell = nb.do(captured.format(call=CALL.format(options="")))
    assert "42" in shown(cell)
    assert "6 * 7" in shown(cell)
    assert "[running]" not in shown(cell)
    assert not cell.of("update_display_data")


ASKS = '''
sent = []

@tool(approval_mode="always_require")
def send(to: str) -> str:
    """Send a mail."""
    sent.append(to)
    return "sent to " + to
%config CodeAct.approval_ui = "auto"
'''


def test_in_an_output_widget_the_card_is_followed_by_the_form_that_stays(nb):
    nb.do(ASKS)
    nb.script("```python\nsend(to='Ada')\n```")
    sent = nb.send(f"with w.Output(): {CALL.format(options='')}", allow_stdin=True)
    (question,) = nb.wait_for_questions()
    nb.decide(question, "allow_once")
    cell = nb.finished(sent)
    assert "sent to Ada" in shown(cell)
    assert not cell.of("update_display_data")
    assert nb.cards == {}


def test_a_file_that_is_saved_while_a_card_is_open_says_that_it_does_not_have_all(nb):
    nb.do(ASKS)
    nb.script("```python\nsend(to='Ada')\n```")
    sent = nb.send("%%codeact\nGo.", allow_stdin=True)
    (question,) = nb.wait_for_questions()
    nb.decide(question, "allow_once")
    cell = nb.finished(sent)
    saved, *_ = cell.of("display_data")
    for text in ("text/plain", "text/markdown", "text/html"):
        assert "Saved while the cell was running" in saved["data"][text]
        assert "Saved while the cell was running" not in cell.shown[text]
    assert "sent to Ada" in cell.text


def test_a_reload_of_the_extension_keeps_all_that_was_chosen(nb):
    nb.do(ASKS)
    nb.do(
        "%config CodeAct.review = True\n%config CodeAct.timeout = 7\nimport codeact\n"
        "codeact.use(codeact.ScriptedModel(['hi'], name='mine'))\n"
    )
    nb.allow_for_session("send", "1")
    for cell in ("%reload_ext codeact", "%reload_ext codeact", "%unload_ext codeact\n%load_ext codeact"):
        nb.do(cell)
        chosen = {line.split()[0]: line.split()[1:] for line in nb.do("%codeact config").stdout.splitlines() if line}
        assert (chosen["review"], chosen["timeout"]) == (["true", "the", "notebook"], ["7", "the", "notebook"])
    assert "mine" in nb.do("%codeact model").stdout
    assert nb.allowed_for_session == [("send", "1")]
    assert nb.tools == ["send"]
    nb.do("%config CodeAct.review = None\n%reload_ext codeact")
    assert "review" not in nb.options


def test_the_debugger_opens_the_frame_in_which_a_tool_raised(nb):
    nb.do(
        "def look_up(key):\n    table = {'a': 1}\n    return table[key]\n"
        "@tool\ndef find(name: str) -> int:\n    'Find it.'\n    return look_up(name)\n"
        "@tool\nasync def find_later(name: str) -> int:\n    'Find it.'\n    return look_up(name)\n"
        "@tool(thread_safe=True)\ndef find_apart(name: str) -> int:\n    'Find it.'\n    return look_up(name)"
    )
    for name in ("find", "find_later", "find_apart"):
        failed = nb.ask(f"{name}('b')", options="--max-retries 0")
        assert "KeyError" in failed.text
        assert "look_up" not in "".join(failed.errors)
        seen = nb.run("%debug", answers=["p key, sorted(table)", "up", "p name", "q"])
        assert "('b', ['a'])" in seen.stdout
        assert "'b'\n" in seen.stdout


def test_tokens_are_counted_of_an_answer_that_is_stopped_or_breaks_off(nb):
    nb.do(
        "import asyncio, codeact\nfrom codeact_kernel.model.base import Delta\nfrom codeact_kernel import ModelError\n"
        "class Stops:\n    name, note = 'stops', ''\n    def __init__(self, said, ends): self.said, self.ends = said, ends\n"
        "    async def stream(self, messages):\n"
        "        for text in self.said: yield Delta(text=text)\n        print('said', flush=True)\n"
        "        if self.ends: raise ModelError('The stream broke.')\n        await asyncio.sleep(600)"
    )
    tokens = "(codeact.results[-1].usage.prompt_tokens > 50, codeact.results[-1].usage.completion_tokens, codeact.results[-1].usage.estimated)"
    for said, ends, expected in (
        ([], False, (True, 0, True)),
        (["12345678"], False, (True, 2, True)),
        (["12345678"], True, (True, 2, True)),
        ([], True, (False, 0, False)),
    ):
        nb.do(f"codeact.use(Stops({said}, {ends}))")
        sent = nb.send("%%codeact\nGo.")
        if not ends:
            nb.wait_for(sent, "said")
            nb.interrupt()
        assert nb.finished(sent).status == "error"
        assert nb.get(tokens) == expected


@pytest.mark.skipif(os.name != "posix", reason="homes of other systems are elsewhere")
@pytest.mark.full
def test_a_home_that_cannot_be_written_stops_nothing(tmp_path):
    """The compiled guest is put where a first start would put it, which takes ten seconds."""
    cache = tmp_path / f"codeact-kernel-{os.getuid()}"
    guest_cache.make_folder(cache)
    shutil.copy(guest_cache.path(), cache)
    nowhere = dict.fromkeys(("XDG_CACHE_HOME", "XDG_DATA_HOME"), "")
    notebook = Notebook(tmp_path, HOME="/dev/null", TMPDIR=str(tmp_path), **nowhere)
    try:
        notebook.do("%load_ext codeact\nfrom codeact import tool")
        notebook.do(
            "@tool(approval_mode='always_require')\ndef send(to: str) -> str:\n    'Send.'\n    return 'to ' + to"
        )
        assert "WebAssembly" in notebook.do("%codeact status").stdout
        cell = notebook.ask("[send('a'), send('b')]", answers=["s"])
        assert cell.status == "ok", cell.errors
        assert cell.of("stream") == []
        assert notebook.get("codeact.results[-1].value") == ["to a", "to b"]
        assert "send: for this session" in notebook.do("%codeact approvals").stdout
    finally:
        notebook.close()


ASYNC = """
import asyncio, sqlite3, threading
ev, bound, box = asyncio.Event(), asyncio.Event(), {"queue": asyncio.Queue()}
database = sqlite3.connect(":memory:")
kernels = asyncio.get_running_loop()

@tool
async def wait_ready() -> str:
    "Wait."
    await ev.wait()
    return "ready"

@tool
async def take() -> str:
    "Take the next one."
    return await box["queue"].get()

@tool
async def use_bound() -> str:
    "Wait for an event that the notebook has waited for."
    await bound.wait()
    return "ready"

@tool
async def there() -> str:
    "Do it on the notebook's loop."
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "slept"), kernels))

@tool
async def read() -> int:
    "Read the database."
    return database.execute("select 1").fetchone()[0]

@tool(thread_safe=True)
def read_apart() -> int:
    "Read the database."
    return database.execute("select 1").fetchone()[0]

@tool
def nest() -> str:
    "Run a loop in a loop."
    waiting = asyncio.sleep(0, "slept")
    try:
        return asyncio.run(waiting)
    finally:
        waiting.close()

@tool
async def own() -> str:
    "Make all that it needs."
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(2.5, done.set)
    await done.wait()
    return "done"

async def later(seconds, do):
    await asyncio.sleep(seconds)
    do()

waiting = asyncio.create_task(bound.wait())
setting = asyncio.create_task(later(60, ev.set))
await asyncio.sleep(0)
"""


@pytest.mark.full
def test_an_async_tool_that_needs_the_notebooks_loop_gets_one_sentence_and_never_hangs(nb):
    nb.do(ASYNC)
    where = "async tools run on an event loop and a thread of their own, so open clients, connections, queues"
    for name, says in (
        (
            "wait_ready",
            "wait_ready: it waits for a task of the notebook, and the notebook is blocked until this cell ends",
        ),
        ("take", "take: it waits for a task of the notebook, and the notebook is blocked until this cell ends"),
        ("there", "there: it waits for a task of the notebook, and the notebook is blocked until this cell ends"),
        ("use_bound", f"is bound to a different event loop: {where}"),
        ("read", where),
        ("read_apart", "this tool runs in another thread, so open the connection inside it"),
        ("nest", "make the tool async def, and use await in the place of asyncio.run"),
    ):
        cell = nb.ask(f"{name}()", options="--max-retries 0")
        assert says in cell.text, cell.text
    assert nb.ask("own()").status == "ok"
    nb.do("setting.cancel(); waiting.cancel(); ev.set(); box['queue'].put_nowait('next')")
    assert nb.ask("[wait_ready(), take()]").status == "ok"


@pytest.mark.parametrize(
    ("cell", "late"),
    [
        ("# note\n%%codeact\nafter a comment", "%%codeact"),
        ("x = 1\n%%codeact", "%%codeact"),
        ("# note\n> Add them.", ">"),
        ("  > Add them.", ">"),
    ],
)
def test_a_prompt_that_does_not_begin_its_cell_is_told_where_it_has_to_stand(nb, cell, late):
    nb.do("%codeact kernel marker")
    failed = nb.run(cell)
    assert failed.status == "error"
    assert f"{late} has to be the first thing in its cell: move the lines before it into another cell" in failed.stream(
        "stderr"
    )
    assert "begin the cell with > and a space" not in failed.stream("stderr")
    assert "first thing" not in nb.run("x = (1\n  > 2\ny =").stream("stderr")


def test_a_cell_is_told_what_a_program_sees_and_what_braces_do_not_do(nb):
    nb.do("n, m, tables = 5, 6, {}")
    cell = nb.ask("n", options="--in n", prompt="The top {n} of {m} in {words}, as {'a': 1}.")
    assert "A program sees only the variables that --in names." in cell.text
    assert "In the prompt {m} is sent as it is written: --in m gives the values." in cell.text
    assert "{n} is sent" not in cell.text
    assert "{words} is sent" not in cell.text
    again = nb.ask("1", prompt="The top {m} again.")
    assert "{m} is sent" not in again.text


def test_a_record_beside_a_model_says_that_the_model_is_asked(nb):
    nb.script("```python\n1\n```")
    nb.do("%%codeact --record one.json\nGo.")
    printed = nb.do("%codeact recorded one.json").stdout
    assert (
        "scripted is configured, so prompts still go to that model: a record is used only where no model is configured."
        in printed
    )
    assert "record    answers of scripted" in nb.do("%codeact status").stdout
    nb.do("import codeact; codeact.use(None)")
    assert nb.do("%codeact recorded one.json").stdout == ""


@pytest.mark.parametrize("line", ["status --json", "tools all", "reset now", "traceback 2"])
def test_what_a_verb_does_not_take_is_an_error(nb, line):
    (error,) = nb.run(f"%codeact {line}").errors
    assert "takes no argument" in error


def test_in_a_widgets_callback_the_answer_is_shown_and_nobody_is_asked(nb):
    nb.do(ASKS)
    nb.do(
        "out, button = w.Output(), w.Button()\n"
        f"def clicked(_):\n    with out:\n        {CALL.format(options='--max-retries 0')}\n"
        "button.on_click(clicked)"
    )
    for program, expected in (("6 * 7", "42"), ("send('Ada')", "ToolDenied")):
        nb.script(f"```python\n{program}\n```")
        content = {
            "comm_id": nb.get("button.comm.comm_id"),
            "data": {"method": "custom", "content": {"event": "click"}},
        }
        sent = nb.client.session.msg("comm_msg", content)
        nb.client.shell_channel.send(sent)
        cell = nb.ended(sent["header"]["msg_id"])
        assert expected in shown(cell)
        assert not cell.of("update_display_data")
    assert nb.get("sent") == []


TERMINAL = """
%load_ext codeact
from codeact import ScriptedModel, tool
import codeact
@tool
def look_up(key: str) -> str:
    "Look something up."
    return key.upper()

codeact.use(ScriptedModel(["```python\\nnot_there\\n```", "```python\\nprint('hello')\\n[look_up(key) for key in 'ab']\\n```"]))
get_ipython().run_cell_magic("codeact", "", "Look up.")
"""


def test_a_terminal_prints_a_line_for_each_step_and_then_the_answer(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--no-confirm-exit"],
        input=TERMINAL,
        env=bare_environment(tmp_path) | {"CODEACT_CARD": "answer", "TERM": "dumb"}, cwd=tmp_path,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    steps = [
        "Asking scripted…", "    not_there", "Running…", "Asked again: NameError", "Asking scripted…",
        "    [look_up(key) for key in 'ab']", '→ look_up(key="a") = "A"', "hello", '["A", "B"]',
        "[2 programs · 2 calls · about", " s · model ",
    ]  # fmt: skip
    place = 0
    for step in steps:
        assert step in done.stdout[place:], (step, done.stdout[place:], done.stderr)
        place = done.stdout.index(step, place) + len(step)
