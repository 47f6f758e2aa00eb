"""Runs in the guest as `codeact_ahead`: makes the calls of a loop ahead, so that they are in flight together.

Only for tools that change nothing, and only to save waiting: the loop runs as it is written, and a call in it finds its
answer there, or is made as ever. What is handed out was asked for with the same arguments, after the loop began, with
nothing in between that could change something; each answer is handed out once. The shadows that find out what to ask
(`codeact_shadow`) work on copies, and what goes wrong in one is of no account: the loop will come to it.
"""

import ast
import json
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any, cast

import codeact_calls
from codeact_calls import ToolDenied, ToolError, ToolFailed, named, prepare, submit, wait
from codeact_names import BUILTINS, MODULES
from codeact_prelude import before_sleep
from codeact_shadow import AHEAD, Shadows
from codeact_trees import ONE

_WINDOW = 256
"""Items of a loop whose calls are made at a time."""
_BUDGET = 400_000
"""Values that are copied for the shadows of one window, answers too; of texts each hundred characters count."""

_VALUES = {
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    *(("decimal", "Decimal"), ("fractions", "Fraction"), ("re", "Pattern")),
}
"""Types, beside the plainest, whose values never change."""

_shadows: Shadows | None = None
_code: Any = None
_reads: frozenset[str] = frozenset()
_tools: frozenset[str] = frozenset()
_open: list["_Reading"] = []


class Unfit(Exception):
    """A value that a shadow cannot have."""


def begin(told: dict[str, Any], namespace: dict[str, Any]) -> None:
    """The tools whose calls may be made ahead, and all there are."""
    global _reads, _tools
    _reads, _tools = frozenset(told["reads"]), frozenset(told["tools"])
    _open.clear()
    namespace[AHEAD] = ahead


