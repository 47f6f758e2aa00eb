# pyright: basic
"""Tools of pydantic-ai are offered as they are, and our tools work in its agents."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any

import pytest

from codeact_kernel import Session
from codeact_kernel.errors import ToolDefinitionError
from codeact_kernel.tools import ToolCallError, as_tool, default_registry, tool, tool_from_schema

from .tools import CALLS, STUBS, Line, Receipt, Shop, call, list_sales

pydantic_ai = pytest.importorskip("pydantic_ai", reason="scripts/test --frameworks installs it")
messages = import_module("pydantic_ai.messages")
FunctionModel = import_module("pydantic_ai.models.function").FunctionModel
TestModel = import_module("pydantic_ai.models.test").TestModel

pytestmark = pytest.mark.filterwarnings("ignore:Could not generate return schema:UserWarning")


def find(product: str) -> str:
    """Find a product."""
    return f"found {product}"


@pytest.mark.parametrize(("function", "arguments", "result"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_tool_is_called_with_what_its_function_takes_and_gives_what_it_returns(function, arguments, result):
    assert call(pydantic_ai.Tool(function), arguments) == result


def test_the_model_reads_types_descriptions_and_results():
    assert "\n".join(as_tool(pydantic_ai.Tool(function)).spec.stub for function, *_ in CALLS) == STUBS


def test_wrong_arguments_are_refused_before_the_tool_runs():
    with pytest.raises(ToolCallError, match="'celsius' or 'fahrenheit'"):
        call(pydantic_ai.Tool(CALLS[0][0]), {"city": "Rome", "unit": "kelvin"})


def test_each_way_to_offer_a_tool_takes_it():
    found = pydantic_ai.Tool(find)
    tool(found)
    assert list(default_registry) == list(Session(tools=[found]).tools) == ["find"]


def test_the_fields_of_the_only_argument_are_the_parameters():
    def pack(line: Line) -> str:
        """Pack a line."""
        return f"{line.quantity} {line.product}"

    pack.__annotations__["line"] = Line
    packed = pydantic_ai.Tool(pack)
    assert as_tool(packed).spec.stub.splitlines()[0] == "pack(product: str, quantity: int) -> str  # Pack a line."
    assert call(packed, {"product": "tea", "quantity": 2}) == "2 tea"


def test_parameters_by_position_are_passed_by_position():
    def add(left: int, /, *others: int) -> int:
        """Add."""
        return left + sum(others)

    assert call(pydantic_ai.Tool(add), {"left": 1, "others": [2, 3]}) == 6


def test_descriptions_from_a_docstring_are_read():
    def look(city: str) -> str:
        """Look.

        Args:
            city: Where to look.
        """
        return city

    stub = as_tool(pydantic_ai.Tool(look)).spec.stub
    assert stub.splitlines() == ["look(city: str) -> str  # Look.", "    city: Where to look."]


def test_a_tool_of_a_schema_takes_its_names():
    schema = {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]}
    travel = pydantic_ai.Tool.from_schema(lambda **arguments: arguments, "travel", "Travel.", schema)
    assert call(travel, {"from_": "Rome"}) == {"from": "Rome"}


def test_the_value_in_a_wrapped_result_is_the_result():
    def buy(product: str) -> pydantic_ai.ToolReturn:
        """Buy."""
        return pydantic_ai.ToolReturn(return_value=Receipt(number=1, total=2.5), metadata={"internal": True})

    buy.__annotations__.update({"product": str, "return": pydantic_ai.ToolReturn})
    assert as_tool(pydantic_ai.Tool(buy)).spec.stub == "buy(product: str)  # Buy."
    assert call(pydantic_ai.Tool(buy), {"product": "tea"}) == {"number": 1, "total": 2.5}


@pytest.mark.parametrize(
    ("theirs", "ours", "mode"),
    [
        (True, "never_require", "always_require"),
        (False, "always_require", "always_require"),
        (False, "never_require", "never_require"),
        ("perhaps", "never_require", "always_require"),
    ],
)
def test_the_stricter_approval_holds_and_an_unknown_one_means_asking(theirs, ours, mode):
    tool(pydantic_ai.Tool(find, requires_approval=theirs), approval_mode=ours)
    assert default_registry.get("find").approval_mode == mode


def test_calls_of_a_sequential_tool_do_not_overlap():
    tool(pydantic_ai.Tool(find, sequential=True), max_concurrency=4)
    assert default_registry.get("find").max_concurrency == 1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"takes_ctx": True}, "function"),
        ({"prepare": lambda ctx, definition: None}, "`prepare`"),
        ({"args_validator": lambda ctx, **arguments: None}, "`args_validator`"),
    ],
)
def test_a_tool_that_needs_the_context_of_an_agent_is_refused(options, what):
    def remember(ctx: Any, text: str) -> str:
        """Remember."""
        return text

    remember.__annotations__["ctx"] = pydantic_ai.RunContext[None]
    needing = pydantic_ai.Tool(remember if "takes_ctx" in options else find, **options)
    with pytest.raises(ToolDefinitionError, match=f"because its {what} needs the RunContext of an agent"):
        tool(needing)
    assert len(default_registry) == 0


def test_a_request_to_try_again_reaches_the_program():
    def fail(product: str) -> str:
        """Fail."""
        raise pydantic_ai.ModelRetry("name a product that exists")

    with pytest.raises(ToolCallError, match="fail raised ModelRetry: name a product that exists"):
        call(pydantic_ai.Tool(fail), {"product": "x"})


def test_a_tool_without_async_runs_on_the_thread_of_the_users_code():
    def where() -> str:
        """Where."""
        return threading.current_thread().name

    assert call(pydantic_ai.Tool(where), {}) == threading.current_thread().name


def test_methods_of_two_objects_are_two_versions_and_one_function_is_always_the_same():
    assert as_tool(pydantic_ai.Tool(Shop().find)).spec.version != as_tool(pydantic_ai.Tool(Shop().find)).spec.version
    assert as_tool(pydantic_ai.Tool(find)).spec.version == as_tool(pydantic_ai.Tool(find)).spec.version


async def ask(tools: list[Any], name: str, arguments: dict[str, Any]) -> Any:
    """Let a model call one tool, and return what it got."""

    def answer(history: list[Any], info: Any) -> Any:
        if isinstance(history[-1].parts[0], messages.ToolReturnPart):
            return messages.ModelResponse([messages.TextPart("done")])
        return messages.ModelResponse([messages.ToolCallPart(name, arguments)])

    result = await pydantic_ai.Agent(FunctionModel(answer), tools=tools).run("Do it.")
    (returned,) = [
        part for message in result.all_messages() for part in message.parts if isinstance(part, messages.ToolReturnPart)
    ]
    return returned.content


async def test_a_function_with_our_mark_is_a_tool_of_its_agents():
    assert await ask([tool(find)], "find", {"product": "tea"}) == "found tea"


async def test_a_method_with_our_mark_is_a_tool_of_its_agents():
    assert await ask([tool(Shop().order)], "order", {"product": "tea"}) == "ordered tea"
    assert await ask([tool(Shop().find)], "find", {"product": "tea"}) == [Line(product="tea", quantity=1)]


async def test_a_tool_of_a_schema_is_a_tool_of_its_agents():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    ours = tool_from_schema("look-up", "Look up.", schema, lambda city: f"in {city}")
    assert await ask([ours], "look_up", {"city": "Rome"}) == "in Rome"


async def test_all_kinds_of_our_tools_work_with_a_model_that_calls_each_tool():
    ours = [tool(function) for function, *_ in CALLS if function is not list_sales]  # it has no DataFrames
    result = await pydantic_ai.Agent(TestModel(), tools=ours).run("Do it.")
    assert all(f'"{function.__name__}"' in result.output for function in ours)


def test_its_agents_show_the_same_schema_for_a_method_with_our_mark_as_for_the_method():
    ours, theirs = pydantic_ai.Tool(tool(Shop().find)).tool_def, pydantic_ai.Tool(Shop().find).tool_def
    assert (ours.name, ours.description) == (theirs.name, theirs.description)
    assert ours.parameters_json_schema == theirs.parameters_json_schema
