"""Every turn is in the journal as it happens, and stays readable whatever happens to the kernel or to the file."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from codeact_kernel.approval import AutoApprove
from codeact_kernel.errors import ModelError, UserError
from codeact_kernel.events import (
    ApprovalDecided,
    ApprovalRequested,
    CallFinished,
    CallRequested,
    Emitter,
    TurnFinished,
    TurnStarted,
)
from codeact_kernel.memory import database, history_queries
from codeact_kernel.memory.database import connect
from codeact_kernel.memory.history_queries import History
from codeact_kernel.memory.journal import Journal, prune
from codeact_kernel.memory.lock_folder import LockFolder, TrustedLocks
from codeact_kernel.memory.presence import Presence, is_running, remove_ended
from codeact_kernel.memory.reuse import Reuse
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.render import bundle
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.tools import Registry, tool
from codeact_kernel.types import CallResult, Decision, ToolCall, TurnResult, Usage

from ..warm import WarmPool

on_one_loop = pytest.mark.asyncio(loop_scope="module")
FOREVER = 36_500


def program(text: str) -> str:
    return f"Here it is.\n```python\n{text}\n```"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "share" / "history.sqlite"


@pytest.fixture
def written(file: Path) -> Iterator[Journal]:
    written = Journal(file, notebook="shop/sales.ipynb")
    yield written
    written.close()


@pytest.fixture
def seen() -> list[object]:
    """What the journal held when the tool ran."""
    return []


@pytest.fixture
def tools(file: Path, seen: list[object]) -> Registry:
    registry = Registry()

    @tool
    def add(a: int, b: int) -> int:
        """The sum."""
        seen.append(History(file).latest(1)[0])
        with sqlite3.connect(file) as connection:
            seen.append(connection.execute("SELECT decision, answer FROM calls ORDER BY id DESC").fetchone())
        return a + b

    @tool(approval_mode="always_require")
    def pay(amount: float) -> str:
        """Pays."""
        return f"paid {amount}"

    @tool
    def fail() -> None:
        """Fails."""
        raise LookupError("no such shop")

    for function in (add, pay, fail):
        registry.add(function)
    return registry


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmPool]:
    warm = WarmPool()
    yield warm
    await warm.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def session(warm: WarmPool, tools: Registry) -> AsyncIterator[Session]:
    async with warm.session(tools) as session:
        yield session


async def ask(session: Session, written: Journal, *answers: str, text: str = "Do it.", **options) -> TurnResult:
    def report(sentence: str) -> None:
        raise AssertionError(sentence)

    model = ScriptedModel([program(answer) for answer in answers], usage=Usage(prompt_tokens=100, completion_tokens=7))
    record = written.record(days=FOREVER, cell=3, report=report)
    return await session.ask(text, model=model, emit=record, **options)


def add_turn(written: Journal, text: str, *, end: bool = True, program: str = "1", **options) -> None:
    """Write the shortest turn, without a model or a sandbox."""
    emit = Emitter("t", written.record(days=FOREVER, cell=1, report=pytest.fail))
    emit(TurnStarted(ask=text, model="m", note="", tools=(), **options))
    if end:
        emit(TurnFinished(result=TurnResult(ask=text), usage=Usage(), timings=TurnResult(ask="").timings))


@on_one_loop
async def test_a_model_that_corrects_a_recorded_program_is_the_one_that_costs(warm, written, file, tmp_path):
    class Remote(ScriptedModel):
        note, endpoint = "", "https://models.example"

    async def choose():
        return Remote([program("2")])

    lists = [[1], []]

    @tool(read_only=True)
    def load() -> list:
        """Numbers."""
        return lists.pop(0)

    for model in (ScriptedModel([program("load()[0]")]), choose):
        reuse = Reuse(LockFolder(tmp_path, TrustedLocks(tmp_path / "own" / "trusted")))
        async with warm.session([load], reuse=reuse) as session:
            await session.ask("Load.", model=model, emit=written.record(days=FOREVER, cell=1, report=pytest.fail))
    (used,) = History(file).used_by_turns(written.session, 1)
    assert (used.is_live, used.endpoint, used.answers) == (True, "https://models.example", 1)


@on_one_loop
async def test_a_turn_is_listed_with_where_and_when_it_was_asked_and_its_card_is_the_same(session, written, file):
    before = time.time()
    result = await ask(session, written, "print('hello')\nadd(a=2, b=3)", text="How much is it?")
    (turn,) = History(file).latest(10)
    assert (turn.number, turn.ask, turn.state, turn.calls) == (1, "How much is it?", "done", 1)
    assert (turn.notebook, turn.cell, turn.folder) == ("shop/sales.ipynb", 3, str(Path.cwd()))
    assert before <= turn.started <= time.time()
    again = History(file).find(1)[1]
    assert again == result
    assert bundle(again) == bundle(result)


@on_one_loop
async def test_a_call_is_written_with_its_decision_before_its_tool_runs(session, written, seen):
    await ask(session, written, "add(a=2, b=3)")
    turn, (decision, answer) = seen
    assert (turn.state, turn.calls) == ("running", 1)
    assert "allow_once" in decision
    assert answer is None


@on_one_loop
async def test_failed_and_stopped_turns_and_those_without_a_model_are_kept_too(session, written, file):
    await ask(session, written, "fail()", settings=Settings(max_retries=0))
    with pytest.raises(ModelError):
        await ask(session, written)
    running = asyncio.create_task(ask(session, written, "while True: pass"))
    while History(file).latest(1)[0].number < 3:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [turn.state for turn in History(file).latest(10)] == ["stopped", "failed", "failed"]
    assert "no such shop" in str(History(file).find(1)[1].error)


@on_one_loop
async def test_a_decision_about_a_call_is_kept(session, written, file):
    await ask(session, written, "pay(amount=2.5)", approver=AutoApprove())
    await ask(session, written, "pay(amount=2.5)", settings=Settings(max_retries=0))
    allowed, denied = (History(file).find(number)[1].calls[0].decision for number in (1, 2))
    assert allowed.allowed
    assert (denied.allowed, denied.by) == (False, "nobody")


@on_one_loop
async def test_the_tokens_are_added_up_by_turn_session_and_day(session, written, file):
    await ask(session, written, "1 / 0", "add(a=1, b=1)")
    await ask(session, written, "add(a=1, b=1)")
    history = History(file)
    assert [used.usage.prompt_tokens for used in history.used_by_turns(written.session, 10)] == [100, 200]
    for (used,) in (history.used_by_session(written.session), history.used_by_days(7)):
        assert (used.turns, used.answers) == (2, 3)
        assert used.usage == Usage(prompt_tokens=300, completion_tokens=21)
        assert not used.is_live
        assert used.seconds > 0
    assert history.used_by_session(written.session + 1) == []


# What the kernel cannot finish


KERNEL = """
import asyncio, os, sys, time
from pathlib import Path
from codeact_kernel import Session, tool
from codeact_kernel.memory.journal import Journal
from codeact_kernel.model.scripted import ScriptedModel

