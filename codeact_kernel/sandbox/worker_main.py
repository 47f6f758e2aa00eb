"""Run guests in a child process, which speaks the bridge's protocol on stdin and stdout and has one thread.

Where the system can copy a process, each turn runs in a copy of this process that is made when the guest is ready. A
copy takes milliseconds, and shares the memory that it does not write. The process itself then never runs a program.

Run as `python -P -m codeact_kernel.sandbox.worker_main CONFIG`, with the configuration as JSON; `worker_client.py` is
the other end. The process starts light, reads all that it will ever need, locks itself down, and then runs a guest.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Collection, Iterator
from typing import TypedDict

from ..bridge.messages import CallHost, CallRaised, CallReturned, CallTool, Finished, Message, Output, Ready, Run
from ..bridge.protocol import Connection, Speaker
from ..errors import CodeActError, SandboxError
from ..guest import Pack
from ..guest.kinds import STANDARD, find_guest
from ..guest.sources import read_all
from ..limits import WorkerLimits
from ..text import collapse_whitespace
from ..types import CallError, CallOutcome, CallResult, JSONObject, ProgramFailure, RunOutcome, StoredResult, Stream
from . import fork_server, lockdown
from .backends import find_backend
from .chunking import Rejected
from .host_function import HostFunction
from .interfaces import IsolatedGuest
from .wait_readable import wait_readable

__all__ = ["GAVE_UP", "Configuration", "main"]

GAVE_UP = 70
"""The exit code of a worker whose last line on stderr says why it ended. (EX_SOFTWARE of sysexits.h.)"""


_REHEARSAL = """
import json, os
os.read(0, 1)  # starts the engine's runtime, while no limit forbids its thread and descriptors yet
def f(x, *rest, y=1):
    try:
        return sum(i * x for i in range(9)) + len([str(i).upper() for i in rest]) / y
    except ZeroDivisionError as error:
        return f"{error!r:>20}"
class A:
    def __init__(self):
        self.rows = sorted({str(i): i for i in range(500)}.items(), key=lambda row: -row[1])
f(2, 3, "x", y=0), f(1), json.loads(json.dumps(A().rows)), "a b".split(), bytearray(1 << 18), list(range(9_999))
for name in [name for name in globals() if not name.startswith("__")]:
    del globals()[name]
del name
"""


class Configuration(TypedDict):
    """The configuration of a worker."""

    backend: str
    kind: str
    """The name of the guest's kind."""
    guest: str
    """The path of the guest's file."""
    limits: dict[str, float]
    parent: int


