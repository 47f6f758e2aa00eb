"""The host side of one worker: start it, run a program in it, stop the clock, kill it. `worker.py` is the other end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict
from typing import Any, TypeAlias

from ..bridge.messages import CallTool, Finished, Message, Output, Ready, Run, ToolRaised, ToolReturned
from ..bridge.protocol import Connection, Speaker, State
from ..errors import BridgeError, SandboxError
from ..settings import Limits
from ..values import Answer, Isolation, ProgramFailure, Raised, RunOutcome, Stream, ToolCall
from . import backends
from .backends import compiled
from .worker import GAVE_UP

__all__ = ["AnswerCall", "RunClock", "Worker", "Write", "prepare"]

AnswerCall: TypeAlias = Callable[[ToolCall], Awaitable[Answer]]
"""Decides about a call and runs it. Never raises but for cancellation."""
Write: TypeAlias = Callable[[Stream, str], None]

# No secret of the person's lives in these; without them a Python in an unusual place does not find its packages.
_ENVIRONMENT = ("PATH", "HOME", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "CODEACT_CACHE")


class RunClock:
    """The wall-clock limit of one run. It stands still while a person decides."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._limit = asyncio.timeout(None)
        self._pauses = 0
        self._left = seconds

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Let it run for the time of the `with` block, which ends with a TimeoutError when the time is up."""
        async with self._limit:
            self._limit.reschedule(asyncio.get_running_loop().time() + self.seconds)
            yield

    @contextmanager
    def paused(self) -> Generator[None]:
        """Stop the clock for the time of the `with` block; several may overlap."""
        loop = asyncio.get_running_loop()
        self._pauses += 1
        if self._pauses == 1:
            self._left = (self._limit.when() or loop.time()) - loop.time()
            self._limit.reschedule(None)
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0 and not self._limit.expired():
                with suppress(RuntimeError):  # the run ended meanwhile, and its clock with it
                    self._limit.reschedule(loop.time() + self._left)


async def prepare(say: Callable[[str], None]) -> None:
    """See that the embedded guest is compiled for this machine. Takes about ten seconds of processor time, once.

    Raises:
        SandboxError: it could not be compiled.
    """
    target = compiled.path()
    if compiled.trusted(target):
        return
    say("Compiling the sandbox for this machine: once, about ten seconds…")
    process = await _python(f"{backends.__name__}.embedded", str(target))
    try:
        _, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode or not compiled.trusted(target):
        detail = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise SandboxError(f"The sandbox could not be compiled into {target.parent}: {' '.join(detail)}")


class Worker:
    """One worker process.

    Attributes:
        isolation: the boundary it reported when it was ready.
        busy_seconds: how long it has run programs and made its guest clean again, in all.
    """

    def __init__(self, process: asyncio.subprocess.Process, backend: str, limits: Limits) -> None:
        self.isolation = Isolation(backend=backend, boundary=backends.BOUNDARIES[backend])
        self.busy_seconds = 0.0
        self._usable = True
        self._process = process
        self._limits = limits
        self._connection = Connection(Speaker.HOST, limits)
        self._messages: Iterator[Message] = iter(())
        self._stderr: deque[bytes] = deque(maxlen=16)
        self._drain = asyncio.create_task(self._read_stderr())

    @property
    def usable(self) -> bool:
        """Whether it can run another program. A spare may have died while nobody looked."""
        return self._usable and self._process.returncode is None

    @classmethod
    async def start(cls, backend: str, limits: Limits) -> Worker:
        """A worker that is ready to run a program.

        Raises:
            SandboxError: it did not come up.
        """
        configuration = {
            "backend": backend,
            "guest": str(backends.guest(backend)),
            "limits": asdict(limits),
            "parent": os.getpid(),
        }
        process = await _python("codeact_kernel.sandbox.worker", json.dumps(configuration))
        worker = cls(process, backend, limits)
        try:
            async with asyncio.timeout(limits.start_seconds):
                await worker.settle()
        except TimeoutError:
            await worker.kill()
            raise SandboxError(f"The sandbox was not ready after {limits.start_seconds:g} s.", timed_out=True) from None
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def settle(self) -> None:
        """Wait until the worker has a guest for the next run.

        Raises:
            SandboxError: it is lost.
        """
        if self._connection.state is not State.PREPARING:
            return
        loop = asyncio.get_running_loop()
        started = loop.time()
        message = await self._receive()
        self.busy_seconds += loop.time() - started
        assert isinstance(message, Ready)  # the protocol's table leaves nothing else
        self.isolation = Isolation(
            backend=self.isolation.backend,
            boundary=self.isolation.boundary,
            layers=tuple(message.layers),
            missing=tuple(message.missing),
        )

    async def run(self, job: Run, *, answer: AnswerCall, write: Write, clock: RunClock) -> RunOutcome:
        """Run one program; its calls are answered by `answer`, several at a time.

        A worker that ran out of time, was lost or broke a rule is killed, and the outcome says so. So it is when this
        is cancelled.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        calls: set[asyncio.Task[None]] = set()
        self._usable = False
        try:
            async with clock.running():
                outcome = await self._talk(job, answer, write, calls)
            self._usable = True
            return outcome
        except TimeoutError:
            message = f"the program was stopped after {clock.seconds:g} s (--timeout allows more)"
            return RunOutcome(failure=ProgramFailure(kind="TimedOut", message=message), state_lost=True)
        except SandboxError as error:
            return RunOutcome(failure=ProgramFailure(kind="WorkerLost", message=str(error)), state_lost=True)
        finally:
            self.busy_seconds += loop.time() - started
            for call in calls:
                call.cancel()
            if not self.usable:
                await self.kill()
            await asyncio.gather(*calls, return_exceptions=True)

    async def kill(self) -> None:
        """End the process, whatever it is doing, and wait until it is gone."""
        self._usable = False
        if self._process.returncode is None:
            self._process.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        with suppress(RuntimeError):  # another task is reading: it sees the end as well
            # What nobody reads keeps the pipe open, and in most Pythons `wait` waits for that too.
            while await self._process.stdout.read(1 << 18):
                pass
        await self._process.wait()
        await self._drain

    async def _talk(self, job: Run, answer: AnswerCall, write: Write, calls: set[asyncio.Task[None]]) -> RunOutcome:
        await self.settle()
        self._send(job)
        written = 0
        while True:
            match await self._receive():
                case Output(stream=stream, text=text):
                    written += len(text)
                    if written > 2 * self._limits.output_bytes + 1_000:  # an honest worker cuts long before
                        raise BridgeError("the worker flooded its output")
                    write(stream, text)
                case CallTool(call=call, name=name, arguments=arguments, line=line, together=together):
                    together = min(max(1, together), self._limits.calls_per_run)
                    wanted = ToolCall(id=call, name=name, arguments=arguments, line=line or None, together=together)
                    calls.add(asyncio.create_task(self._answer(wanted, answer)))
                case Finished(outcome=outcome):
                    return outcome
                case _:
                    raise BridgeError("a message out of place")

    async def _answer(self, call: ToolCall, answer: AnswerCall) -> None:
        try:
            result = await answer(call)
        except Exception as error:  # a fault of ours; the program must not wait for ever, and nobody may miss it
            result = Raised(kind="ToolFailed", message=f"internal error ({type(error).__name__})")
        try:
            match result:
                case Raised(kind=kind, message=message):
                    self._send(ToolRaised(call.id, kind, message))
                case _:
                    kept = result.kept
                    self._send(ToolReturned(call.id, kept.told if kept else result.value, kept is not None))
        except BridgeError as error:  # a value that is too large for a frame: the program can handle that
            self._send(ToolRaised(call.id, "ToolFailed", f"the result cannot be sent to the program: {error}"))
        if self._process.stdin is not None:
            with suppress(ConnectionError):  # the reader sees the end of the pipe as well, and says so
                await self._process.stdin.drain()

    def _send(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(self._connection.send(message))

    async def _receive(self) -> Message:
        assert self._process.stdout is not None
        while True:
            message = next(self._messages, None)
            if message is not None:
                return message
            data = await self._process.stdout.read(1 << 18)
            if not data:
                raise SandboxError(await self._last_words(), worker_lost=True)
            self._messages = self._connection.feed(data)

    async def _last_words(self) -> str:
        try:
            async with asyncio.timeout(1):
                code = await self._process.wait()
        except TimeoutError:
            return "the sandbox's process closed its pipe."
        await asyncio.wait([self._drain], timeout=1)
        said = b"".join(self._stderr).decode(errors="replace").strip().splitlines()[-1:]
        if sys.platform != "win32" and code == -signal.SIGXCPU:
            return f"the program used more than {self._limits.cpu_seconds} s of processor time"
        last = " ".join(said)[:500]
        return last if code == GAVE_UP else f"the sandbox's process ended by itself ({code}). {last}".strip()

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(1_024):
            self._stderr.append(data)


async def _python(module: str, *arguments: str) -> asyncio.subprocess.Process:
    """Our Python, next to no environment, and a session of its own: interrupts of the kernel are not meant for it."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # a folder beside the notebook must not be imported in place of ours
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        cwd=os.path.abspath(os.sep),
        **apart,
    )
