"""Direct tools at an endpoint with function calls, at one that refuses them, and at one that does not know of them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import pytest

from codeact_kernel import Session, tool
from codeact_kernel.model.base import Message
from codeact_kernel.model.openai_client import OpenAIClient
from codeact_kernel.settings import Settings
from codeact_kernel.turn.direct_call import direct_call

from .conftest import FakeEndpoint

FUNCTION = {"type": "function", "function": {"name": "send", "description": "Send.", "parameters": {"type": "object"}}}
EMBEDDED = Settings(backend="embedded")


def calling(endpoint: FakeEndpoint, name: str | None, arguments: Iterable[str], index: int = 0) -> list[object]:
    first = {"index": index, "id": "1", "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [{"index": index, "function": {"arguments": piece}} for piece in arguments]
    return [endpoint.chunk(tool_calls=[piece]) for piece in (first, *pieces)]


async def text_of(endpoint: FakeEndpoint, *functions: object) -> str:
    client = OpenAIClient("m", base_url=endpoint.url)
    return "".join([delta.text async for delta in client.stream([Message("user", "Go.")], functions)])  # type: ignore[arg-type]


async def test_a_function_call_is_read_as_a_block_with_just_that_call(endpoint):
    chunks = calling(endpoint, "send", ['{"to": "ann', '", "n": 3, "deep": {"a": [null, true]}}'])
    endpoint.answers(endpoint.stream(*chunks, endpoint.chunk(finish="tool_calls"), endpoint.usage(5, 2)))
    text = await text_of(endpoint, FUNCTION)
    assert text == "\n```python\nsend(to='ann', n=3, deep={'a': [None, True]})\n```\n"
    assert endpoint.prompts[0].body["tools"] == [FUNCTION]


async def test_every_argument_arrives_whatever_its_name(endpoint):
    chunks = calling(endpoint, "send", ['{"to": "a", "cc-list": ["b"], "class": 2}'])
    endpoint.answers(endpoint.stream(*chunks, endpoint.chunk(finish="tool_calls")))
    program = (await text_of(endpoint, FUNCTION)).strip().removeprefix("```python\n").removesuffix("\n```")
    call = direct_call(program, {"send": Facts("to")})
    assert call is not None
    assert call.arguments == {"to": "a", "cc-list": ["b"], "class": 2}


async def test_of_several_calls_in_one_answer_the_first_is_made(endpoint):
    chunks = [*calling(endpoint, "send", ['{"to": "a"}']), *calling(endpoint, "send", ['{"to": "b"}'], index=1)]
    endpoint.answers(endpoint.stream(*chunks, endpoint.chunk(finish="tool_calls")))
    assert await text_of(endpoint, FUNCTION) == "\n```python\nsend(to='a')\n```\n"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("send", "no json"), ("send", "[1]"), ("s); import os; (", "{}"), ("send", '{"a b": 1}'), ("send", "[" * 9_999)],
)
async def test_a_call_that_is_none_is_never_more_than_a_call_with_literals(endpoint, name, arguments):
    endpoint.answers(endpoint.stream(*calling(endpoint, name, [arguments]), endpoint.chunk(finish="tool_calls")))
    program = (await text_of(endpoint, FUNCTION)).strip().removeprefix("```python\n").removesuffix("\n```")
    assert program.count("\n") == 0
    if program != "unknown_tool()":
        assert ast.literal_eval(program)["name"] in ("send", "unknown_tool")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (500, "tools param requires --jinja flag"),
        (400, "m does not support tools"),
    ],
)
async def test_an_endpoint_that_refuses_function_calls_is_asked_without_them(endpoint, status, message):
    for _ in range(3 if status == 500 else 1):  # the SDK tries a server's error again
        endpoint.fails(status, message)
    endpoint.answers(endpoint.stream(endpoint.chunk("hello"), endpoint.chunk(finish="stop")))
    assert await text_of(endpoint, FUNCTION) == "hello"
    assert "tools" not in endpoint.prompts[-1].body


async def test_without_direct_tools_no_function_is_named(endpoint):
    endpoint.answers(endpoint.stream(endpoint.chunk("hello"), endpoint.chunk(finish="stop")))
    await text_of(endpoint)
    assert "tools" not in endpoint.prompts[0].body


@pytest.mark.parametrize("native", [True, False])
async def test_a_turn_calls_a_direct_tool_in_either_form(endpoint, native):
    sent: list[str] = []

    @tool(direct=True)
    def send(to: str) -> str:
        "Send."
        sent.append(to)
        return "ok"

    chunks = calling(endpoint, "send", ['{"to": "ann"}']) if native else [endpoint.chunk("```python\nsend('ann')\n```")]
    endpoint.answers(endpoint.stream(*chunks, endpoint.chunk(finish="tool_calls" if native else "stop")))
    endpoint.answers(endpoint.stream(endpoint.chunk("Sent."), endpoint.chunk(finish="stop")))
    async with Session(tools=[send], model=OpenAIClient("m", base_url=endpoint.url)) as session:
        result = await session.ask("Send it to Ann.", settings=EMBEDDED)
    assert (sent, result.answer, result.error, result.program) == (["ann"], "Sent.", None, None)
    assert endpoint.prompts[0].body["tools"][0]["function"]["parameters"]["required"] == ["to"]
    assert "send(to: str) -> str  # Send." in endpoint.prompts[0].body["messages"][1]["content"]


class Facts:
    def __init__(self, *parameters: str) -> None:
        self.name, self.parameters, self.required = "send", parameters, parameters


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("send('a', n=2)", {"to": "a", "n": 2}),
        ("await send(to='a')", {"to": "a"}),
        ("call_tool('send', to='a')", {"to": "a"}),
        ("send(to=-1.5)", {"to": -1.5}),
        ("send()", {}),
        ('{"name": "send", "arguments": {"to": "a"}}', {"to": "a"}),
        ("\n# a note\nsend(to={'a': [None]})\n", {"to": {"a": [None]}}),
    ],
)
def test_a_program_that_is_one_call_is_the_models_own(program, arguments):
    call = direct_call(program, {"send": Facts("to", "n")})
    assert call is not None
    assert (call.arguments, call.problem) == (arguments, "")


@pytest.mark.parametrize(
    "program", ["send", "x = send()", "send()\n1", "other(1)", "send(", "print(send())", "", "(" * 999]
)
def test_any_other_program_is_none(program):
    assert direct_call(program, {"send": Facts("to")}) is None


@pytest.mark.parametrize(
    "program", ["send(to=name)", "send(to=f'{x}')", "send(*a)", "send(**k)", "send(1, 2)", "send(1, to=2)"]
)
def test_a_call_whose_values_cannot_be_read_says_so(program):
    call = direct_call(program, {"send": Facts("to")})
    assert call is not None
    assert call.problem


@pytest.mark.parametrize(
    "values", ["{1, 2}", "b'x'", "...", "{1: 2}", "[{None: 1}]", "1e999", "1j", "{'a': {(1, 2): 3}}"]
)
def test_a_value_that_json_cannot_carry_is_reported_and_goes_nowhere(values):
    call = direct_call(f"send(to={values})", {"send": Facts("to")})
    assert call is not None
    assert (call.arguments, bool(call.problem)) == ({}, True)