@tool
def first() -> int:
    "First."
    return 41

@tool
def send(to: str) -> str:
    "Sends."
    print("I run", flush=True)
    time.sleep(600)

async def main():
    journal = Journal(Path(sys.argv[1]))
    model = ScriptedModel(["```python\\nfirst()\\nsend(to='a@shop.example')\\n```"])
    async with Session([first, send], model=model) as session:
        await session.ask("Send it.", emit=journal.record(days=1000, cell=7, report=print))

asyncio.run(main())
"""


def test_a_kernel_that_was_killed_leaves_a_readable_journal_that_says_what_is_not_known(file):
    environment = {**os.environ, "CODEACT_BACKEND": "embedded"}
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL, str(file)], stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        assert kernel.stdout.readline().strip() == "I run"
        assert History(file).latest(1)[0].state == "running"
        assert "has not ended yet" in bundle(History(file).find(1)[1])["text/plain"]
    finally:
        kernel.send_signal(signal.SIGKILL)
        kernel.wait()
        kernel.stdout.close()
    (turn,) = History(file).latest(10)
    assert (turn.ask, turn.cell, turn.state, turn.calls) == ("Send it.", 7, "unknown", 2)
    card = bundle(History(file).find(1)[1], "full")["text/plain"]
    assert "send(to='a@shop.example')" in card
    assert "first() = 41" in card
    assert "unknown whether it ran: the kernel ended during the call" in card
    assert "Unknown: the kernel ended during this turn" in card
    (used,) = History(file).used_by_days(7)
    assert used.usage.prompt_tokens > 0


WRITER = """
import sys
from pathlib import Path
from codeact_kernel.events import *
from codeact_kernel.memory.journal import Journal
from codeact_kernel.types import *

