"""Make tool calls, and convert values to JSON on their way out."""

import builtins
import sys
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Mapping, Sequence
from importlib import import_module
from itertools import islice
from typing import Any, Protocol, cast

from codeact_kernel.wire.jsonable import Copier, Unsendable, tag_float

from .bootstrap import exchange, host

PROGRAM = "<program"
MAX_KEYS = 20
"""Maximum number of a dict's keys that an error lists."""
_MAX_ROWS = 20_000
"""Maximum number of rows of a table that is passed as a value or an argument."""
_MAX_CELLS = 200_000
"""Maximum number of values of a DataFrame or an array that is passed in the same way."""


_parameters: dict[str, list[str]] = {}


class ToolError(Exception):
    """A tool call returned no result."""


class ToolFailed(ToolError):
    """The tool raised an exception, does not exist, or was called with wrong arguments."""


class ToolDenied(ToolError):
    """The call was not allowed."""


for _kind in (ToolError, ToolFailed, ToolDenied):
    setattr(builtins, _kind.__name__, _kind)  # available everywhere, also in modules that the program creates
    _kind.__module__ = "builtins"  # so that tracebacks show the name that programs use

flush_hooks: list[Callable[[], object]] = []
"""Called before a call is sent, so that printed text and earlier calls keep their order."""
on_call_sent: list[Callable[[str], object]] = []
"""Called with the name of a tool when its call is sent."""
on_host_call: list[Callable[[str, str], object]] = []
"""Called with the capability and the method when a handler of the host is called."""
source_hooks: list[Callable[[str], object]] = []
"""Called with the text of a program, or with its next statements, before these run."""
on_program_end: list[Callable[[], object]] = []
"""Called at the end of a program."""
pending_calls: dict[int, str] = {}
"""The names of submitted calls that nothing has waited for yet."""
last_keys: tuple[Any, ...] = ()
"""The first keys of the last result, or of its first row. An error about a missing key lists them."""
read_ref: list[Callable[[Any], Any]] = []
"""Makes the value for a reference to a result that stays on the host. `data` sets it."""
answer_lookups: list[Callable[[str, Mapping[str, Any]], tuple[Any] | None]] = []
"""Look for the answer to a call that was prefetched (`prefetch.scheduler`)."""


def call_tool(name: str, /, *args: Any, **arguments: Any) -> Any:
    """Call a tool of the notebook and wait for its result. Pass its arguments as keywords.

    Raises ToolFailed or ToolDenied; both can be caught.
    """
    if args:
        raise TypeError(f'call_tool("{name}", ...) takes the tool\'s arguments as keywords')
    return call_and_wait(name, arguments)


def call_tool_async(name: str, /, **arguments: Any) -> Awaitable[Any]:
    """Call a tool without waiting, and return an awaitable. Calls under `asyncio.gather` run in parallel.

    Without a running event loop, the call is sent when the awaitable is awaited, for example by `asyncio.run`.
    """
    return _get_event_loop().start_call(name, arguments)


class EventLoop(Protocol):
    """The functions of the guest's event loop that tool calls need."""

    def start_call(self, name: str, arguments: Mapping[str, Any]) -> Awaitable[Any]: ...
    def adopt_call(self, call: int) -> Awaitable[Any]: ...
    def is_busy(self) -> bool: ...


_event_loops: list[EventLoop] = []


def use_event_loop(loop: EventLoop) -> None:
    """Set the event loop for awaited calls. `event_loop` does this when asyncio is imported."""
    _event_loops[:] = [loop]


def is_event_loop_busy() -> bool:
    """Return whether calls of an event loop are open. Without asyncio there is no event loop."""
    return any(loop.is_busy() for loop in _event_loops)


def _get_event_loop() -> EventLoop:
    import_module("asyncio")  # slow, so only when needed; the importer then imports `event_loop` as well

    return _event_loops[0]


