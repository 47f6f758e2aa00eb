"""The one function that a guest can call, with every backend. It takes an operation and returns its result, as JSON.

    job                               get the program, its number, the parameters of the tools, and the capabilities
    write(stream, text)               print a text
    call_tool(name, arguments, line, batch_size, wait)
                                      send one of `batch_size` calls: returns its id, or with `wait` its answer as
                                      `wait` does
    call_host(capability, method, arguments)
                                      call a handler of a capability, and return the answer as `wait` does; bytes may
                                      belong to the call and to its answer
    wait(calls, seconds)              get answers: [[id, true, value] or [id, false, [kind, message]], ...], or
                                      [id, null, reference] for a value that stays in the kernel
    sleep(seconds)                    wait
    module(name), source(name)        get them from the pack, or null
    result(...)                       report the outcome, after which nothing is accepted

Every operation is hostile. A rejected operation raises `Rejected`, which the guest sees as an exception. `chunking.py`
says how an operation gets here.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping

from ..bridge.messages import LAST_LINE, MAX_NAME_LENGTH, outcome_from_json
from ..bridge.strict_json import loads, to_text
from ..errors import BridgeError
from ..guest import Pack
from ..guest.sources import own_module
from ..limits import WorkerLimits
from ..text import format_bytes
from ..types import CallError, JSONObject, JSONValue, ProgramFailure, RunOutcome
from .chunking import Chunking, Rejected
from .interfaces import Host, RunRequest

__all__ = ["HostFunction"]

_LIBRARY = ("module", "source", "zone")


class HostFunction:
    """Serve the operations of the guests of one worker.

    Attributes:
        outcome: the outcome that the current run has reported; `None` before that.
    """

    def __init__(self, host: Host, pack: Pack, limits: WorkerLimits) -> None:
        self.outcome: RunOutcome | None = None
        self._host = host
        self._pack = pack
        self._limits = limits
        self._job: RunRequest | None = None
        self._number = 0
        self._size = 0  # of the current operation
        self._data = self._answer_data = b""  # what belongs to it, and to its answer
        self._chunking = Chunking(self._read, self._serve, limits.frame_bytes)
        self._operations: Mapping[str, Callable[[JSONObject], JSONValue]] = {
            "job": self._get_job,
            "write": self._write,
            "call_tool": self._call_tool,
            "call_host": self._call_host,
            "wait": self._wait,
            "sleep": self._sleep,
            "module": self._module,
            "source": self._source,
            "zone": self._zone,
            "result": self._result,
        }

    def begin(self, job: RunRequest, number: int) -> None:
        """Start to serve a new run."""
        self._job, self._number, self.outcome = job, number, None
        self._chunking.clear()

    def end(self) -> RunOutcome | None:
        """End the run and return its outcome, if it reported one. Until the next run only the library is served."""
        outcome = self.outcome
        self._job = self.outcome = None
        self._chunking.clear()
        return outcome

    def __call__(self, message: Mapping[str, object]) -> str:
        return self._chunking(message)

    def whole(self, operation: JSONObject, size: int) -> str:
        """Answer an operation that came in one message of `size` bytes."""
        self._size = size
        return self._chunking.whole(operation)

    def whole_with_data(self, operation: JSONObject, size: int, data: bytes) -> tuple[str, bytes]:
        """Answer an operation that `data` belongs to. Return the bytes that belong to the answer as well."""
        self._data, self._answer_data = data, b""
        try:
            return self.whole(operation, size), self._answer_data
        finally:
            self._data = self._answer_data = b""

    def _read(self, text: str) -> JSONObject:
        self._size = len(text)
        try:
            operation = loads(text.encode(), limit=self._limits.frame_bytes, depth=self._limits.depth + 3)
        except (BridgeError, ValueError) as error:
            raise Rejected(str(error)) from None
        if not isinstance(operation, dict):
            raise Rejected("there is no such operation")
        return operation

    def _serve(self, operation: JSONObject) -> str:
        name = operation.get("op")
        serve = self._operations.get(name) if isinstance(name, str) else None
        if serve is None:
            raise Rejected("there is no such operation")
        if self.outcome is not None or (self._job is None and name not in _LIBRARY):
            raise Rejected("the run is over")
        return to_text(serve(operation))

    def _get_job(self, _: JSONObject) -> JSONValue:
        assert self._job is not None
        return {
            "program": self._job.program,
            "tools": self._job.tools,
            "capabilities": self._job.capabilities,
            "number": self._number,
        }

    def _write(self, operation: JSONObject) -> JSONValue:
        stream = _get_text(operation, "stream")
        self._host.write("stderr" if stream == "stderr" else "stdout", _get_text(operation, "text"))
        return None

    def _call_tool(self, operation: JSONObject) -> JSONValue:
        line, batch_size = operation.get("line"), operation.get("batch_size")
        if type(line) is not int or type(batch_size) is not int:
            raise Rejected("a tool call needs a line and the size of its batch")
        name, arguments = _get_text(operation, "name")[:MAX_NAME_LENGTH], self._get_arguments(operation)
        line = line if 0 < line <= LAST_LINE else 0
        call = self._host.call_tool(name, arguments, line, max(1, batch_size))
        return self._wait_answers({call}, None) if operation.get("wait") is True else call

    def _call_host(self, operation: JSONObject) -> JSONValue:
        capability, method = (_get_text(operation, name)[:MAX_NAME_LENGTH] for name in ("capability", "method"))
        call = self._host.call_host(capability, method, self._get_arguments(operation), self._data)
        return self._wait_answers({call}, None)

    def _get_arguments(self, operation: JSONObject) -> JSONObject:
        arguments = operation.get("arguments")
        if not isinstance(arguments, dict):
            raise Rejected("a call needs arguments")
        max_bytes = self._limits.arguments_bytes
        if self._size > max_bytes // 8 and (size := len(to_text(arguments).encode())) > max_bytes:
            raise Rejected(f"arguments of {size:,} bytes, the limit is {max_bytes:,}")
        return arguments

    def _wait(self, operation: JSONObject) -> JSONValue:
        calls, seconds = operation.get("calls"), operation.get("seconds")
        if not isinstance(calls, list) or not (seconds is None or type(seconds) in (int, float)):
            raise Rejected("wait needs calls and seconds")
        ids = {call for call in calls if type(call) is int}
        timeout = _clamp_seconds(seconds) if isinstance(seconds, (int, float)) else None
        return self._wait_answers(ids, timeout)

    def _wait_answers(self, calls: set[int], seconds: float | None) -> JSONValue:
        answers: list[JSONValue] = []
        for call, answer in self._host.wait_answers(calls, seconds):
            if isinstance(answer, CallError):
                answers.append([call, False, [answer.kind, answer.message]])
            elif answer.stored is not None:
                answers.append([call, None, answer.stored.guest_ref])
            else:
                answers.append([call, True, answer.value])
                self._answer_data = answer.data
        return answers

    def _sleep(self, operation: JSONObject) -> JSONValue:
        seconds = operation.get("seconds")
        if not isinstance(seconds, (int, float)):
            raise Rejected("sleep needs seconds")
        time.sleep(_clamp_seconds(seconds))  # the clock of the run, in the kernel, ends a sleep that is too long
        return None

    def _module(self, operation: JSONObject) -> JSONValue:
        name = _get_text(operation, "name")
        if (own := own_module(name)) is not None:
            return {"package": own.is_package, "file": own.filename, "source": own.source}
        module = self._pack.module(name)
        if module is None:
            return None
        code = base64.b64encode(module.code).decode()
        return {"package": module.package, "file": module.filename, "code": code}

    def _source(self, operation: JSONObject) -> JSONValue:
        return self._pack.source(_get_text(operation, "name"))

    def _zone(self, operation: JSONObject) -> JSONValue:
        if operation.get("name") is None:
            return [*self._pack.zones()]
        rules = self._pack.zone(_get_text(operation, "name"))
        return None if rules is None else base64.b64encode(rules).decode()

    def _result(self, operation: JSONObject) -> JSONValue:
        fields = {name: value for name, value in operation.items() if name != "op"}
        size = len(to_text(fields.get("value")).encode())
        if size > self._limits.value_bytes:
            raise Rejected(f"a value of {size:,} bytes, the limit is {self._limits.value_bytes:,}")
        try:
            self.outcome = _explain_memory_error(outcome_from_json(fields), self._limits)
        except BridgeError as error:
            raise Rejected(str(error)) from None
        return None


def _explain_memory_error(outcome: RunOutcome, limits: WorkerLimits) -> RunOutcome:
    """Add the limit to a MemoryError without a message."""
    failure = outcome.failure
    if failure is None or failure.kind != "MemoryError" or failure.message:
        return outcome
    message = f"out of memory (limit {format_bytes(limits.memory_bytes)})"
    explained = ProgramFailure(kind="MemoryError", message=message, traceback=failure.traceback, line=failure.line)
    return RunOutcome(failure=explained, observed=outcome.observed)


def _clamp_seconds(number: float) -> float:
    return float(min(max(number, 0), 1_000_000))  # an integer can be too large for a float


def _get_text(operation: JSONObject, name: str) -> str:
    value = operation.get(name)
    if not isinstance(value, str):
        raise Rejected(f"{name} is not a text")
    return value
