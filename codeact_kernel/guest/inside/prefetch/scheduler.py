"""Makes the calls of a loop ahead, so that they are in flight together.

Only for tools that change nothing, and only to save waiting: the loop runs as it is written, and a call in it finds its
answer there, or is made as ever. What is handed out was asked for with the same arguments, after the loop began, with
nothing in between that could change something; each answer is handed out once. The shadows that find out what to ask
(`prefetch.slicer`) work on copies, and what goes wrong in one is of no account: the loop will come to it.
"""

import ast
import json
import sys
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from .. import awaited_tools, tool_calls
from ..bootstrap import before_sleep
from ..tool_calls import ToolDenied, ToolError, ToolFailed, named, prepare, submit, wait
from .ast_tools import FEW, ONE
from .program_facts import BUILTINS, Names
from .slicer import AHEAD, Shadows
from .snapshots import Copies, Unfit, listed

_FIRST, _MOST = 8, 256
"""Items of a loop whose calls are made at a time: few at first, more where their answers are small."""
_AT_ONCE = 32
_IN_VAIN = 3
"""After so many windows without a call nobody looks any more."""
_COPIED, _COPIED_OF_ONE, _COPIED_IN_ALL = 200_000, 20_000, 2_000_000
"""Values that are copied for shadows: for one window, of one variable, and in a whole run. A text counts by its length,
each hundred characters as one."""

_loops: dict[str, tuple[Shadows, Any]] = {}
"""The shadows of all loops that were compiled in this guest, by the places of the loops."""
_reads: frozenset[str] = frozenset()
_tools: frozenset[str] = frozenset()
_acting_names: frozenset[str] = frozenset()
_read_only_handlers: frozenset[str] = frozenset()
_open: list["_Prefetch"] = []
_left = 0


def start_run(told: dict[str, Any], namespace: dict[str, Any]) -> None:
    """The tools whose calls may be made ahead, and all there are."""
    global _reads, _tools, _left, _acting_names, _read_only_handlers
    _acting_names = frozenset(told["acting_names"])
    _read_only_handlers = frozenset(told["read_only_handlers"])
    _reads, _tools, _left = frozenset(told["reads"]), frozenset(told["tools"]), _COPIED_IN_ALL
    _open.clear()
    tool_calls.under_way.clear()
    namespace[AHEAD] = ahead


