"""What happens to the tool calls of one turn: open, decide, run, record. Each step is an event."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, replace

from ..approval import ApprovalRequest, requires_approval
from ..events import ApprovalDecided, ApprovalRequested, CallFinished, CallProgressed, CallRequested
from ..json_size import take_beginning, weigh
from ..preflight import Site
from ..sandbox.worker_client import RunClock
from ..text import format_bytes, plural, truncate
from ..tools import BoundCall, ToolCallError, ToolSpec
from ..types import (
    STOPPED,
    CallError,
    CallOutcome,
    CallRecord,
    CallResult,
    Decision,
    JSONValue,
    ProgramFailure,
    StoredResult,
    ToolCall,
)
from .context import TurnContext
from .stopwatch import Stopwatch

__all__ = ["Calls"]

_BRIEF = 100
"""Characters of a call where it is only named."""
_COMPARED = 400
_GROUP = re.compile(r"\((\d{1,6}) sub-exceptions?\)\Z")
"""Characters by which the message of a program's exception is known to be that of a call."""
_THREADS = 32
"""Calls at a time of a tool that runs in threads and says nothing of its own about it."""


@dataclass(frozen=True, slots=True)
class _EditedCall:
    """The validator of an approval request: binds the call again, with other arguments."""

    bound: BoundCall
    bind: Callable[[BoundCall, Mapping[str, JSONValue]], BoundCall]

    def find_version(self, arguments: Mapping[str, JSONValue]) -> str:
        return self.bind(self.bound, arguments).tool.spec.version