journal = Journal(Path(sys.argv[1]))
call = ToolCall(id=1, name="send", arguments={"text": "x" * 500})
while True:
    emit = Emitter("t", journal.record(days=1000, cell=1, report=sys.exit))
    emit(TurnStarted(ask="Go.", model="m", note="", tools=()))
    emit(ProgramReady(program="send()", attempt=1))
    emit(CallRequested(run=1, call=call))
    emit(ApprovalDecided(run=1, call=call, decision=Decision(choice="allow_once", by="policy"), waited=0))
    emit(CallFinished(run=1, call=call, answer=CallResult(value=1), seconds=0))
    emit(TurnFinished(result=TurnResult(ask="Go."), usage=Usage(), timings=Timings()))
    print("a turn", flush=True)
"""


@pytest.mark.parametrize("turns", [1, 20, 33])
def test_at_whatever_moment_it_is_killed_every_earlier_turn_is_whole(file, turns):
    kernel = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
    for _ in range(turns):
        assert kernel.stdout.readline() == "a turn\n"
    kernel.send_signal(signal.SIGKILL)
    kernel.wait()
    kernel.stdout.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    last, *earlier = History(file).latest(10_000)
    assert len(earlier) >= turns - 1
    assert {turn.state for turn in earlier} <= {"done"}
    assert last.state in ("done", "unknown")
    assert len(History(file).search("Go", 10_000)) == len(earlier) + 1


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ((), "it had not begun"),
        (("reject",), "it had not begun"),
        (("allow_session",), "unknown whether it ran"),
        (("allow_once", "end"), ""),
    ],
)
def test_of_a_call_without_an_end_only_what_was_allowed_can_have_run(written, file, events, message):
    emit = Emitter("t", written.record(days=FOREVER, cell=1, report=pytest.fail))
    call = ToolCall(id=1, name="send", arguments={"to": "a"})
    emit(TurnStarted(ask="Send it.", model="m", note="", tools=()))
    emit(CallRequested(run=1, call=call))
    emit(ApprovalRequested(run=1, call=call))
    for choice in events[:1]:
        emit(ApprovalDecided(run=1, call=call, decision=Decision(choice=choice, by="user"), waited=0.0))
    for _ in events[1:]:
        emit(CallFinished(run=1, call=call, answer=CallResult(value=1), seconds=0.5))
    written.close()  # as if its process had ended
    (record,) = History(file).find(1)[1].calls
    assert record.answer == CallResult(value=1) if not message else message in record.answer.message


def test_only_the_last_turn_of_a_kernel_can_be_running(written, file):
    add_turn(written, "one", end=False)
    add_turn(written, "two", end=False)
    assert [turn.state for turn in History(file).latest(2)] == ["running", "unknown"]
    written.close()
    assert [turn.state for turn in History(file).latest(2)] == ["unknown", "unknown"]


def test_a_kernel_counts_as_running_until_it_ends(tmp_path):
    folder = tmp_path / "running"
    presence = Presence(folder, "a")
    remove_ended(folder)
    assert is_running(folder, "a")
    assert not is_running(folder, "b")
    (folder / "b").touch()
    assert not is_running(folder, "b")
    remove_ended(folder)
    assert [path.name for path in folder.iterdir()] == ["a"]
    presence.close()
    assert not is_running(folder, "a")


# Several kernels, and a file that cannot be used


def test_several_kernels_write_at_once(file):
    journals = [Journal(file) for _ in range(4)]

    def work(one: Journal) -> None:
        for number in range(25):
            add_turn(one, f"turn {number}")

    threads = [threading.Thread(target=work, args=[one]) for one in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(History(file).latest(1_000)) == 100
    assert {used.turns for one in journals for used in History(file).used_by_session(one.session)} == {25}
    for one in journals:
        one.close()


def sentences(file: Path) -> list[str]:
    """What the journal reports about two turns; the turns themselves run undisturbed."""
    reported: list[str] = []
    one = Journal(file)
    for _ in range(2):
        emit = Emitter("t", one.record(days=FOREVER, cell=1, report=reported.append))
        for event in (
            TurnStarted(ask="Go.", model="m", note="", tools=()),
            CallRequested(run=1, call=ToolCall(id=1, name="f", arguments={})),
        ):
            emit(event)
    one.close()
    return reported


def test_a_file_that_others_can_write_is_not_used(file):
    file.parent.mkdir(mode=0o700)
    file.touch(mode=0o600)
    file.chmod(0o666)
    for sentence in sentences(file):
        assert "can be written by others" in sentence
    assert file.stat().st_size == 0
    with pytest.raises(UserError, match="can be written by others"):
        History(file).latest(1)


def test_a_new_file_is_for_its_user_only(written, file):
    add_turn(written, "one")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in file.parent.iterdir() if path.is_file()} == {0}


@pytest.mark.parametrize("problem", ["folder is a file", "damaged", "newer", "locked"])
def test_a_journal_that_cannot_be_written_costs_a_sentence_per_turn_and_nothing_else(file, problem, monkeypatch):
    monkeypatch.setattr(database, "_PATIENCE", 0.01)
    expected = "cannot be used"
    if problem == "folder is a file":
        file.parent.touch()
    else:
        file.parent.mkdir(mode=0o700)
        if problem == "damaged":
            file.write_bytes(b"no database" * 1_000)
            file.chmod(0o600)
        else:
            connect(file).close()
    holder = sqlite3.connect(file, isolation_level=None) if problem in ("newer", "locked") else None
    if problem == "newer":
        holder.execute(f"PRAGMA user_version = {database.VERSION + 1}")
        expected = "was written by a newer version of codeact-kernel: update this one"
    if problem == "locked":
        holder.execute("BEGIN EXCLUSIVE")
    reported = sentences(file)
    assert len(reported) == 2
    assert all(expected in sentence for sentence in reported)
    if holder is not None:
        holder.close()


def test_a_damaged_result_is_replaced_by_what_else_was_written(written, file):
    add_turn(written, "one")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE results SET json = '{'")
    turn, result = History(file).find(1)
    assert turn.state == "done"
    assert "cannot be read" in str(result.error)


# What is kept


@pytest.mark.parametrize(
    "change",
    [
        "turns SET started = 'x', cell = 'y', ask = x'00ff', program = 3, answer = 1.5, isolation = '{}', state = x'01'",
        "turns SET started = 1e300, model = 5, endpoint = x'01', seconds = 'z', prompt_tokens = 'many', answers = 0.5",
        "sessions SET notebook = 7, key = x'01'",
    ],
)
def test_values_of_another_type_cost_no_more_than_themselves(written, file, change):
    add_turn(written, "Late orders.")
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM results")
        connection.execute(f"UPDATE {change}")
    history = History(file)
    (turn,) = history.latest(5)
    assert time.localtime(turn.started)
    assert history.find(turn.number)[1].error is not None
    assert len(history.used_by_turns(written.session, 5)) == 1


def test_texts_are_bounded_and_without_secrets(written, file, monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "t0k3n-abcdefgh")
    emit = Emitter("t", written.record(days=FOREVER, cell=1, report=pytest.fail))
    call = ToolCall(id=1, name="f", arguments={"key": "t0k3n-abcdefgh", "text": "x" * 10**6})
    result = TurnResult(ask="t0k3n-abcdefgh", program="p t0k3n-abcdefgh", stdout="y" * 10**6)
    emit(TurnStarted(ask="t0k3n-abcdefgh " + "z" * 10**6, model="m", note="", tools=()))
    emit(CallRequested(run=1, call=call))
    emit(CallFinished(run=1, call=call, answer=CallResult(value=["t0k3n-abcdefgh"] * 10**5), seconds=0))
    emit(TurnFinished(result=result, usage=result.usage, timings=result.timings))
    written.close()
    content = b"".join(path.read_bytes() for path in file.parent.iterdir() if path.is_file())
    assert b"t0k3n" not in content
    assert len(content) < 500_000


def test_old_turns_are_deleted_and_younger_ones_stay(written, file):
    for text in ("old", "young"):
        add_turn(written, text)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE turns SET started = started - 40 * 86400 WHERE ask = 'old'")
    prune(file, days=30)
    history = History(file)
    assert [turn.ask for turn in history.latest(10)] == ["young"]
    assert history.search("old", 10) == []
    with pytest.raises(UserError, match="The history has no turn 1: %codeact history lists the turns"):
        history.find(1)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (1,)
    add_turn(written, "next")
    assert history.latest(1)[0].number == 3, "a number is never used again"


def test_the_first_turn_of_a_kernel_deletes_the_old_ones(file):
    one = Journal(file)
    add_turn(one, "old")
    one.close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE turns SET started = started - 40 * 86400")
    emit = Emitter("t", one.record(days=30, cell=1, report=pytest.fail))
    emit(TurnStarted(ask="new", model="m", note="", tools=()))
    for thread in threading.enumerate():
        if thread.name == "codeact-history":
            thread.join()
    assert [turn.ask for turn in History(file).latest(10)] == ["new"]
    one.close()


# Search


@pytest.fixture(params=["index", "no index"])
def history(file, written, request, monkeypatch) -> History:
    if request.param == "no index":
        monkeypatch.setattr(database, "_INDEX", "CREATE VIRTUAL TABLE words USING no_such_module (ask);")
    for text in (
        "Which orders are late?",
        "Sum the invoices of May, 50% off.",
        "Rain in 京都市 tomorrow?",
        "'; DROP TABLE turns; --",
    ):
        add_turn(written, text)
    assert history_queries._has_index(connect(file)) is (request.param == "index")
    return History(file)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("orders", [1]), ("ORDERS late", [1]), ("ord", [1]), ("rders", [1]), ("orders invoices", []), ("invoices 50%", [2]),
        ("京都", [3]), ("都市", [3]), ("in", [3, 2]), ("'; DROP", [4]), ('"', []), ("*", []), ("NEAR(", []), ("a_b", []),
        ("ask:orders", []), ("\0orders", [1]), ("%", [2]), ("-", [4]), ("x" * 5_000, []), (" ".join(["orders"] * 500), [1]),
    ],
)  # fmt: skip
def test_a_search_finds_the_turns_with_every_word_the_newest_first_and_takes_the_text_as_it_is(history, text, found):
    assert [turn.number for turn in history.search(text, 10)] == found


def test_a_search_gives_no_more_than_it_was_asked_for(history):
    assert [turn.number for turn in history.search("e", 2)] == [4, 2]
    assert [turn.number for turn in history.latest(2)] == [4, 3]


@on_one_loop
async def test_a_search_finds_programs_and_answers_in_words(session, written, file):
    await ask(session, written, "add(a=1, b=2)")
    async with Session([]) as plain:
        model = ScriptedModel(["There are three pelicans."])
        await plain.ask("How many?", model=model, emit=written.record(days=FOREVER, cell=1, report=pytest.fail))
    assert [turn.number for turn in History(file).search("add", 5)] == [1]
    assert [turn.number for turn in History(file).search("pelican", 5)] == [2]
