"""Clicks while a cell runs, on the ipykernels that differ inside; with and without subshells, as JupyterLab and others."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .page import NEWEST, VERSIONS, Page

TOOLS = '''
from codeact import tool
import codeact, time, asyncio, sqlite3, threading, contextvars
import matplotlib; matplotlib.use("module://matplotlib_inline.backend_inline")
import matplotlib.pyplot as plt
connection = sqlite3.connect(":memory:")
where = contextvars.ContextVar("where", default="nowhere")
where.set("in the notebook")
dropped = []

@tool(approval_mode="always_require")
def drop(table: str, rows: int = 0) -> str:
    """Drop a table."""
    dropped.append((table, rows, time.time()))
    print("dropping", table)
    return f"dropped {table}"

@tool
def look() -> str:
    """Use what belongs to the main thread."""
    connection.execute("select 1")
    plt.plot([1, 2])
    return f"{threading.current_thread().name}, {where.get()}"

@tool
def plot() -> None:
    """Show the figure that is open."""
    plt.show()

@tool
async def wait(seconds: float) -> str:
    """Wait."""
    print("async print")
    await asyncio.sleep(seconds)
    return where.get()

@tool
def block(seconds: float) -> None:
    """Block the main thread."""
    print("in the tool", flush=True)
    time.sleep(seconds)
'''
WAYS = [(version, False) for version in VERSIONS] + [("7.3.0", True), (NEWEST, True)]
ON_EVERY_CHANGE = [(VERSIONS[0], False), (NEWEST, True)]
"""The oldest ipykernel, and the newest as JupyterLab uses it."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            way,
            id=f"{way[0]}{'-subshell' if way[1] else ''}",
            marks=() if way in ON_EVERY_CHANGE else pytest.mark.full,
        )
        for way in WAYS
    ],
)
def kernel(request, tmp_path_factory) -> Iterator[Page]:
    version, subshell = request.param
    page = Page(tmp_path_factory.mktemp("page"), version)
    try:
        found = page.do("import ipykernel\nprint(ipykernel.__version__)").stdout.strip()
        assert version in (found, NEWEST)
        page.do("%load_ext codeact")
        if subshell:
            page.with_subshell()
        yield page
    finally:
        page.close()


@pytest.fixture
def page(kernel: Page) -> Iterator[Page]:
    kernel.says_hello = True
    kernel.do(TOOLS)
    kernel.revoke_all()
    callback = "repr(get_ipython().kernel.shell_stream._recv_callback)"
    handler = "__import__('signal').getsignal(2).__name__"
    before = kernel.get(f"({callback}, {handler})")
    yield kernel
    if kernel.cards:  # the test failed
        kernel.interrupt()
    assert kernel.get(f"({callback}, {handler})") == before, "the kernel was left changed"
    assert kernel.cards == {}, "a card was left open"
    kernel.look_for(0.1)


def asked(page: Page, program: str, options: str = "") -> str:
    page.script(f"```python\n{program}\n```")
    return page.send(f"%%codeact {options}\nGo.", allow_stdin=True)


def test_a_click_in_a_running_cell_lets_the_call_run_and_its_print_lands_in_the_cell(page):
    sent = asked(page, "[drop(table='a', rows=1), drop(table='b')]")
    for name in ("a", "b"):
        (question,) = page.wait_for_questions()
        assert question["fields"][0]["text"] == name
        page.decide(question, "allow_once")
        page.wait(lambda shown=question["digest"]: all(one["digest"] != shown for one in page.questions))
    cell = page.finished(sent)
    assert cell.status == "ok", cell.errors
    assert cell.questions == []
    assert cell.stdout == "dropping a\ndropping b\n"
    assert "allowed by you" in cell.text
    assert page.get("[one[:2] for one in dropped]") == [("a", 1), ("b", 0)]


def test_tools_behave_as_in_a_plain_cell_and_the_figure_lands_in_this_cell(page):
    sent = asked(page, "first = look()\ndrop(table='a')\nplot()\n[first, await call_tool_async('wait', seconds=0)]")
    (question,) = page.wait_for_questions()  # the figure is open while the click is served
    page.decide(question, "allow_once")
    cell = page.finished(sent)
    assert cell.status == "ok", cell.errors
    assert page.get("codeact.results[-1].value") == ["MainThread, in the notebook", "in the notebook"]
    assert [one for one in cell.of("display_data") if "image/png" in one["data"]]
    assert "async print" in cell.stdout


def test_an_interrupt_while_it_waits_aborts_the_cells_behind_it(page):
    sent = asked(page, "drop(table='a')")
    queued = page.send("ran_anyway = True")
    page.wait_for_questions()
    page.interrupt()
    assert page.finished(sent).errors == ["Interrupted."]
    assert page.finished(queued).status == "aborted"
    assert page.get("dropped, 'ran_anyway' in globals()") == ([], False)


def test_the_cells_behind_run_in_order_after_a_decision(page):
    sent = asked(page, "drop(table='a')")
    queued = [page.send(f"dropped.append(({number!r}, 0, 0))") for number in (1, 2)]
    (question,) = page.wait_for_questions()
    page.decide(question, "allow_once")
    assert [page.finished(one).status for one in (sent, *queued)] == ["ok"] * 3
    assert page.get("[one[0] for one in dropped]") == ["a", 1, 2]