class Calls:
    """Answers the calls of one turn.

    Attributes:
        records: the finished calls, in the order of their answers.
        run: the number of the present run.
        clock: the present run's clock; it stands still while a person decides or a tool runs.
        tools_time, waiting_time: what the tools took, and what the person took.
    """

    def __init__(self, context: TurnContext) -> None:
        self.records: list[CallRecord] = []
        self.run = 0
        self.clock = RunClock(context.limits.run_seconds)
        self.tools_time = Stopwatch()
        self.waiting_time = Stopwatch()
        self._turn = context.number
        self._tools = context.tools
        self._capabilities = context.capabilities
        self._approvals = context.approvals
        self._allow = context.settings.allow
        self._emit = context.emit
        self._limits = context.limits
        self._on_main = context.on_main
        self._lines: Sequence[str] = ()
        self._sites: Sequence[Site] = ()
        self._untrusted = ""
        self._arguments_weight = 0
        self._results_weight = 0
        self._invoked: Counter[str] = Counter()
        self._places: dict[str, asyncio.Semaphore] = {}

    def begin(self, run: int) -> RunClock:
        """A new run: its clock."""
        self.run, self.clock = run, RunClock(self._limits.run_seconds)
        return self.clock

    def set_program(self, program: str, sites: Sequence[Site]) -> None:
        """The program that is run, which names tools at `sites`."""
        self._lines, self._sites = program.split("\n"), sites

    def prefetchable_tools(self) -> list[str]:
        """The tools whose calls a program may make before it comes to them: they change nothing, and nobody is asked.

        One that counts its calls is none of them: which call is the first one over must not depend on that.
        """
        return [name for name in self._tools if self.is_prefetchable(name)]

    def is_prefetchable(self, name: str) -> bool:
        """Whether the tool is one of these."""
        spec = self._tools.get(name)
        return (
            spec is not None
            and spec.read_only
            and not spec.direct
            and spec.max_invocations is None
            and not self._requires_approval(spec, self._allow)
        )

    @property
    def has_acted(self) -> bool:
        """Whether a call was made that may have changed something."""
        specs = (self._tools.get(record.call.name) for record in self.records)
        return any(spec is None or not spec.read_only for spec in specs)

    def is_final(self, failure: ProgramFailure) -> bool:
        """Whether a program failed with a call that no other program can make better: nobody was there to allow it, or
        the tool raised for a reason of its own. One that caught that, and failed with something else, is not meant."""
        answers = [
            answer for record in self.records if isinstance(answer := record.answer, CallError) and answer.is_final
        ]
        said = [(answer.kind, answer.message[:_COMPARED]) for answer in answers]
        if failure.kind in ("ExceptionGroup", "BaseExceptionGroup"):  # of a TaskGroup: final if all in it are
            inside = _GROUP.search(failure.message)
            told = sum(f"{kind}: {message}" in failure.traceback for kind, message in said)
            return inside is not None and 0 < int(inside[1]) <= told
        return (failure.kind, failure.message[:_COMPARED]) in said

    async def answer(self, call: ToolCall, *, direct: bool = False) -> CallOutcome:
        """Decide about `call`, of a program or `direct` of the model, and run it. Raises nothing but cancellation."""
        self._arguments_weight += weigh(dict(call.arguments))
        if too_much := self._arguments_weight > self._limits.turn_arguments_bytes:
            call = replace(call, arguments={})  # what is over the limit must not be kept for the result either
        self._emit(CallRequested(run=self.run, call=call))
        run, started = self.run, 0.0
        # What a user is asked about may name a file: no program changes one until the call that was approved is over.
        held = AsyncExitStack()
        decision = Decision(choice="reject", by="nobody", reason="not decided")
        try:
            if too_much:
                most = format_bytes(self._limits.turn_arguments_bytes)
                raise ToolCallError(f"the calls of one turn may have {most} of arguments in all: pass less")
            # What is shown is what runs: the tool and its arguments are frozen before anybody is asked.
            bound = self._bound(call, direct)
            call = replace(call, version=bound.tool.spec.version)
            self._charge_invocation(call, bound)
            asked = time.monotonic()
            decision = await self._decide(call, bound, held)
            self._emit(ApprovalDecided(run=run, call=call, decision=decision, waited=time.monotonic() - asked))
            if decision.allowed:
                async with self._concurrency_slot(bound.tool.spec):
                    started = time.monotonic()
                    answer = await self._run(run, call, bound, decision)
            else:
                message = decision.reason or f"the person denied {call.name}"
                answer = CallError(kind="ToolDenied", message=message, is_final=decision.by == "nobody")
        except ToolCallError as error:
            answer = CallError(kind="ToolFailed", message=str(error), is_final=error.is_final)
        except asyncio.CancelledError:  # stopped, or out of time: what has begun must not be forgotten
            effects = "it may have had effects" if started else "it had not begun"
            self._record(run, call, decision, CallError(kind="ToolFailed", message=f"{STOPPED}{effects}"), started)
            raise
        except Exception as error:  # a fault of ours, or of who decides: the call must not be missing
            self._tools.last_error = error
            answer = CallError(kind="ToolFailed", message=f"internal error ({type(error).__name__})")
        finally:
            await held.aclose()
        self._record(run, call, decision, answer, started)
        return answer

    def _bound(self, call: ToolCall, direct: bool) -> BoundCall:
        if (own := self._capabilities.tools.get(call.name)) is not None and not direct:
            return own.bind(call.arguments, self._limits)
        bound = self._tools.validate(call.name, call.arguments, limits=self._limits)
        if bound.tool.spec.direct is not direct:
            raise ToolCallError(f"{call.name} is called by the model itself: no program can")
        return bound

    def _with_arguments(self, bound: BoundCall, arguments: Mapping[str, JSONValue]) -> BoundCall:
        """The call as the person changed it. What we allow of our own tools goes by the arguments too."""
        if (own := self._capabilities.tools.get(bound.tool.spec.name)) is not None:
            return own.bind(arguments, self._limits)
        return self._tools.edited(bound, arguments, limits=self._limits)

    def _record(self, run: int, call: ToolCall, decision: Decision, answer: CallOutcome, started: float) -> None:
        took = time.monotonic() - started if started else 0.0
        answer = self._fit_record(answer)
        self.records.append(CallRecord(call=call, decision=decision, answer=answer, seconds=took))
        self._emit(CallFinished(run=run, call=call, answer=answer, took=took))

    def _fit_record(self, answer: CallOutcome) -> CallOutcome:
        """Keep only the beginning of a result once the results of the turn take too much memory."""
        if isinstance(answer, CallError) or answer.kept is not None:
            return answer
        self._results_weight += (weight := weigh(answer.value))
        if self._results_weight <= self._limits.result_bytes:
            return answer
        self._results_weight -= weight
        return CallResult(value=take_beginning(answer.value), is_cut=True)

    def _charge_invocation(self, call: ToolCall, bound: BoundCall) -> None:
        """What a turn may do in all.

        Raises:
            ToolCallError: this call is beyond it.
        """
        most_calls = bound.tool.spec.max_invocations
        if most_calls is not None and self._invoked[call.name] >= most_calls:
            raise ToolCallError(f"{call.name} may be called {most_calls} times in a turn, and was")
        self._invoked[call.name] += 1

    async def _decide(self, call: ToolCall, bound: BoundCall, held: AsyncExitStack) -> Decision:
        spec = bound.tool.spec
        # What is ours is allowed by what it reaches, a host for example, and not by its name.
        allow = frozenset[str]() if call.name in self._capabilities.tools else self._allow
        if not self._requires_approval(spec, allow):
            asked_for = spec.approval_mode == "always_require"
            return Decision(choice="allow_once", by="policy", reason="allowed beforehand" if asked_for else "")
        question = self._question(call, bound)
        if (known := self._approvals.remembered_decision(question)) is not None:
            return known
        await held.enter_async_context(self._capabilities.hold_changes())
        self._emit(ApprovalRequested(run=self.run, call=call))
        with self.clock.paused(), self.waiting_time.running():
            return await self._approvals.decide(question)

    def _requires_approval(self, spec: ToolSpec, allow: Set[str]) -> bool:
        if self._untrusted and not (spec.read_only and spec.approval_mode == "never_require"):
            return True
        return requires_approval(spec.name, spec.approval_mode, allow)

    def _question(self, call: ToolCall, bound: BoundCall) -> ApprovalRequest:
        spec = bound.tool.spec
        return ApprovalRequest(
            turn=self._turn,
            run=self.run,
            call=call,
            summary=spec.description.strip().partition("\n")[0],
            schema=spec.schema,
            source=self._lines[call.line - 1].strip() if call.line and call.line <= len(self._lines) else "",
            upcoming=self._describe_upcoming(call),
            untrusted=self._untrusted,
            validator=_EditedCall(bound, self._with_arguments),
        )

    def _describe_upcoming(self, call: ToolCall) -> str:
        """How many more calls the program will ask for, as far as its text tells."""
        specs = self._tools.specs()
        asking = [
            site
            for site in self._sites
            if site.name in specs and self._requires_approval(specs[site.name], self._allow)
        ]
        here = [site for site in asking if (site.name, site.line) == (call.name, call.line)]
        later = [site for site in asking if site.line > (call.line or 0)]
        again = [site for site in asking if site.repeated]
        if not later and not again:
            return ""
        places = f"{plural(len(later), 'more place')} below will ask" if later else ""
        loop = "this line may ask again" if any(site.repeated for site in here) else ""
        return " and ".join(part for part in (loop, places) if part) or "others may ask again"

    def _concurrency_slot(self, spec: ToolSpec) -> AbstractAsyncContextManager[object]:
        """One of the places in which calls of a tool may run at a time."""
        if not spec.is_async and not spec.thread_safe:  # they share one thread: waiting for it is not their own time
            return self._places.setdefault("", asyncio.Semaphore(1))
        most = spec.max_concurrency or (_THREADS if spec.thread_safe else None)
        if most is None:
            return nullcontext()
        return self._places.setdefault(spec.name, asyncio.Semaphore(most))

    async def _run(self, run: int, call: ToolCall, bound: BoundCall, decision: Decision) -> CallOutcome:
        if decision.arguments is not None:
            bound = self._with_arguments(bound, decision.arguments)
        if call.name not in self._capabilities.tools and not self._tools.holds(bound):
            raise ToolCallError(f"{call.name} was defined anew or removed while the call waited: call it again")

        def report(done: float, total: float | None, text: str) -> None:
            self._emit(CallProgressed(run=run, call=call, done=done, total=total, text=text))

        try:
            with self.tools_time.running(), self.clock.paused():
                async with asyncio.timeout(self._limits.tool_seconds):
                    convert = None if bound.tool.spec.direct else self._capabilities.result
                    value = await self._tools.call(
                        bound, on_main=self._on_main, limits=self._limits, report=report, convert=convert
                    )
                    if isinstance(value, StoredResult):
                        return CallResult(value=value.preview, kept=value)
                    return CallResult(value=value)
        except TimeoutError:
            raise ToolCallError(
                f"{call.name} took longer than {self._limits.tool_seconds:g} s and was stopped"
            ) from None
        finally:
            if bound.tool.spec.source == "untrusted":  # what it raises may be an outsider's words, too
                made = call if decision.arguments is None else replace(call, arguments=decision.arguments)
                self._untrusted = self._untrusted or _brief(made)


def _brief(call: ToolCall) -> str:
    """The call in a few words, for people."""
    arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in call.arguments.items())
    where = f" in line {call.line}" if call.line else ""
    return truncate(f"{call.name}({arguments})", _BRIEF) + where
