"""Recorded turns that run again without their tools, in the real sandbox: `codeact-kernel test` and `run --locked`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pandas
import pytest
import pytest_asyncio

from codeact_kernel.access import FileMount
from codeact_kernel.approval import Approver
from codeact_kernel.errors import UserError
from codeact_kernel.events import ApprovalRequested
from codeact_kernel.memory.lock import Lock, LockedCall, lock_value, parse_lock, write_lock
from codeact_kernel.memory.lock_folder import LockFolder, TrustedLocks
from codeact_kernel.memory.locked_reuse import LockedReuse, PromptReport
from codeact_kernel.memory.replay import Replay
from codeact_kernel.memory.reuse import Reuse, StaleLock
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.settings import Settings
from codeact_kernel.tools import Registry, tool
from codeact_kernel.types import CallRecord, Decision, ToolCall, TurnResult

from ..warm import WarmPool

in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmPool]:
    warm = WarmPool()
    yield warm
    await warm.aclose()


class Notebook:
    """Asks prompts with a scripted model, which records them, and then again in a kernel that only has the records."""

    def __init__(self, warm: WarmPool, folder: Path) -> None:
        self.folder = LockFolder(folder, TrustedLocks(trusts_all=True))
        self.tools = Registry()
        self.ran: list[str] = []
        self.reports: list[PromptReport] = []
        self.asked_approvals = 0
        self._warm = warm
        self.settings = Settings()
        self.options: dict = {}

    def add(self, function: Callable, **options) -> None:
        self.tools.add(tool(**options)(function) if options else tool(function))

    async def record(self, ask: str, *programs: str, **options) -> TurnResult:
        (result,) = await self.record_all((ask, *programs), **options)
        return result

    async def record_all(self, *prompts: tuple[str, ...], **options) -> list[TurnResult]:
        results = []
        async with self._warm.session(self.tools, reuse=Reuse(self.folder)) as session:
            for ask, *programs in prompts:
                model = ScriptedModel([f"```python\n{program.strip()}\n```" for program in programs])
                results.append(await session.ask(ask, model=model, settings=self.settings, **options))
                assert results[-1].error is None
        return results

    async def replay(self, *asks: str, replays: bool = True, **options) -> list[TurnResult]:
        self.ran.clear()
        self.reports.clear()
        results = []

        def emit(event: object) -> None:
            self.asked_approvals += isinstance(event, ApprovalRequested)

        reuse = LockedReuse(self.folder, replays=replays, report=self.reports.append)
        async with self._warm.session(self.tools, reuse=reuse) as session:
            for ask in asks:
                model = ScriptedModel([])
                with suppress(StaleLock):
                    results.append(await session.ask(ask, model=model, settings=self.settings, emit=emit, **options))
                assert model.asked == []
        return results

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.path.glob("*.json"))

    @property
    def lock(self) -> Lock:
        (file,) = self.files
        return parse_lock(file.read_bytes())

    def change(self, **fields) -> None:
        self.files[0].write_bytes(write_lock(self.lock.model_copy(update=fields)))


@pytest.fixture
def notebook(warm: WarmPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notebook:
    monkeypatch.chdir(tmp_path)
    notebook = Notebook(warm, tmp_path)

    def get_orders(year: int) -> list[dict]:
        """Orders of a year."""
        notebook.ran.append("get_orders")
        if year > 2100:
            raise LookupError(f"there is no year {year}")
        return [{"region": "north", "amount": 1.5 * year}, {"region": "east", "amount": float("inf")}]

    def pay(amount: float) -> str:
        """Pay."""
        notebook.ran.append("pay")
        return f"paid {amount}"

    async def fetch(name: str, seconds: float) -> str:
        """Fetch, which takes a while."""
        notebook.ran.append("fetch")
        await asyncio.sleep(seconds)
        return name.upper()

    notebook.add(get_orders, read_only=True)
    notebook.add(pay, approval_mode="always_require")
    notebook.add(fetch)
    return notebook


def names(records: tuple[CallRecord, ...] | list[CallRecord]) -> list[str]:
    return [str(record.call.arguments.get("name")) for record in records]


@in_one_loop
async def test_a_turn_runs_again_without_its_tools_and_gives_the_same(notebook):
    first = await notebook.record("Orders?", "[list(row.items()) for year in (2025, 2026) for row in get_orders(year)]")
    assert notebook.ran == ["get_orders"] * 2
    (again,) = await notebook.replay("Orders?")
    assert notebook.ran == []
    assert again.value == first.value
    assert [(record.call.name, record.answer) for record in again.calls] == [
        (record.call.name, record.answer) for record in first.calls
    ]
    assert notebook.reports == [PromptReport(ask="Orders?", state="ok")]


@in_one_loop
async def test_calls_that_are_made_before_a_loop_needs_them_are_answered_too(notebook):
    program = "total = 0\nfor year in range(2000, 2030):\n    total += get_orders(year)[0]['amount']\ntotal"
    first = await notebook.record("Total?", program)
    (again,) = await notebook.replay("Total?")
    assert again.value == first.value
    assert again.calls[0].call.batch_size > 1
    assert notebook.reports[0].state == "ok"


@in_one_loop
async def test_decisions_and_errors_are_those_of_the_record(notebook):
    program = """
