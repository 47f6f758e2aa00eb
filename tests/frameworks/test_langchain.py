# pyright: basic
"""Tools of LangChain are offered as they are, and our tools work in its agents."""

from __future__ import annotations

import asyncio
import json
import threading
from importlib import import_module
from typing import Annotated, Any

import pytest

from codeact_kernel import Session
from codeact_kernel.errors import ToolDefinitionError
from codeact_kernel.tools import ToolCallError, as_tool, default_registry, tool, tool_from_schema

from .tools import CALLS, STUBS, Shop, call

pytest.importorskip("langchain", reason="scripts/test --frameworks installs it")
langchain = import_module("langchain_core.tools")
Document = import_module("langchain_core.documents").Document
AIMessage = import_module("langchain_core.messages").AIMessage
RunnableConfig = import_module("langchain_core.runnables").RunnableConfig
fake_chat_models = import_module("langchain_core.language_models.fake_chat_models")
create_agent = import_module("langchain.agents").create_agent


def find(product: str) -> str:
    """Find a product."""
    return f"found {product}"


class Search(langchain.BaseTool):
    name: str = "search"
    description: str = "Search."

    def _run(self, query: str, limit: int = 3, run_manager: Any = None) -> list[str]:
        return [query] * limit


class AsyncSearch(Search):
    async def _arun(self, query: str, limit: int = 3) -> list[str]:
        await asyncio.sleep(0)
        return [f"async {query}"] * limit


