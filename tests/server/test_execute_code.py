"""A program that somebody else wrote runs with the tools, approvals and limits of a session, without a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
import pytest_asyncio

from codeact_kernel import ProgramError, ReviewDecision, Session, Settings, tool
from codeact_kernel.approval import ApprovalRequest, AutoApprove
from codeact_kernel.events import CallRequested, Event, ModelRequested
from codeact_kernel.limits import Limits
from codeact_kernel.types import CallResult, Decision

from ..warm import WarmPool

pytestmark = pytest.mark.asyncio(loop_scope="module")


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def pay(to: str, amount: float) -> str:
    """Pay somebody."""
    return f"paid {amount} to {to}"


def archive(name: str) -> str:
    """Archive a document."""
    return f"archived {name}"


TOOLS = [double, tool(approval_mode="always_require")(pay), tool(direct=True)(archive)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[WarmPool]:
    pool = WarmPool()
    yield pool
    await pool.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def session(pool: WarmPool) -> AsyncGenerator[Session]:
    async with pool.session(TOOLS) as session:
        yield session


async def test_a_program_runs_with_the_tools_of_the_session(session: Session) -> None:
    result = await session.execute_code("[double(number=n) for n in range(3)]")
    assert result.value == [0, 2, 4] and len(result.calls) == 3 and result.error is None


async def test_no_model_is_asked_and_no_tokens_are_counted(session: Session) -> None:
    events: list[Event] = []
    result = await session.execute_code("1", emit=events.append)
    assert (result.model_turns, result.usage.prompt_tokens, result.usage.completion_tokens) == (0, 0, 0)
    assert not any(isinstance(event, ModelRequested) for event in events)


async def test_a_program_that_contains_fences_runs_as_it_is(session: Session) -> None:
    result = await session.execute_code('"""\n```python\nprint(1)\n```\n"""')
    assert result.value == "\n```python\nprint(1)\n```\n"


async def test_a_program_gets_its_inputs(session: Session) -> None:
    assert (await session.execute_code("sum(numbers)", inputs={"numbers": [1, 2, 3]})).value == 6


async def test_a_program_that_fails_runs_once(session: Session) -> None:
    result = await session.execute_code("double(number=4)\n1 / 0")
    assert result.error is not None and result.error.kind == "ZeroDivisionError"
    assert (result.attempts, len(result.calls)) == (1, 1)


async def test_the_feedback_has_the_traceback_and_the_calls_that_have_happened(session: Session) -> None:
    feedback = (await session.execute_code("double(number=4)\n1 / 0")).feedback
    assert "ZeroDivisionError" in feedback and "- double with number 4 returned a result" in feedback
    assert "Its variables are gone" in feedback


async def test_variables_do_not_reach_the_next_program(session: Session) -> None:
    await session.execute_code("secret = 1\n1 / 0")
    result = await session.execute_code("'secret' in globals()")
    assert result.value is False


async def test_the_worker_of_a_program_that_failed_serves_the_next_one(session: Session) -> None:
    await session.execute_code("1 / 0")
    assert session._pool is not None and session._pool._spare is not None
    worker = await session._pool._spare
    await session.execute_code("1")
    assert await session._pool._spare is worker


async def test_the_feedback_about_a_rejected_program_says_how_to_write_it_instead(session: Session) -> None:
    result = await session.execute_code("import pandas\npandas.DataFrame()")
    assert result.error is not None and result.error.kind == "Refused"
    assert "was not run" in result.feedback and "Write the whole program again" in result.feedback


async def test_what_a_program_observes_is_the_feedback_and_no_error(session: Session) -> None:
    result = await session.execute_code("observe(double(number=21))")
    assert result.error is None and "42" in result.feedback


async def test_a_program_that_ends_without_a_value_is_not_an_error(session: Session) -> None:
    result = await session.execute_code("for _ in range(3): pass")
    assert result.error is None and result.value is None and result.attempts == 1


async def test_an_import_of_a_tool_is_left_out(session: Session) -> None:
    assert (await session.execute_code("from tools import double\ndouble(number=1)")).value == 2


async def test_a_tool_that_needs_approval_is_denied_without_an_approver(session: Session) -> None:
    result = await session.execute_code("pay(to='Bob', amount=5.0)")
    assert result.error is not None and result.error.kind == "ToolDenied" and "--allow pay" in result.error.message


async def test_an_approver_decides_about_each_call(session: Session) -> None:
    class UpTo100:
        async def decide(self, request: ApprovalRequest) -> Decision:
            is_small = request.call.arguments["amount"] <= 100  # type: ignore[operator]
            return Decision(choice="allow_once" if is_small else "reject", by="policy", reason="too much")

        async def review(self, program: str, problem: str) -> ReviewDecision:
            raise AssertionError("nothing to review")

    program = "paid = pay(to='Bob', amount=5.0)\ntry:\n    pay(to='Bob', amount=500.0)\nexcept ToolDenied as error:\n    paid += f', {error}'\npaid"
    result = await session.execute_code(program, approver=UpTo100())
    assert result.value == "paid 5.0 to Bob, too much"


async def test_a_direct_tool_is_called_by_a_program_that_is_nothing_else(session: Session) -> None:
    result = await session.execute_code("archive(name='a')")
    assert [record.answer for record in result.calls] == [CallResult(value="archived a")]
    assert "archived a" in result.feedback


async def test_a_program_that_needs_a_review_is_shown_to_the_approver(session: Session) -> None:
    class Rejects(AutoApprove):
        async def review(self, program: str, problem: str) -> ReviewDecision:
            return ReviewDecision(program=None, comment=f"no {program}")

    result = await session.execute_code("1", approver=Rejects(), settings=Settings(review=True))
    assert result.error is not None and (result.error.kind, result.error.message) == ("Rejected", "no 1")


async def test_a_program_above_the_limit_is_not_even_parsed(session: Session) -> None:
    settings = Settings(limits=Limits(program_bytes=100))
    with pytest.raises(ProgramError, match="longer than 100 bytes"):
        await session.execute_code("x" * 101, settings=settings)


async def test_a_prompt_does_not_follow_up_on_a_program(session: Session) -> None:
    await session.execute_code("1")
    assert not session.threads


async def test_the_limits_of_the_settings_hold(session: Session) -> None:
    result = await session.execute_code("while True: pass", settings=Settings(limits=Limits(run_seconds=0.5)))
    assert result.error is not None and result.error.kind == "TimedOut"


async def test_cancelling_stops_the_program(session: Session) -> None:
    called = asyncio.Event()

    def note(event: Event) -> None:
        if isinstance(event, CallRequested):
            called.set()

    run = asyncio.create_task(session.execute_code("double(number=1)\nwhile True: pass", emit=note))
    await called.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await session.execute_code("1")).value == 1


async def test_two_programs_can_run_at_once(session: Session) -> None:
    first, second = await asyncio.gather(*(session.execute_code(f"double(number={n})") for n in (1, 2)))
    assert (first.value, second.value) == (2, 4)