said = []
for amount in (1.0, 2.0):
    try:
        said.append(pay(amount))
    except ToolDenied as error:
        said.append(str(error))
try:
    get_orders(2200)
except ToolFailed as error:
    said.append(str(error))
said
"""
    notebook.settings = Settings()
    first = await notebook.record("Pay.", program, approver=Picky())
    assert first.value[0] == "paid 10.0"
    assert "too much" in first.value[1]
    assert "there is no year 2200" in first.value[2]
    (again,) = await notebook.replay("Pay.")
    assert again.value == first.value
    assert [record.decision.choice for record in again.calls[:2]] == ["allow_once", "reject"]
    assert again.calls[0].decision.arguments == {"amount": 10.0}
    assert notebook.asked_approvals == 0
    assert notebook.ran == []
    assert notebook.reports[0].state == "ok"


IN_ORDER_OF_ANSWERS = """
import asyncio
finished = []

async def get(name, *seconds):
    for number, pause in enumerate(seconds):
        finished.append(await fetch(f"{name}{number}", pause))

async def main():
    await asyncio.gather(get("a", 0.4, 0), get("b", 0.05, 0.05, 0.05), get("c", 0.25))

await main()
finished
"""


@in_one_loop
async def test_answers_arrive_in_the_recorded_order(notebook):
    first = await notebook.record("Race.", IN_ORDER_OF_ANSWERS)
    assert first.value == ["B0", "B1", "B2", "C0", "A0", "A1"]
    (again,) = await notebook.replay("Race.")
    assert again.value == first.value
    assert names(again.calls) == names(first.calls)
    assert notebook.reports[0].state == "ok"


@in_one_loop
async def test_now_is_the_recorded_time_and_goes_on(notebook):
    program = """
import time
from datetime import date, datetime, timezone
before, monotonic = time.time(), time.monotonic()
time.sleep(0.01)
[before < time.time() < before + 60, 0.01 <= time.monotonic() - monotonic < 60,
 datetime.now().isoformat()[:13], date.today().isoformat(), datetime.now(timezone.utc).isoformat()[:13],
 datetime.utcnow().isoformat()[:13], datetime.now().astimezone().isoformat()[-6:], time.strftime("%Y %z"),
 time.localtime().tm_hour, time.gmtime().tm_hour, abs(time.time_ns() / 1e9 - time.time()) < 1,
 datetime.today().year, abs(datetime.now().timestamp() - time.time()) < 1, time.ctime()[-4:]]
