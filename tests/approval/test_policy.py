from __future__ import annotations

import asyncio

import pytest

from codeact_kernel.approval import ApprovalPolicy, ApprovalRequest, Grants, ReviewDecision
from codeact_kernel.settings import Limits
from codeact_kernel.types import Decision, ToolCall


def question(number: int, name="drop", version="v1") -> ApprovalRequest:
    return ApprovalRequest(turn="t", run=1, call=ToolCall(id=number, name=name, arguments={}, version=version))


class User:
    """Answers when told to."""

    def __init__(self) -> None:
        self.open: dict[int, asyncio.Future] = {}
        self.asked: list[int] = []

    async def decide(self, question: ApprovalRequest) -> Decision:
        self.asked.append(question.call.id)
        future = self.open[question.call.id] = asyncio.get_running_loop().create_future()
        try:
            return await future
        finally:
            del self.open[question.call.id]

    async def review(self, program: str, problem: str) -> ReviewDecision:
        await asyncio.sleep(3600)
        raise AssertionError

    def say(self, number: int, choice: str) -> None:
        self.open[number].set_result(Decision(choice=choice, by="user"))


@pytest.fixture
def user():
    return User()


def policy_for(user: User, **limits) -> ApprovalPolicy:
    return ApprovalPolicy(user, Grants(), Limits(**limits))


async def opened(policy: ApprovalPolicy, *questions: ApprovalRequest) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(policy.decide(one)) for one in questions]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_questions_are_open_together_and_each_gets_its_own_answer(user):
    tasks = await opened(policy_for(user), question(1), question(2))
    assert sorted(user.open) == [1, 2]
    user.say(2, "allow_once")
    user.say(1, "reject")
    assert [(await task).choice for task in tasks] == ["reject", "allow_once"]


@pytest.mark.parametrize("choice", ["allow_cell", "allow_session"])
async def test_an_answer_for_longer_settles_what_is_asked_later_and_no_question_that_is_open(user, choice):
    policy = policy_for(user)
    tasks = await opened(policy, question(1), question(2))
    user.say(1, choice)
    await tasks[0]
    assert sorted(user.open) == [2]  # somebody may be about to change or to deny this very call
    assert policy.remembered_decision(question(3)) == Decision(choice=choice, by="memory")
    assert policy.remembered_decision(question(3, "pay")) is None
    assert policy.remembered_decision(question(3, version="v2")) is None
    user.say(2, "reject")
    assert not (await tasks[1]).allowed


async def test_one_who_asks_in_turn_can_see_that_a_question_is_settled():
    one, asked = asyncio.Lock(), []

    class InTurn:
        async def decide(self, question):
            async with one:
                if (settled := question.already_decided()) is not None:
                    return settled
                asked.append(question.call.id)
                await asyncio.sleep(0)
                return Decision(choice="allow_session" if question.call.name == "drop" else "reject", by="user")

    policy = policy_for(InTurn())
    decisions = await asyncio.gather(*[policy.decide(question(n)) for n in range(4)])
    assert (asked, [decision.by for decision in decisions]) == ([0], ["user", "memory", "memory", "memory"])
    asked.clear()
    decisions = await asyncio.gather(*[policy.decide(question(n, "pay")) for n in range(6)])
    assert (asked, [decision.by for decision in decisions]) == ([0, 1, 2], ["user"] * 3 + ["policy"] * 3)


async def test_after_three_denials_what_is_asked_later_is_denied_and_what_is_open_stays_open(user):
    policy = policy_for(user)
    tasks = await opened(policy, *map(question, range(5)))
    for number in range(3):
        user.say(number, "reject")
    await asyncio.gather(*tasks[:3])
    assert sorted(user.open) == [3, 4]
    assert policy.remembered_decision(question(9)).by == "policy"
    user.say(3, "allow_once")
    user.say(4, "allow_once")
    assert all([(await task).allowed for task in tasks[3:]])


async def test_nobody_within_the_time_is_a_no_and_without_a_limit_it_waits(user):
    decision = await policy_for(user, decision_seconds=0.05).decide(question(1))
    assert (decision.choice, decision.by) == ("reject", "nobody")
    assert decision.reason == "nobody decided within 0.05 s"
    verdict = await policy_for(user, decision_seconds=0.05).review("1", "")
    assert (verdict.program, verdict.by) == (None, "nobody")
    (task,) = await opened(policy_for(user), question(2))
    assert not (await asyncio.wait([task], timeout=0.2))[0]
    user.say(2, "allow_once")
    assert (await task).allowed


async def test_a_cancelled_call_takes_its_question_back(user):
    (task,) = await opened(policy_for(user), question(1))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)
    assert user.open == {}


async def test_an_approver_that_fails_denies():
    class Broken:
        async def decide(self, question):
            raise OSError("no page")

        async def review(self, program, problem):
            raise OSError("no page")

    policy = ApprovalPolicy(Broken(), Grants(), Limits())
    assert (await policy.decide(question(1))).reason == "asking failed: OSError"
    assert (await policy.review("1", "")).program is None