def rewritten(source: str, filename: str, *, again: bool = False) -> ast.Module:
    """The program, with the items of its loops going through `ahead`. `again` is for one that was read before."""
    with warnings.catch_warnings():
        if again:
            warnings.simplefilter("ignore")
        tree = _parsed(source, filename)
    if not any(name in source for name in _reads):
        return tree
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = _parsed(source, filename)
            made = Shadows(tree, filename, Names(tree, _reads, _tools, _acting_names))
            code = compile(ast.fix_missing_locations(made.text), "<codeact shadows>", "exec", dont_inherit=True)
            changed = ast.fix_missing_locations(made.tree)
            compile(changed, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except Exception:  # too deep to be looked at, or wrong by itself: it runs as it is
            return tree
    _loops.update((place, (made, code)) for place in made.covers)
    return changed


def _parsed(source: str, filename: str) -> ast.Module:
    tree = ast.parse(source, filename)
    if "await" not in source and "asyncio" not in source:
        return tree
    return awaited_tools.rewrite(tree)


def ahead(place: str, *values: Any, through: Any = None, **options: Any) -> Iterable[Any]:
    """The items of a loop, with its calls made ahead."""
    items: Any = through(*values, **options) if through else values[0]
    if place not in _loops or any(place in one.covers for one in _open) or _left <= 0 or _may_change():
        return items
    try:
        at_hand = list(through(*map(listed, values), **options)) if through else listed(items)
    except Exception:  # no container, or one that is changed while it is read
        return items
    return _within(items, at_hand, _Prefetch(place, sys._getframe(1))) if at_hand else items


def _may_change() -> bool:
    """Whether something is under way that may change what tools read."""
    loop = sys.modules.get("codeact_kernel.guest.inside.event_loop")
    return any(name not in _reads for name in tool_calls.under_way.values()) or bool(loop and loop.busy())


def _within(items: Iterable[Any], at_hand: Sequence[Any], calls: "_Prefetch") -> Iterator[Any]:
    _open.append(calls)
    try:
        come = 0
        for index, item in enumerate(items):
            if index == come and not calls.off:
                come += (size := calls.window)
                calls.make(at_hand[index : index + size])
            yield item
    finally:
        _open.remove(calls)


class _Task:
    """One shadow under way. `own` are the answers to calls made inside of it, to which it comes itself yet."""

    def __init__(self, shadow: Generator[Any, Any, Any], parent: "_Task | None") -> None:
        self.shadow = shadow
        self.parent = parent
        self.inside = 0
        self.own: dict[str, deque[Any]] = {}


class _Prefetch:
    """The calls that were made ahead for one loop that is under way.

    Attributes:
        covers: places of the loops inside, whose calls are made as well.
        answers: what was not handed out yet, by tool and arguments; a call without an answer has an empty list.
        window: for how many items calls are made next.
        off: no more calls are made ahead.
    """

    def __init__(self, place: str, frame: FrameType) -> None:
        self.answers: dict[str, deque[list[Any]]] = {}
        self.window = _FIRST
        self.off = False
        self._shadows, self._code = _loops[place]
        self._name = self._shadows.functions[place]
        self.covers = self._shadows.covers[place]
        self._frame = frame
        self._known: dict[str, Any] | None = None
        self._copies = Copies(0)
        self._calls = self._vain = self._hits = self._misses = 0
        self._ready: deque[tuple[_Task, Any]] = deque()
        self._asked: deque[tuple[_Task, str, Any, list[Any]]] = deque()
        self._pending: dict[int, tuple[_Task, str, list[Any]]] = {}

    def make(self, items: Sequence[Any]) -> None:
        """Make the calls for these items, and wait for all answers."""
        global _left
        before, budget = self._calls, min(_COPIED, _left)
        self._copies = Copies(budget)
        try:
            self._make(items)
        except MemoryError:
            self.answers.clear()
            self.off = True
        used = budget - self._copies.left
        _left -= used
        self._vain += self._calls == before
        if self._vain == _IN_VAIN or _left <= 0 or self._copies.spent:
            self.off = True
        elif used < _COPIED // 8:
            self.window = min(2 * self.window, _MOST)

    def _make(self, items: Sequence[Any]) -> None:
        try:
            self._known = self._known or self._environment()
            shadow = self._known[self._name]
            for item in items:
                self._ready.append((_Task(shadow(self._copies.copy(item)), None), None))
        except (Unfit, RecursionError):
            self._ready.clear()
        while self._ready or self._asked or self._pending:
            while self._ready:
                self._go_on(*self._ready.popleft())
            self._send()
            if self._pending:
                self._receive()

    def taken(self, key: str) -> tuple[Any] | None:
        """The answer to this call, if it was made."""
        slots = self.answers.get(key)
        while slots:
            if slot := slots.popleft():
                self._hits += 1
                return (slot[0],)
        self._misses += 1
        if self._misses > 2 * self._hits + _FIRST:  # what the loop does cannot be foreseen
            self.off = True
        return None

    def _environment(self) -> dict[str, Any]:
        """What the shadows see: copies of the variables that they read."""
        library = {name: value for name, value in vars(sys.modules["builtins"]).items() if name in BUILTINS}
        kinds = {"ToolError": ToolError, "ToolFailed": ToolFailed, "ToolDenied": ToolDenied}
        known: dict[str, Any] = {"__builtins__": library, **kinds}
        known |= {ONE: _one, FEW: _few}
        for variables in (self._frame.f_globals, self._frame.f_locals):
            for name in self._shadows.names:
                if name in variables and name not in _reads:
                    known.pop(name, None)
                    with suppress(Unfit, RecursionError):
                        known[name] = self._copies.copy_some(variables[name], _COPIED_OF_ONE)
        exec(self._code, known)
        return known

    def _go_on(self, task: _Task, answer: Any) -> None:
        """Let a shadow run until it wants something that is not there."""
        while True:
            try:
                failed = isinstance(answer, ToolError)
                wanted = task.shadow.throw(answer) if failed else task.shadow.send(answer)
                if isinstance(wanted, list):
                    task.inside = len(wanted)
                    self._ready.extend((_Task(one, task), None) for one in wanted)
                    if wanted:
                        return
                    answer = None
                    continue
                name, args, given, at = wanted
                key, call = _key(name, named(name, args, given), at)
                if not (known := task.own.get(key)):
                    slot: list[Any] = []
                    self.answers.setdefault(key, deque()).append(slot)
                    self._asked.append((task, key, call, slot))
                    return
                answer = self._again(known.popleft())
            except MemoryError:
                raise
            except Exception:  # it came to its end, or to what only the program itself can do
                task.shadow.close()
                self._over(task)
                return

    def _over(self, task: _Task) -> None:
        parent = task.parent
        if parent is not None:
            parent.inside -= 1
            if not parent.inside:
                self._ready.append((parent, None))

    def _send(self) -> None:
        together = len(self._asked) + len(self._pending)
        while self._asked and len(self._pending) < _AT_ONCE:
            task, key, call, slot = self._asked.popleft()
            try:
                if self._copies.spent:
                    raise Unfit
                self._pending[submit(call, together)] = (task, key, slot)
                self._calls += 1
            except Exception:  # over a limit: if it is the program's, that will be told when it gets there
                self._over(task)

    def _receive(self) -> None:
        for number, answer in wait(self._pending, None):
            task, key, slot = self._pending.pop(number)
            slot.append(answer)
            above = task.parent
            while above is not None:
                above.own.setdefault(key, deque()).append(answer)
                above = above.parent
            try:
                self._ready.append((task, self._again(answer)))
            except (Unfit, RecursionError):
                self._over(task)

    def _again(self, answer: Any) -> Any:
        return type(answer)(*answer.args) if isinstance(answer, ToolError) else self._copies.copy(answer)


def _few(values: Iterable[Any]) -> Sequence[Any]:
    return values if isinstance(values, range) else list(values)


def _one(wanted: Any) -> Generator[Any, Any, Any]:
    return (yield wanted)


def _key(name: str, arguments: Mapping[str, Any], line: int) -> tuple[str, Any]:
    _, sent, _ = call = prepare(name, arguments, line)
    return _text(name, sent), call


def _text(name: str, arguments: Mapping[str, Any]) -> str:
    """Equal for equal calls: the order of the arguments means nothing, the order inside them may."""
    return f"{name} {json.dumps({key: arguments[key] for key in sorted(arguments)})}"


def taken(name: str, arguments: Mapping[str, Any]) -> tuple[Any] | None:
    """The answer to a call, where it was made ahead."""
    if not _open or name not in _reads:
        return None
    key = _text(name, arguments)
    return next((found for calls in reversed(_open) if (found := calls.taken(key)) is not None), None)


def forget(name: str = "") -> None:
    """Something happens; if it may change what tools read, nothing more is handed out for the loops under way."""
    if name in _reads or name in _read_only_handlers:
        return
    for calls in _open:
        calls.answers.clear()
        calls.off = True


tool_calls.before_call.append(taken)
tool_calls.before_send.append(forget)
before_sleep.append(forget)