"""
    await notebook.record("Now?", program)
    for recorded in ("2021-03-04T23:30:00+05:30", "2020-02-29T10:30:00+00:00", "2019-12-31T20:30:00-08:00"):
        moment = datetime.fromisoformat(recorded)
        utc = datetime.fromtimestamp(moment.timestamp(), tz=datetime.fromisoformat("2020-01-01T00:00Z").tzinfo)
        notebook.change(recorded=recorded)
        (again,) = await notebook.replay("Now?")
        assert again.error is None, again.error
        year = str(moment.year)
        assert again.value == [
            True, True, recorded[:13], recorded[:10], utc.isoformat()[:13], utc.isoformat()[:13], recorded[-6:],
            f"{year} {recorded[-6:].replace(':', '')}", moment.hour, utc.hour, True, moment.year, True, year,
        ]  # fmt: skip


@in_one_loop
async def test_a_call_that_was_not_recorded_ends_the_turn_and_the_differences_are_shown(notebook):
    program = "[get_orders(year)[0]['amount'] for year in years]"
    await notebook.record("Sum.", program, inputs={"years": [2024, 2025]})
    (again,) = await notebook.replay("Sum.", inputs={"years": [2024, 2026]})
    (report,) = notebook.reports
    assert again.error.kind == "ToolFailed"
    assert report.state == "differs"
    assert report.reason == "Call 2, get_orders(year=2026), is not in the record."
    assert "-get_orders(year=2025)\n+get_orders(year=2026)" in report.diff
    assert again.model_turns == 0


@in_one_loop
async def test_tables_that_go_in_and_out_are_compared_by_their_rows(notebook):
    table = pandas.DataFrame({"day": pandas.to_datetime(["2026-01-01", None]), "amount": [1.5, float("nan")]})
    await notebook.record("First row.", "top = df.head(1)", inputs={"df": table}, outputs=["top"])
    await notebook.replay("First row.", inputs={"df": table}, outputs=["top"])
    assert notebook.reports[0].state == "ok"
    await notebook.replay("First row.", inputs={"df": table[::-1]}, outputs=["top"])
    assert notebook.reports[0].state == "differs"
    assert '-    "amount": 1.5,' in notebook.reports[0].diff


@in_one_loop
async def test_a_recorded_call_that_is_not_made_is_a_difference(notebook):
    program = "for name in names:\n    fetch(name, 0)\nlen(names)"
    await notebook.record("Fetch.", program, inputs={"names": ["a", "b", "c"]})
    (again,) = await notebook.replay("Fetch.", inputs={"names": ["a", "c"]})
    assert again.value == 2
    (report,) = notebook.reports
    assert report.state == "differs"
    assert '-fetch(name="b", seconds=0)' in report.diff
    assert "--- recorded value\n+++ value now\n@@ -1 +1 @@\n-3\n+2" in report.diff


@in_one_loop
async def test_a_program_that_no_longer_overtakes_goes_on_nevertheless(notebook, monkeypatch):
    monkeypatch.setattr("codeact_kernel.memory.replay._PATIENCE", 0.1)
    program = """
slow = fetch.submit("slow", 0.2)
if is_fast:
    fetch("fast", 0)
