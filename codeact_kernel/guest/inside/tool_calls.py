"""Tool calls, and what a value becomes on its way out."""

import builtins
import sys
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Mapping, Sequence
from importlib import import_module
from itertools import islice
from typing import Any, Protocol, cast

from codeact_kernel.wire.jsonable import Copier, Unsendable, tag_float

from .bootstrap import host

PROGRAM = "<program"
KEYS = 20
"""Keys of a dict that an error lists."""
_ROWS = 20_000
"""Of a table, as a value or an argument: what is more is meant to be looked at in the program."""


_parameters: dict[str, list[str]] = {}


class ToolError(Exception):
    """A tool call gave no result."""


class ToolFailed(ToolError):
    """The tool raised, does not exist, or was called with wrong arguments."""


class ToolDenied(ToolError):
    """The call was not allowed."""


for _kind in (ToolError, ToolFailed, ToolDenied):
    setattr(builtins, _kind.__name__, _kind)  # every program has them, also a module or a function that it makes
    _kind.__module__ = "builtins"  # so that a traceback names it as programs do

flushes: list[Callable[[], object]] = []
before_send: list[Callable[[str], object]] = []
before_end: list[Callable[[], object]] = []
under_way: dict[int, str] = {}
"""The names of submitted calls that nobody has waited for yet."""
last_keys: tuple[Any, ...] = ()
"""The keys of the last result, or of its first row: the first of them, for an error about one that is not there."""
read_ref: list[Callable[[Any], Any]] = []
"""Makes the value of a reference to a result that stays on the host. `data` sets it."""
before_call: list[Callable[[str, Mapping[str, Any]], tuple[Any] | None]] = []
"""Look for the answer to a call that somebody has made already (`prefetch.scheduler`)."""


def call_tool(name: str, /, *args: Any, **arguments: Any) -> Any:
    """Call a tool of the notebook and wait for its result. Arguments go by keyword.

    Raises ToolFailed or ToolDenied; both can be caught.
    """
    if args:
        raise TypeError(f'call_tool("{name}", ...) takes the tool\'s arguments as keywords')
    return call_and_wait(name, arguments)


def call_tool_async(name: str, /, **arguments: Any) -> Awaitable[Any]:
    """Call a tool without waiting: an awaitable. Several can be in flight, for example under `asyncio.gather`.

    Before there is an event loop nothing is sent: the call is made when it is awaited, as by `asyncio.run`.
    """
    return _event_loop().start(name, arguments)


class EventLoop(Protocol):
    """What tool calls need of the guest's event loop."""

    def start(self, name: str, arguments: Mapping[str, Any]) -> Awaitable[Any]: ...
    def adopted(self, call: int) -> Awaitable[Any]: ...


_event_loops: list[EventLoop] = []


def use_event_loop(loop: EventLoop) -> None:
    """Set the event loop for calls that are awaited. `event_loop` does so when asyncio is imported."""
    _event_loops[:] = [loop]


def _event_loop() -> EventLoop:
    import_module("asyncio")  # it takes a while, so only here; the importer then imports `event_loop`, too

    return _event_loops[0]


def prepare(name: str, arguments: Mapping[str, Any], line: int | None = None) -> Any:
    """A call that is to be sent off: its arguments are copied, and its line is noted."""
    return name, _plain_arguments(name, arguments), _line() if line is None else line


def submit(prepared: Any, together: int) -> int:
    """Send a prepared call off, one of so many; its id. The event loop fetches the answer."""
    return cast("int", _send(*prepared, together=together, wait=False))


def call_and_wait(name: str, arguments: Mapping[str, Any]) -> Any:
    """Send a call off and wait: its value, or its exception raised. One step to the host instead of two."""
    sent = _plain_arguments(name, arguments)
    known = [answer for look in before_call if (answer := look(name, sent)) is not None]
    ((_, answer),) = [(0, *known[0])] if known else _read(_send(name, sent, _line(), together=1, wait=True))
    return _value(answer)


class Pending:
    """A call under way. `result()` waits for its value, and so does `await`; both raise what the call raised."""

    def __init__(self, name: str, arguments: Mapping[str, Any], together: int = 1) -> None:
        self._name = name
        self._number = submit(prepare(name, arguments), together)
        self._answers: list[Any] = []
        under_way[self._number] = name

    def result(self) -> Any:
        if not self._answers:
            self._over(*(answer for _, answer in wait([self._number], None)))
        return _value(self._answers[0])

    def _over(self, answer: Any) -> None:
        self._answers.append(answer)
        under_way.pop(self._number, None)
        for tell in before_send:  # what it changed is changed now
            tell(self._name)

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._answers:
            try:
                answer = yield from _event_loop().adopted(self._number).__await__()
            except ToolError as error:
                answer = error
            self._over(answer)
        return _value(self._answers[0])


def call_each(name: str, arguments: Mapping[str, Any]) -> list[Any]:
    """A call for each item of the arguments that hold many, all in flight together: their values, in order.

    Raises what the first of them raised, in the order of the items.
    """
    lists = {key: list(value) for key, value in arguments.items() if not _is_one(value)}
    sizes = {len(one) for one in lists.values()}
    if len(sizes) != 1:
        lengths = ", ".join(f"{key}: {len(one)}" for key, one in lists.items())
        raise TypeError(f"{name}.map(...) takes lists of one length, and repeats what is no list ({lengths or 'none'})")
    (size,) = sizes
    each = [{key: lists[key][index] if key in lists else arguments[key] for key in arguments} for index in range(size)]
    calls = [Pending(name, one, size) for one in each]
    return [call.result() for call in calls]


