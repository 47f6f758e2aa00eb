"""Name -> tool: what is offered, and the one way in which a call reaches a function of the person."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from ..errors import ProgramError, ToolDefinitionError, UserError
from ..settings import Limits
from ..values import JSONValue, Kept
from .failures import clipped, told
from .reporting import Report, reporting
from .results import to_json
from .shapes import ANY, Shape, merge, seen
from .spec import BoundCall, Convert, OnMain, Tool, ToolCallError, ToolSpec
from .threads import in_thread

__all__ = ["MARK", "Registry", "default_registry", "marked"]

MARK = "codeact_tool"
DEFAULT_LIMITS = Limits()
NAMES_LISTED = 20


def marked(function: Callable[..., object]) -> Tool:
    """The tool that `@tool` attached to `function`.

    Raises:
        ToolDefinitionError: it is not marked.
    """
    tool = getattr(function, MARK, None)
    if not isinstance(tool, Tool):
        raise ToolDefinitionError(f"{getattr(function, '__name__', 'This')} is not a tool: put @tool on it first.")
    return tool


class Registry:
    """The tools on offer, in the order in which they were first defined.

    Cells define tools on the main thread while a turn may read on another: each change is one dict operation,
    and each reader takes a copy first.

    Attributes:
        last_error: what a tool raised last, with its traceback: for the person, never for the program.
    """

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self._seen: dict[str, Shape] = {}
        self.last_error: BaseException | None = None

    def add(self, function: Callable[..., object]) -> None:
        """Offer a function marked by `@tool`; one of the same name is replaced and keeps its place.

        Raises:
            ToolDefinitionError: it is not marked.
        """
        tool = marked(function)
        before = self._tools.get(tool.spec.name)
        if before is not None and before.spec.version != tool.spec.version:
            self._seen.pop(tool.spec.name, None)
        self._tools[tool.spec.name] = tool

    def remove(self, name: str) -> None:
        """Offer it no longer.

        Raises:
            UserError: there is no such tool.
        """
        if self._tools.pop(name, None) is None:
            raise UserError(f"There is no tool {name!r} to remove. {self._listed()}")
        self._seen.pop(name, None)

    def clear(self) -> None:
        self._tools.clear()
        self._seen.clear()
        self.last_error = None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._tools))

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def get(self, name: str) -> ToolSpec | None:
        tool = self._tools.get(name)
        return None if tool is None else self._spec(tool)

    def specs(self) -> dict[str, ToolSpec]:
        """All tools by name, with stubs that show what their results looked like so far."""
        return {name: self._spec(tool) for name, tool in list(self._tools.items())}

    def validate(self, name: str, arguments: Mapping[str, JSONValue], *, limits: Limits = DEFAULT_LIMITS) -> BoundCall:
        """Check a call before anybody is asked about it.

        Raises:
            ToolCallError: unknown tool, or arguments that it does not take.
        """
        tool = self._tools.get(name)
        if tool is None:
            raise ToolCallError(clipped(f"There is no tool {name[:64]!r}. {self._listed()}", limits.error_characters))
        _check_unchanged(tool)
        bound = BoundCall(tool=tool, arguments=_canonical(tool.spec.name, arguments, limits))
        _arguments(bound, limits)
        return bound

    def edited(
        self, bound: BoundCall, arguments: Mapping[str, JSONValue], *, limits: Limits = DEFAULT_LIMITS
    ) -> BoundCall:
        """The same call of the same tool with other arguments.

        Raises:
            ToolCallError: arguments that it does not take.
        """
        changed = replace(bound, arguments=_canonical(bound.tool.spec.name, arguments, limits))
        _arguments(changed, limits)
        return changed

    def holds(self, bound: BoundCall) -> bool:
        """Whether the tool that the call was bound to is still the one on offer."""
        tool = self._tools.get(bound.tool.spec.name)
        return tool is not None and tool.spec.version == bound.tool.spec.version

    async def call(
        self,
        bound: BoundCall,
        *,
        on_main: OnMain,
        limits: Limits = DEFAULT_LIMITS,
        report: Report | None = None,
        convert: Convert | None = None,
    ) -> JSONValue | Kept:
        """Run the tool and give its result as JSON.

        A synchronous function runs by `on_main`, or in a thread where it is `thread_safe`, and so does the copying of
        its result: what the tool does with it later changes nothing. KeyboardInterrupt and cancellation pass through;
        everything else is told.

        Args:
            report: takes what the tool tells of its progress.
            convert: makes JSON of what the tool returned; it may keep a large result. By default `to_json`.

        Raises:
            ToolCallError: the tool raised, or returned what cannot be sent.
        """
        try:
            answer = await self._run(bound, on_main, limits, report, convert or _to_json)
        except ToolCallError as error:
            self.last_error = error.__cause__ or error
            raise
        self._remember(bound.tool, answer.sample if isinstance(answer, Kept) else answer)
        return answer

    async def _run(
        self, bound: BoundCall, on_main: OnMain, limits: Limits, report: Report | None, convert: Convert
    ) -> JSONValue | Kept:
        tool, name = bound.tool, bound.tool.spec.name
        _check_unchanged(tool)
        arguments = _arguments(bound, limits)  # made anew: nothing that happened since the approval can reach them

        def run() -> object:
            with _told(name, limits), reporting(report):
                value = tool.function(**arguments)
            return value if inspect.isawaitable(value) else _answer(name, value, limits, convert)

        where = in_thread if tool.spec.thread_safe else on_main
        result = run() if tool.spec.is_async else await where(run)
        if inspect.isawaitable(result):
            with _told(name, limits, on_loop=True), reporting(report):
                result = await result
            result = _answer(name, result, limits, convert)
        return cast("JSONValue | Kept", result)

    def _remember(self, tool: Tool, answer: JSONValue) -> None:
        name = tool.spec.name
        if tool.contract.returns.vague and self._tools.get(name) is tool:
            self._seen[name] = merge(self._seen.get(name, ANY), seen(answer))

    def _spec(self, tool: Tool) -> ToolSpec:
        return replace(tool.spec, stub=tool.contract.stub(self._seen.get(tool.spec.name, ANY)))

    def _listed(self) -> str:
        names = list(self._tools)
        if not names:
            return "No tool is defined."
        return f"The tools are: {', '.join(names[:NAMES_LISTED])}{', ...' if len(names) > NAMES_LISTED else ''}."


def _check_unchanged(tool: Tool) -> None:
    if not tool.unchanged:
        raise ToolCallError(f"{tool.spec.name} was changed since it was offered: its cell has to be run again.")


def _canonical(name: str, arguments: Mapping[str, JSONValue], limits: Limits) -> str:
    try:
        text = json.dumps(
            {key: arguments[key] for key in sorted(arguments)},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError):
        raise ToolCallError(f"{name}: an argument is not JSON: pass plain data.") from None
    if size > limits.arguments_bytes:
        raise ToolCallError(f"{name}: the arguments are larger than {limits.arguments_bytes:,} bytes: pass less.")
    return text


def _arguments(bound: BoundCall, limits: Limits) -> dict[str, object]:
    with _told(bound.tool.spec.name, limits):  # validators are the person's code and may raise anything
        try:
            return bound.tool.contract.bind(bound.arguments)
        except ProgramError as error:
            raise ToolCallError(clipped(str(error), limits.error_characters)) from None


def _to_json(value: object, limits: Limits) -> JSONValue:
    return to_json(value, limits=limits)


def _answer(name: str, value: object, limits: Limits, convert: Convert) -> JSONValue | Kept:
    with _told(name, limits):  # so may the attributes of what it returned
        try:
            return convert(value, limits)
        except ProgramError as error:
            raise ToolCallError(clipped(f"{name}: {error}", limits.error_characters)) from None


@contextmanager
def _told(name: str, limits: Limits, *, on_loop: bool = False) -> Generator[None]:
    try:
        yield
    except ToolCallError:
        raise
    except KeyboardInterrupt as error:
        # The main thread knows whether a person did it; elsewhere it would end the loop.
        if not on_loop and threading.current_thread() is threading.main_thread():
            raise
        raise ToolCallError(told(name, error, limits.error_characters)) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task() if on_loop else None
        if task is not None and task.cancelling():
            raise
        raise ToolCallError(told(name, error, limits.error_characters)) from error
    except SystemExit as error:
        raise ToolCallError(f"{name}: the tool called sys.exit, so it gave no result.") from error
    except BaseException as error:  # a tool is any code: what it raises must end the call, not the turn or the kernel
        raise ToolCallError(told(name, error, limits.error_characters)) from error


default_registry = Registry()
"""What `@tool` adds to: in a notebook, running the cell that defines a tool is offering it."""
