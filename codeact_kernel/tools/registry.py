"""The tools on offer by name, and the only way in which a call reaches a function of the user."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

from ..errors import ProgramError, ToolDefinitionError, UserError
from ..secrets import SecretUnavailable, hide_in
from ..settings import Limits
from ..text import format_list, truncate
from ..types import JSONValue, StoredResult
from .conversion import as_tool
from .event_loops import BlockedWait, await_tool, explain
from .progress import Report, reporting
from .questions import Ask, asking
from .redaction import is_tools_own, redact_error
from .schema import ToolSignature
from .shapes import ANY, TypeShape, merge, shape_of_value
from .spec import MARK, BoundCall, Convert, OnMain, Tool, ToolCallError, ToolSpec
from .threads import in_thread
from .to_json import is_plain, to_json

__all__ = ["MARK", "Registry", "default_registry", "get_tool"]

DEFAULT_LIMITS = Limits()
MAX_NAMES_LISTED = 20
MAX_RESULTS_EXAMINED = 10
"""Results of one tool that are searched for text that holds JSON."""


def get_tool(function: Callable[..., object]) -> Tool:
    """Return the tool that `@tool` attached to `function`.

    Raises:
        ToolDefinitionError: The function is not marked.
    """
    tool = getattr(function, MARK, None)
    if not isinstance(tool, Tool):
        raise ToolDefinitionError(f"{getattr(function, '__name__', 'This')} is not a tool: put @tool on it first.")
    return tool


class Registry:
    """The tools on offer, in the order in which they were first defined.

    Cells define tools on the main thread while a turn may read on another thread, so each change is one dict
    operation, and each reader copies the dict first.

    Attributes:
        last_error: The last exception of a tool, with its traceback: for the user, never for the program.
    """

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self._seen: dict[str, TypeShape] = {}
        self._looks: dict[str, int] = {}
        self._plain: dict[str, bool] = {}
        self.last_error: BaseException | None = None

    def add(self, target: object) -> None:
        """Offer a function, with `@tool` or without, or anything else that `tool` accepts.

        It takes the place of a tool with the same name.

        Raises:
            ToolDefinitionError: It cannot be offered; the message says what to change.
        """
        tool = getattr(target, MARK, None)
        self.add_tool(tool if isinstance(tool, Tool) else as_tool(target, find_taken=self.names_of_others))

    def add_tool(self, tool: Tool) -> None:
        """Offer a tool. It takes the place of a tool with the same name."""
        before = self._tools.get(tool.spec.name)
        if before is not None and before.spec.version != tool.spec.version:
            self._forget(tool.spec.name)
        self._tools[tool.spec.name] = tool

    def replace_origin(self, origin: str, tools: Iterable[Tool]) -> None:
        """Offer exactly these tools from one server or description, and no other tool from there.

        The tools have names that `names_taken(origin)` does not contain.
        """
        kept = {tool.spec.name: tool for tool in tools}
        for name, spec in self.specs().items():
            if spec.origin == origin and name not in kept:
                self.remove(name)
        for tool in kept.values():
            self.add_tool(tool)

    def names_taken(self, origin: str) -> set[str]:
        """Return the names that no tool from there may have, because another tool has them."""
        return {name for name, tool in list(self._tools.items()) if tool.spec.origin != origin}

    def names_of_others(self, own_name: str) -> set[str]:
        """Return the names that a tool with this own name may not have, because other tools have them."""
        return {name for name, tool in list(self._tools.items()) if tool.spec.own_name != own_name}

    def remove(self, name: str) -> None:
        """Stop offering the tool `name`.

        Raises:
            UserError: There is no such tool.
        """
        if self._tools.pop(name, None) is None:
            raise UserError(f"There is no tool {name!r} to remove. {self._list_names()}")
        self._forget(name)

    def clear(self) -> None:
        self._tools.clear()
        self._seen.clear()
        self._looks.clear()
        self._plain.clear()
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

    def tool(self, name: str) -> Tool:
        """Return the tool `name`, for another registry.

        Raises:
            KeyError: There is no such tool.
        """
        return self._tools[name]

    def signature(self, name: str) -> ToolSignature:
        """Return the signature of a tool as it was declared.

        Raises:
            KeyError: There is no such tool.
        """
        return self._tools[name].signature

    def specs(self, *, as_frames: bool = False) -> dict[str, ToolSpec]:
        """Return all tools by name, with stubs that include the shapes of results seen so far.

        Args:
            as_frames: Whether the stubs are for programs that get DataFrames as such.
        """
        specs = {name: self._spec(tool) for name, tool in list(self._tools.items())}
        return {name: spec.with_frames() for name, spec in specs.items()} if as_frames else specs

    def is_plain(self, name: str) -> bool:
        """Return whether every call so far passed plain data to the function and got plain data from it.

        Then a program can call the function itself, outside of the sandbox, with the same result.
        """
        return self._plain.get(name, False)

    def validate(self, name: str, arguments: Mapping[str, JSONValue], *, limits: Limits = DEFAULT_LIMITS) -> BoundCall:
        """Check a call before the user is asked about it.

        Raises:
            ToolCallError: The tool is unknown, or does not accept the arguments.
        """
        tool = self._tools.get(name)
        if tool is None:
            message = f"There is no tool {name[:64]!r}. {self._list_names()}"
            raise ToolCallError(truncate(message, limits.error_characters, "..."))
        _check_unchanged(tool)
        own_arguments = tool.spec.own_arguments(arguments)
        bound = BoundCall(tool=tool, arguments=_canonical(tool.spec.name, own_arguments, limits))
        _bind(bound, limits)
        return bound

    def with_arguments(
        self, bound: BoundCall, arguments: Mapping[str, JSONValue], *, limits: Limits = DEFAULT_LIMITS
    ) -> BoundCall:
        """Return the same call of the same tool with other arguments.

        Raises:
            ToolCallError: The tool does not accept them.
        """
        own_arguments = bound.tool.spec.own_arguments(arguments)
        changed = replace(bound, arguments=_canonical(bound.tool.spec.name, own_arguments, limits))
        _bind(changed, limits)
        return changed

    def is_current(self, bound: BoundCall) -> bool:
        """Return whether the tool of the call is still on offer in the same version."""
        tool = self._tools.get(bound.tool.spec.name)
        return tool is not None and tool.spec.version == bound.tool.spec.version

    async def call(
        self,
        bound: BoundCall,
        *,
        on_main: OnMain,
        limits: Limits = DEFAULT_LIMITS,
        report: Report | None = None,
        ask: Ask | None = None,
        convert: Convert | None = None,
    ) -> JSONValue | StoredResult:
        """Run the tool and return its result as JSON.

        `on_main` runs a synchronous function, or a new thread does if the tool is `thread_safe`. Its result is copied
        there too, so that later changes by the tool have no effect. KeyboardInterrupt and cancellation pass through;
        every other exception becomes a ToolCallError.

        Args:
            report: Receives the progress that the tool reports.
            ask: Asks the user what the tool wants to know.
            convert: Turns the tool's result into JSON, and may store a large result. By default `to_json`.

        Raises:
            ToolCallError: The tool raised an exception, or its result cannot be sent.
        """
        try:
            with asking(ask):
                answer = await self._run(bound, on_main, limits, report, convert or _to_json)
        except ToolCallError as error:
            self.last_error = error.__cause__ or error
            raise
        self._remember(bound.tool, answer.preview if isinstance(answer, StoredResult) else answer)
        return answer

    async def _run(
        self, bound: BoundCall, on_main: OnMain, limits: Limits, report: Report | None, convert: Convert
    ) -> JSONValue | StoredResult:
        tool = bound.tool
        _check_unchanged(tool)
        arguments = _bind(bound, limits)  # bound again: nothing that happened since the approval can change them

        def run() -> object:
            with _as_tool_error(bound, limits), reporting(report):
                value = tool.function(**arguments)
            return value if inspect.isawaitable(value) else finish(value)

        def finish(value: object) -> JSONValue | StoredResult:
            result = hide_in(_convert_result(bound, value, limits, convert))
            self._remember_plainness(bound, arguments, value, is_stored=isinstance(result, StoredResult))
            return result

        where = in_thread if tool.spec.thread_safe else on_main
        result = run() if tool.spec.is_async else await where(run)
        if inspect.isawaitable(result):
            with _as_tool_error(bound, limits, on_loop=True), reporting(report):
                result = await await_tool(result)
            result = finish(result)
        return cast("JSONValue | StoredResult", result)

    def _remember(self, tool: Tool, answer: JSONValue) -> None:
        name = tool.spec.name
        returns = tool.signature.returns
        if self._tools.get(name) is not tool:
            return
        looks = self._looks[name] = self._looks.get(name, 0) + 1
        if returns.is_vague or (returns.may_hold_json and looks <= MAX_RESULTS_EXAMINED):
            self._seen[name] = merge(self._seen.get(name, ANY), shape_of_value(answer))

    def _remember_plainness(
        self, bound: BoundCall, arguments: Mapping[str, object], value: object, *, is_stored: bool
    ) -> None:
        name = bound.tool.spec.name
        if self._tools.get(name) is bound.tool and self._plain.get(name, True):
            is_same = not is_stored and is_plain(value) and is_plain(arguments) and hide_in(value) is value
            self._plain[name] = is_same and json.loads(bound.arguments) == arguments

    def _forget(self, name: str) -> None:
        self._plain.pop(name, None)
        self._seen.pop(name, None)
        self._looks.pop(name, None)

    def _spec(self, tool: Tool) -> ToolSpec:
        shape = self._seen.get(tool.spec.name)
        if shape is None:
            return tool.spec
        frame_stub = tool.signature.stub(shape, as_frame=True) if tool.spec.frame_stub else ""
        return replace(tool.spec, stub=tool.signature.stub(shape), frame_stub=frame_stub)

    def _list_names(self) -> str:
        if not self._tools:
            return "No tool is defined."
        return f"The tools are: {format_list(list(self._tools), MAX_NAMES_LISTED, ', ...')}."


def _check_unchanged(tool: Tool) -> None:
    if not tool.is_unchanged:
        raise ToolCallError(f"{tool.spec.name} was changed after it was offered: run its cell again.", is_final=True)


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


def _bind(bound: BoundCall, limits: Limits) -> dict[str, object]:
    with _as_tool_error(bound, limits, is_checking=True):  # validators are the user's code and may raise anything
        try:
            return bound.tool.signature.bind(bound.arguments)
        except ProgramError as error:
            raise ToolCallError(truncate(str(error), limits.error_characters, "...")) from None


def _to_json(value: object, limits: Limits) -> JSONValue:
    return to_json(value, limits=limits)


def _convert_result(bound: BoundCall, value: object, limits: Limits, convert: Convert) -> JSONValue | StoredResult:
    name = bound.tool.spec.name
    with _as_tool_error(bound, limits):  # the attributes of the result are the user's code as well
        try:
            return convert(value, limits)
        except ProgramError as error:
            raise ToolCallError(truncate(f"{name}: {error}", limits.error_characters, "...")) from None


@contextmanager
def _as_tool_error(
    bound: BoundCall, limits: Limits, *, on_loop: bool = False, is_checking: bool = False
) -> Generator[None]:
    """Turn any exception of the user's code into an error that the program may see.

    Args:
        is_checking: The code checks the arguments, so an error is about them.

    Raises:
        ToolCallError: The code raised an exception.
    """
    name = bound.tool.spec.name

    def failed(error: BaseException) -> ToolCallError:
        text = redact_error(name, error, limits.error_characters, bound.arguments)
        on_main = threading.current_thread() is threading.main_thread()
        if advice := explain(text, on_loop=on_loop, on_main=on_main):
            text = f"{truncate(text, max(0, limits.error_characters - len(advice) - 2), '...')}: {advice}"
        return ToolCallError(text, is_final=not is_checking and is_tools_own(error, bound.arguments))

    try:
        yield
    except ToolCallError:
        raise
    except KeyboardInterrupt as error:
        # On the main thread it may come from the user; on another thread it would end the event loop.
        if not on_loop and threading.current_thread() is threading.main_thread():
            raise
        raise failed(error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task() if on_loop else None
        if task is not None and task.cancelling():
            raise
        raise failed(error) from error
    except SystemExit as error:
        raise ToolCallError(f"{name}: the tool called sys.exit, so it gave no result.", is_final=True) from error
    except (BlockedWait, SecretUnavailable) as error:
        raise ToolCallError(truncate(f"{name}: {error}", limits.error_characters, "..."), is_final=True) from error
    except BaseException as error:  # an exception of a tool must end the call, not the turn or the kernel
        raise failed(error) from error


default_registry = Registry()
"""The registry of `@tool`: in a notebook, running the cell that defines a tool offers it."""
