"""The turn itself, with the real sandbox, the real tools and a scripted model."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import psutil
import pytest
import pytest_asyncio

from codeact_kernel.approval import AutoApprove
from codeact_kernel.errors import ModelError
from codeact_kernel.events import (
    CallFinished,
    CallRequested,
    Event,
    ModelAnswered,
    ModelRequested,
    Notice,
    OutputWritten,
    ProgramDelta,
    ProgramReady,
    RetryStarted,
    RunFinished,
    RunStarted,
    TurnFinished,
    TurnStarted,
)
from codeact_kernel.model.base import Delta, Message
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.render import Transcript, to_text
from codeact_kernel.session import Session
from codeact_kernel.settings import Limits, Settings
from codeact_kernel.tools import Registry, tool
from codeact_kernel.types import CallError, Decision, TurnResult, Usage

from .warm import WarmPool

pytestmark = pytest.mark.asyncio(loop_scope="module")


def program(text: str) -> str:
    return f"Here it is.\n```python\n{text}\n```"


@pytest.fixture
def tools() -> Registry:
    registry = Registry()

    @tool
    def add(a: int, b: int) -> int:
        """The sum."""
        return a + b

    @tool
    def look_up(key: str) -> dict:
        """The row of a key."""
        return {"colour": "red", "size": 3}

    @tool
    async def slow(seconds: float) -> str:
        """Takes its time."""
        await asyncio.sleep(seconds)
        return "done"

    @tool(approval_mode="always_require", max_invocations=2)
    def pay(amount: int) -> str:
        """Pay."""
        return f"paid {amount}"

    @tool(read_only=True)
    def see(key: int) -> int:
        """Look."""
        return key

    for function in (add, look_up, slow, pay, see):
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


async def ask(session: Session, answers: Sequence[str], **options) -> tuple[object, list[Event], ScriptedModel]:
    model, events = ScriptedModel([program(text) for text in answers]), []
    result = await session.ask("Do it.", model=model, emit=events.append, **options)
    return result, events, model


async def ask_raw(session: Session, answers: Sequence[str]) -> tuple[TurnResult, list[Event]]:
    events: list[Event] = []
    return await session.ask("Do it.", model=ScriptedModel(answers), emit=events.append), events


async def test_a_turn_is_one_model_turn_when_the_program_works(session):
    result, events, model = await ask(session, ["print('adding')\nadd(1, b=2)"])
    assert (result.value, result.stdout, result.error, result.model_turns) == (3, "adding\n", None, 1)
    assert len(model.asked) == 1
    kinds = [type(event) for event in events if not isinstance(event, ProgramDelta)]
    order = [
        TurnStarted,
        ProgramReady,
        RunStarted,
        OutputWritten,
        CallRequested,
        CallFinished,
        RunFinished,
        TurnFinished,
    ]
    assert [kind for kind in kinds if kind in order] == order
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({event.turn for event in events}) == 1


async def test_a_repair_sees_the_traceback_the_calls_and_the_shape_of_results_and_keeps_the_variables(session):
    result, events, model = await ask(session, ["rows = [look_up('a')]\nrows[0]['color']", "rows[0]['colour']"])
    assert result.value == "red"
    assert (result.attempts, result.model_turns) == (2, 2)
    feedback = model.asked[1][-1].content
    assert 'File "<program 1>", line 2' in feedback
    assert "KeyError: 'color'\nThe existing keys are 'colour', 'size'.\n" in feedback
    assert '- look_up with key "a" returned a result\n' in feedback
    assert "-> {colour: str, size: int}" in feedback
    assert "variables are still there" in feedback
    assert [event.reason for event in events if isinstance(event, RetryStarted)] == ["KeyError: 'color'"]


@pytest.mark.parametrize(
    "text",
    [
        "x = None",
        "def main():\n    return add(1, 2)",
        "for n in [1]:\n    n + 1",
        "None",
        "add",
        "for n in [1]:\n    see(n)",
    ],
)
async def test_a_program_that_ends_with_nothing_is_written_again_once(session, text: str):
    result, events, model = await ask(session, [text, "add(3, 1)"])
    assert (result.value, result.error, result.model_turns) == (4, None, 2)
    assert "ended with nothing" in model.asked[1][-1].content
    assert [event.reason for event in events if isinstance(event, RetryStarted)] == ["the program ended with nothing"]
    again, _, _ = await ask(session, ["pass", "pass"])
    assert (again.value, again.error, again.model_turns) == (None, None, 2)


@pytest.mark.parametrize("text", [
    "add(1, 2)\nNone",
    "print('done')",
    "show('done')",
    "import os\nos.mkdir('/output/a')",
    "open('/output/a', 'w').write('b') and None",
])  # fmt: skip
async def test_a_program_that_did_something_need_not_end_with_a_value(session, text: str):
    result, _, _ = await ask(session, [text])
    assert (result.value, result.error, result.model_turns) == (None, None, 1)


async def test_without_a_retry_left_a_program_may_end_with_nothing(session):
    result, _, _ = await ask(session, ["pass"], settings=Settings(max_retries=0))
    assert (result.value, result.error, result.model_turns) == (None, None, 1)


async def test_a_program_that_runs_out_of_time_is_repaired_in_a_new_guest_and_the_model_is_told(session):
    settings = Settings(limits=Limits(run_seconds=1.0))
    result, _, model = await ask(session, ["x = 1\nwhile True: pass", "'x' in globals()"], settings=settings)
    assert result.value is False
    assert "stopped after 1 s" in model.asked[1][-1].content
    assert "variables are gone" in model.asked[1][-1].content


async def test_retries_are_counted_and_then_the_turn_fails_with_the_last_error(session):
    result, _, model = await ask(session, ["1/0"] * 5, settings=Settings(max_retries=2))
    assert len(model.asked) == 3
    assert str(result.error) == "ZeroDivisionError: division by zero"


async def test_what_preflight_refuses_has_no_side_effect_and_goes_back_to_the_model(session):
    result, _, model = await ask(session, ["add(1, 2)\nadd(1, z=2)", "add(2, 3)"])
    assert result.value == 5
    assert len(result.calls) == 1
    assert "Line 2" in model.asked[1][-1].content


async def test_a_faked_tool_is_refused_before_it_can_invent_results(session):
    result, _, model = await ask(session, ["def add(a, b):\n    return 42\nadd(1, 2)", "add(1, 2)"])
    assert result.value == 3
    assert "do not define it" in model.asked[1][-1].content


async def test_observe_leads_to_another_program_in_the_same_guest_without_costing_a_retry(session):
    settings = Settings(max_retries=0)
    result, _, model = await ask(session, ["row = look_up('a')\nobserve(row)", "row['size']"], settings=settings)
    assert result.value == 3
    assert '"colour": "red"' in model.asked[1][-1].content


async def test_the_next_turn_starts_with_a_clean_guest(session):
    await ask(session, ["leftover = 1"])
    result, _, _ = await ask(session, ["'leftover' in globals()"])
    assert result.value is False


async def test_a_program_finds_no_names_but_its_own(session):
    result, _, _ = await ask(session, ["sorted(name for name in globals() if not name.startswith('__'))"])
    tools = ["add", "look_up", "pay", "see", "slow"]
    assert result.value == sorted(
        [*tools, "ToolDenied", "ToolFailed", "call_tool", "call_tool_async", "find_tools", "observe", "show"]
    )


async def test_variables_of_a_failed_turn_are_not_seen_by_the_next_one(session):
    await ask(session, ["secret = 1\n1/0"], settings=Settings(max_retries=0))
    result, _, _ = await ask(session, ["'secret' in globals()"])
    assert result.value is False


async def test_words_without_a_program_are_the_answer_and_nothing_is_run(session):
    events: list[Event] = []
    result = await session.ask("Hello?", model=ScriptedModel(["Nothing to compute here."]), emit=events.append)
    assert (result.answer, result.program, result.error) == ("Nothing to compute here.", None, None)
    assert not any(isinstance(event, RunStarted) for event in events)


async def test_an_empty_answer_is_one_sentence_and_still_leaves_a_result(session):
    events: list[Event] = []
    with pytest.raises(ModelError):
        await session.ask("Do it.", model=ScriptedModel([""]), emit=events.append)
    assert isinstance(events[-1], TurnFinished)
    assert events[-1].result.error.kind == "ModelError"


async def test_an_answer_that_cannot_be_used_is_mended_like_a_program(session):
    model = ScriptedModel(["```python\n```", program("add(1, 1)")])
    result = await session.ask("Do it.", model=model)
    assert (result.value, result.model_turns) == (2, 2)
    assert "empty" in model.asked[1][-1].content


@pytest.mark.parametrize(
    "text",
    [
        "row = look_up('a')\nrow['color']",
        "rows = [look_up('a')]\n'é', rows[0]['color']",
        "rows = {'x': [look_up('a')]}\nfor i in range(1):\n    print(rows['x'][i]['color'] + 1)",
        "look_up('a')['color']",
        "[look_up(key)['color'] for key in 'ab']",
        "rows = [look_up('a')]\n[row['color'] for row in rows]",
        "rows = [look_up('a')]\nnames = {\n    row['color']\n    for row in rows\n    if row['size']\n}",
        "def f():\n    rows = [look_up('a')]\n    return [row['color'] for row in rows]\nf()",
        "call_tool('look_up', key='a')['color']",
        "max([look_up('a')], key=lambda row: row['color'])",
        "from operator import itemgetter\nrows = [look_up('a')]\nsorted(rows, key=itemgetter('color'))",
        "row = look_up('a')\nrow.pop('color')",
        "row = look_up('a')\ndel row['color']",
        "row = look_up('a')\nrow['color'] += 1",
        "row = look_up('a')\nf'{row[\"color\"]}'",
        "row = look_up('a')\n'{color}'.format(**row)",
        "def name(row):\n    return (\n        row\n        ['color']\n    )\nname(look_up('a'))",
    ],
)
async def test_a_key_that_is_not_there_is_answered_with_those_that_are(session, text):
    _, _, model = await ask(session, [text, "1"])
    assert "The existing keys are 'colour', 'size'." in model.asked[1][-1].content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("d = {f'k{i}': i for i in range(1000)}\nd['x']", "'k18', 'k19', and more."),
        ("d = {'k' * 100_000: 1}\nd['x']", f"are '{'k' * 59}…."),
        ("d = {}\nd['x']", None),
        ("raise KeyError('x')", None),
        ("look_up('a')\ndict(b=1)['x']", None),
        ("look_up('a')\n(await call_tool_async('look_up', key='b'))['x']", None),
        ("look_up('a')\ndef f(): return {'b': 1}\nf()['x']", None),
        ("look_up('a')\n[row['x'] for row in sorted([{'b': 1}], key=str)]", None),
        ("[row['x'] for row in map(dict, [[('b', 1)]]) if look_up('a')]", None),
        ("{n: row['x'] for n in look_up('a') for row in [{'b': n}]}", None),
        ("{1: 2}[3]", None),
        ("class D(dict):\n    def __missing__(self, key): raise KeyError('no', 1)\nD()['x']", None),
        ("class K:\n    def __repr__(self): raise ValueError\nd = {K(): 1}\nd['x']", None),
    ],
)
async def test_the_keys_that_are_listed_are_bounded_and_none_are_invented(session, text, said):
    result, _, model = await ask(session, [text, "1"])
    assert result.value == 1
    feedback = model.asked[1][-1].content
    assert (said in feedback) if said else ("The keys" not in feedback)


async def test_nobody_there_means_denied_with_a_sentence_and_allow_means_allowed(session):
    result, _, _ = await ask(session, ["try:\n    r = pay(1)\nexcept ToolDenied as error:\n    r = str(error)\nr"])
    assert "--allow pay" in result.value
    result, _, _ = await ask(session, ["pay(1)"], settings=Settings(allow=frozenset({"pay"})))
    assert result.value == "paid 1"


async def test_a_tool_is_called_at_most_as_often_as_it_allows(session):
    text = "for i in range(3): pay(i)"
    result, _, _ = await ask(session, [text], approver=AutoApprove(), settings=Settings(max_retries=0))
    assert result.error.kind == "ToolFailed"
    assert [isinstance(record.answer, CallError) for record in result.calls] == [False, False, True]


async def test_the_arguments_of_all_calls_of_a_turn_are_bounded(session):
    settings = Settings(max_retries=0, limits=Limits(turn_arguments_bytes=1 << 20))
    result, _, _ = await ask(session, ["for i in range(20): look_up('x' * 100_000)"], settings=settings)
    assert "1 MiB of arguments in all" in result.error.message
    assert len(result.calls) == 11


async def test_an_approver_that_breaks_is_a_denial(session):
    class Broken:
        async def decide(self, question):
            raise OSError("no card")

    result, _, _ = await ask(session, ["pay(1)"], approver=Broken(), settings=Settings(max_retries=0))
    assert result.error.kind == "ToolDenied"


async def test_the_clock_of_the_run_stands_still_while_a_user_decides(session):
    class Slow:
        async def decide(self, question):
            await asyncio.sleep(1.5)
            return await AutoApprove().decide(question)

    settings = Settings(limits=Limits(run_seconds=1.0))
    result, _, _ = await ask(session, ["pay(1)"], approver=Slow(), settings=settings)
    assert result.value == "paid 1"
    assert result.timings.waiting > 1.4


async def test_calls_in_flight_together_take_the_time_of_one(session):
    text = "import asyncio\nlen(await asyncio.gather(*[call_tool_async('slow', seconds=0.4) for i in range(10)]))"
    result, _, _ = await ask(session, [text])
    assert result.value == 10
    assert result.timings.tools < 2.0  # ten times 0.4 s, one after the other, would be 4 s


async def test_the_clock_of_the_run_stands_still_while_a_tool_runs(session):
    result, _, _ = await ask(session, ["slow(1.5)"], settings=Settings(limits=Limits(run_seconds=1.0)))
    assert result.value == "done"


async def test_a_tool_that_takes_too_long_is_stopped_and_the_program_can_go_on(session):
    settings = Settings(max_retries=0, limits=Limits(tool_seconds=0.2))
    text = "try:\n    slow(30)\nexcept ToolFailed as error:\n    r = str(error)\nr"
    result, _, _ = await ask(session, [text], settings=settings)
    assert result.value == "slow took longer than 0.2 s and was stopped"


async def test_a_repair_can_gather_after_a_gather_that_failed(session):
    gather = "import asyncio\nawait asyncio.gather(*[call_tool_async('{}', seconds=0) for i in range(10)])"
    failing = "import asyncio\nawait asyncio.gather(*[call_tool_async('slow', wrong=1) for i in range(10)])".replace(
        "'slow'", "'sl' + 'ow'"
    )
    result, _, _ = await ask(session, [failing, gather.format("slow")])
    assert result.value == ["done"] * 10


async def test_words_after_a_program_that_looked_are_the_answer(session):
    model = ScriptedModel([program("observe(look_up('a'))"), "It is red."])
    result = await session.ask("Which colour?", model=model)
    assert result.answer == "It is red."
    assert "It is red." in to_text(Transcript.from_result(result))


async def test_a_model_that_only_looks_is_told_off_in_the_end(session):
    result, _, _ = await ask(session, ["observe(1)"] * 10)
    assert "gave no answer" in str(result.error)


async def test_looking_a_thousand_times_does_not_make_an_endless_prompt(session):
    _, _, model = await ask(session, ["for i in range(1000): observe('x' * 10_000)", "1"])
    assert len(model.asked[1][-1].content) < 20_000


async def test_an_exception_named_like_one_of_ours_changes_nothing(session):
    text = "class Interrupted(Exception): pass\nkept = 1\nraise Interrupted('no')"
    result, _, model = await ask(session, [text, "kept"])
    assert (result.value, result.stopped) == (1, False)
    assert "variables are still there" in model.asked[1][-1].content


async def test_a_stack_that_is_used_up_costs_the_variables_and_the_model_is_told(session):
    text = "kept = 1\nx = ()\nfor i in range(3_000_000): x = (x,)\ndel x"  # no count of Python's holds for this one
    result, _, model = await ask(session, [text, "'kept' in globals()"])
    assert result.value is False
    assert "variables are gone" in model.asked[1][-1].content


async def test_a_denial_settles_the_calls_in_flight_after_three_questions(session):
    asked, one = [], asyncio.Lock()

    class No:
        async def decide(self, question):
            async with one:
                if (settled := question.already_decided()) is not None:
                    return settled
                asked.append(question.call.id)
                await asyncio.sleep(0)
                return Decision(choice="reject", by="user", reason="no")

    text = (
        "import asyncio\nr = await asyncio.gather(*[call_tool_async('look_up', key='a')]"
        "+ [call_tool_async('refund', amount=i) for i in range(16)], return_exceptions=True)\nlen(r)"
    )

    @tool(approval_mode="always_require")
    def refund(amount: int) -> str:
        """Refund."""
        return "refunded"

    session.tools.add(refund)
    result, _, _ = await ask(session, [text], approver=No())
    assert (result.value, len(asked)) == (17, 3)


async def test_no_worker_is_left_when_a_session_is_closed_during_a_turn(tools):
    started = asyncio.Event()

    def emit(event: Event) -> None:
        if isinstance(event, CallRequested):
            started.set()

    before = set(psutil.Process().children())
    session = Session(tools)
    task = asyncio.create_task(session.ask("x", model=ScriptedModel([program("slow(0.5)")] * 5), emit=emit))
    await started.wait()
    await session.aclose()
    await asyncio.gather(task, return_exceptions=True)
    assert set(psutil.Process().children()) <= before


async def test_a_cancelled_turn_ends_with_a_result_that_says_so(session):
    started, events = asyncio.Event(), []

    def emit(event: Event) -> None:
        events.append(event)
        if isinstance(event, CallRequested):
            started.set()

    task = asyncio.create_task(session.ask("x", model=ScriptedModel([program("slow(30)")]), emit=emit))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events[-1].result.error.kind == "Interrupted"
    result, _, _ = await ask(session, ["add(1, 1)"])
    assert result.value == 2


async def test_reading_stops_when_the_model_repeats_itself_after_its_program(session):
    class Chatty:
        name, note = "chatty", ""
        said = 0

        async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[Delta, None]:
            yield Delta(text=program("add(20, 22)"))
            while True:
                self.said += 1
                yield Delta(text="\nAnd another thing.")

    model = Chatty()
    result = await session.ask("x", model=model)
    assert result.value == 42
    assert model.said < 200
    assert result.usage.estimated


async def test_an_answer_is_read_to_its_end_for_the_tokens_that_the_endpoint_counted(session):
    class Counted:
        name, note = "counted", ""

        async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[Delta, None]:
            yield Delta(text=program("add(20, 22)"))
            yield Delta(text="\nIt adds two numbers.")
            yield Delta(usage=Usage(prompt_tokens=7, completion_tokens=5), finish="stop")

    result = await session.ask("x", model=Counted())
    assert result.value == 42
    assert result.usage == Usage(prompt_tokens=7, completion_tokens=5)


async def test_a_draft_in_reasoning_has_no_effect_and_is_not_on_the_card(session):
    answer = f"First idea:\n{program('slow(30)')}\nNo.\n</think>\n{program('add(20, 22)')}"
    result, events = await ask_raw(session, [answer])
    assert (result.value, result.program) == (42, "add(20, 22)")
    assert [record.call.name for record in result.calls] == ["add"]
    card = Transcript()
    for event in events:
        card.apply(event)
    assert [attempt.program for attempt in card.attempts] == ["add(20, 22)"]


async def test_words_after_a_draft_are_the_answer_and_the_draft_is_not_on_the_card(session):
    result, events = await ask_raw(session, [f"{program('add(1, 2)')}\nNo.\n</think>\nNothing to add."])
    assert (result.answer, result.program, result.calls) == ("Nothing to add.", None, ())
    card = Transcript()
    for event in events:
        card.apply(event)
    assert (card.attempts, card.words) == ([], "Nothing to add.")


async def test_two_programs_cost_one_retry_and_neither_is_run(session):
    both = f"{program('add(1, 2)')}\nor\n{program('add(1, 3)')}"
    result, events = await ask_raw(session, [both, program("add(1, 4)")])
    assert (result.value, result.model_turns, len(result.calls)) == (5, 2, 1)
    assert any("more than one program" in event.reason for event in events if isinstance(event, RetryStarted))


async def test_a_program_in_two_blocks_is_run_as_one_with_a_notice(session):
    result, events = await ask_raw(session, [f"{program('x = add(1, 2)')}\nthen\n{program('x * 2')}"])
    assert (result.value, result.program) == (6, "x = add(1, 2)\n\nx * 2")
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "The model wrote its program in 2 blocks: they are run as one."
    ]


async def test_code_that_cannot_be_taken_is_asked_for_again_and_is_no_answer(session):
    result, _ = await ask_raw(session, ["```text\nadd(1, 2)\n```", program("add(1, 2)")])
    assert (result.value, result.model_turns, result.answer) == (3, 2, "")


async def test_braces_and_dollars_in_a_prompt_reach_the_model_word_for_word(session):
    model = ScriptedModel([program("1")])
    text = "Sum {a} and {{b}} for $5 %s"
    await session.ask(text, model=model)
    assert model.asked[0][-1].content.endswith(text)


class TestToolsThatOverlap:
    """`thread_safe` and `max_concurrency`: how many calls of a tool run at a time."""

    @pytest.fixture
    def open_at_once(self) -> list[int]:
        return [0, 0]

    @pytest.fixture
    def overlapping(self, open_at_once: list[int]) -> Registry:
        lock = threading.Lock()

        def here(change: int) -> None:
            with lock:
                open_at_once[0] += change
                open_at_once[1] = max(open_at_once)

        def slowly(together: threading.Barrier) -> str:
            here(1)
            together.wait(timeout=20)
            time.sleep(0.01)
            here(-1)
            return threading.current_thread().name

        eight, pair, single = (threading.Barrier(parties) for parties in (8, 2, 1))

        registry = Registry()

        @tool(thread_safe=True)
        def threaded() -> str:
            """Slow."""
            return slowly(eight)

        @tool(thread_safe=True, max_concurrency=2)
        def two() -> str:
            """Slow."""
            return slowly(pair)

        @tool
        def alone() -> str:
            """Slow."""
            return slowly(single)

        @tool(thread_safe=True)
        def rude() -> str:
            """Interrupts itself."""
            raise KeyboardInterrupt

        for function in (threaded, two, alone, rude):
            registry.add(function)
        return registry

    @pytest.mark.parametrize(("name", "most"), [("threaded", 8), ("two", 2), ("alone", 1)])
    async def test_a_synchronous_tool_overlaps_only_as_it_says(
        self, overlapping: Registry, open_at_once: list[int], name: str, most: int
    ) -> None:
        calls = f"import asyncio\nawait asyncio.gather(*[call_tool_async('{name}') for _ in range(8)])"
        async with Session(overlapping, model=ScriptedModel([program(calls)])) as it:
            result = await it.ask("go")
        assert result.error is None
        assert open_at_once[1] == most
        assert all((name == "codeact-tool") == (most > 1) for name in result.value)

    async def test_waiting_for_the_one_thread_of_plain_tools_is_no_time_of_a_tools_own(self) -> None:
        registry, thread = Registry(), ThreadPoolExecutor(1)

        async def on_main(run: Callable[[], object]) -> object:
            return await asyncio.get_running_loop().run_in_executor(thread, run)

        @tool(read_only=True)
        def slow(key: int) -> int:
            """Slow."""
            time.sleep(0.3)
            return key

        registry.add(slow)
        settings = Settings(limits=Limits(tool_seconds=1.0))
        model = ScriptedModel([program("[slow(key) for key in range(6)]")])
        async with Session(registry) as it:
            result = await it.ask("go", model=model, settings=settings, on_main=on_main)
        assert result.value == list(range(6))

    async def test_an_interrupt_of_its_own_in_a_thread_is_a_failed_call(self, overlapping: Registry) -> None:
        async with Session(overlapping, model=ScriptedModel([program("rude()")] * 3)) as it:
            result = await it.ask("go")
        assert result.error is not None
        assert result.error.kind == "ToolFailed"


async def test_a_call_has_the_context_of_its_own_turn_whenever_the_sandbox_was_started():
    here: ContextVar[str] = ContextVar("here", default="nowhere")
    registry = Registry()

    @tool
    async def where() -> str:
        """Where this is."""
        found = here.get()
        here.set("in a call")
        return found

    registry.add(where)
    heard: list[str] = []
    async with Session(registry) as session:
        for name in ("first", "second"):
            here.set(name)
            model = ScriptedModel([program("print('x')\n[where(), where()]")])
            result = await session.ask("go", model=model, emit=lambda event: heard.append(here.get()))
            assert result.value == [name, name]
            assert set(heard) <= {name, "in a call"}  # what a call ended in is feedback where it ran
            heard.clear()


def notices(events: Sequence[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Notice))


class TestRepeatedPrograms:
    """A program that failed is not run again as it is: its effects would happen again, and it would fail again."""

    @pytest.fixture
    def sent(self, tools: Registry) -> list[str]:
        sent: list[str] = []

        @tool
        def send(to: str) -> str:
            """Send a mail."""
            sent.append(to)
            return "sent"

        tools.add(send)
        return sent

    async def test_it_is_not_run_and_the_model_is_told_once(self, session, sent):
        answers = ["send('a')\nboom", "# again\nsend( 'a' )\n\nboom", "send('b')"]
        result, events, model = await ask(session, answers)
        assert (sent, result.error, result.value) == (["a", "b"], None, "sent")
        feedback = model.asked[2][-1].content
        assert "same program" in feedback
        assert "NameError: name 'boom' is not defined" in feedback
        assert sum(isinstance(event, RunStarted) for event in events) == 2

    async def test_the_turn_ends_when_it_comes_a_third_time(self, session, sent):
        settings = Settings(max_retries=9)
        result, events, model = await ask(session, ["send('a')\nboom"] * 9, settings=settings)
        assert (sent, len(model.asked), result.error.kind) == (["a"], 3, "NameError")
        assert "same program again" in notices(events)

    async def test_the_last_retry_is_not_run_either(self, session, sent):
        result, _, model = await ask(session, ["send('a')\nboom"] * 9, settings=Settings(max_retries=1))
        assert (sent, len(model.asked), result.error.kind) == (["a"], 2, "NameError")

    async def test_it_is_known_after_another_one_failed_in_between(self, session, sent):
        settings = Settings(max_retries=9)
        answers = ["send('a')\nboom", "send('b')\nboom", "send('a')\nboom", "send('c')"]
        result, _, _ = await ask(session, answers, settings=settings)
        assert (sent, result.error) == (["a", "b", "c"], None)

    async def test_it_may_be_right_after_a_look_at_data(self, session, sent):
        answers = ["send(who)", "who = 'a'\nobserve(who)", "send(who)"]
        result, _, _ = await ask(session, answers)
        assert (sent, result.error) == (["a"], None)

    async def test_one_that_preflight_refused_ends_the_turn_as_well(self, session, sent):
        result, _, model = await ask(session, ["import numpy\nsend('a')"] * 9, settings=Settings(max_retries=9))
        assert (sent, len(model.asked), result.error.kind) == ([], 3, "Refused")

    async def test_one_whose_guest_is_gone_is_not_run_again(self, session, sent):
        settings = Settings(limits=Limits(run_seconds=1.0))
        result, _, model = await ask(session, ["send('a')\nwhile True: pass"] * 3, settings=settings)
        assert (sent, len(model.asked), result.error.kind) == (["a"], 3, "TimedOut")

    async def test_two_programs_that_look_alike_and_are_not_both_run(self, session, sent):
        await ask(session, ["send('a')\nboom", "send('a ')\nboom", "send('b')"])
        assert sent == ["a", "a ", "b"]


class TestNeedlessImports:
    @pytest.mark.parametrize(
        "text",
        [
            "from tools import add\nadd(1, 2)",
            "import add\nadd(1, 2)",
            "from functions import add as plus, ToolError\nplus(1, 2)",
            "from __main__ import add\nadd(1, 2)",
            "import tools\ntools.add(1, 2)",
            "def main():\n    from tools import add\n    return add(1, 2)\nmain()",
        ],
    )
    async def test_an_import_of_a_tool_is_left_out_with_a_notice(self, session, text):
        result, events, model = await ask(session, [text])
        assert (result.value, len(model.asked)) == (3, 1)
        assert "import of" in notices(events)
        assert [event.program for event in events if isinstance(event, ProgramReady)] == [result.program]
        assert "from tools" not in result.program

    async def test_the_lines_of_an_error_are_those_of_the_program_as_written(self, session):
        result, _, _ = await ask(
            session, ["from tools import (\n    add,\n)\nadd(1, 2)\n1/0"], settings=Settings(max_retries=0)
        )
        assert result.error.line == 5

    @pytest.mark.parametrize(
        "text",
        [
            "try:\n    call_tool('lo' + 'ok')\nexcept ToolError as error:\n    said = type(error).__name__\nsaid",
            "from codeact import ToolError\nissubclass(ToolFailed, ToolError) and 'ToolFailed'",
            "from builtins import ToolError\nissubclass(ToolDenied, ToolError) and 'ToolFailed'",
            "import tools\ntry:\n    pay(1)\nexcept tools.ToolError as error:\n    said = 'ToolFailed'\nsaid",
            "ToolError.__name__.replace('Error', 'Failed')",
        ],
    )
    async def test_the_base_of_the_tools_exceptions_is_there(self, session, text):
        result, _, model = await ask(session, [text])
        assert (result.value, len(model.asked)) == ("ToolFailed", 1)


class TestWordsWithoutACall:
    """Where tools are offered, an answer in words is asked about once: small models invent what they did not look up."""

    async def ask(self, session: Session, *answers: str, **options) -> tuple[object, list[Event], ScriptedModel]:
        model, events = ScriptedModel(answers), []
        return await session.ask("How much?", model=model, emit=events.append, **options), events, model

    async def test_the_model_is_asked_once_more_and_may_call(self, session):
        result, events, model = await self.ask(session, "1000.0", program("add(1, 2)"))
        assert (result.value, result.answer, result.error) == (3, "", None)
        assert [message.content for message in model.asked[1][-2:-1]] == ["1000.0"]
        assert "called no tool" in model.asked[1][-1].content
        assert "No tool was called" not in notices(events)

    async def test_words_that_stay_words_are_shown_with_a_notice(self, session):
        result, events, model = await self.ask(session, "1000.0", "It is 1000.0.")
        assert (result.answer, result.error, len(model.asked)) == ("It is 1000.0.", None, 2)
        assert "No tool was called" in notices(events)

    async def test_the_question_costs_no_retry(self, session):
        answers = ["1000.0", program("1/0"), program("2/0"), program("add(1, 2)")]
        result, _, _ = await self.ask(session, *answers)
        assert result.value == 3

    async def test_the_words_stay_when_the_question_has_no_usable_answer(self, session):
        for later in ([], ["", "", ""]):
            result, _, _ = await self.ask(session, "1000.0", *later)
            assert (result.answer, result.error) == ("1000.0", None)

    @pytest.mark.parametrize(
        ("answers", "options"),
        [
            (["I'm sorry, but I can’t help with that."], {}),
            (["I cannot assist with this request."], {}),
            (["1000.0"], {"settings": Settings(max_retries=0)}),
            ([program("observe(1)"), "It is one."], {}),
            ([program("1/0"), "It cannot be done."], {}),
        ],
    )
    async def test_nothing_is_asked_after_a_program_a_refusal_or_without_retries(self, session, answers, options):
        result, events, model = await self.ask(session, *answers, **options)
        assert (result.answer, len(model.asked)) == (answers[-1], len(answers))
        assert "No tool was called" in notices(events)

    async def test_nothing_is_said_where_a_tool_was_called_or_none_is_offered(self, session):
        _, events, _ = await self.ask(session, program("observe(add(1, 2))"), "It is three.")
        assert notices(events) == ""
        async with Session(tools=()) as bare:
            _, events, model = await self.ask(bare, "1000.0")
            assert (notices(events), len(model.asked)) == ("", 1)


class TestFailuresThatNoProgramCanMend:
    @pytest.fixture
    def tools(self, tools: Registry) -> Registry:
        @tool
        def total(user: int) -> float:
            """The total of a user."""
            if user == 7:
                raise LookupError("there is no user 7")
            return {"sum": 1.0}["amount"]

        @tool
        def rates() -> dict:
            """The rates."""
            raise ValueError("the file is empty")

        @tool
        def load(path: str) -> str:
            """Load a file."""
            return {}[path]

        for function in (total, rates, load):
            tools.add(function)
        return tools

    @pytest.mark.parametrize(
        "text",
        [
            "total(1)",
            "rates()",
            "pay(5)",
            "x = [total(user) for user in (1, 2)]",
            "import asyncio\nasync with asyncio.TaskGroup() as group:\n    group.create_task(total(1))",
        ],
    )
    async def test_the_model_is_not_asked_again(self, session, text):
        result, events, model = await ask(session, [text, "1"])
        assert result.error.kind in ("ToolFailed", "ToolDenied", "ExceptionGroup")
        assert (len(model.asked), len(result.calls)) == (1, 1)
        assert "not asked again" in notices(events)

    @pytest.mark.parametrize(
        "text",
        [
            "total(7)",  # about the argument
            "load('/output/data.csv')",
            "raise ExceptionGroup('both', [ValueError(1), ValueError(2)])",
            "try:\n    total(1)\nexcept ToolFailed as error:\n    raise ExceptionGroup('both', [error, ValueError(2)])",
            "try:\n    total(1)\nexcept ToolFailed:\n    pass\n1/0",  # caught, and then something else
            "try:\n    pay(1)\nexcept ToolDenied as error:\n    raise ValueError('no money') from error",
        ],
    )
    async def test_it_is_asked_where_another_program_can_do_better(self, session, text):
        result, _, model = await ask(session, [text, "1"])
        assert (result.value, len(model.asked)) == (1, 2)

    async def test_a_path_that_the_program_gave_is_not_masked(self, session):
        _, _, model = await ask(session, ["load('/output/data.csv')", "1"])
        assert "load raised KeyError: '/output/data.csv'" in model.asked[1][-1].content


async def test_the_calls_before_a_failure_are_reported_in_words_and_not_as_a_program_to_copy(session):
    text = "add(1, 2)\nlook_up(key='x\"y')\ntry: pay(1)\nexcept ToolDenied: pass\ntry: call_tool('ad' + 'd', a=1, c='\\n')\nexcept ToolFailed: pass\n1/0"
    _, _, model = await ask(session, [text, "1"])
    feedback = model.asked[1][-1].content
    assert '- add with a 1 and b 2 returned a result\n- look_up with key "x\\"y" returned a result\n' in feedback
    assert "- pay with amount 1 was denied: pay needs approval" in feedback
    assert '- add with a 1 and c "\\n" failed: ' in feedback
    assert "add(a=1" not in feedback


async def test_each_request_to_the_model_says_what_it_cost_and_how_it_ended(session):
    usage = Usage(prompt_tokens=100, completion_tokens=7)
    model, events = ScriptedModel([program("1 / 0")], usage=usage), []
    model.endpoint = "https://models.example/v1"
    with pytest.raises(ModelError):
        await session.ask("Do it.", model=model, emit=events.append)
    assert next(event.endpoint for event in events if isinstance(event, TurnStarted)) == "https://models.example/v1"
    kinds = [type(event) for event in events if isinstance(event, ModelRequested | ModelAnswered)]
    assert kinds == [ModelRequested, ModelAnswered] * 2
    answered, failed = [event for event in events if isinstance(event, ModelAnswered)]
    assert (answered.number, answered.usage, answered.error) == (1, usage, "")
    assert (failed.number, failed.usage, failed.error) == (2, Usage(), "ModelError")
    assert events[-1].usage == usage
