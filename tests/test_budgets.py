"""Budgets: what a cell and a session may use, what stops when it is used up, and what the user reads then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from codeact.live_lines import LiveLines

from codeact_kernel.budgets import Budget
from codeact_kernel.errors import ModelError, UserError
from codeact_kernel.events import BudgetCharged, Event, Notice, RetryStarted
from codeact_kernel.memory.lock_folder import LockFolder, TrustedLocks
from codeact_kernel.memory.reuse import Reuse
from codeact_kernel.memory.spending import Spending
from codeact_kernel.model.base import Delta, Message, start_stream
from codeact_kernel.model.deferred import DeferredModel
from codeact_kernel.model.scripted import ScriptedModel, stream_text
from codeact_kernel.render import Transcript, to_card, to_html, to_text
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.tools import Registry, tool
from codeact_kernel.turn.accounts import Accounts
from codeact_kernel.types import CallError, JSONObject, Usage

from .warm import WarmPool

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILS = "add(1, 1)\n{}['missing']"
TOKENS = Usage(prompt_tokens=900, completion_tokens=100)
"""What each answer is reported to have used; a request is estimated at some 400."""


class PricedModel:
    """A script that answers under the name of a model with a price."""

    name, note, endpoint = "gpt-4.1-mini", "", "https://api.openai.com/v1"

    def __init__(self, *answers: str, usage: Usage = TOKENS, name: str = "") -> None:
        self.name = name or self.name
        self.max_tokens: list[int | None] = []
        self._answers, self._usage = list(answers), usage

    async def stream(
        self, messages: Sequence[Message], functions: Sequence[JSONObject] = (), max_tokens: int | None = None
    ) -> AsyncGenerator[Delta, None]:
        self.max_tokens.append(max_tokens)
        async for delta in stream_text(program(self._answers.pop(0)), self._usage):
            yield delta


@pytest.fixture
def tools() -> Registry:
    registry = Registry()

    @tool
    async def add(a: int, b: int) -> int:
        """The sum."""
        return a + b

    @tool(read_only=True)
    def see(key: int) -> int:
        """Look."""
        return key

    @tool(max_invocations=2)
    async def pay(amount: int) -> str:
        """Pay."""
        await asyncio.sleep(0)
        return f"paid {amount}"

    for function in (add, see, pay):
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


def program(text: str) -> str:
    return f"```python\n{text}\n```"


def scripted(*answers: str) -> ScriptedModel:
    return ScriptedModel([program(text) for text in answers], usage=TOKENS)


async def ask(session: Session, model: object, budget: object = "none", of_session: object = "none"):
    events: list[Event] = []
    settings = Settings(budget=budget, session_budget=of_session)
    result = await session.ask("Do it.", model=model, settings=settings, emit=events.append)
    return result, events


def recorded_in(folder: Path) -> Reuse:
    return Reuse(LockFolder(folder, TrustedLocks(folder / "own" / "trusted")))


def budget_lines(events: Sequence[Event]) -> list[str]:
    return [" · ".join(map(str, event.uses)) for event in events if isinstance(event, BudgetCharged)]


def notices(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


async def test_a_turn_within_its_budget_runs_as_without_and_reports_each_charge(session):
    result, events = await ask(session, scripted("add(1, add(1, 1))"), "20000 tokens, 50 calls")
    assert (result.value, result.error, result.usage) == (3, None, TOKENS)
    assert budget_lines(events) == [
        "0 of 20,000 tokens · 0 of 50 calls",
        "1,000 of 20,000 tokens · 0 of 50 calls",
        "1,000 of 20,000 tokens · 1 of 50 calls",
        "1,000 of 20,000 tokens · 2 of 50 calls",
    ]


async def test_without_a_budget_nothing_is_reported(session):
    _, events = await ask(session, scripted("add(1, 1)"))
    assert budget_lines(events) == []


async def test_a_request_that_would_take_more_than_is_left_is_not_sent(session):
    model = scripted("1")
    result, _ = await ask(session, model, "300 tokens")
    assert model.asked == []
    assert result.error.kind == "NoAnswer"
    assert result.error.message.startswith("this cell has used 0 of 300 tokens, and the next request takes about")
    assert 'raise its budget, for example with --budget "' in result.error.message


async def test_a_turn_ends_before_the_retry_that_its_budget_does_not_pay_and_keeps_its_calls(session):
    model = scripted(FAILS, "2")
    result, events = await ask(session, model, "1200 tokens")
    assert len(model.asked) == 1
    assert [record.call.name for record in result.calls] == ["add"]
    assert result.error.message.startswith(
        "KeyError: 'missing'. The model was not asked again: this cell has used 1,000 of 1,200 tokens"
    )
    assert not [event for event in events if isinstance(event, RetryStarted)]


async def test_the_advice_to_raise_a_budget_keeps_its_other_limits_and_is_enough(session):
    result, _ = await ask(session, scripted("1"), "300 tokens, 7 calls")
    advice = result.error.message.rpartition("--budget ")[2].strip('"')
    assert advice.endswith(" tokens, 7 calls")
    raised, _ = await ask(session, scripted("1"), advice)
    assert raised.value == 1


async def test_an_answer_in_words_stands_if_the_question_after_it_cannot_be_paid(session):
    model = ScriptedModel(["It is Tuesday."], usage=TOKENS)
    result, events = await ask(session, model, "1200 tokens")
    assert (result.answer, result.error) == ("It is Tuesday.", None)
    assert any(
        text.startswith("The model was not asked again: this cell has used 1,000 of") for text in notices(events)
    )


async def test_a_client_that_can_limit_its_answer_gets_what_is_left(session):
    model = PricedModel("1")
    await ask(session, model, "10000 tokens")
    assert 8_000 < model.max_tokens[0] < 10_000
    unlimited = PricedModel("1")
    await ask(session, unlimited, "5 calls")
    assert unlimited.max_tokens == [None]


async def test_money_limits_the_answer_too(session):
    model = PricedModel("1")
    await ask(session, model, "$0.0020")  # 1,000 tokens of an answer cost $0.0016, those of the request about $0.0004
    assert 800 < model.max_tokens[0] < 1_250


async def test_a_turn_ends_when_its_money_is_used_up(session):
    usage = Usage(prompt_tokens=900_000, completion_tokens=0)
    result, events = await ask(session, PricedModel(FAILS, usage=usage), "$0.36")
    assert "this cell has used $0.36 of $0.36, and the next request takes about $0.000" in result.error.message
    assert budget_lines(events)[-1] == "$0.36 of $0.36"


async def test_a_model_without_a_price_is_reported_once_and_limited_by_the_other_parts(session):
    result, events = await ask(session, PricedModel("1", name="my-own"), "$0.01")
    assert result.value == 1
    assert [text for text in notices(events) if "price" in text] == [
        "No price is known for my-own, at https://api.openai.com/v1, so a budget of money does not limit it: set a "
        "budget of tokens, for example --budget 20000tokens."
    ]
    result, events = await ask(session, PricedModel("1", name="my-own"), "$0.01, 300 tokens")
    assert "300 tokens" in result.error.message
    assert not [text for text in notices(events) if "price" in text]


async def test_a_script_costs_nothing(session):
    result, events = await ask(session, scripted("1"), "$0.01")
    assert (result.value, budget_lines(events)[-1]) == (1, "$0.00 of $0.01")


async def test_a_call_above_the_budget_is_an_error_of_that_call_and_ends_the_turn(session):
    model = scripted("[add(n, 1) for n in range(5)]", "1")
    result, _ = await ask(session, model, "3 calls")
    assert len(model.asked) == 1
    assert [isinstance(record.answer, CallError) for record in result.calls] == [False, False, False, True]
    assert result.error.message == (
        'this cell has used 3 of 3 calls: raise its budget, for example with --budget "8 calls"'
    )
    shown = to_text(Transcript.from_result(result))
    assert 'with --budget "8 calls"' in shown
    assert "Run the cell again" not in shown


async def test_a_program_can_catch_the_error_and_give_what_it_has(session):
    code = "rows = []\ntry:\n    for n in range(5):\n        rows.append(add(n, 1))\nexcept Exception:\n    pass\nrows"
    result, _ = await ask(session, scripted(code), "3 calls")
    assert (result.value, result.error) == ([1, 2, 3], None)


async def test_parallel_calls_share_the_budget(session):
    code = "import asyncio\nawait asyncio.gather(*(add(n, 1) for n in range(9)), return_exceptions=True)\nNone"
    result, events = await ask(session, scripted(code), "4 calls")
    assert sum(isinstance(record.answer, CallError) for record in result.calls) == 5
    assert budget_lines(events)[-1] == "4 of 4 calls"


async def test_reading_calls_are_not_made_ahead_where_they_would_use_up_the_budget(session):
    code = "for n in range(9):\n    if see(n) == 2:\n        break\nn"
    result, events = await ask(session, scripted(code), "3 calls")
    assert (result.value, budget_lines(events)[-1]) == (2, "3 of 3 calls")


async def test_the_limit_of_a_tool_holds_across_retries_and_parallel_calls(session):
    first = "import asyncio\nawait asyncio.gather(*(pay(n) for n in range(4)))"
    result, _ = await ask(session, scripted(first, "pay(7)", "pay(8)"))
    assert sum(not isinstance(record.answer, CallError) for record in result.calls) == 2
    assert result.error.message == "pay has reached its limit of 2 calls in one turn"


async def test_the_budget_of_the_session_counts_all_its_turns(session):
    await ask(session, scripted("add(1, 1)"), of_session="2200 tokens")
    result, events = await ask(session, scripted("add(2, 2)"), of_session="2200 tokens, 2 calls")
    assert budget_lines(events)[-1] == "2,000 of 2,200 tokens in this session · 2 of 2 calls in this session"
    assert result.value == 4
    over, _ = await ask(session, scripted("3"), of_session="2200 tokens, 2 calls")
    assert over.error.message.startswith(
        "this session has used 2,000 of 2,200 tokens, and the next request takes about"
    )
    assert over.error.message.endswith(" tokens, 2 calls, or start again at zero with %codeact budget reset")
    session.spending.clear()
    again, _ = await ask(session, scripted("3"), of_session="2200 tokens, 2 calls")
    assert again.value == 3


async def test_failed_and_stopped_turns_count_for_the_session(session):
    with pytest.raises(ModelError):
        await ask(session, ScriptedModel([]))
    assert session.spending.tokens == 0  # nothing was answered
    await ask(session, scripted(FAILS, FAILS + "\n2", FAILS + "\n3"))
    assert (session.spending.tokens, session.spending.calls) == (3_000, 3)
    turn = asyncio.create_task(ask(session, scripted("while True: add(1, 1)")))
    while session.turn_spending.calls < 5 or session.turn_spending.tokens == 3_000:
        await asyncio.sleep(0.01)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert session.spending.tokens == 4_000
    assert session.spending.calls >= 8


async def test_a_session_can_be_given_its_budget_and_the_settings_come_first(warm, tools):
    async with warm.session(tools, budget="300 tokens") as session:
        result, _ = await ask(session, scripted("1"))
        assert "this session has used 0 of 300 tokens" in result.error.message
        result, _ = await ask(session, scripted("1"), of_session=Budget(tokens=5_000))
        assert result.value == 1
    with pytest.raises(UserError, match="'300' is not a budget"):
        Session(tools, budget="300")


async def test_the_figures_are_marked_where_tokens_are_estimated(session):
    _, events = await ask(session, ScriptedModel([program("1")]), "20000 tokens")
    assert budget_lines(events)[0] == "0 of 20,000 tokens"
    assert budget_lines(events)[-1].startswith("about ")


async def test_every_form_of_the_output_shows_the_budget_while_it_is_used_and_at_the_end(session):
    _, events = await ask(session, scripted("add(1, 1)"), "$0.05, 20000 tokens, 50 calls")
    line = "1,000 of 20,000 tokens · $0.00 of $0.05 · 1 of 50 calls"
    transcript = Transcript()
    for event in events[:-1]:
        transcript.apply(event)
    assert to_card(transcript)["head"]["budget"] == line
    assert line in to_text(transcript)
    assert line.replace("$", "<span>$</span>") in to_html(transcript)
    transcript.apply(events[-1])
    last = "[1 program · 1 of 50 calls · 1,000 of 20,000 tokens · $0.00 of $0.05 · WebAssembly]"
    assert last in to_text(transcript)


async def test_a_terminal_prints_the_budget_where_it_waits(session, capsys):
    _, events = await ask(session, scripted("add(1, 1)"), "20000 tokens, 50 calls")
    lines, transcript = LiveLines(), Transcript()
    for event in events:
        transcript.apply(event)
        lines.show(event, transcript)
    printed = capsys.readouterr().out
    assert "Asking scripted… (0 of 20,000 tokens · 0 of 50 calls)\n" in printed
    assert "Running… (1,000 of 20,000 tokens · 0 of 50 calls)\n" in printed


async def test_a_model_that_is_chosen_late_is_limited_too(session):
    model = PricedModel("1", name="my-own")
    accounts = Accounts(Settings(budget="$0.01, 10000 tokens"), Spending(), Spending(), lambda event: None)

    async def choose() -> PricedModel:
        return model

    late = DeferredModel(choose)
    messages = [Message("user", "Do it.")]
    assert (await late.choose()).name == late.name == "my-own"
    max_tokens = accounts.max_answer_tokens(messages, late)
    assert [delta.text async for delta in start_stream(late, messages, (), max_tokens)]
    assert model.max_tokens == [max_tokens]
    assert 9_990 < max_tokens < 10_000


async def test_a_recorded_program_needs_no_tokens_and_its_calls_count(warm, tools, tmp_path):
    async with warm.session(tools, reuse=recorded_in(tmp_path)) as session:
        await ask(session, PricedModel("add(1, 1)"))
    async with warm.session(tools, reuse=recorded_in(tmp_path)) as session:
        result, events = await ask(session, PricedModel(), "1 tokens, 5 calls")
    assert (result.value, result.error) == (2, None)
    assert budget_lines(events)[-1] == "0 of 1 token · 1 of 5 calls"


async def test_a_recorded_program_that_fails_is_not_corrected_without_tokens(warm, tools, tmp_path):
    code = "if seen[0]:\n    1 / 0\nadd(1, 1)"
    inputs = {"seen": [0]}
    async with warm.session(tools, reuse=recorded_in(tmp_path)) as session:
        await session.ask("Do it.", inputs=inputs, model=PricedModel(code))
    async with warm.session(tools, reuse=recorded_in(tmp_path)) as session:
        settings = Settings(budget="1 tokens")
        result = await session.ask("Do it.", inputs={"seen": [1]}, model=PricedModel(), settings=settings)
    assert "this cell has used 0 of 1 token," in result.error.message
    assert result.error.message.startswith("ZeroDivisionError: ")


async def test_an_answer_that_the_budget_cut_off_ends_the_turn_with_the_budget(session):
    class Cut(PricedModel):
        async def stream(self, messages, functions=(), max_tokens=None):
            yield Delta(text="```python\nadd(1,")
            yield Delta(usage=TOKENS, finish="length")

    result, _ = await ask(session, Cut(), "1200 tokens")
    assert "cut off" in result.error.message
    assert "The model was not asked again: this cell has used 1,000 of 1,200 tokens" in result.error.message
    with pytest.raises(ModelError, match="The model was not asked again: this cell has used 1,000 of 1,200 tokens"):
        await session.ask("Do it.", model=Cut(), settings=Settings(budget="1200 tokens", max_retries=0))


async def test_a_direct_call_above_the_budget_ends_the_turn(warm):
    registry = Registry()

    @tool(direct=True)
    def note(text: str) -> str:
        """Write it down."""
        return "noted"

    registry.add(note)
    async with warm.session(registry) as session:
        result, _ = await ask(session, scripted("note('a')", "note('b')", "1"), "1 call")
    assert len(result.calls) == 1
    assert result.error.message.startswith("this cell has used 1 of 1 call: raise its budget")


async def test_the_program_of_another_agent_has_the_budget_of_the_session_too(warm, tools):
    async with warm.session(tools, budget="2 calls") as session:
        assert (await session.execute_code("add(1, 1)")).value == 2
        result = await session.execute_code("add(1, 1)\nadd(1, 1)")
    assert result.error.message.startswith("this session has used 2 of 2 calls: raise its budget")


async def test_a_budget_knows_when_it_is_within_another():
    assert Budget(tokens=5).is_within(Budget())
    assert Budget(tokens=5, calls=1).is_within(Budget(tokens=5))
    assert not Budget(calls=1).is_within(Budget(tokens=5))
    assert not Budget(dollars=Decimal("0.02")).is_within(Budget(dollars=Decimal("0.01")))
