"""`@tool`: mark a function and offer it to the model.

This module is light, because the CodeAct kernel has `tool` as a builtin from its start: pydantic is imported when the
first function is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Unpack, cast, overload

from .options import ApprovalMode, OptionKeywords, Source, ToolOptions

__all__ = ["tool"]

F = TypeVar("F", bound=Callable[..., object])


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    function: object,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
    **options: Unpack[OptionKeywords],
) -> Callable[..., Any]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
    approval_mode: ApprovalMode = "never_require",
    max_invocations: int | None = None,
    direct: bool = False,
    read_only: bool = False,
    thread_safe: bool = False,
    max_concurrency: int | None = None,
    source: Source = "trusted",
) -> Callable[[F], F]: ...
def tool(
    function: object = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
    approval_mode: ApprovalMode = "never_require",
    max_invocations: int | None = None,
    direct: bool = False,
    read_only: bool = False,
    thread_safe: bool = False,
    max_concurrency: int | None = None,
    source: Source = "trusted",
) -> object:
    """Offer a function to the model, with bare `@tool` or with options: `@tool(approval_mode="always_require")`.

    In the CodeAct kernel, `tool` is available without an import. The function is returned unchanged and works as
    before. The model sees only its signature and its docstring; the type hints decide which arguments are accepted.
    Defining a tool with the same name again replaces the old one.

    A method (`tool(shop.find)`), a partial, another object that can be called, or a tool of Agent Framework, LangChain
    or pydantic-ai is offered too, and a function that calls it is returned.

    Args:
        name: The name that the model uses; by default the function's own name.
        description: The text that the model reads; by default the docstring.
        schema: The JSON schema of the arguments, for a function with `**kwargs`; by default the type hints say it.
        approval_mode: With `"always_require"`, you are asked before each call.
        max_invocations: The maximum number of calls in one turn; `None` leaves only the limits of the run.
        direct: The model calls the tool itself, one call at a time, and programs cannot call it. For single actions
            with an effect.
        read_only: Calling the tool changes nothing that another call could see, so calls in a loop may run in
            parallel.
        thread_safe: A function without `async` may run in threads, several calls at a time. Without this option, its
            calls run one after another; in a notebook, on the kernel's main thread.
        max_concurrency: The maximum number of calls at the same time; `None` leaves only the limits of the run.
        source: Use `"untrusted"` if outsiders can write the text that the tool returns, as in emails, web pages and
            tickets. After such a result, you are asked before every later call of the turn, whatever you allowed
            before, except for calls of `read_only` tools.

    Raises:
        ToolDefinitionError: The function cannot be offered; the message says what to change.
    """
    options = ToolOptions(
        approval_mode=approval_mode,
        max_invocations=max_invocations,
        direct=direct,
        read_only=read_only,
        thread_safe=thread_safe,
        max_concurrency=max_concurrency,
        source=source,
    )

    def mark(target: object) -> Callable[..., object]:
        from .offer import offer  # only a notebook with a tool pays for pydantic

        return cast("Callable[..., object]", offer(target, name, description, schema, options))

    return mark if function is None else mark(function)
