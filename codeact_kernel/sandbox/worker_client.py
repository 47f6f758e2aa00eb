"""The host's side of one worker: start it, run programs in it, kill it. `worker_main` is the other side."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field, fields, replace
from typing import NoReturn, TypeAlias

from ..bridge.messages import CallHost, CallRaised, CallReturned, CallTool, Finished, Message, Output, Ready, Run
from ..bridge.protocol import Connection, Speaker
from ..errors import BridgeError, SandboxError
from ..guest.kinds import STANDARD, GuestKind
from ..limits import WorkerLimits
from ..text import collapse_whitespace
from ..types import (
    CallError,
    CallOutcome,
    HostCall,
    Isolation,
    ProgramFailure,
    RunOutcome,
    Stream,
    ToolCall,
)
from ..wire.jsonable import tag_floats, untag_floats
from .backends import find_backend
from .child_process import Child, python_command
from .run_clock import RunClock
from .start_advice import explain_start
from .worker_main import GAVE_UP

__all__ = ["AnswerCall", "RunClock", "Worker", "Write"]

AnswerCall: TypeAlias = Callable[[ToolCall | HostCall], Awaitable[CallOutcome]]
"""Decides about a tool call and runs it, or runs the handler of a host call. It raises nothing but a cancellation."""
Write: TypeAlias = Callable[[Stream, str], None]


def _start_task(work: Coroutine[None, None, None], context: Context) -> asyncio.Task[None]:
    """Start a task. From Python 3.12 on its first step is taken at once, and most calls need only one step."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(work, loop=loop, context=context, eager_start=True)
    return loop.create_task(work, context=context)


@dataclass(slots=True)
class _ActiveRun:
    """One run, with its callbacks, their context, and its pending calls.

    The context is kept because data from the pipe arrives in the context of the cell that started the worker.
    """

    answer: AnswerCall
    write: Write
    context: Context = field(default_factory=copy_context)
    calls: dict[int, asyncio.Task[None]] = field(default_factory=dict[int, "asyncio.Task[None]"])
    written: int = 0