def prepare(name: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
    """Copy the arguments of a call that will be sent, and note its line."""
    return name, _copy_arguments(name, arguments), _find_line() if line is None else line


def submit(prepared: Any, batch_size: int) -> int:
    """Send a prepared call, and return its id. The event loop fetches the answer.

    Args:
        prepared: from `prepare`.
        batch_size: how many calls the program makes together with this one.
    """
    return cast("int", _send(*prepared, batch_size=batch_size, wait=False))


def call_and_wait(name: str, arguments: Mapping[str, Any]) -> Any:
    """Make a call and wait for its result. This takes one step to the host instead of two.

    Returns:
        The value of the call.

    Raises:
        ToolFailed: the tool raised, does not exist, or was called with wrong arguments.
        ToolDenied: the call was not allowed.
    """
    sent = _copy_arguments(name, arguments)
    for look_up in answer_lookups:
        if (prefetched := look_up(name, sent)) is not None:
            return _return_or_raise(*prefetched)
    ((_, answer),) = _read_answers(_send(name, sent, _find_line(), batch_size=1, wait=True))
    return _return_or_raise(answer)


class PendingCall:
    """A call that was sent. `result()` and `await` wait for its value, and raise what the call raised."""

    def __init__(self, name: str, arguments: Mapping[str, Any], batch_size: int = 1) -> None:
        self._name = name
        self._number = submit(prepare(name, arguments), batch_size)
        self._answers: list[Any] = []
        pending_calls[self._number] = name

    def result(self) -> Any:
        if not self._answers:
            self._finish(*(answer for _, answer in wait([self._number], None)))
        return _return_or_raise(self._answers[0])

    def _finish(self, answer: Any) -> None:
        self._answers.append(answer)
        pending_calls.pop(self._number, None)
        for hook in on_call_sent:  # its side effects have happened by now
            hook(self._name)

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._answers:
            try:
                answer = yield from _get_event_loop().adopt_call(self._number).__await__()
            except ToolError as error:
                answer = error
            self._finish(answer)
        return _return_or_raise(self._answers[0])


def call_each(name: str, arguments: Mapping[str, Any]) -> list[Any]:
    """Make one call for each item of the list arguments, in parallel, and return their values in order.

    Raises:
        TypeError: no argument is a list, or the lists differ in length.
        ToolError: a call failed; the first error in the order of the items is raised.
    """
    lists = {key: list(value) for key, value in arguments.items() if not _is_single(value)}
    sizes = {len(items) for items in lists.values()}
    if len(sizes) != 1:
        lengths = ", ".join(f"{key}: {len(items)}" for key, items in lists.items())
        raise TypeError(
            f"{name}.map(...) takes lists of equal length and repeats other values ({lengths or 'no list'})"
        )
    (size,) = sizes
    rows = [{key: lists[key][index] if key in lists else arguments[key] for key in arguments} for index in range(size)]
    calls = [PendingCall(name, row, size) for row in rows]
    return [call.result() for call in calls]


def _is_single(value: Any) -> bool:
    return isinstance(value, (str, bytes, Mapping)) or not hasattr(type(value), "__iter__")


def _return_or_raise(answer: Any) -> Any:
    global last_keys
    if isinstance(answer, ToolError):
        raise answer
    row = answer[0] if type(answer) is list and answer else answer
    if type(row) is dict:
        last_keys = tuple(islice(row, MAX_KEYS + 1))
    return answer


def call_host(capability: str, method: str, /, **arguments: Any) -> Any:
    """Call a handler in the host half of a capability, with arguments that are JSON.

    Raises:
        ToolFailed: the host rejected the call; the text is the reason.
    """
    for hook in on_host_call:
        hook(capability, method)
    answers = host("call_host", capability=capability, method=method, arguments=arguments)
    ((_, answer),) = _read_answers(answers)
    return _return_or_raise(answer)


def exchange_bytes(capability: str, method: str, data: bytes = b"", /, **arguments: Any) -> bytes:
    """Call a handler as `call_host` does, with bytes that belong to the arguments. Return the bytes of its answer.

    Raises:
        ToolFailed: the host rejected the call; the text is the reason.
    """
    for hook in on_host_call:
        hook(capability, method)
    answers, attached = exchange("call_host", data, capability=capability, method=method, arguments=arguments)
    ((_, answer),) = _read_answers(answers)
    _return_or_raise(answer)
    return attached


def wait(calls: Collection[int], seconds: float | None) -> Iterable[tuple[int, Any]]:
    """Wait at most `seconds` for answers to these calls. Yields ids with values, or with exceptions to raise."""
    return _read_answers(host("wait", calls=list(calls), seconds=seconds))


def _copy_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    copies: dict[str, Any] = {}
    for key, value in arguments.items():
        try:
            copies[key] = to_sendable(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}(): the argument {key} cannot be sent to a tool: {error}") from None
    return copies


def _send(name: str, arguments: Mapping[str, Any], line: int, *, batch_size: int, wait: bool) -> Any:
    for flush in flush_hooks:
        flush()
    for hook in on_call_sent:
        hook(name)
    try:
        return host("call_tool", name=name, arguments=arguments, line=line, batch_size=batch_size, wait=wait)
    except ValueError as error:  # a lone surrogate
        raise TypeError(f"{name}(): an argument cannot be sent to a tool: {error}") from None
    except RuntimeError as error:
        raise ToolFailed(str(error)) from None


def _read_answers(answers: Any) -> Iterable[tuple[int, Any]]:
    kinds = {"ToolDenied": ToolDenied, "ToolFailed": ToolFailed}
    for call, ok, payload in answers:
        if ok is None:
            yield call, read_ref[0](payload)
        else:
            yield call, payload if ok else kinds.get(payload[0], ToolFailed)(payload[1])


def make_tool_function(name: str, parameters: list[str]) -> Any:
    """Return a function that calls the tool. Positional arguments are named by the tool's own parameters.

    `tool.submit(...)` makes the call without waiting and returns a `PendingCall`. `tool.map(key=[...])` makes one call
    for each item.
    """

    def tool(*args: Any, **arguments: Any) -> Any:
        return call_and_wait(name, name_arguments(name, args, arguments))

    def submit_batch(batch_size: int, /, *args: Any, **arguments: Any) -> PendingCall:
        return PendingCall(name, name_arguments(name, args, arguments), batch_size)

    def start(*args: Any, **arguments: Any) -> Awaitable[Any]:
        return call_tool_async(name, **name_arguments(name, args, arguments))

    function: Any = tool
    function.submit = lambda *args, **arguments: submit_batch(1, *args, **arguments)  # type: ignore[misc]
    function.map = lambda *args, **arguments: call_each(name, name_arguments(name, args, arguments))  # type: ignore[misc]
    function.__codeact_start__, function.__codeact_submit__ = start, submit_batch
    _parameters[name] = parameters
    tool.__name__ = tool.__qualname__ = name
    tool.__doc__ = f"The tool {name}({', '.join(parameters)}), which runs in the notebook."
    return tool


def get_submit_function(function: Any) -> Callable[..., PendingCall] | None:
    """Return the function that submits a call of this tool, or `None` if the function is not a tool."""
    if function is call_tool:

        def submit_call(batch_size: int, name: str, /, **arguments: Any) -> PendingCall:
            return PendingCall(name, arguments, batch_size)

        return submit_call
    if type(function).__name__ == "partial" and (start := get_submit_function(function.func)) is not None:

        def submit_partial(batch_size: int, /, *args: Any, **arguments: Any) -> PendingCall:
            return start(batch_size, *function.args, *args, **{**function.keywords, **arguments})

        return submit_partial
    return getattr(function, "__codeact_submit__", None)


def name_arguments(name: str, args: Sequence[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a tool by their names."""
    parameters = _parameters[name]
    if len(args) > len(parameters):
        raise TypeError(f"{name}() takes {len(parameters)} arguments ({', '.join(parameters)}), got {len(args)}")
    positional = dict(zip(parameters, args, strict=False))
    for key in positional:
        if key in arguments:
            raise TypeError(f"{name}() got two values for the argument {key}")
    return positional | dict(arguments)


def get_kind(value: object) -> str:
    """Return `"table"`, `"column"` or `"rows"` for data that stays on the host until it is used, otherwise `""`."""
    return getattr(type(value), "codeact_kind", "")


class _GuestCopier(Copier):
    def reduce_foreign(self, value: object) -> object:
        kind = get_kind(value)
        is_on_host = kind in ("table", "column") or (kind == "rows" and not cast("Any", value).is_whole)
        if is_on_host and isinstance(value, Sequence) and len(value) > _MAX_ROWS:
            raise Unsendable(f"{len(value):,} rows or values are too many: pass a part, or aggregate them")
        if "numpy" in sys.modules:  # a value of these libraries only exists where they are loaded
            from codeact_kernel.wire.data_libraries import cells, plain

            if cells(value) > _MAX_CELLS:
                raise Unsendable(f"{cells(value):,} values are too many: take a part, or aggregate them")
            return plain(value)
        return value


def to_jsonable(value: Any, depth: int = 30, non_finite: Callable[[float], Any] | None = None) -> Any:
    """Return `value` as JSON data, by the same rule as for results of tools (`wire.jsonable`).

    Raises:
        TypeError: the value, or a part of it, has no JSON form.
    """
    return _GuestCopier(depth, non_finite).copy(value)


def to_key_text(label: Any) -> str:
    """Return the text for a key of a dict or for the name of a column.

    Raises:
        TypeError: the key has no text.
    """
    return _GuestCopier(1).copy_key(label)


def to_sendable(value: Any) -> Any:
    """Return `value` as JSON data that the bridge carries. Infinity and NaN are tagged.

    Raises:
        TypeError: the value, or a part of it, has no JSON form.
    """
    return to_jsonable(value, non_finite=tag_float)


def _find_line() -> int:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(PROGRAM):
            return frame.f_lineno
        frame = frame.f_back
    return 0
