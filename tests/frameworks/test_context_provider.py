"""`CodeActProvider` in a real agent of Microsoft Agent Framework, whose chat client answers from a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from agent_framework import Agent, BaseChatClient, ChatResponse, Content, FunctionInvocationLayer, FunctionTool, Message

from codeact_kernel import Decision, ReviewDecision, Settings, tool
from codeact_kernel.agent_framework import CodeActProvider
from codeact_kernel.approval import ApprovalRequest

pytestmark = pytest.mark.process


class ScriptedClient(FunctionInvocationLayer, BaseChatClient):  # type: ignore[type-arg]
    """Calls `execute_code` with each program in turn, and then answers in words."""

    def __init__(self, *programs: str) -> None:
        super().__init__()
        self._programs = list(programs)
        self.tools: Sequence[FunctionTool] = ()
        self.instructions = ""

    async def _inner_get_response(  # type: ignore[override]
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> ChatResponse:
        self.tools, self.instructions = options["tools"], options["instructions"]
        if self._programs:
            arguments = {"code": self._programs.pop(0)}
            call = Content.from_function_call(str(len(self._programs)), "execute_code", arguments=arguments)
            return ChatResponse(messages=[Message(role="assistant", contents=[call])])
        return ChatResponse(messages=[Message(role="assistant", contents=["done"])])


class UpTo100:
    """Allows small payments."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    async def decide(self, request: ApprovalRequest, /) -> Decision:
        self.asked.append(request.call.arguments)
        is_small = float(str(request.call.arguments["amount"])) <= 100
        return Decision(choice="allow_once" if is_small else "reject", by="policy", reason="too much")

    async def review(self, program: str, problem: str, /) -> ReviewDecision:
        return ReviewDecision(program=program, by="policy")


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@tool(approval_mode="always_require")
def pay(to: str, amount: float) -> str:
    """Pay somebody."""
    return f"paid {amount} to {to}"


async def answers(client: ScriptedClient, **options: Any) -> list[str]:
    """Run an agent, and return what its programs answered."""
    async with CodeActProvider(settings=Settings(), **options) as provider:
        agent = Agent(client=client, context_providers=[provider])
        response = await agent.run("Do it.")
    assert response.text == "done"
    contents = [content for message in response.messages for content in message.contents]
    return [str(content.result) for content in contents if content.type == "function_result"]


async def test_an_agent_runs_programs_that_call_plain_functions() -> None:
    client = ScriptedClient("[double(number=n) for n in range(3)]")
    assert await answers(client, tools=[double]) == ["[0, 2, 4]"]


async def test_the_model_gets_one_tool_that_describes_the_others() -> None:
    client = ScriptedClient()
    await answers(client, tools=[double, pay])
    (execute_code,) = client.tools
    assert execute_code.name == "execute_code" and "double(number: int) -> int" in execute_code.description
    assert "End with an expression" in execute_code.description and "describe_tools" not in execute_code.description
    assert "execute_code" in client.instructions


async def test_a_call_that_needs_approval_is_denied_without_an_approver() -> None:
    (answer,) = await answers(ScriptedClient("pay(to='Bob', amount=5.0)"), tools=[pay])
    assert "pay needs approval and nobody is here to give it" in answer


async def test_an_approver_decides_about_each_call_of_a_program() -> None:
    program = "said = []\nfor amount in (5.0, 500.0):\n    try:\n        said.append(pay(to='Bob', amount=amount))\n    except ToolDenied as error:\n        said.append(str(error))\nsaid"
    approver = UpTo100()
    assert await answers(ScriptedClient(program), tools=[pay], approver=approver) == ['["paid 5.0 to Bob", "too much"]']
    assert [arguments["amount"] for arguments in approver.asked] == [5.0, 500.0]


async def test_tools_of_agent_framework_keep_their_schema_and_their_approval_mode() -> None:
    theirs = FunctionTool(
        name="pay-out",
        description="Pay.",
        func=lambda amount: {"paid": amount},
        input_model={
            "type": "object",
            "properties": {"amount": {"type": "number", "maximum": 1000}},
            "required": ["amount"],
        },
        approval_mode="always_require",
    )
    approver = UpTo100()
    programs = ("pay_out(amount=5.0)", "pay_out(amount=500.0)", "pay_out(amount='much')")
    paid, denied, wrong = await answers(ScriptedClient(*programs), tools=[theirs], approver=approver)
    assert paid == '{"paid": 5.0}' and "too much" in denied and "amount" in wrong
    assert len(approver.asked) == 2


async def test_a_program_that_fails_goes_back_to_the_model_with_advice() -> None:
    (answer, second) = await answers(ScriptedClient("double(number=1)\n1 / 0", "double(number=2)"), tools=[double])
    assert "ZeroDivisionError" in answer and "Write the corrected program" in answer and second == "4"


async def test_a_program_that_is_too_long_is_refused_in_words() -> None:
    (answer,) = await answers(ScriptedClient("x" * 70_000))
    assert "write a shorter one" in answer


async def test_a_chart_comes_as_a_picture() -> None:
    async with CodeActProvider(settings=Settings()) as provider:
        contents = await provider.execute_code("show([{'a': 'x', 'b': 1}], chart='bar', x='a', y='b')")
    assert [content.media_type for content in contents[1:]] == ["image/png"]
