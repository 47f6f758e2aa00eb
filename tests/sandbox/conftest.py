"""Programs are run for real: in a pool's worker, in the guest, with their calls answered by plain functions."""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
import pytest_asyncio

from codeact_kernel.bridge.messages import Run as Job
from codeact_kernel.capabilities.registry import CapabilitySet, prefetch_config
from codeact_kernel.guest.kinds import SCIENCE
from codeact_kernel.sandbox.pool import Pool, Sandbox
from codeact_kernel.sandbox.worker_client import RunClock, Worker
from codeact_kernel.settings import Limits
from codeact_kernel.types import CallError, CallOutcome, CallResult, JSONValue, RunOutcome, StoredResult, ToolCall

BACKENDS = [
    "embedded",
    pytest.param("hyperlight", marks=pytest.mark.hyperlight),
    pytest.param("science", marks=pytest.mark.science),
]
"""Every backend and guest keeps the same contract: `test_contract.py` runs once for each of these."""
EMULATED = bool(os.environ.get("TEST_CODEACT_EMULATED"))
"""This is a machine that is emulated in software: 15 to 25 times slower, so tests move less and wait longer."""
LIMITS = Limits(calls_per_run=1_000, memory_bytes=128 << 20)
"""Of the pool that tests share; less memory than by default, because a micro-VM is restored in a time that goes by it."""
PATIENCE = 600 if EMULATED else 30
"""Seconds that a run may take where a test says nothing of it."""


HOSTILE = """
import json, os, struct, sys
def say(says, **fields):
    frame(json.dumps({"says": says, **fields}).encode())
def frame(data, length=None):
    write(struct.pack(">I", len(data) if length is None else length) + data)
def write(data):
    while data:
        data = data[os.write(1, data):]
def ready():
    say("Ready", pid=1, layers=[], missing=[])
def call(number):
    say("CallTool", call=number, name="tool", arguments={}, line=0, batch_size=1)
def finished(**changes):
    outcome = {"failure": None, "value": 1, "text": "1", "is_json": True, "observed": []}
    say("Finished", outcome={**outcome, **changes}, state_lost=False)
def hear():
    (length,) = struct.unpack(">I", os.read(0, 4))
    return json.loads(os.read(0, length))
def stay():
    while os.read(0, 65536):
        pass
"""
"""What a script needs to speak the protocol from the worker's side, and to break it."""


CONNECT = """
try:
    from wit_world.imports import tools
except ImportError:  # the science guest
    import types, _host
    tools = types.SimpleNamespace(dispatch=lambda name, text: _host.call(text.encode()).decode())
"""
"""Gives a program the one function that a guest can call, as `tools.dispatch`."""


def make_pool(name: str, limits: Limits) -> Pool:
    """Make a pool of a backend with the standard guest, or with the name `science` of the science guest."""
    return Pool("embedded", limits, SCIENCE) if name == "science" else Pool(name, limits)


class Denied(Exception):
    """Raised by a tool of a test: the call is denied."""


def add(a: int, b: int = 1) -> int:
    return a + b


def echo(value: JSONValue = None) -> JSONValue:
    return value


def fail(reason: str = "no") -> None:
    raise ValueError(reason)


def deny(reason: str = "not allowed here") -> None:
    raise Denied(reason)


TOOLS: dict[str, Callable[..., Any]] = {"add": add, "echo": echo, "fail": fail, "deny": deny}


@dataclass
class Run:
    """What one run came to, and all that was seen of it, in order."""

    outcome: RunOutcome = field(default_factory=RunOutcome)
    seen: list[tuple[str, object]] = field(default_factory=list[tuple[str, object]])
    most_open: int = 0

    @property
    def value(self) -> JSONValue:
        """The value of a program that must have finished."""
        assert self.outcome.failure is None, self.outcome.failure
        return self.outcome.value

    @property
    def error(self) -> str:
        """`Kind: message` of a program that must have failed."""
        assert self.outcome.failure is not None, (self.outcome, self.stdout[:1_000])
        return str(self.outcome.failure)

    @property
    def traceback(self) -> str:
        assert self.outcome.failure is not None
        return self.outcome.failure.traceback

    @property
    def stdout(self) -> str:
        return "".join(str(what) for kind, what in self.seen if kind == "stdout")

    @property
    def stderr(self) -> str:
        return "".join(str(what) for kind, what in self.seen if kind == "stderr")

    @property
    def calls(self) -> list[ToolCall]:
        return [what for kind, what in self.seen if isinstance(what, ToolCall)]