@pytest.mark.parametrize(("function", "arguments", "result"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_tool_is_called_with_what_its_function_takes_and_gives_what_it_returns(function, arguments, result):
    assert call(langchain.tool(function), arguments) == result


def test_the_model_reads_types_descriptions_and_results():
    assert "\n".join(as_tool(langchain.tool(function)).spec.stub for function, *_ in CALLS) == STUBS


def test_wrong_arguments_are_refused_before_the_tool_runs():
    with pytest.raises(ToolCallError, match="'celsius' or 'fahrenheit'"):
        call(langchain.tool(CALLS[0][0]), {"city": "Rome", "unit": "kelvin"})


def test_each_way_to_offer_a_tool_takes_it():
    found = langchain.tool(find)
    tool(found)
    assert list(default_registry) == list(Session(tools=[found]).tools) == ["find"]


def test_an_approval_that_the_user_sets_holds():
    tool(langchain.tool(find, return_direct=True), approval_mode="always_require")
    assert default_registry.get("find").approval_mode == "always_require"


def test_a_structured_tool_of_a_function_and_a_coroutine_is_async():
    async def find_later(product: str) -> str:
        """Find a product."""
        return f"later {product}"

    both = langchain.StructuredTool.from_function(find, coroutine=find_later)
    assert as_tool(both).spec.is_async
    assert call(both, {"product": "tea"}) == "later tea"


def test_a_class_of_the_user_is_called_through_its_own_methods():
    assert as_tool(Search()).spec.stub == "search(query: str, limit: int = 3) -> list[str]  # Search."
    assert call(Search(), {"query": "tea", "limit": 2}) == ["tea", "tea"]
    assert call(AsyncSearch(), {"query": "tea", "limit": 1}) == ["async tea"]


def test_two_objects_of_a_class_are_two_versions_and_one_function_is_always_the_same():
    assert as_tool(Search()).spec.version != as_tool(Search()).spec.version
    assert as_tool(langchain.tool(find)).spec.version == as_tool(langchain.tool(find)).spec.version


def test_a_class_that_changes_what_a_call_does_is_a_version_of_its_own():
    class Loud(langchain.StructuredTool):
        def _run(self, *args: Any, config: RunnableConfig, **arguments: Any) -> str:
            return super()._run(*args, config=config, **arguments).upper()

    assert call(Loud.from_function(find), {"product": "tea"}) == "FOUND TEA"
    assert as_tool(Loud.from_function(find)).spec.version != as_tool(Loud.from_function(find)).spec.version


def test_a_tool_of_one_text_takes_it():
    shout = langchain.Tool(name="shout", description="Shout.", func=lambda text: text.upper())
    assert as_tool(shout).spec.stub == "shout(tool_input: str)  # Shout."
    assert call(shout, {"tool_input": "hello"}) == "HELLO"


def test_a_tool_whose_arguments_a_json_schema_describes_takes_them():
    schema = {"type": "object", "properties": {"from": {"type": "string"}}, "required": ["from"]}
    travel = langchain.StructuredTool(
        name="travel", description="Travel.", args_schema=schema, func=lambda **arguments: arguments
    )
    assert as_tool(travel).spec.stub == "travel(from_: str)  # Travel."
    assert call(travel, {"from_": "Rome"}) == {"from": "Rome"}


def test_descriptions_from_a_docstring_are_read():
    @langchain.tool(parse_docstring=True)
    def look(city: str) -> str:
        """Look.

        Args:
            city: Where to look.
        """
        return city

    assert as_tool(look).spec.stub.splitlines() == ["look(city: str) -> str  # Look.", "    city: Where to look."]


def test_the_content_of_a_result_with_an_artifact_is_the_result():
    @langchain.tool(response_format="content_and_artifact")
    def retrieve(query: str) -> tuple[list[str], dict]:
        """Retrieve."""
        return [query], {"large": "picture"}

    assert as_tool(retrieve).spec.stub == "retrieve(query: str) -> list[str]  # Retrieve."
    assert call(retrieve, {"query": "tea"}) == ["tea"]


def test_documents_become_objects():
    @langchain.tool
    def retrieve(query: str) -> list[Document]:
        """Retrieve."""
        return [Document(page_content=query, metadata={"page": 3})]

    (document,) = call(retrieve, {"query": "tea"})
    assert (document["page_content"], document["metadata"]) == ("tea", {"page": 3})


def test_arguments_that_look_like_a_message_of_a_model_are_arguments():
    schema = {
        "type": "object",
        "properties": {"type": {"type": "string"}, "args": {"type": "object"}, "id": {"type": "string"}},
    }
    send = langchain.StructuredTool(name="send", description="Send.", args_schema=schema, func=lambda **given: given)
    arguments = {"type": "tool_call", "args": {"type": "other"}, "id": "1"}
    assert call(send, arguments) == arguments


def test_an_error_that_the_tool_handles_is_its_result_and_another_one_is_an_error():
    def fail() -> str:
        """Fail."""
        raise langchain.ToolException("out of stock")

    handled = langchain.StructuredTool.from_function(fail, handle_tool_error=True)
    assert call(handled, {}) == "out of stock"
    with pytest.raises(ToolCallError, match="fail raised ToolException: out of stock"):
        call(langchain.StructuredTool.from_function(fail), {})


def test_a_parameter_that_a_call_fills_in_is_not_shown():
    def remember(text: str, config: RunnableConfig) -> str:
        """Remember."""
        return text

    remember.__annotations__.update(text=str, config=RunnableConfig)
    assert as_tool(langchain.tool(remember)).spec.stub == "remember(text: str) -> str  # Remember."
    assert call(langchain.tool(remember), {"text": "tea"}) == "tea"


@pytest.mark.parametrize("mark", [langchain.InjectedToolArg, langchain.InjectedToolCallId])
def test_a_tool_that_needs_an_agent_is_refused(mark):
    def remember(text: str, secret: Any) -> str:
        """Remember."""
        return text

    remember.__annotations__.update(text=str, secret=Annotated[str, mark])
    with pytest.raises(ToolDefinitionError, match="only an agent of LangChain can fill in its parameter 'secret'"):
        as_tool(langchain.tool(remember))


def test_a_tool_without_async_runs_on_the_thread_of_the_users_code():
    @langchain.tool
    def where() -> str:
        """Where."""
        return threading.current_thread().name

    assert call(where, {}) == threading.current_thread().name


class ScriptedChat(fake_chat_models.GenericFakeChatModel):
    """Answers with given messages; knows the tools from the agent."""

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        return self


async def ask(tools: list[Any], name: str, arguments: dict[str, Any]) -> str:
    """Let a model call one tool, and return what it got."""
    wanted = {"name": name, "args": arguments, "id": "1"}
    model = ScriptedChat(messages=iter([AIMessage("", tool_calls=[wanted]), AIMessage("done")]))
    history = await create_agent(model, tools=tools).ainvoke({"messages": [("user", "Do it.")]})
    return history["messages"][-2].content


async def test_a_function_with_our_mark_is_a_tool_of_its_agents():
    assert await ask([tool(find)], "find", {"product": "tea"}) == "found tea"


async def test_a_method_with_our_mark_is_a_tool_of_its_agents():
    assert await ask([tool(Shop().order)], "order", {"product": "tea"}) == "ordered tea"
    assert "quantity=2" in await ask([tool(Shop().find)], "find", {"product": "tea", "limit": 2})


async def test_a_tool_of_a_schema_is_a_tool_of_its_agents():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    ours = tool_from_schema("look-up", "Look up.", schema, lambda city: f"in {city}")
    assert await ask([ours], "look_up", {"city": "Rome"}) == "in Rome"


async def test_a_structured_tool_of_a_function_with_our_mark_calls_it():
    assert langchain.StructuredTool.from_function(tool(find)).invoke({"product": "tea"}) == "found tea"
    assert (
        await langchain.StructuredTool.from_function(coroutine=tool(Shop().order)).ainvoke({"product": "tea"})
        == "ordered tea"
    )


def test_its_agents_show_the_same_schema_for_a_method_with_our_mark_as_for_the_method():
    ours, theirs = (langchain.StructuredTool.from_function(one) for one in (tool(Shop().find), Shop().find))
    assert (ours.name, ours.description) == (theirs.name, theirs.description)
    assert json.dumps(ours.args) == json.dumps(theirs.args)