slow.result()
"""
    await notebook.record("Race.", program, inputs={"is_fast": True})
    (again,) = await notebook.replay("Race.", inputs={"is_fast": False})
    assert again.value == "SLOW"
    assert notebook.reports[0].state == "differs"


@in_one_loop
async def test_a_result_that_was_not_recorded_cannot_be_replayed(notebook, monkeypatch):
    monkeypatch.setenv("BILLING_TOKEN", "hunter2-hunter2")

    async def read(rows: int) -> str:
        """Read."""
        return "x" * rows if rows else "hunter2-hunter2"

    notebook.add(read)
    for ask, rows in (("Large.", 40_000), ("Secret.", 0)):
        await notebook.record(ask, f"fetch('a', 0) + read({rows})[:1]")
        await notebook.replay(ask)
        (report,) = notebook.reports
        assert report.state == "cannot be replayed"
        assert report.reason == (
            f"The result of call 2, read(rows={rows}), is not recorded: it is too large, or may hold a secret."
        )
    assert b"hunter2-hunter2" not in b"".join(file.read_bytes() for file in notebook.files)


@in_one_loop
async def test_only_the_calls_of_the_program_that_answered_are_expected(notebook):
    await notebook.record("Fix it.", "get_orders(2024)\n1 / 0", "get_orders(2025)[0]['amount']")
    assert [call.arguments.json_value for call in notebook.lock.calls] == [{"year": 2025}]
    await notebook.replay("Fix it.")
    assert notebook.reports[0].state == "ok"


@in_one_loop
async def test_a_replay_leaves_no_files_and_changes_none(notebook, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    await notebook.record("Write.", "open('/output/a.txt', 'w').write('a')")
    (tmp_path / "codeact_output").rename(tmp_path / "earlier")
    (again,) = await notebook.replay("Write.")
    assert again.value == 1
    assert not (tmp_path / "codeact_output").exists()
    notebook.settings = Settings(file_mounts=(FileMount(str(data), "data", "rw"),))
    await notebook.record("Mounted.", "open('/input/data/a.txt', 'w').write('a')")
    (data / "a.txt").unlink()
    await notebook.replay("Mounted.")
    assert list(data.iterdir()) == []
    assert notebook.reports[0].state == "differs"
    assert "The program failed" in notebook.reports[0].reason


@in_one_loop
async def test_a_changed_tool_makes_exactly_the_prompts_that_use_it_stale(notebook):
    prompts = (
        ("Orders?", "get_orders(2025)[0]"),
        ("Its amount?", "previous['amount']"),
        ("Fetch.", "fetch('a', 0)"),
        ("Louder.", "previous + '!'"),
        ("More orders?", "get_orders(2026)[0]"),
        ("Without any.", "6 * 7"),
    )
    await notebook.record_all(*prompts)
    asks = [ask for ask, _ in prompts]
    for replays in (True, False):
        await notebook.replay(*asks, replays=replays)
        assert [report.state for report in notebook.reports] == ["ok"] * 6

    def get_orders(year: int, region: str) -> list[dict]:
        """Orders of a year."""
        return []

    notebook.add(get_orders, read_only=True)
    for replays in (True, False):
        results = await notebook.replay(*asks, replays=replays)
        assert [report.state for report in notebook.reports] == ["stale", "not run", "ok", "ok", "stale", "ok"]
        assert notebook.reports[0].reason == "get_orders has a new parameter `region: str`"
        assert notebook.reports[1].reason == "it needs the result of `Orders?`, which has none"
        assert [result.value for result in results] == ["A", "A!", 42]


@in_one_loop
async def test_what_is_not_recorded_or_damaged_is_reported_and_the_prompts_after_it_go_on(notebook):
    await notebook.record_all(("One.", "1"), ("Two.", "2"), ("Three.", "3"))
    missing, damaged = (file for name in ("one", "two") for file in notebook.files if file.name.startswith(name))
    missing.unlink()
    damaged.write_text("{")
    for replays in (True, False):
        await notebook.replay("One.", "Two.", "Three.", replays=replays)
        one, two, three = notebook.reports
        assert (one.state, two.state, three.state) == ("not recorded", "stale", "ok")
        assert "two-" in two.reason
        assert "is not a recorded program" in two.reason


def locked(tool: str, result: object, **arguments: object) -> LockedCall:
    return LockedCall(tool=tool, arguments=lock_value(arguments), result=lock_value(result), decision="allow_once")


def make_lock(*calls: LockedCall, **fields) -> Lock:
    return Lock(codeact_lock=1, ask="x", recorded="2026-11-30T10:00:00+00:00", calls=calls, **fields)


@in_one_loop
async def test_equal_calls_get_their_answers_in_the_order_in_which_they_were_made():
    first, second = locked("fetch", "first", name="a"), locked("fetch", "second", name="a")
    # The second call was answered first.
    replay = Replay(make_lock(second.model_copy(update={"overtook": 1}), first))
    calls = [ToolCall(id=number, name="fetch", arguments={"name": "a"}) for number in (1, 2)]
    done = []

    async def answer(call: ToolCall) -> None:
        _, outcome = await replay.answer(call)
        done.append((call.id, outcome.value))

    await asyncio.gather(*map(answer, calls))
    assert done == [(2, "second"), (1, "first")]


@in_one_loop
async def test_a_large_reply_to_a_request_is_not_in_the_record():
    replay = Replay(make_lock(locked("http_request", {"status": 200, "kept": 1, "size": 200_000}, url="https://x")))
    _, outcome = await replay.answer(ToolCall(id=1, name="http_request", arguments={"url": "https://x"}))
    assert outcome.is_final
    assert "is not recorded" in outcome.message


@in_one_loop
async def test_a_record_whose_order_is_impossible_answers_nevertheless():
    calls = [locked("fetch", number, name=number).model_copy(update={"overtook": 400}) for number in range(3)]
    replay = Replay(make_lock(*calls))
    numbers = [ToolCall(id=number, name="fetch", arguments={"name": number}) for number in range(3)]
    outcomes = await asyncio.gather(*map(replay.answer, numbers))
    assert [outcome.value for _, outcome in outcomes] == [0, 1, 2]


def test_infinity_and_the_order_of_keys_are_recorded():
    value = {"b": float("inf"), "a": [float("nan")]}
    lock = parse_lock(write_lock(make_lock(locked("fetch", value))))
    assert str(lock.calls[0].result.value) == str(value)


@pytest.mark.parametrize("recorded", ["yesterday", "2026-11-30T10:00:00", "0001-01-01T00:00:00+00:00"])
def test_a_record_without_a_valid_time_is_refused(recorded):
    content = {"codeact_lock": 1, "ask": "x", "recorded": recorded}
    with pytest.raises(UserError, match="recorded"):
        parse_lock(json.dumps(content).encode())


class Picky(Approver):
    """Lets the first payment run, with another amount, and denies the second."""

    async def decide(self, request):
        if request.call.arguments["amount"] == 1.0:
            return Decision(choice="allow_once", by="user", arguments={"amount": 10.0})
        return Decision(choice="reject", by="user", reason="too much")