class Turn:
    """One sandbox, as a turn has it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def run(
        self,
        program: str,
        *,
        tools: Mapping[str, Callable[..., Any]] = TOOLS,
        seconds: float = PATIENCE,
        keep: bool = False,
        clock: RunClock | None = None,
        capabilities: CapabilitySet | None = None,
        reads: Collection[str] = (),
    ) -> Run:
        run = Run()
        open_calls = 0

        def write(stream: str, text: str) -> None:
            if run.seen and run.seen[-1][0] == stream:
                text = f"{run.seen.pop()[1]}{text}"
            run.seen.append((stream, text))

        async def answer(call: ToolCall) -> CallOutcome:
            nonlocal open_calls
            open_calls += 1
            run.most_open = max(run.most_open, open_calls)
            run.seen.append(("call", call))
            try:
                value = tools[call.name](**call.arguments)
                value = await value if inspect.isawaitable(value) else value
                made = capabilities.result(value, capabilities.limits) if capabilities else value
                return (
                    CallResult(value=made.preview, stored=made)
                    if isinstance(made, StoredResult)
                    else CallResult(value=made)
                )
            except Denied as error:
                return CallError(kind="ToolDenied", message=str(error))
            except Exception as error:
                return CallError(kind="ToolFailed", message=f"{type(error).__name__}: {error}")
            finally:
                open_calls -= 1

        names: dict[str, JSONValue] = {name: list(inspect.signature(tool).parameters) for name, tool in tools.items()}
        run.outcome = await self.sandbox.run(
            program,
            tools=names,
            capabilities={
                "prefetch": prefetch_config(reads, names),
                **(capabilities.start_run() if capabilities else {}),
            },
            keep=keep,
            answer=capabilities.route_calls(answer) if capabilities else answer,
            write=write,
            clock=clock or RunClock(seconds),
        )
        return run


class Programs:
    """Runs programs in a pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.in_micro_vm = pool.selector.wanted == "hyperlight"
        self.has_pandas = pool.guest.has_pandas

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Turn]:
        async with self.pool.checkout() as sandbox:
            yield Turn(sandbox)

    async def run(self, program: str, **options: Any) -> Run:
        """One turn with one program."""
        async with self.turn() as turn:
            return await turn.run(program, **options)


def program(text: str) -> str:
    return textwrap.dedent(text).strip()


async def answers(programs: Programs) -> None:
    """The next turn works, in a guest that nobody has touched."""
    run = await programs.run(
        "print('alive', file=__import__('sys').stderr)\n[add(40, b=2), 'left_behind' in globals()]"
    )
    assert (run.value, run.stderr) == ([42, False], "alive\n")


async def run_in(worker: Worker, program: str = "1", clock: RunClock | None = None, **parts: Any):
    async def answer(call: ToolCall) -> CallOutcome:
        return CallResult(value=None)

    parts = {"answer": answer, "write": lambda stream, text: None, **parts}
    return await worker.run(Job(program, {"tool": []}, {}, False), clock=clock or RunClock(30), **parts)


def workers() -> list[psutil.Process]:
    """The live worker processes that this process started."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        try:
            if "codeact_kernel.sandbox.worker_main" in child.cmdline():
                found.append(child)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BACKENDS)
async def programs(request: pytest.FixtureRequest) -> AsyncGenerator[Programs]:
    """A warm pool for the whole session. Each test is its own turn, so it has a guest of its own."""
    pool = make_pool(request.param, LIMITS)
    yield Programs(pool)
    await pool.aclose()


@pytest.fixture
async def new_pool() -> AsyncGenerator[Callable[..., Programs]]:
    """Makes pools of the test's own, which are closed behind it."""
    pools: list[Pool] = []

    def make(**limits: Any) -> Programs:
        pools.append(Pool("embedded", Limits(**limits)))
        return Programs(pools[-1])

    yield make
    for pool in pools:
        await pool.aclose()


@pytest.fixture
async def hostile():
    """Starts a process that runs a script, and puts the host's side of a worker on it."""
    made: list[Worker] = []

    async def make(script: str) -> Worker:
        command = (sys.executable, "-c", f"{HOSTILE}\n{textwrap.dedent(script)}")
        made.append(await Worker.from_command(command, "embedded", Limits()))
        return made[-1]

    yield make
    for worker in made:
        await worker.kill()