class Worker:
    """One worker process.

    Attributes:
        isolation: the boundary, which is complete when the worker is ready.
        busy_seconds: the total time in which it ran programs and cleaned its guest.
    """

    _process: Child

    def __init__(self, backend: str, limits: WorkerLimits, guest: GuestKind) -> None:
        loop = asyncio.get_running_loop()
        boundary = find_backend(backend, guest).boundary
        self.isolation = Isolation(backend=backend, boundary=boundary, guest=guest.name)
        self.busy_seconds = 0.0
        self._usable = True
        self._limits = limits
        self._connection = Connection(Speaker.HOST, limits)
        self._run: _ActiveRun | None = None
        self._busy_since = loop.time()
        self._ready: asyncio.Future[bool] = loop.create_future()  # False: the worker has ended
        self._finished: asyncio.Future[RunOutcome | None] = loop.create_future()  # None: the worker has ended
        self._over = False
        self._fault: BaseException | None = None

    @property
    def usable(self) -> bool:
        """Say whether the worker can run another program. A spare worker may have died in the meantime."""
        return self._usable and not self._over and self._process.returncode is None

    @classmethod
    async def start(cls, backend: str, limits: WorkerLimits, guest: GuestKind = STANDARD) -> Worker:
        """Start a worker and wait until it can run a program.

        Raises:
            SandboxError: if the worker did not start.
        """
        configuration = {
            "backend": backend,
            "kind": guest.name,
            "guest": str(find_backend(backend, guest).guest_file()),
            "limits": {limit.name: getattr(limits, limit.name) for limit in fields(WorkerLimits)},
            "parent": os.getpid(),
        }
        command = python_command("codeact_kernel.sandbox.worker_main", json.dumps(configuration))
        worker = await cls.from_command(command, backend, limits, guest)
        try:
            async with asyncio.timeout(limits.start_seconds):
                await worker.wait_ready()
        except TimeoutError:
            await worker.kill()
            raise SandboxError(f"The sandbox was not ready after {limits.start_seconds:g} s.", timed_out=True) from None
        except BaseException:
            await worker.kill()
            raise
        return worker

    @classmethod
    async def from_command(
        cls, command: tuple[str, ...], backend: str, limits: WorkerLimits, guest: GuestKind = STANDARD
    ) -> Worker:
        """Start a process that speaks the protocol. It may not be ready yet."""
        worker = cls(backend, limits, guest)
        worker._process = await Child.start(command, worker._on_data, worker._end)
        return worker

    async def wait_ready(self) -> None:
        """Wait until the worker has a clean guest for the next run.

        Raises:
            SandboxError: if the worker is lost.
        """
        await asyncio.wait([self._ready])
        if not self._ready.result():
            await self._raise_lost()

    async def run(self, request: Run, *, answer: AnswerCall, write: Write, clock: RunClock) -> RunOutcome:
        """Run one program, whose calls are passed to `answer`, several at a time.

        A worker that runs out of time, is lost or breaks the protocol is killed, and the outcome says so. A worker is
        also killed if this is cancelled.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._usable = False
        self._run = run = _ActiveRun(answer, write)
        try:
            async with clock.running():
                outcome = await self._exchange(request)
            self._usable = True
            return outcome
        except TimeoutError:
            message = f"the program was stopped after {clock.seconds:g} s (--timeout allows more)"
            return RunOutcome(failure=ProgramFailure(kind="TimedOut", message=message), state_lost=True)
        except SandboxError as error:
            return RunOutcome(failure=ProgramFailure(kind="WorkerLost", message=str(error)), state_lost=True)
        finally:
            self.busy_seconds += loop.time() - started
            calls = list(run.calls.values())
            for call in calls:
                call.cancel()
            if not self.usable:
                await self.kill()
            await asyncio.gather(*calls, return_exceptions=True)

    async def kill(self) -> None:
        """Kill the process and wait until it has ended."""
        self._usable = False
        self._end()
        await self._process.kill()

    async def _exchange(self, request: Run) -> RunOutcome:
        await self.wait_ready()
        if self._over:
            await self._raise_lost()
        self._finished = asyncio.get_running_loop().create_future()
        self._send(request)
        await asyncio.wait([self._finished])
        return self._finished.result() or await self._raise_lost()

    def _on_data(self, data: bytes) -> None:
        """Handle each message that is complete with `data`."""
        if self._over:  # its messages do not count any more
            return
        try:
            for message in self._connection.feed(data):
                self._on_message(message)
                if isinstance(message, (CallTool, CallHost)) and self._connection.has_unread_data:
                    # Handle the rest only after the call has taken its first step.
                    asyncio.get_running_loop().call_soon(self._on_data, b"")
                    return
        except Exception as error:  # the worker broke the protocol, or `write` failed
            self._end(error)

    def _on_message(self, message: Message) -> None:
        run, loop = self._run, asyncio.get_running_loop()
        match message:
            case CallTool() | CallHost() if run:
                task = _start_task(self._answer(self._to_call(message), run), run.context.copy())
                if not task.done():
                    run.calls[message.call] = task
            case Output(stream=stream, text=text) if run:
                run.written += len(text)
                if run.written > 2 * self._limits.output_characters + 1_000:  # our own worker truncates long before
                    raise BridgeError("the worker flooded its output")
                run.context.run(run.write, stream, text)
            case Finished(outcome=outcome):
                self._run, self._ready = None, loop.create_future()
                self._finished.set_result(replace(outcome, value=untag_floats(outcome.value)))
                self._busy_since = loop.time()
            case Ready(layers=layers, missing=missing):
                self.isolation = replace(self.isolation, layers=tuple(layers), missing=tuple(missing))
                self._ready.set_result(True)
                self.busy_seconds += loop.time() - self._busy_since
            case _:
                raise BridgeError("an unexpected message")

    def _to_call(self, message: CallTool | CallHost) -> ToolCall | HostCall:
        if isinstance(message, CallHost):
            # A handler gets JSON as it is: only the arguments of tools have tags for infinity and NaN.
            return HostCall(
                id=message.call,
                capability=message.capability,
                method=message.method,
                arguments=message.arguments,
                data=message.data,
            )
        return ToolCall(
            id=message.call,
            name=message.name,
            arguments={name: untag_floats(value) for name, value in message.arguments.items()},
            line=message.line or None,
            batch_size=min(message.batch_size, self._limits.calls_per_run),
        )

    async def _answer(self, call: ToolCall | HostCall, run: _ActiveRun) -> None:
        try:
            result = await run.answer(call)
        except Exception as error:  # our own fault, but the program must not wait forever
            result = CallError(kind="ToolFailed", message=f"internal error ({type(error).__name__})")
        try:
            match result:
                case CallError(kind=kind, message=text):
                    self._send(CallRaised(call.id, kind, text))
                case _:
                    stored = result.stored
                    value = stored.guest_ref if stored else result.value
                    self._send_result(CallReturned(call.id, value, stored is not None, result.data))
        except BridgeError as error:  # the value is too large for a frame, which the program can handle
            self._send(CallRaised(call.id, "ToolFailed", f"the result cannot be sent to the program: {error}"))
        run.calls.pop(call.id, None)

    def _send_result(self, result: CallReturned) -> None:
        try:
            self._send(result)
        except BridgeError:  # it holds infinity or NaN, or is too large, which then raises again
            self._send(replace(result, value=tag_floats(result.value)))

    def _send(self, message: Message) -> None:
        self._process.write(self._connection.send(message))

    def _end(self, fault: BaseException | None = None) -> None:
        """Stop listening to the worker, because of `fault` or because the pipe has ended."""
        self._over = True
        self._fault = self._fault or fault
        if not self._ready.done():
            self._ready.set_result(False)
        if not self._finished.done():
            self._finished.set_result(None)

    async def _raise_lost(self) -> NoReturn:
        raise self._fault or SandboxError(await self._explain_end(), worker_lost=True)

    async def _explain_end(self) -> str:
        try:
            async with asyncio.timeout(2):
                code = await self._process.wait()
        except TimeoutError:
            return "the sandbox's process closed its pipe."
        lines = self._process.stderr.decode(errors="replace").strip().splitlines()[-1:]
        if sys.platform != "win32" and code == -signal.SIGXCPU:
            return f"the program used more than {self._limits.cpu_seconds} s of processor time"
        last = collapse_whitespace(" ".join(lines)[:500])
        if code == GAVE_UP:
            return last
        by_itself = f"the sandbox's process ended by itself ({code})."
        # After a signal, the last line on stderr comes from a library and is for its developers.
        if code is not None and code < 0:
            return by_itself
        advice = explain_start()
        return f"{by_itself} {last}{'. ' if last and advice else ''}{advice}".strip()
