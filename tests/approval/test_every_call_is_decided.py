"""Whatever happens in whatever order: no call that needs approval runs without exactly one decision that fits it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from codeact.approvers import CardApprover
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from codeact_kernel.approval import ApprovalPolicy, Grants
from codeact_kernel.capabilities.registry import CapabilitySet
from codeact_kernel.memory.spending import Spending
from codeact_kernel.settings import Limits, Settings
from codeact_kernel.tools import Registry, tool
from codeact_kernel.turn import TurnContext
from codeact_kernel.turn.accounts import Accounts
from codeact_kernel.turn.calls import Calls
from codeact_kernel.types import CallResult, ToolCall

CHOICES = ("allow_once", "allow_cell", "allow_session", "allow_always", "reject")
FORGED = (
    {"digest": "0" * 64},
    {"call": 10_000},
    {"call": True},
    {"run": 7},
    {"choice": "allow"},
    {"edits": {"rows": "x"}},
)

number = st.integers(0, 20)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 2)),
        st.tuples(st.just("look"), st.none()),
        st.tuples(st.just("click"), st.tuples(number, st.sampled_from(CHOICES))),
        st.tuples(st.just("edit"), st.tuples(number, st.sampled_from(CHOICES), st.integers(0, 2))),
        st.tuples(st.just("forge"), st.tuples(number, st.sampled_from(range(len(FORGED))))),
        st.tuples(st.just("redefine"), st.none()),
        st.tuples(st.just("interrupt"), st.none()),
        st.tuples(st.just("tick"), st.none()),
        st.tuples(st.just("call"), st.integers(0, 2)),
        st.tuples(st.just("answer"), st.tuples(number, st.sampled_from(CHOICES))),
        st.tuples(st.just("answer"), st.tuples(number, st.sampled_from(CHOICES))),
    ),
    min_size=15,
    max_size=60,
)


@dataclass
class World:
    """A notebook, its page and its user; and a second book of what the user really said."""

    registry: Registry = field(default_factory=Registry)
    grants: Grants = field(default_factory=Grants)
    runs: list[tuple[int, int]] = field(default_factory=list)
    runs_by_turn: list[tuple[int, int]] = field(default_factory=list)
    edition: int = 0
    turn: int = 0
    opened: int = 0
    page: list[dict[str, Any]] = field(default_factory=list)
    tasks: dict[int, asyncio.Task[Any]] = field(default_factory=dict)
    shown: dict[str, tuple[int, int, str, int]] = field(default_factory=dict)
    # What the user said, in the words of the rules.
    once: dict[tuple[int, int], int] = field(default_factory=dict)
    cell: set[tuple[int, str]] = field(default_factory=set)
    session: set[str] = field(default_factory=set)
    always: set[tuple[str, int]] = field(default_factory=set)
    rejected: set[tuple[int, int]] = field(default_factory=set)
    tool_of: dict[str, str] = field(default_factory=dict)

    async def begin(self) -> None:
        await self.end()
        self.turn += 1
        self.opened = 0
        self.approver = CardApprover(lambda: None, lambda: None)
        policy = ApprovalPolicy(self.approver, self.grants, Limits())
        self.calls = Calls(
            TurnContext(
                number=f"turn {self.turn}",
                settings=Settings(),
                inputs=(),
                tools=self.registry,
                capabilities=CapabilitySet(Settings(), [], [], lambda event: None),
                approvals=policy,
                accounts=Accounts(Settings(), Spending(), Spending(), lambda event: None),
                emit=lambda event: None,
                on_main=self.main,
            )
        )
        self.calls.set_program("drop()", ())
        self.clock = self.calls.start_run(1).running()
        await self.clock.__aenter__()
        self.tasks = {}

    async def end(self) -> None:
        """Interrupted, or over: what is under way is cancelled."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        if self.turn:
            await self.clock.__aexit__(None, None, None)

    async def main(self, function):
        await asyncio.sleep(0)  # other things happen between the decision and the run
        return function()

    def redefine(self) -> None:
        self.edition += 1
        edition, runs, by_turn = self.edition, self.runs, self.runs_by_turn

        def drop(rows: int) -> int:
            runs.append((edition, rows))
            by_turn.append((self.turn, rows))
            return rows

        # The source of each is the same text, so the description tells the editions apart.
        self.registry.add(tool(description=f"Drop, edition {edition}.", approval_mode="always_require")(drop))

    @property
    def version(self) -> str:
        return self.registry.get("drop").version

    def call(self, rows: int) -> None:
        self.opened += 1
        call = ToolCall(id=self.opened, name="drop", arguments={"rows": rows}, line=1)
        self.tasks[self.opened] = asyncio.create_task(self.calls.answer(call))

    def look(self) -> None:
        """The page is drawn, or reloaded: it shows what is open now. Between two looks it may be out of date."""
        self.page = [*self.page[-10:], *self.approver.open_forms]

    def click(self, index: int, choice: str, rows: int | None = None, forged: dict[str, Any] | None = None) -> None:
        if not self.page:
            return
        form = self.page[index % len(self.page)]
        edits = {} if rows is None else {"rows": str(rows)}
        is_open = any(one["digest"] == form["digest"] for one in self.approver.open_forms)
        answered = form["digest"] in self.shown
        message = {"kind": "decide", "choice": choice, "reason": "", "edits": edits}
        self.approver.receive(message | {name: form[name] for name in ("run", "call", "digest")} | (forged or {}))
        if forged or not is_open or answered:
            return
        # The first good click on an open question: that is what the user said.
        shown = int(form["fields"][0]["text"])
        self.shown[form["digest"]] = (self.turn, form["call"], self.tool_of[form["digest"]], shown)
        key, ran = (self.turn, form["call"]), shown if rows is None else rows
        version = self.tool_of[form["digest"]]
        if choice == "reject":
            self.rejected.add(key)
            return
        self.once[key] = ran
        if choice == "allow_cell":
            self.cell.add((self.turn, version))
        if choice == "allow_session":
            self.session.add(version)
        if choice == "allow_always":
            self.always.add((version, ran))

    def note_questions(self) -> None:
        for digest, one in self.approver._waiting.items():
            self.tool_of.setdefault(digest, one.request.call.version)

    def check(self, calls: Calls | None = None, turn: int = 0) -> None:
        """Each call that ran had a reason, and each reason was used for what was said."""
        calls, turn = calls or self.calls, turn or self.turn
        begun = []
        for record in calls.records:
            key, version, decision = (turn, record.call.id), record.call.version, record.decision
            rows = (decision.arguments or record.call.arguments)["rows"]
            if isinstance(record.answer, CallResult):
                assert decision.allowed, record
                assert record.answer.value == rows, "what ran is not what was decided"
            if not decision.allowed:
                continue
            begun.append(rows)
            in_scope = (turn, version) in self.cell or version in self.session or (version, rows) in self.always
            if decision.by == "user":
                assert self.once.get(key) == rows, record
                assert key not in self.rejected, record
            else:
                assert decision.by == "memory", record
                assert decision.arguments is None
                assert in_scope, record
        ran = [rows for turn_, rows in self.runs_by_turn if turn_ == turn]
        assert not Counter(ran) - Counter(begun), "a tool ran more often than was decided"


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