def test_stop_ends_a_loop_in_the_guest_and_a_tool_that_blocks(page):
    slow = page.get("__import__('ipykernel').version_info[0]") < 7
    for program, seen in (("while True: pass", "running"), ("block(seconds=6)", "in the tool")):
        sent = asked(page, program)
        page.wait(lambda: page.card.get("head", {}).get("state") == "running")
        page.wait(lambda sent=sent, seen=seen: seen == "running" or seen in cell_so_far(page, sent))
        started = time.monotonic()
        page.send_up({"kind": "stop"})
        assert page.finished(sent).errors == ["Interrupted."]
        if not (slow and seen == "in the tool"):  # ipykernel 6 reads no message meanwhile: the card's tooltip says so
            assert time.monotonic() - started < 3
        assert page.card == {}


def cell_so_far(page: Page, sent: str) -> str:
    return "".join(content["text"] for kind, content in page._outputs[sent] if kind == "stream")


def test_a_decision_that_does_not_name_what_was_shown_changes_nothing(page):
    sent = asked(page, "drop(table='a', rows=1)\ndrop(table='b', rows=2)")
    (first,) = page.wait_for_questions()
    forged = [
        {"digest": "0" * 64}, {"digest": None}, {"digest": [first["digest"]]}, {"call": 2}, {"call": True}, {"call": "1"}, {"run": 2},
        {"choice": "yes"}, {"choice": None}, {"choice": ["allow_once"]}, {"reason": 7}, {"kind": "review"},
    ]  # fmt: skip
    for change in forged:
        page.decide(first, **{"choice": "allow_once", **change})
    for nonsense in ({}, {"kind": []}, {"kind": "decide"}, {"kind": "decide", "digest": {}}):
        page.send_up(nonsense)
    page.look_for(0.5)
    assert page.questions == [first]
    page.decide(first, "allow_once")
    page.wait(lambda: page.questions and page.questions != [first])
    page.decide(first, "allow_session")  # a second time, and late
    page.look_for(0.3)
    (second,) = page.questions
    page.decide(second, "reject", reason="no more")
    cell = page.finished(sent)
    assert cell.status == "error"
    assert page.get("[one[:2] for one in dropped]") == [("a", 1)]
    assert page.allowed_for_session == []


def test_edits_are_checked_by_the_tools_own_types(page):
    sent = asked(page, "drop(table='a', rows=1)")
    (question,) = page.wait_for_questions()
    for edits in ({"rows": "1e999"}, {"rows": "[1]"}, {"rows": ""}, {"nothing": "1"}, {"rows": "1.5"}):
        page.decide(question, "allow_once", edits=edits)
        before = question.get("tries", 0)
        page.wait(lambda tries=before: page.questions[0].get("tries", 0) > tries)
        (question,) = page.questions
        assert question["problem"]
    page.decide(question, "allow_once", edits={"rows": "12", "table": "z"})
    assert page.finished(sent).status == "ok"
    assert page.get("dropped[0][:2], dict(codeact.results[-1].calls[0].decision.arguments)") == (
        ("z", 12),
        {"table": "z", "rows": 12},
    )


def test_without_a_page_that_shows_the_card_the_question_goes_to_stdin(page):
    page.says_hello = False
    sent = asked(page, "drop(table='a')")
    page.answers = ["y"]
    cell = page.finished(sent)
    assert len(cell.questions) == 1
    assert cell.status == "ok"
    assert page.get("dropped[0][0]") == "a"


def test_a_new_page_gets_its_answers_while_the_cell_runs(page):
    sent = asked(page, "drop(table='a')")
    (question,) = page.wait_for_questions()
    started = time.monotonic()
    page.client.kernel_info()
    reply = page.client.get_shell_msg(timeout=5)
    assert reply["msg_type"] == "kernel_info_reply"
    comm = page.client.session.msg("comm_info_request", {"target_name": "jupyter.widget"})
    page.client.shell_channel.send(comm)
    reply = page.client.get_shell_msg(timeout=5)
    assert next(iter(page.cards)) in reply["content"]["comms"]
    assert time.monotonic() - started < 3
    page.decide(question, "reject")
    page.finished(sent)


def test_a_grant_on_one_question_changes_nothing_about_those_beside_it(page):
    calls = ", ".join(f"call_tool_async('drop', table='{name}', rows=1000)" for name in "abc")
    sent = asked(page, f"import asyncio\nr = await asyncio.gather({calls}, return_exceptions=True)\nlen(r)")
    one, two, three = page.wait_for_questions(3)
    page.decide(one, "allow_session")
    page.decide(two, "allow_session", edits={"rows": "1"})
    page.look_for(0.3)
    assert page.questions == [three]
    page.decide(three, "reject", reason="not this one")
    cell = page.finished(sent)
    assert cell.status == "ok", cell.errors
    assert page.get("sorted(one[:2] for one in dropped)") == [("a", 1000), ("b", 1)]


def test_a_page_that_comes_too_late_is_not_asked_and_nothing_is_left_open_on_it(page):
    page.says_hello = False
    program = (
        "import asyncio\nr = await asyncio.gather(call_tool_async('drop', table='a'), call_tool_async('block', seconds=4), "
        "call_tool_async('drop', table='b'))\nlen(r)"
    )
    sent = asked(page, program)
    page.answers = ["y", "y"]
    page.look_for(3.5)
    if page.cards:
        page.send_up({"kind": "hello"})
    cell = page.finished(sent)
    assert cell.status == "ok", cell.errors
    assert len(cell.questions) == 2
    assert page.get("sorted(one[0] for one in dropped)") == ["a", "b"]
