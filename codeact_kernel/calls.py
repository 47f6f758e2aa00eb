"""What happens to the tool calls of one turn: open, decide, run, record. Each step is an event."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Generator, Set
from contextlib import contextmanager
from dataclasses import replace

from .approval import Approver, needs_person
from .events import CallAnswered, CallDecided, CallOpened, Emit
from .sandbox.process import RunClock
from .settings import Limits
from .tools import BoundCall, OnMain, Registry, ToolCallError
from .values import Answer, CallRecord, Decision, Raised, Returned, ToolCall

__all__ = ["Calls", "Stopwatch"]


class Stopwatch:
    """Seconds during which at least one of several overlapping things was going on."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._open = 0
        self._since = 0.0

    @contextmanager
    def running(self) -> Generator[None]:
        """Count the time of the `with` block."""
        if self._open == 0:
            self._since = time.monotonic()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if self._open == 0:
                self.seconds += time.monotonic() - self._since


class Calls:
    """Answers the calls of one turn.

    Attributes:
        records: the finished calls, in the order of their answers.
        run: the number of the present run.
        clock: the present run's clock; it stands still while a person decides or a tool runs.
        tools_time, waiting_time: what the tools took, and what the person took.
    """

    def __init__(
        self, tools: Registry, approver: Approver, allow: Set[str], emit: Emit, limits: Limits, on_main: OnMain
    ) -> None:
        self.records: list[CallRecord] = []
        self.run = 0
        self.clock = RunClock(limits.run_seconds)
        self.tools_time = Stopwatch()
        self.waiting_time = Stopwatch()
        self._tools = tools
        self._approver = approver
        self._allow = allow
        self._emit = emit
        self._limits = limits
        self._on_main = on_main
        self._asking = asyncio.Lock()
        self._kept = 0
        self._invoked: Counter[str] = Counter()
        self._denied: Counter[str] = Counter()

    def begin(self, run: int, seconds: float) -> RunClock:
        """A new run, with a clock of `seconds`."""
        self.run, self.clock = run, RunClock(seconds)
        return self.clock

    async def answer(self, call: ToolCall) -> Answer:
        """Decide about `call` and run it. Raises nothing but cancellation."""
        self._emit(CallOpened(run=self.run, call=call))
        run, started = self.run, 0.0
        decision = Decision(allowed=False, by="nobody", reason="not decided")
        try:
            # What is shown is what runs: the tool and its arguments are frozen before anybody is asked.
            bound = self._tools.validate(call.name, call.arguments, limits=self._limits)
            call = replace(call, version=bound.tool.spec.version)
            self._count(call, bound)
            asked = time.monotonic()
            decision = await self._decide(call, bound)
            self._emit(CallDecided(run=run, call=call, decision=decision, waited=time.monotonic() - asked))
            started = time.monotonic()
            answer = await self._run(call, bound, decision)
        except ToolCallError as error:
            answer = Raised(kind="ToolFailed", message=str(error))
        except asyncio.CancelledError:  # stopped, or out of time: what has begun must not be forgotten
            effects = "it may have had effects" if started else "it had not begun"
            self._record(run, call, decision, Raised(kind="ToolFailed", message=f"stopped; {effects}"), started)
            raise
        self._record(run, call, decision, answer, started)
        return answer

    def _record(self, run: int, call: ToolCall, decision: Decision, answer: Answer, started: float) -> None:
        took = time.monotonic() - started if started else 0.0
        self.records.append(CallRecord(call=call, decision=decision, answer=answer, seconds=took))
        self._emit(CallAnswered(run=run, call=call, answer=answer, took=took))

    def _count(self, call: ToolCall, bound: BoundCall) -> None:
        """What a turn may do in all.

        Raises:
            ToolCallError: this call is beyond it.
        """
        most_calls = bound.tool.spec.max_invocations
        self._kept += len(bound.arguments)
        if self._kept > self._limits.turn_arguments_bytes:
            most = self._limits.turn_arguments_bytes >> 20
            raise ToolCallError(f"the calls of one turn may have {most} MiB of arguments in all: pass less")
        if most_calls is not None and self._invoked[call.name] >= most_calls:
            raise ToolCallError(f"{call.name} may be called {most_calls} times in a turn, and was")
        self._invoked[call.name] += 1

    async def _decide(self, call: ToolCall, bound: BoundCall) -> Decision:
        if not needs_person(call.name, bound.tool.spec.approval_mode, self._allow):
            return Decision(allowed=True, by="policy")
        with self.clock.paused(), self.waiting_time.running():
            async with self._asking:  # one question at a time: its answer may settle the others
                if self._denied[call.name] >= self._limits.denials_per_tool:
                    return Decision(allowed=False, by="policy", reason=f"{call.name} was denied too often in this turn")
                decision = await self._ask(call)
                self._denied[call.name] += not decision.allowed
                return decision

    async def _ask(self, call: ToolCall) -> Decision:
        try:
            async with asyncio.timeout(self._limits.decision_seconds):
                return await self._approver.decide(call)
        except TimeoutError:
            return Decision(allowed=False, by="nobody", reason="nobody decided in time")
        except Exception as error:  # whatever goes wrong with asking: no answer is a no
            return Decision(allowed=False, by="nobody", reason=f"asking failed: {type(error).__name__}")

    async def _run(self, call: ToolCall, bound: BoundCall, decision: Decision) -> Answer:
        if not decision.allowed:
            return Raised(kind="ToolDenied", message=decision.reason or f"the person denied {call.name}")
        try:
            with self.tools_time.running(), self.clock.paused():
                async with asyncio.timeout(self._limits.tool_seconds):
                    return Returned(value=await self._tools.call(bound, on_main=self._on_main, limits=self._limits))
        except TimeoutError:
            raise ToolCallError(
                f"{call.name} took longer than {self._limits.tool_seconds:g} s and was stopped"
            ) from None
