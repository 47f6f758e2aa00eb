# pyright: basic
"""Tools of Microsoft's Agent Framework are offered as they are, and our tools work in its agents."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pydantic import BaseModel

from codeact_kernel import Session
from codeact_kernel.errors import ToolDefinitionError
from codeact_kernel.tools import Registry, ToolCallError, as_tool, default_registry, tool, tool_from_schema

from .tools import CALLS, STUBS, Shop, call

agent_framework = pytest.importorskip("agent_framework", reason="scripts/test --frameworks installs it")
FunctionTool = agent_framework.FunctionTool


def find(product: str) -> str:
    """Find a product."""
    return f"found {product}"


@pytest.mark.parametrize(("function", "arguments", "result"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_tool_is_called_with_what_its_function_takes_and_gives_what_it_returns(function, arguments, result):
    assert call(agent_framework.tool(function), arguments) == result


def test_the_model_reads_types_descriptions_and_results():
    assert "\n".join(as_tool(agent_framework.tool(function)).spec.stub for function, *_ in CALLS) == STUBS


def test_wrong_arguments_are_refused_before_the_tool_runs():
    with pytest.raises(ToolCallError, match="'celsius' or 'fahrenheit'"):
        call(agent_framework.tool(CALLS[0][0]), {"city": "Rome", "unit": "kelvin"})


def test_each_way_to_offer_a_tool_takes_it():
    found = agent_framework.tool(find)
    tool(found)
    assert list(default_registry) == list(Session(tools=[found]).tools) == ["find"]


def test_what_tool_returns_is_a_function_that_carries_the_tool_and_its_options():
    offered = tool(agent_framework.tool(find), approval_mode="always_require")
    assert offered(product="tea") == "found tea"
    assert Session(tools=[offered]).tools.get("find").approval_mode == "always_require"


@pytest.mark.parametrize(
    ("theirs", "ours", "mode"),
    [
        ("always_require", "never_require", "always_require"),
        ("never_require", "always_require", "always_require"),
        ("never_require", "never_require", "never_require"),
        (None, "never_require", "never_require"),  # the framework's default
        ("when_it_suits", "never_require", "always_require"),
        ({"always_require": ["find"]}, "never_require", "always_require"),
    ],
)
def test_the_stricter_approval_holds_and_an_unknown_one_means_asking(theirs, ours, mode):
    tool(agent_framework.tool(find, approval_mode=theirs), approval_mode=ours)
    assert default_registry.get("find").approval_mode == mode


def test_a_tool_without_its_approval_mode_asks():
    found = agent_framework.tool(find)
    del found.approval_mode
    assert as_tool(found).spec.approval_mode == "always_require"


@pytest.mark.parametrize(("theirs", "ours", "count"), [(3, None, 3), (3, 2, 2), (3, 5, 3), (None, 2, 2)])
def test_the_smaller_number_of_calls_holds(theirs, ours, count):
    tool(agent_framework.tool(find, max_invocations=theirs), max_invocations=ours)
    assert default_registry.get("find").max_invocations == count


def test_the_framework_counts_the_calls_too():
    found = agent_framework.tool(find, max_invocations=1)
    call(found, {"product": "tea"})
    with pytest.raises(ToolCallError, match="maximum invocation limit"):
        call(found, {"product": "tea"})


def test_an_option_that_is_wrong_is_still_refused():
    with pytest.raises(ToolDefinitionError, match="approval_mode='sometimes' is unknown"):
        tool(agent_framework.tool(find, approval_mode="always_require"), approval_mode="sometimes")


def test_name_and_description_can_be_given():
    tool(agent_framework.tool(find), name="search", description="Search.")
    assert default_registry.get("search").stub == "search(product: str) -> str  # Search."


def test_a_name_that_is_not_a_python_name_gets_a_spelling_and_takes_no_other_tools_place():
    registry = Registry()
    for name in ("find-it", "find.it", "find-it"):
        registry.add(agent_framework.tool(find, name=name))
    assert {name: spec.own_name for name, spec in registry.specs().items()} == {
        "find_it": "find-it",
        "find_it_2": "find.it",
    }


def test_a_schema_beside_the_tools_own_is_refused():
    with pytest.raises(ToolDefinitionError, match="find of Agent Framework has a schema already"):
        tool(agent_framework.tool(find), schema={})


def test_a_schema_and_a_model_of_the_arguments_are_used():
    class Query(BaseModel):
        product: str
        limit: int = 5

    by_model = FunctionTool(name="find", func=lambda product, limit=1: f"{limit} {product}", input_model=Query)
    by_schema = FunctionTool(
        name="find",
        func=lambda **arguments: arguments,
        input_model={"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]},
    )
    assert as_tool(by_model).spec.stub == "find(product: str, limit: int = 5)"
    assert call(by_model, {"product": "tea", "limit": 2}) == "2 tea"
    assert call(by_schema, {"from_": "Rome"}) == {"from": "Rome"}


def test_contents_become_the_values_in_them():
    @agent_framework.tool
    def show() -> list[Any]:
        """Show."""
        picture = agent_framework.Content.from_uri("https://example.com/a.png", media_type="image/png")
        return [agent_framework.Content.from_text("hello"), picture]

    text, picture = call(show, {})
    assert text == "hello"
    assert picture["uri"] == "https://example.com/a.png"


def test_a_tool_without_async_runs_on_the_thread_of_the_users_code():
    @agent_framework.tool
    def where() -> str:
        """Where."""
        return threading.current_thread().name

    assert call(where, {}) == threading.current_thread().name


def test_methods_of_two_objects_are_two_versions_and_one_function_is_always_the_same():
    class Store:
        @agent_framework.tool
        def find(self, product: str) -> str:
            """Find."""
            return product

    assert as_tool(Store().find).spec.version != as_tool(Store().find).spec.version
    assert as_tool(agent_framework.tool(find)).spec.version == as_tool(agent_framework.tool(find)).spec.version
    assert call(Store().find, {"product": "tea"}) == "tea"


def test_a_tool_that_has_nothing_to_run_is_refused():
    with pytest.raises(
        ToolDefinitionError, match="The tool find of Agent Framework cannot be offered, because it only"
    ):
        as_tool(FunctionTool(name="find", func=None))


def test_a_tool_that_takes_a_context_gets_an_empty_one():
    def remember(text: str, context: Any) -> str:
        """Remember."""
        return f"{text} {context.kwargs}"

    remember.__annotations__["context"] = agent_framework.FunctionInvocationContext
    assert as_tool(agent_framework.tool(remember)).spec.stub.startswith("remember(text: str) -> str")
    assert call(agent_framework.tool(remember), {"text": "tea"}) == "tea {}"


def test_an_agent_as_a_tool_answers_with_its_text():
    helper = agent_framework.Agent(ScriptedClient("find", {"product": "tea"}), tools=[find], name="helper").as_tool()
    assert as_tool(helper).spec.stub.startswith("helper(task: str)")
    assert call(helper, {"task": "Find tea."}) == "found tea"


def test_a_tool_with_a_parameter_that_its_schema_lacks_is_refused():
    def remember(text: str, secret: str) -> str:
        """Remember."""
        return text

    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    with pytest.raises(
        ToolDefinitionError, match="only an agent of Agent Framework can fill in its parameter 'secret'"
    ):
        as_tool(agent_framework.tool(remember, schema=schema))


class ScriptedClient(agent_framework.FunctionInvocationLayer, agent_framework.BaseChatClient):
    """Asks for one call, and then repeats its result."""

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        super().__init__()
        self.wanted = name, arguments

    def _inner_get_response(self, *, messages: Any, stream: bool = False, **options: Any) -> Any:
        results = [content for content in messages[-1].contents if content.type == "function_result"]
        if results:
            contents = [agent_framework.Content.from_text(str(results[0].result))]
        else:
            name, arguments = self.wanted
            contents = [agent_framework.Content.from_function_call("1", name, arguments=arguments)]

        async def respond() -> Any:
            return agent_framework.ChatResponse(messages=[agent_framework.Message("assistant", contents)])

        async def update() -> Any:
            yield agent_framework.ChatResponseUpdate(role="assistant", contents=contents)

        if stream:
            return agent_framework.ResponseStream(update(), finalizer=agent_framework.ChatResponse.from_updates)
        return respond()


async def ask(tools: list[Any], name: str, arguments: dict[str, Any]) -> str:
    agent = agent_framework.Agent(ScriptedClient(name, arguments), tools=tools)
    return (await agent.run("Do it.")).text


async def test_a_function_with_our_mark_is_a_tool_of_its_agents():
    assert await ask([tool(find)], "find", {"product": "tea"}) == "found tea"


async def test_a_method_with_our_mark_is_a_tool_of_its_agents():
    assert await ask([tool(Shop().order)], "order", {"product": "tea"}) == "ordered tea"
    assert '"quantity": 2' in await ask([tool(Shop().find)], "find", {"product": "tea", "limit": 2})


async def test_a_tool_of_a_schema_is_a_tool_of_its_agents():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    ours = tool_from_schema("look-up", "Look up.", schema, lambda city: f"in {city}")
    assert await ask([ours], "look_up", {"city": "Rome"}) == "in Rome"


def test_its_agents_show_the_same_schema_for_a_method_with_our_mark_as_for_the_method():
    ours, theirs = agent_framework.tool(tool(Shop().find)), agent_framework.tool(Shop().find)
    assert (ours.name, ours.description, ours.parameters()) == (theirs.name, theirs.description, theirs.parameters())