def rewritten(source: str, filename: str) -> ast.Module:
    """The program, with the items of its loops going through `ahead`."""
    global _shadows, _code
    _shadows = _code = None
    tree = ast.parse(source, filename)
    if not any(name in source for name in _reads):
        return tree
    try:
        made = Shadows(tree, _reads, _tools)
        code = compile(ast.fix_missing_locations(made.text), "<codeact shadows>", "exec", dont_inherit=True)
        changed = ast.fix_missing_locations(made.tree)
        compile(changed, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (RecursionError, SyntaxError, ValueError):  # too deep to be looked at, or wrong by itself: it runs as it is
        return ast.parse(source, filename)
    _shadows, _code = made, code
    return changed


def ahead(number: int, *values: Any, through: Any = None, **options: Any) -> Iterable[Any]:
    """The items of loop `number`, with its calls made ahead."""
    items: Any = through(*values, **options) if through else values[0]
    if _shadows is None or number not in _shadows.covers or any(number in one.covers for one in _open):
        return items
    try:
        listed = list(through(*map(_listed, values), **options)) if through else _listed(items)
    except Exception:  # no container, or one that is changed while it is read
        return items
    return _within(items, listed, _Reading(number, _shadows.covers[number], sys._getframe(1))) if listed else items


def _listed(values: Any) -> list[Any]:
    kind = type(values)
    if kind in (list, tuple, set, frozenset, dict, range, str, type({}.keys()), type({}.values()), type({}.items())):
        return list(values)
    if kind.__module__ == "codeact_table" and kind.__name__ == "Table" and len(values) <= _BUDGET // 20:
        return list(values)
    raise Unfit


def _within(items: Iterable[Any], listed: list[Any], reading: "_Reading") -> Iterator[Any]:
    _open.append(reading)
    try:
        for index, item in enumerate(items):
            if index % _WINDOW == 0:
                reading.make(listed[index : index + _WINDOW])
            yield item
    finally:
        _open.remove(reading)


class _Line:
    """One shadow under way. `own` are the answers to calls made inside of it, to which it comes itself yet."""

    def __init__(self, shadow: Generator[Any, Any, Any], parent: "_Line | None") -> None:
        self.shadow = shadow
        self.parent = parent
        self.inside = 0
        self.own: dict[str, deque[Any]] = {}


class _Reading:
    """The calls that were made ahead for one loop that is under way."""

    def __init__(self, number: int, covers: set[int], frame: FrameType) -> None:
        self.covers = covers
        self.answers: dict[str, deque[list[Any]]] = {}
        self.off = False
        self._number = number
        self._frame = frame
        self._left = 0
        self._ready: deque[tuple[_Line, Any]] = deque()
        self._asked: list[tuple[_Line, str, Any, list[Any]]] = []
        self._pending: dict[int, tuple[_Line, str, list[Any]]] = {}

    def make(self, items: list[Any]) -> None:
        """Make the calls for these items, and wait for all answers."""
        if self.off:
            return
        self._left = _BUDGET
        try:
            shadow = self._environment()[f"shadow_{self._number}"]
            self._ready.extend((_Line(shadow(self._copy(item)), None), None) for item in items)
        except (Unfit, RecursionError):
            self._ready.clear()
        while self._ready or self._pending:
            while self._ready:
                self._go_on(*self._ready.popleft())
            self._send()
            if self._pending:
                self._receive()

    def _environment(self) -> dict[str, Any]:
        """What the shadows see: copies of the variables that they read."""
        assert _shadows is not None
        library = {name: value for name, value in vars(sys.modules["builtins"]).items() if name in BUILTINS}
        known: dict[str, Any] = {
            "__builtins__": library,
            "ToolFailed": ToolFailed,
            "ToolDenied": ToolDenied,
            ONE: _one,
        }
        for variables in (self._frame.f_globals, self._frame.f_locals):
            for name in _shadows.names:
                if name in variables and name not in _reads:
                    try:
                        known[name] = self._copy(variables[name])
                    except (Unfit, RecursionError):
                        known.pop(name, None)
        exec(_code, known)
        return known

    def _go_on(self, line: _Line, answer: Any) -> None:
        """Let a shadow run until it wants something that is not there."""
        while True:
            try:
                failed = isinstance(answer, ToolError)
                wanted = line.shadow.throw(answer) if failed else line.shadow.send(answer)
                if isinstance(wanted, list):
                    line.inside = len(wanted)
                    self._ready.extend((_Line(one, line), None) for one in wanted)
                    if wanted:
                        return
                    answer = None
                    continue
                name, args, given, at = wanted
                key, call = _key(name, named(name, args, given), at)
                if not (known := line.own.get(key)):
                    self._ask(line, key, call)
                    return
                answer = self._again(known.popleft())
            except Exception:  # it came to its end, or to what only the program itself can do
                line.shadow.close()
                self._over(line)
                return

    def _ask(self, line: _Line, key: str, call: Any) -> None:
        slot: list[Any] = []
        self.answers.setdefault(key, deque()).append(slot)
        self._asked.append((line, key, call, slot))

    def _over(self, line: _Line) -> None:
        parent = line.parent
        if parent is not None:
            parent.inside -= 1
            if not parent.inside:
                self._ready.append((parent, None))

    def _send(self) -> None:
        asked, self._asked = self._asked, []
        for line, key, call, slot in asked:
            try:
                self._pending[submit(call, len(asked))] = (line, key, slot)
            except Exception:  # over a limit: the program will be told when it gets there
                self._over(line)

    def _receive(self) -> None:
        for number, answer in wait(self._pending, None):
            line, key, slot = self._pending.pop(number)
            slot.append(answer)
            above = line.parent
            while above is not None:
                above.own.setdefault(key, deque()).append(answer)
                above = above.parent
            try:
                self._ready.append((line, self._again(answer)))
            except (Unfit, RecursionError):
                self._over(line)

    def _again(self, answer: Any) -> Any:
        return type(answer)(*answer.args) if isinstance(answer, ToolError) else self._copy(answer)

    def _copy(self, value: Any) -> Any:
        self._left -= 1 + (len(value) // 100 if isinstance(value, (str, bytes)) else 0)
        if self._left < 0:
            raise Unfit
        kind: Any = type(value)
        if value is None or kind in (bool, int, float, complex, str, bytes, range):
            return value
        if kind is dict:
            return {self._copy(key): self._copy(one) for key, one in cast("dict[Any, Any]", value).items()}
        if kind in (list, tuple, set, frozenset):
            return kind([self._copy(one) for one in value])
        if (kind.__module__, kind.__name__) in _VALUES or _of_library(value):
            return value
        raise Unfit


def _of_library(value: object) -> bool:
    """Whether it is a module of those that a shadow may use, or a function or class of one."""
    if isinstance(value, ModuleType):
        return value.__name__ in MODULES
    if not isinstance(value, (type, FunctionType, BuiltinFunctionType)) or value.__module__ not in MODULES:
        return False
    return getattr(sys.modules.get(value.__module__), value.__name__, None) is value


def _one(wanted: Any) -> Generator[Any, Any, Any]:
    return (yield wanted)


def _key(name: str, arguments: Mapping[str, Any], line: int) -> tuple[str, Any]:
    _, sent, _ = call = prepare(name, arguments, line)
    return f"{name} {json.dumps(sent, sort_keys=True)}", call


def taken(name: str, arguments: Mapping[str, Any]) -> tuple[Any] | None:
    """The answer to a call, where it was made ahead."""
    if not _open:
        return None
    key = f"{name} {json.dumps(arguments, sort_keys=True)}"
    for reading in reversed(_open):
        slots = reading.answers.get(key)
        while slots:
            slot = slots.popleft()
            if slot:
                return (slot[0],)
    return None


def forget(name: str = "") -> None:
    """Something happens; if it may change what tools read, nothing more is handed out for the loops under way."""
    for reading in () if name in _reads else _open:
        reading.answers.clear()
        reading.off = True


codeact_calls.before_call.append(taken)
codeact_calls.before_send.append(forget)
before_sleep.append(forget)
