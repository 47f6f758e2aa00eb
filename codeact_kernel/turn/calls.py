"""Answer the tool calls of one turn: validate, decide, run and record each call. Each step emits an event."""

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
from ..memory.replay import Replay
from ..preflight import Site
from ..sandbox.worker_client import RunClock
from ..secrets import hide_in
from ..text import format_bytes, plural
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
from .call_wording import describe_call, describe_upcoming
from .context import TurnContext
from .questions import ToolQuestions
from .stopwatch import Stopwatch

__all__ = ["Calls"]

_COMPARED = 400
"""Characters of an exception's message that are compared with the message of a call."""
_GROUP = re.compile(r"\((\d{1,6}) sub-exceptions?\)\Z")
_THREADS = 32
"""The default for `max_concurrency` of a thread-safe tool."""


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
        run: the number of the current run.
        clock: the clock of the current run. It is paused while a user decides or a tool runs.
        tools_time: the time in which tools ran.
        waiting_time: the time in which calls waited for a user's decision.
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
        self._accounts = context.accounts
        self._allow = context.settings.allow
        self._emit = context.emit
        self._limits = context.limits
        self._on_main = context.on_main
        self._replay = context.replay
        self._lines: Sequence[str] = ()
        self._sites: Sequence[Site] = ()
        self._untrusted = ""
        self._arguments_weight = 0
        self._results_weight = 0
        self._invoked: Counter[str] = Counter()
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._open: list[tuple[int, int]] = []
        """The calls without an answer, by their run and id, in the order in which they were made."""

    def start_run(self, run: int) -> RunClock:
        """Start the run with this number, and return its clock."""
        self.run, self.clock = run, RunClock(self._limits.run_seconds)
        return self.clock

    def set_program(self, program: str, sites: Sequence[Site]) -> None:
        """Set the program of the current run, and the places where it names tools."""
        self._lines, self._sites = program.split("\n"), sites

    def prefetchable_tools(self) -> list[str]:
        """Return the tools whose calls may be made before the program reaches them.

        These tools change nothing and need no approval. Tools with `max_invocations` are excluded, and all tools if a
        budget limits the calls: prefetching must not change which call exceeds the limit.
        """
        return [name for name in self._tools if self.is_prefetchable(name)]

    def is_prefetchable(self, name: str) -> bool:
        """Return whether `prefetchable_tools` contains the tool."""
        spec = self._tools.get(name)
        return (
            spec is not None
            and spec.read_only
            and not spec.direct
            and spec.max_invocations is None
            and not self._accounts.limits_calls
            and not self._requires_approval(spec, self._allow)
        )

    @property
    def has_acted(self) -> bool:
        """Whether a call was made that may have changed something."""
        return any(not record.call.is_read_only for record in self.records)

    def effects(self, records: Sequence[CallRecord]) -> Counter[tuple[str, str]]:
        """Count the calls among `records` that may have changed something, by their names and arguments."""
        return Counter(
            (record.call.name, json.dumps(dict(_used_arguments(record)), sort_keys=True))  # NaN is an argument, too
            for record in records
            if isinstance(record.answer, CallResult) and not record.call.is_read_only
        )

    def is_final(self, failure: ProgramFailure) -> bool:
        """Return whether the program failed with the error of a call that no other program can avoid.

        Such an error is a call that nobody was there to approve, or a tool that marked its error as final. If the
        program caught that error and failed with another one, a retry may still help.
        """
        errors = [record.answer for record in self.records if isinstance(record.answer, CallError)]
        final_errors = [(error.kind, error.message[:_COMPARED]) for error in errors if error.is_final]
        if failure.kind in ("ExceptionGroup", "BaseExceptionGroup"):  # of a TaskGroup: final if all in it are
            group = _GROUP.search(failure.message)
            count = sum(f"{kind}: {message}" in failure.traceback for kind, message in final_errors)
            return group is not None and 0 < int(group[1]) <= count
        return (failure.kind, failure.message[:_COMPARED]) in final_errors

    async def answer(self, call: ToolCall, *, direct: bool = False) -> CallOutcome:
        """Get a decision about the call, and run it if it is allowed. Errors become a `CallError`.

        Args:
            direct: the model makes the call itself, without a program.
        """
        self._arguments_weight += weigh(dict(call.arguments))
        if is_over_limit := self._arguments_weight > self._limits.turn_arguments_bytes:
            call = replace(call, arguments={})  # the record must not keep them either
        spec = self._tools.get(call.name)
        if spec is not None:
            own = spec.own_arguments(call.arguments)
            call = replace(call, is_read_only=spec.read_only, own_name=spec.own_name, arguments=own)
        self._emit(CallRequested(run=self.run, call=call))
        run, started = self.run, 0.0
        self._open.append((run, call.id))
        if self._replay is not None:
            return await self._repeat(self._replay, call)
        # The user may look at a file before approving a call, so no program may change files until the call has ended.
        change_hold = AsyncExitStack()
        decision = Decision(choice="reject", by="nobody", reason="not decided")
        try:
            if is_over_limit:
                max_size = format_bytes(self._limits.turn_arguments_bytes)
                raise ToolCallError(f"the calls of one turn may have {max_size} of arguments in all: pass less")
            # The tool and its arguments are frozen before the approval request, so that exactly this call runs.
            bound = self._bind(call, direct)
            call = replace(call, version=bound.tool.spec.version)
            self._charge_invocation(call, bound)
            asked = time.monotonic()
            decision = await self._decide(call, bound, change_hold)
            self._emit(ApprovalDecided(run=run, call=call, decision=decision, waited=time.monotonic() - asked))
            if decision.allowed:
                async with self._concurrency_slot(bound.tool.spec):
                    started = time.monotonic()
                    answer = await self._run(run, call, bound, decision)
            else:
                message = decision.reason or f"the user denied {call.name}"
                answer = CallError(kind="ToolDenied", message=message, is_final=decision.by == "nobody")
        except ToolCallError as error:
            answer = CallError(kind="ToolFailed", message=str(error), is_final=error.is_final)
        except asyncio.CancelledError:  # stopped or out of time: the call needs a record, since it may have had effects
            effects = "it may have had effects" if started else "it had not begun"
            self._record(run, call, decision, CallError(kind="ToolFailed", message=f"{STOPPED}{effects}"), started)
            raise
        except Exception as error:  # internal, or of the approver: the call needs a record
            self._tools.last_error = error
            answer = CallError(kind="ToolFailed", message=f"internal error ({type(error).__name__})")
        finally:
            await change_hold.aclose()
        self._record(run, call, decision, answer, started)
        return answer

    async def _repeat(self, replay: Replay, call: ToolCall) -> CallOutcome:
        """Answer a call from a record. No tool runs, and nobody is asked."""
        run = self.run
        try:
            decision, answer = await replay.answer(call)
        except asyncio.CancelledError:
            never = CallError(kind="ToolFailed", message=f"{STOPPED}its answer never came")
            self._record(run, call, Decision(choice="reject", by="nobody"), never, 0.0)
            raise
        self._emit(ApprovalDecided(run=run, call=call, decision=decision, waited=0.0))
        self._record(run, call, decision, answer, 0.0)
        return answer

    def _bind(self, call: ToolCall, direct: bool) -> BoundCall:
        if (builtin := self._capabilities.tools.get(call.name)) is not None and not direct:
            return builtin.bind(call.arguments, self._limits)
        bound = self._tools.validate(call.name, call.arguments, limits=self._limits)
        if bound.tool.spec.direct is not direct:
            raise ToolCallError(f"{call.name} is called by the model itself: a program cannot call it")
        return bound

    def _with_arguments(self, bound: BoundCall, arguments: Mapping[str, JSONValue]) -> BoundCall:
        """Return the call with the arguments as the user changed them.

        A built-in tool is bound again, because its approval mode depends on its arguments.
        """
        if (builtin := self._capabilities.tools.get(bound.tool.spec.name)) is not None:
            return builtin.bind(arguments, self._limits)
        return self._tools.with_arguments(bound, arguments, limits=self._limits)

    def _record(self, run: int, call: ToolCall, decision: Decision, answer: CallOutcome, started: float) -> None:
        seconds = time.monotonic() - started if started else 0.0
        answer = self._fit_record(answer)
        decision = hide_in(decision)  # the user may have typed a secret into an argument
        overtook = self._open.index((run, call.id))
        del self._open[overtook]
        self.records.append(CallRecord(call=call, decision=decision, answer=answer, seconds=seconds, overtook=overtook))
        self._emit(CallFinished(run=run, call=call, answer=answer, seconds=seconds))

    def _fit_record(self, answer: CallOutcome) -> CallOutcome:
        """Keep only the beginning of a result once the results of the turn take too much memory."""
        if isinstance(answer, CallError) or answer.stored is not None:
            return answer
        self._results_weight += (weight := weigh(answer.value))
        if self._results_weight <= self._limits.result_bytes:
            return answer
        self._results_weight -= weight
        return CallResult(value=take_beginning(answer.value), is_cut=True)

    def _charge_invocation(self, call: ToolCall, bound: BoundCall) -> None:
        """Count the call.

        Raises:
            ToolCallError: if the tool was called `max_invocations` times already, or a budget has no call left.
        """
        max_calls = bound.tool.spec.max_invocations
        if max_calls is not None and self._invoked[call.name] >= max_calls:
            raise ToolCallError(f"{call.name} has reached its limit of {plural(max_calls, 'call')} in one turn")
        self._accounts.charge_call()
        self._invoked[call.name] += 1

    async def _decide(self, call: ToolCall, bound: BoundCall, change_hold: AsyncExitStack) -> Decision:
        spec = bound.tool.spec
        # A built-in tool is allowed by its target, for example a host, and never by its name.
        allow = frozenset[str]() if call.name in self._capabilities.tools else self._allow
        if not self._requires_approval(spec, allow):
            is_on_allow_list = spec.approval_mode == "always_require"
            return Decision(choice="allow_once", by="policy", reason="allowed beforehand" if is_on_allow_list else "")
        request = self._approval_request(call, bound)
        if (remembered := self._approvals.remembered_decision(request)) is not None:
            return remembered
        await change_hold.enter_async_context(self._capabilities.hold_changes())
        self._emit(ApprovalRequested(run=self.run, call=call))
        with self.clock.paused(), self.waiting_time.running():
            return await self._approvals.decide(request)

    def _requires_approval(self, spec: ToolSpec, allow: Set[str]) -> bool:
        if self._untrusted and not (spec.read_only and spec.approval_mode == "never_require"):
            return True
        return requires_approval(spec.name, spec.approval_mode, allow)

    def _approval_request(self, call: ToolCall, bound: BoundCall) -> ApprovalRequest:
        spec = bound.tool.spec
        return ApprovalRequest(
            turn=self._turn,
            run=self.run,
            call=call,
            summary=spec.description.strip().partition("\n")[0],
            schema=spec.schema,
            source=self._lines[call.line - 1].strip() if call.line and call.line <= len(self._lines) else "",
            upcoming=describe_upcoming(call, self._approval_sites()),
            untrusted=self._untrusted,
            validator=_EditedCall(bound, self._with_arguments),
        )

    def _approval_sites(self) -> list[Site]:
        """Return the places of the program that name a tool whose calls need approval."""
        specs = ((site, self._tools.get(site.name)) for site in self._sites)
        return [site for site, spec in specs if spec is not None and self._requires_approval(spec, self._allow)]

    def _concurrency_slot(self, spec: ToolSpec) -> AbstractAsyncContextManager[object]:
        """Return a context that limits how many calls of the tool run at a time."""
        if not spec.is_async and not spec.thread_safe:  # they share one thread: waiting is not their time
            return self._slots.setdefault("", asyncio.Semaphore(1))
        max_concurrency = spec.max_concurrency or (_THREADS if spec.thread_safe else None)
        if max_concurrency is None:
            return nullcontext()
        return self._slots.setdefault(spec.name, asyncio.Semaphore(max_concurrency))

    async def _run(self, run: int, call: ToolCall, bound: BoundCall, decision: Decision) -> CallOutcome:
        if decision.arguments is not None:
            bound = self._with_arguments(bound, decision.arguments)
        if call.name not in self._capabilities.tools and not self._tools.is_current(bound):
            raise ToolCallError(f"{call.name} was redefined or removed while the call waited: call it again")

        def report(done: float, total: float | None, text: str) -> None:
            self._emit(CallProgressed(run=run, call=call, done=done, total=total, text=text))

        try:
            with self.tools_time.running(), self.clock.paused():
                async with asyncio.timeout(self._limits.tool_seconds) as timeout:
                    ask = ToolQuestions(self._turn, run, call, self._approvals, self.waiting_time, timeout)
                    convert = None if bound.tool.spec.direct else self._capabilities.converter(bound.tool.spec)
                    value = await self._tools.call(
                        bound, on_main=self._on_main, limits=self._limits, report=report, ask=ask, convert=convert
                    )
                    if isinstance(value, StoredResult):
                        return CallResult(value=value.preview, stored=value)
                    return CallResult(value=value)
        except TimeoutError:
            message = f"{call.name} took longer than {self._limits.tool_seconds:g} s and was stopped"
            raise ToolCallError(message) from None
        finally:
            if bound.tool.spec.source == "untrusted":  # an exception may contain an outsider's words, too
                call_as_run = call if decision.arguments is None else replace(call, arguments=decision.arguments)
                self._untrusted = self._untrusted or describe_call(call_as_run)


def _used_arguments(record: CallRecord) -> Mapping[str, JSONValue]:
    """Return the arguments of a finished call, as the user may have changed them."""
    return record.call.arguments if record.decision.arguments is None else record.decision.arguments