async def live(script: list[tuple[str, Any]]) -> World:
    world = World()
    world.redefine()
    await world.begin()
    for what, how in script:
        match what:
            case "call":
                world.call(how)
            case "look":
                world.note_questions()
                world.look()
            case "click":
                world.click(*how)
            case "answer":
                world.note_questions()
                world.look()
                world.click(*how)
            case "edit":
                world.click(how[0], how[1], how[2])
            case "forge":
                forged = FORGED[how[1]]
                world.click(how[0], "allow_once", None, forged)
            case "redefine":
                world.redefine()
            case "interrupt":
                calls = world.calls
                await world.begin()
                world.check(calls, world.turn - 1)
            case _:
                await asyncio.sleep(0)
        if what in ("call", "tick", "answer"):
            await settle()
    await settle()
    await world.end()
    world.check()
    assert world.approver.open_forms == [], "a question is left open"
    return world


@given(actions)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore:Add a docstring")
def test_no_call_runs_without_the_one_decision_that_fits_it(script):
    world = asyncio.run(live(script))
    event(f"ran: {min(len(world.runs), 5)}")


async def asking() -> World:
    """A world in which one call waits, and the page shows it."""
    world = World()
    world.redefine()
    await world.begin()
    world.call(1)
    await settle()
    world.note_questions()
    world.look()
    return world


def test_the_second_book_notices_a_call_that_ran_unasked():
    """The control: the check above can fail."""

    async def unasked() -> None:
        world = World()
        world.redefine()
        await world.begin()
        world.grants.session.add(("drop", world.version))  # nobody said so
        world.call(1)
        await settle()
        assert world.runs == [(1, 1)]
        world.check()

    with pytest.raises(AssertionError):
        asyncio.run(unasked())


def test_a_tool_that_was_redefined_while_the_question_was_open_does_not_run_and_the_next_call_asks():
    async def redefined() -> World:
        world = await asking()
        world.redefine()
        world.click(0, "allow_session")
        await settle()
        world.call(1)  # the new edition is another tool: it asks
        await settle()
        assert len(world.approver.open_forms) == 1
        await world.end()
        return world

    assert asyncio.run(redefined()).runs == []


def test_an_edit_that_the_tool_refuses_keeps_the_question_open():
    async def refused() -> None:
        world = await asking()
        form = world.page[0]
        named = {name: form[name] for name in ("run", "call", "digest")}
        world.approver.receive({"kind": "decide", "choice": "allow_once", **named, "edits": {"rows": '"x"'}})
        await settle()
        assert world.approver.open_forms[0]["problem"]
        assert world.runs == []
        world.approver.receive({"kind": "decide", "choice": "allow_once", **named, "edits": {"rows": "5"}})
        await settle()
        assert world.runs == [(1, 5)]

    asyncio.run(refused())
