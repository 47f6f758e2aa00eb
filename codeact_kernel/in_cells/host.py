"""Answer the guest's code in this process: the calls of tools, and the data and items that it reads and shows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from itertools import count
from typing import Any, TypeVar

from ..capabilities.data import Data, Input
from ..capabilities.data.outputs import Frame, OutputReceiver
from ..capabilities.show import Show
from ..errors import ProgramError, UserError
from ..settings import Limits
from ..tools import Registry, ToolCallError
from ..types import DisplayItem, JSONObject, JSONValue, StoredResult
from ..wire.jsonable import untag_floats

__all__ = ["Answer", "CellHost"]

T = TypeVar("T")
Answer = tuple[int, bool | None, Any]
"""The id of a call, whether it has a value, and the value or the kind and text of the error. With `None` the value is a
reference to a large value that stays here."""


class CellHost:
    """Answers for the cells of one notebook.

    Args:
        submit: starts a coroutine on the event loop of the async tools.
        display: displays an item that a cell shows.
    """

    def __init__(
        self, submit: Callable[[Coroutine[Any, Any, T]], Future[T]], display: Callable[[DisplayItem], None]
    ) -> None:
        self._submit: Callable[[Coroutine[Any, Any, Any]], Future[Any]] = submit
        self._display = display
        self._limits = Limits()
        self._tools: dict[str, Registry] = {}
        self._numbers = count(1)
        self._calls: dict[int, Future[Answer]] = {}
        self._data: dict[int, tuple[Data, int]] = {}
        self._show = self._new_show()
        self._receiver: OutputReceiver | None = None
        self.received: Frame | JSONValue = None

    def add_tool(self, name: str, registry: Registry) -> None:
        """Answer calls of a tool by the tool of this name in the registry."""
        self._tools[name] = registry

    def refer(self, variable: Input) -> JSONObject:
        """Return a reference to a variable, from which the guest's code makes the value that a program gets."""
        data = Data([variable], (), self._limits)
        config: Any = data.guest_config
        return self._register(data, config["inputs"][variable.name])

    def refer_to_result(self, value: Frame | JSONValue) -> JSONObject:
        """Return a reference to the value of an earlier prompt."""
        data = Data((), (), self._limits, earlier={1: value})
        return self._register(data, run_now(data.handlers["result"]({"number": 1})))

    def release(self, number: int) -> None:
        """Forget a value, because nothing in the notebook refers to it any more."""
        self._data.pop(number, None)

    def start_item(self) -> None:
        """Count the limits of what is shown from here on."""
        self._show = self._new_show()

    def __call__(self, op: str, **fields: Any) -> Any:
        """Do an operation of the guest's code, as the worker does it."""
        match op:
            case "call_tool":
                number = self.start(fields["name"], fields["arguments"])
                return self._collect([number]) if fields["wait"] else number
            case "wait":
                return self._collect(fields["calls"])
            case "call_host":
                return [self._call_host(fields["capability"], fields["method"], fields["arguments"])]
            case _:
                raise RuntimeError(f"a cell has no operation {op}")

    def start(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Start a call, and return its id. A synchronous tool has ended then."""
        number = next(self._numbers)
        self._calls[number] = self._start(number, name, untag_floats(dict(arguments)))
        return number

    def future(self, number: int) -> Future[Answer]:
        """Return the future answer of a call."""
        return self._calls[number]

    def _start(self, number: int, name: str, arguments: JSONObject) -> Future[Answer]:
        registry = self._tools.get(name)
        spec = None if registry is None else registry.get(name)
        if registry is None or spec is None:
            return _done((number, False, ["ToolFailed", f"There is no tool {name[:64]!r} in this notebook."]))
        call = self._answer(number, registry, name, arguments)
        if spec.is_async or spec.thread_safe:
            return self._submit(call)
        return _done(run_now(call))

    async def _answer(self, number: int, registry: Registry, name: str, arguments: JSONObject) -> Answer:
        data = Data((), (), self._limits)
        try:
            bound = registry.validate(name, arguments, limits=self._limits)
            value = await registry.call(bound, on_main=_inline, limits=self._limits, convert=data.result)
        except ToolCallError as error:
            return number, False, ["ToolFailed", str(error)]
        if isinstance(value, StoredResult):
            return number, None, self._register(data, value.guest_ref)
        return number, True, value

    def _collect(self, numbers: list[int]) -> list[Answer]:
        answers: list[Answer] = []
        for number in numbers:
            future = self._calls[number]
            if not future.done() and threading.current_thread().name == "codeact":
                raise RuntimeError(
                    "an async tool is called without `await` on its own event loop: write await tool.start()"
                )
            answers.append(future.result())
            del self._calls[number]
        return answers

    def _call_host(self, capability: str, method: str, arguments: JSONObject) -> Answer:
        try:
            return 0, True, self._handle(capability, method, arguments)
        except (ProgramError, UserError) as error:
            return 0, False, ["ToolFailed", str(error)]

    def _handle(self, capability: str, method: str, arguments: JSONObject) -> JSONValue:
        match capability, method:
            case "data", "column" | "text":
                key = "table" if method == "column" else "value"
                data, number = self._data[int(str(arguments[key]))]
                return run_now(data.handlers[method]({**arguments, key: number}))
            case "data", "put":
                self._receiver = OutputReceiver(str(arguments["name"]), arguments, self._limits.outputs_bytes)
            case "data", "part" if self._receiver is not None:
                self._receiver.take(arguments)
            case "data", "done" if self._receiver is not None:
                self.received, self._receiver = self._receiver.assemble(), None
            case "show", "item":
                return run_now(self._show.handlers["item"](arguments))
            case _:
                raise ProgramError("a cell does not have this")
        return None

    def _register(self, data: Data, ref: JSONObject) -> JSONObject:
        number = next(self._numbers)
        self._data[number] = data, int(str(ref["id"]))
        return {**ref, "id": number}

    def _new_show(self) -> Show:
        return Show(self._display, self._limits.show)


def run_now(coroutine: Any) -> Any:
    """Run a coroutine that never waits, and return its value.

    Raises:
        UserError: it waits.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise UserError("The tool returns something to await, but is not an `async def`: write it with `async def`.")


def _done(answer: Answer) -> Future[Answer]:
    future: Future[Answer] = Future()
    future.set_result(answer)
    return future


async def _inline(function: Callable[[], object]) -> object:
    return function()