def _is_one(value: Any) -> bool:
    return isinstance(value, (str, bytes, Mapping)) or not hasattr(type(value), "__iter__")


def _value(answer: Any) -> Any:
    global last_keys
    if isinstance(answer, ToolError):
        raise answer
    row = answer[0] if type(answer) is list and answer else answer
    if type(row) is dict:
        last_keys = tuple(islice(row, KEYS + 1))
    return answer


def service(name: str, /, **arguments: Any) -> Any:
    """Ask a service of the host, which is no tool: `name` has a dot, the arguments are plain data.

    Raises ToolFailed with the service's reason.
    """
    for tell in before_send:
        tell(name)
    ((_, answer),) = _read(host("call", name=name, arguments=arguments, line=0, together=1, wait=True))
    return _value(answer)


def wait(calls: Collection[int], seconds: float | None) -> Iterable[tuple[int, Any]]:
    """The answers there are to `calls`, after at most `seconds`: values, or exceptions to raise."""
    return _read(host("wait", calls=list(calls), seconds=seconds))


def _plain_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in arguments.items():
        try:
            made[key] = sendable(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}(): the argument {key} cannot be sent to a tool: {error}") from None
    return made


def _send(name: str, arguments: Mapping[str, Any], line: int, *, together: int, wait: bool) -> Any:
    for flush in flushes:
        flush()
    for tell in before_send:
        tell(name)
    try:
        return host("call", name=name, arguments=arguments, line=line, together=together, wait=wait)
    except ValueError as error:  # a lone surrogate
        raise TypeError(f"{name}(): an argument cannot be sent to a tool: {error}") from None
    except RuntimeError as error:
        raise ToolFailed(str(error)) from None


def _read(answers: Any) -> Iterable[tuple[int, Any]]:
    kinds = {"ToolDenied": ToolDenied, "ToolFailed": ToolFailed}
    for call, ok, payload in answers:
        if ok is None:
            yield call, read_ref[0](payload)
        else:
            yield call, payload if ok else kinds.get(payload[0], ToolFailed)(payload[1])


def as_function(name: str, parameters: list[str]) -> Any:
    """The tool as a plain function; positional arguments are named by the tool's own parameters.

    `tool.submit(...)` makes the call without waiting: a `Pending`. `tool.map(key=[...])` makes one for each item.
    """

    def tool(*args: Any, **arguments: Any) -> Any:
        return call_and_wait(name, named(name, args, arguments))

    def submitted(together: int, /, *args: Any, **arguments: Any) -> Pending:
        return Pending(name, named(name, args, arguments), together)

    def started(*args: Any, **arguments: Any) -> Awaitable[Any]:
        return call_tool_async(name, **named(name, args, arguments))

    function: Any = tool
    function.submit = lambda *args, **arguments: submitted(1, *args, **arguments)  # type: ignore[misc]
    function.map = lambda *args, **arguments: call_each(name, named(name, args, arguments))  # type: ignore[misc]
    function.__codeact_start__, function.__codeact_submit__ = started, submitted
    _parameters[name] = parameters
    tool.__name__ = tool.__qualname__ = name
    tool.__doc__ = f"The tool {name}({', '.join(parameters)}), which runs in the notebook."
    return tool


def submitting(function: Any) -> Callable[..., Pending] | None:
    """The function that submits the call of a tool; `None` for what is no tool."""
    if function is call_tool:

        def named(together: int, name: str, **arguments: Any) -> Pending:
            return Pending(name, arguments, together)

        return named
    if type(function).__name__ == "partial" and (start := submitting(function.func)) is not None:

        def partial(together: int, *args: Any, **arguments: Any) -> Pending:
            return start(together, *function.args, *args, **{**function.keywords, **arguments})

        return partial
    return getattr(function, "__codeact_submit__", None)


def named(name: str, args: Sequence[Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a tool by their names."""
    parameters = _parameters[name]
    if len(args) > len(parameters):
        raise TypeError(f"{name}() takes {len(parameters)} arguments ({', '.join(parameters)}), got {len(args)}")
    positional = dict(zip(parameters, args, strict=False))
    for key in positional:
        if key in arguments:
            raise TypeError(f"{name}() got two values for the argument {key}")
    return positional | dict(arguments)


def kind_of(value: object) -> str:
    """Return `"table"`, `"column"` or `"rows"` for data that stays on the host until it is used, else an empty text."""
    return getattr(type(value), "codeact_kind", "")


class _GuestCopier(Copier):
    def reduce_foreign(self, value: object) -> object:
        kind = kind_of(value)
        is_on_host = kind in ("table", "column") or (kind == "rows" and not cast("Any", value).is_whole)
        if is_on_host and isinstance(value, Sequence) and len(value) > _ROWS:
            raise Unsendable(f"{len(value):,} rows or values are too many here: take a part, or sum them up")
        return value


def plain(value: Any, depth: int = 30, non_finite: Callable[[float], Any] | None = None) -> Any:
    """`value` as plain data, by the rule that holds for tools' results as well (`wire.jsonable`).

    Raises TypeError for what has no such form.
    """
    return _GuestCopier(depth, non_finite).copy(value)


def key_text(label: Any) -> str:
    """The text that a key of a dict, or the name of a column, becomes.

    Raises TypeError where it has none.
    """
    return _GuestCopier(1).copy_key(label)


def sendable(value: Any) -> Any:
    """`value` as plain data that the bridge carries: infinity and NaN have their tags.

    Raises TypeError for what has no such form.
    """
    return plain(value, non_finite=tag_float)


def _line() -> int:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(PROGRAM):
            return frame.f_lineno
        frame = frame.f_back
    return 0
