"""Answer the calls of a turn from its lock, so that its programs run again without the tools."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..types import CallError, CallOutcome, CallResult, Decision, ToolCall
from .comparison import describe_call
from .lock import MAX_CALLS, Lock, LockedCall, fingerprint, lock_value

__all__ = ["Replay"]

_PATIENCE = 5.0
"""Seconds that a call waits for recorded calls which were answered before it and are not made."""


@dataclass(slots=True)
class Replay:
    """The recorded calls of one turn, each of which is used once.

    The answers come in the recorded order: a call waits for the calls that are open and were answered before it, and
    for those that overtook it. A program that makes the same calls therefore sees the same order and never waits
    without need.

    Args:
        lock: the record.

    Attributes:
        problem: why the record could not answer a call, as a sentence; empty if it answered all.
        diverges: whether the problem is a call that was not recorded.
    """

    lock: Lock
    problem: str = ""
    diverges: bool = False
    _positions: dict[tuple[str, str], deque[int]] = field(init=False)
    """The calls that were not made yet, by tool and arguments, in the order in which they were made."""
    _overtaking: Sequence[frozenset[int]] = field(init=False)
    _waiting: dict[int, asyncio.Future[None]] = field(default_factory=dict[int, "asyncio.Future[None]"])
    _answered: set[int] = field(default_factory=set[int])
    _made: int = 0
    _is_in_order: bool = True

    def __post_init__(self) -> None:
        order = _find_order_made(self.lock.calls)
        self._positions = defaultdict(deque)
        for position in order:
            call = self.lock.calls[position]
            self._positions[call.tool, call.arguments.fingerprint].append(position)
        made = {position: index for index, position in enumerate(order)}
        self._overtaking = [
            frozenset(earlier for earlier in range(position) if made[earlier] > made[position])
            for position in range(len(order))
        ]

    @property
    def began(self) -> datetime:
        """The recorded time, with its distance from UTC."""
        return self.lock.began

    async def answer(self, call: ToolCall) -> tuple[Decision, CallOutcome]:
        """Return the recorded decision about a call, and its recorded answer, when it is its turn.

        If there is no such answer, the program gets a final error that says so.
        """
        self._made += 1
        left = self._positions.get((call.name, fingerprint(dict(call.arguments))))
        if not left:
            full = f", which holds the first {MAX_CALLS} calls" if len(self.lock.calls) == MAX_CALLS else ""
            what = describe_call(call.name, lock_value(dict(call.arguments)))
            return self._give_up(f"Call {self._made}, {what}, is not in the record{full}.", diverges=True)
        position = left.popleft()
        recorded = self.lock.calls[position]
        await self._wait_for_turn(position)
        decision = _repeat_decision(recorded)
        if recorded.error is not None:
            return decision, CallError(kind=recorded.error.kind, message=recorded.error.message)
        if not _has_whole_result(recorded):
            what = describe_call(recorded.tool, recorded.arguments)
            return self._give_up(
                f"The result of call {position + 1}, {what}, is not recorded: it is too large, or may hold a secret."
            )
        assert recorded.result is not None
        return decision, CallResult(value=recorded.result.value)

    def _give_up(self, problem: str, *, diverges: bool = False) -> tuple[Decision, CallOutcome]:
        if not self.problem:
            self.problem, self.diverges = problem, diverges
        allowed = Decision(choice="allow_once", by="policy")
        return allowed, CallError(kind="ToolFailed", message=problem, is_final=True)

    async def _wait_for_turn(self, position: int) -> None:
        waiting = self._waiting[position] = asyncio.get_running_loop().create_future()
        try:
            self._release_next()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await waiting
            except TimeoutError:  # a recorded call is not made, so the recorded order cannot be kept
                self._is_in_order = False
            self._answered.add(position)
        finally:
            del self._waiting[position]
            self._release_next()

    def _release_next(self) -> None:
        """Let the open call go on that was answered first, if all that overtook it were answered."""
        if not self._waiting:
            return
        first = min(self._waiting)
        is_free = not self._is_in_order or self._overtaking[first] <= self._answered
        if is_free and not self._waiting[first].done():
            self._waiting[first].set_result(None)


def _find_order_made(calls: Sequence[LockedCall]) -> list[int]:
    """Return the positions of calls that are in the order of their answers, in the order in which they were made."""
    places = list(range(len(calls)))
    made: dict[int, int] = {}
    for position, call in enumerate(calls):
        made[places.pop(min(call.overtook, len(places) - 1))] = position
    return [made[place] for place in sorted(made)]


def _repeat_decision(call: LockedCall) -> Decision:
    edited = call.edited.json_value if call.edited is not None else None
    arguments = edited if isinstance(edited, dict) else None
    match call.decision:
        case "allow_once" | "allow_cell" | "allow_session" | "allow_always":
            return Decision(choice=call.decision, by="memory", arguments=arguments)
        case _:
            return Decision(choice="reject", by="memory", reason="as recorded")


def _has_whole_result(call: LockedCall) -> bool:
    if call.result is None or call.result.digest:
        return False
    reply = call.result.json_value
    # A large reply to a request stays with the kernel that sent the request.
    return not (call.tool == "http_request" and isinstance(reply, dict) and "kept" in reply)
