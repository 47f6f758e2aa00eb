"""Read tools of other frameworks: Agent Framework, LangChain and pydantic-ai.

Nothing of these packages is imported. A tool is recognized by the name and the package of its class, and read through
its public attributes. It is called as its framework calls it, with two differences: a tool without `async` runs on the
thread of the caller, and the result is what the function returned and not its text for a model.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeAlias

from ..errors import ToolDefinitionError
from .names import MAX_NAME_CHARACTERS
from .options import ToolOptions

__all__ = ["ForeignTool", "read_foreign_tool"]

Call: TypeAlias = Callable[..., object]


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTool:
    """A tool of another framework.

    Attributes:
        framework: The framework, as it spells itself.
        schema: The JSON schema of the arguments.
        call: Takes the arguments as keywords; it is async if the tool is.
        function: The function that does the work. If nothing else decides what a call does, its code is the version of
            the tool; otherwise this is `call`.
        returns: The type hint of the result.
        requires_approval: Whether the framework asks before a call, or says something that is not known here.
        max_invocations, max_concurrency: As in `ToolOptions`.
    """

    framework: str
    name: str
    description: str
    schema: object
    call: Call
    function: Call
    returns: object
    requires_approval: bool = False
    max_invocations: int | None = None
    max_concurrency: int | None = None

    def restrict(self, options: ToolOptions) -> ToolOptions:
        """Add what the framework demands to the options of the user. The stricter one wins."""
        if self.requires_approval and options.approval_mode == "never_require":
            options = replace(options, approval_mode="always_require")
        return replace(
            options,
            max_invocations=_smaller(options.max_invocations, self.max_invocations),
            max_concurrency=_smaller(options.max_concurrency, self.max_concurrency),
        )


def read_foreign_tool(target: object) -> ForeignTool | None:
    """Return what a tool of another framework says about itself; `None` if `target` is no such tool.

    Raises:
        ToolDefinitionError: The tool cannot be offered; the message says why.
    """
    kind = _find_class(type(target), _READERS)
    if kind is None:
        return None
    framework, read = _READERS[kind]
    try:
        return read(framework, target)
    except ToolDefinitionError:
        raise
    except Exception as error:  # attributes that this version of the framework lacks, or types without a schema
        text = f"its description cannot be read ({type(error).__name__})"
        _refuse(framework, str(getattr(target, "name", "")), text, "put @tool on the function that it calls")


def _read_agent_framework(framework: str, tool: Any) -> ForeignTool:
    """Read a `FunctionTool`. `max_invocations` also counts there, over the whole life of the tool."""
    function: Any = tool.func
    model = tool.input_model
    while _find_class(function.__class__, _READERS):
        function = function.func
    if function is None:
        _refuse(framework, tool.name, "it only declares a function", "put @tool on the function that does the work")
    schema = tool.parameters()
    _require_all_filled(framework, tool, schema, function, ("ctx",), "FunctionInvocationContext")
    parameters = inspect.signature(function).parameters.values()
    takes_context = any(one.name == "ctx" or "FunctionInvocationContext" in str(one.annotation) for one in parameters)
    may_skip = "skip_parsing" in inspect.signature(tool.invoke).parameters  # not in the first versions

    async def invoke(**arguments: Any) -> object:
        result = await tool.invoke(arguments=arguments, **({"skip_parsing": True} if may_skip else {}))
        return result if may_skip or len(result) != 1 else result[0]

    def call(**arguments: Any) -> object:
        values = arguments if model is None else model.model_validate(arguments).model_dump(exclude_unset=True)
        return tool(**values)

    is_method = next((one.name for one in parameters), "") in ("self", "cls")
    return _make(
        framework,
        tool,
        schema=schema,
        call=invoke if takes_context else call,  # only `invoke` makes a context
        is_async=takes_context or inspect.iscoroutinefunction(function),
        function=call if is_method else function,
        returns=_read_result_hint(function),
        requires_approval=getattr(tool, "approval_mode", None) != "never_require",
        max_invocations=tool.max_invocations,
    )


def _read_langchain(framework: str, tool: Any) -> ForeignTool:
    """Read a `BaseTool`. Its `run` takes any argument, while `invoke` takes some for a message of a model."""
    if hasattr(tool, "coroutine"):
        is_async, function = tool.coroutine is not None, tool.coroutine or tool.func
    else:
        is_async = tool._arun.__module__ != "langchain_core.tools.base"
        function = tool._arun if is_async else tool._run
    model: Any = tool.tool_call_schema
    write_schema: Any = getattr(model, "model_json_schema", None) or getattr(model, "schema", None)  # pydantic 2 or 1
    schema: Any = write_schema() if write_schema else model
    if any(kind.__name__ == "Tool" and _package(kind) == "langchain_core" for kind in type(tool).__mro__):
        if tool.args_schema is None:  # it takes one text, under a name that only `args` knows
            schema = {"type": "object", "properties": tool.args, "required": list(tool.args)}
    else:
        _require_all_filled(framework, tool, schema, function, ("run_manager", "callbacks"), "RunnableConfig")

    def call(**arguments: Any) -> Any:
        return (tool.arun if is_async else tool.run)(arguments, config={})

    returns = _read_result_hint(function)
    if tool.response_format == "content_and_artifact":
        returns = next(iter(typing.get_args(returns)), inspect.Parameter.empty)
    return _make(
        framework,
        tool,
        schema=schema,
        call=call,
        is_async=is_async,
        function=function,
        returns=returns,
    )


def _read_pydantic_ai(framework: str, tool: Any) -> ForeignTool:
    """Read a `Tool` whose function works without an agent."""
    for name, what in (("takes_ctx", "function"), ("prepare", "`prepare`"), ("args_validator", "`args_validator`")):
        if getattr(tool, name, None):
            advice = "write a function without it, and put @tool on that function"
            _refuse(framework, tool.name, f"its {what} needs the RunContext of an agent", advice)
    facts = tool.function_schema

    def call(**arguments: Any) -> object:
        keywords: Any = facts.validator.validate_python(arguments)
        only = facts.single_arg_name
        if only and not (hasattr(keywords, "keys") and only in keywords):  # in 1.x, a model came without its name
            keywords = {only: keywords}
        positional = [keywords.pop(name) for name in facts.positional_fields]
        if facts.var_positional_field:
            positional += keywords.pop(facts.var_positional_field, ())
        return tool.function(*positional, **keywords)

    return _make(
        framework,
        tool,
        schema=tool.tool_def.parameters_json_schema,
        call=call,
        is_async=facts.is_async,
        function=tool.function,
        returns=_read_result_hint(tool.function),
        requires_approval=getattr(tool, "requires_approval", None) is not False,
        max_concurrency=1 if getattr(tool, "sequential", False) else None,
    )


_READERS: dict[tuple[str, str], tuple[str, Callable[[str, Any], ForeignTool]]] = {
    ("agent_framework", "FunctionTool"): ("Agent Framework", _read_agent_framework),
    ("langchain_core", "BaseTool"): ("LangChain", _read_langchain),
    ("pydantic_ai", "Tool"): ("pydantic-ai", _read_pydantic_ai),
}
"""What reads a tool, by the package and the name of its class."""

_RESULTS: dict[tuple[str, str], Callable[[Any], object]] = {
    ("agent_framework", "Content"): lambda content: content.text if content.type == "text" else content.to_dict(),
    ("langchain_core", "ToolMessage"): lambda message: message.content,
    ("pydantic_ai", "ToolReturn"): lambda result: result.return_value,
}
"""What takes the value out of a result that a framework has wrapped."""


def _make(
    framework: str, tool: Any, *, call: Callable[..., Any], is_async: bool, function: Call, **facts: Any
) -> ForeignTool:
    async def call_async(**arguments: Any) -> object:
        return _unwrap(await call(**arguments))

    def call_sync(**arguments: Any) -> object:
        return _unwrap(call(**arguments))

    made = call_async if is_async else call_sync
    is_subclass = _package(tool.__class__) not in {package for package, _ in _READERS}  # its own code also runs
    return ForeignTool(
        framework=framework,
        name=str(tool.name),
        description=inspect.cleandoc(tool.description or ""),
        call=made,
        function=made if is_subclass else function,
        **facts,
    )


def _unwrap(value: object) -> object:
    if isinstance(value, list):
        return [_unwrap(item) for item in typing.cast("list[object]", value)]
    kind = _find_class(type(value), _RESULTS)
    return value if kind is None else _RESULTS[kind](value)


def _find_class(kind: type[Any], known: Mapping[tuple[str, str], object]) -> tuple[str, str] | None:
    names = ((_package(base), base.__name__) for base in kind.__mro__)
    return next((name for name in names if name in known), None)


def _package(kind: type[Any]) -> str:
    return str(kind.__module__).partition(".")[0]


def _require_all_filled(
    framework: str, tool: Any, schema: Any, function: Call, filled: tuple[str, ...] = (), filled_type: str = "-"
) -> None:
    """Refuse a tool with parameters that neither a program nor a call of the tool fills in.

    Args:
        filled, filled_type: The names and the type of the parameters that a call of the tool fills in.
    """
    properties: Any = schema.get("properties", {})
    for parameter in inspect.signature(function).parameters.values():
        is_needed = parameter.default is parameter.empty and parameter.kind in _BY_NAME
        is_known = parameter.name in properties or parameter.name in ("self", "cls", *filled)
        if is_needed and not is_known and filled_type not in str(parameter.annotation):
            text = f"only an agent of {framework} can fill in its parameter {parameter.name!r}"
            _refuse(framework, tool.name, text, "write a function without it, and put @tool on that function")


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _read_result_hint(function: Call) -> object:
    """Return the hint of the result; an empty one if it is not known, or a class of a framework that is unwrapped."""
    try:
        hint = typing.get_type_hints(inspect.unwrap(function), include_extras=True)["return"]
    except Exception:  # there is none, or it cannot be resolved: the first result shows the shape
        return inspect.Parameter.empty
    return inspect.Parameter.empty if _mentions_wrapper(hint) else hint


def _mentions_wrapper(hint: Any) -> bool:
    kind = typing.get_origin(hint) or hint
    is_wrapper = isinstance(kind, type) and _find_class(kind, _RESULTS) is not None
    return is_wrapper or any(map(_mentions_wrapper, typing.get_args(hint)))


def _smaller(own: int | None, other: int | None) -> int | None:
    if own is None or other is None:
        return other if own is None else own
    return min(own, other) if type(own) is int else own  # what is not a number is refused later


def _refuse(framework: str, name: str, why: str, advice: str) -> NoReturn:
    name = name[:MAX_NAME_CHARACTERS]
    raise ToolDefinitionError(f"The tool {name} of {framework} cannot be offered, because {why}: {advice}.")