class BridgePipe:
    """The worker's end of the bridge, which blocks."""

    def __init__(self, limits: WorkerLimits) -> None:
        # Other writes to stdout (by a native library, or a Rust panic) must not corrupt the frames.
        self._read, self._write = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.close(null)
        self._connection = Connection(Speaker.WORKER, limits)
        self._messages: Iterator[Message] = iter(())

    def send(self, message: Message) -> None:
        data = memoryview(self._connection.send(message))
        while data:
            data = data[os.write(self._write, data) :]

    def receive(self, seconds: float | None = None) -> Message | None:
        """Return the next message, or `None` after `seconds`. When the pipe has ended, end this process."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            message = next(self._messages, None)
            if message is not None:
                return message
            if deadline is not None and not wait_readable(self._read, max(0.0, min(deadline - time.monotonic(), 1e6))):
                return None
            data = os.read(self._read, 1 << 16)
            if not data:
                os._exit(0)
            self._messages = self._connection.feed(data)


class GuestHost:
    """Implement `interfaces.Host` over the pipe."""

    def __init__(self, pipe: BridgePipe, limits: WorkerLimits) -> None:
        self._pipe = pipe
        self._limits = limits
        self.begin()

    def begin(self) -> None:
        """Forget the previous run."""
        self._calls = 0
        self._tool_calls = 0
        self._open: set[int] = set()
        self._answers: dict[int, CallOutcome] = {}
        self._printed = 0
        self._tails: dict[Stream, str] = {"stdout": "", "stderr": ""}
        self._dropped: dict[Stream, int] = {"stdout": 0, "stderr": 0}

    def call_tool(self, name: str, arguments: JSONObject, line: int, batch_size: int) -> int:
        self._tool_calls += 1
        if self._tool_calls > self._limits.calls_per_run:
            raise Rejected(f"more than {self._limits.calls_per_run:,} tool calls in one run")
        call = self._open_call()
        self._pipe.send(CallTool(call, name, arguments, line, batch_size))
        return call

    def call_host(self, capability: str, method: str, arguments: JSONObject, data: bytes) -> int:
        call = self._open_call()
        self._pipe.send(CallHost(call, capability, method, arguments, data))
        return call

    def wait_answers(self, calls: Collection[int], seconds: float | None) -> list[tuple[int, CallOutcome]]:
        unknown = [call for call in calls if call not in self._open and call not in self._answers]
        if unknown or not calls:
            raise Rejected(f"no call {unknown[:1]} waits for an answer")
        deadline = None if seconds is None else time.monotonic() + max(0.0, seconds)
        while not (ready := [call for call in calls if call in self._answers]):
            if not self._receive(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return []
        return [(call, self._answers.pop(call)) for call in ready]

    def write(self, stream: Stream, text: str) -> None:
        # The first half of the limit is sent at once. Of the rest only the tail is kept, for the end of the run.
        half = self._limits.output_characters // 2
        head, text = text[: half - self._printed], text[half - self._printed :]
        self._printed = min(half, self._printed + len(head))
        if head:
            self._pipe.send(Output(stream, head))
        if text:
            tail = self._tails[stream] + text
            self._dropped[stream] += max(0, len(tail) - half)
            self._tails[stream] = tail[-half:]

    def end(self) -> None:
        """Send the tails of the output, and wait for calls that the program did not wait for."""
        for stream, tail in self._tails.items():
            if dropped := self._dropped[stream]:
                self._pipe.send(Output(stream, f"\n… {dropped:,} characters left out …\n"))
            if tail:
                self._pipe.send(Output(stream, tail))
        while self._open:
            self._receive(None)

    def _open_call(self) -> int:
        if self._calls >= self._limits.calls_per_run + self._limits.host_calls_per_run:
            raise Rejected(f"more than {self._limits.host_calls_per_run:,} steps with files and data in one run")
        while len(self._open) >= self._limits.calls_in_flight:
            self._receive(None)
        self._calls += 1
        self._open.add(self._calls)
        return self._calls

    def _receive(self, seconds: float | None) -> bool:
        message = self._pipe.receive(seconds)
        match message:
            case CallReturned(call=call, value=value, stored=is_stored, data=data):
                stored = (
                    StoredResult(guest_ref=value, preview=None, length=0)
                    if is_stored and isinstance(value, dict)
                    else None
                )
                self._answers[call] = CallResult(value=None if stored else value, stored=stored, data=data)
            case CallRaised(call=call, kind=kind, message=text):
                denied = kind == "ToolDenied"
                self._answers[call] = CallError(kind="ToolDenied" if denied else "ToolFailed", message=text)
            case _:
                return False
        self._open.discard(call)
        return True


def rehearse(guest: IsolatedGuest, function: HostFunction) -> None:
    """Run a small program before the lockdown, while nobody waits.

    A copy of the process gets its own memory page by page as it writes, and the engine creates some things at their
    first use, which the lockdown would forbid.

    Raises:
        SandboxError: if the program failed.
    """
    function.begin(Run(_REHEARSAL, {}, {}, keep=False), 0)
    died = guest.run()
    reported = function.end()
    if died or reported is None or reported.failure is not None:
        raise SandboxError(f"The guest failed its first program: {died or reported}")


def serve(
    pipe: BridgePipe, guest: IsolatedGuest, function: HostFunction, host: GuestHost, ready: Ready, *, copied: bool
) -> None:
    """Run the programs that the host sends until the pipe ends, or in a copied process until the guest is used up."""
    number = 0
    while True:
        pipe.send(ready)
        message = pipe.receive()
        assert isinstance(message, Run)  # the protocol allows no other message
        number += 1
        host.begin()
        function.begin(message, number)
        died = guest.run()
        reported = function.end()
        outcome = died or reported
        if outcome is None:
            lost = ProgramFailure(kind="Crashed", message="the program ended its sandbox without a result")
            outcome = RunOutcome(failure=lost, state_lost=True)
        host.end()
        pipe.send(Finished(outcome))
        unfinished = outcome.failure is not None or outcome.observed
        if outcome.state_lost or not (message.keep and unfinished):
            if copied:
                os._exit(fork_server.NEXT)
            guest.reset()
            number = 0


def main() -> None:
    """Start, lock down, and serve. An error is printed on stderr and ends the process."""
    configuration: Configuration = json.loads(sys.argv[1])
    lockdown.die_with(configuration["parent"])
    limits = WorkerLimits(**configuration["limits"])  # type: ignore[arg-type]  # made by `worker_client.py` from a WorkerLimits
    try:
        pipe = BridgePipe(limits)
        host = GuestHost(pipe, limits)
        backend = find_backend(configuration["backend"], find_guest(configuration["kind"]))
        function = HostFunction(host, Pack.open() if backend.guest is STANDARD else Pack.empty(), limits)
        create_guest = backend.load()
        read_all()
        lockdown.prepare(files=[configuration["guest"], *backend.devices()])
        guest = create_guest(configuration["guest"], function, limits)
        copied = guest.can_be_copied and fork_server.is_supported()
        if copied:
            fork_server.begin()
        if not guest.hypervisor:
            os.environ["TOKIO_WORKER_THREADS"] = "1"  # by default the engine starts one thread per processor
            rehearse(guest, function)
        layers, missing = lockdown.finish(cpu_seconds=limits.cpu_seconds, hypervisor=guest.hypervisor)
        serve(pipe, guest, function, host, Ready(os.getpid(), layers, missing), copied=copied)
    except CodeActError as error:
        print(collapse_whitespace(str(error)), file=sys.stderr)
        sys.exit(GAVE_UP)


if __name__ == "__main__":
    main()
