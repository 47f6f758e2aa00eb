"""Prefetch the calls of a loop, so that they run in parallel.

Only calls of read-only tools are prefetched, and only to save time: the loop runs as written, and each call in it takes
a prefetched answer or is made as usual. An answer is used once, and only for a call with the same arguments, made after
the loop began with no side effect in between. The slices that find these calls (`prefetch.slicer`) work on copies.
Errors in a slice are ignored, because the loop itself meets the same error.
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
from ..bootstrap import sleep_hooks
from ..tool_calls import ToolDenied, ToolError, ToolFailed, name_arguments, prepare, submit, wait
from .ast_tools import REQUEST, SEQUENCE
from .program_facts import BUILTINS, ProgramFacts
from .slicer import PREFETCH, Slicer
from .snapshots import NotCopyable, Snapshotter, to_sequence

_FIRST_WINDOW, _MAX_WINDOW = 8, 256
"""Items of a loop whose calls are prefetched at once: few at first, more if their answers are small."""
_MAX_IN_FLIGHT = 32
_MAX_EMPTY_WINDOWS = 3
"""After this many windows without a call, prefetching ends for the loop."""
_MAX_COPIED, _MAX_COPIED_PER_VARIABLE, _MAX_COPIED_PER_RUN = 200_000, 20_000, 2_000_000
"""Values that are copied for slices: for one window, of one variable, and in a whole run. Each hundred characters of a
text count as one more value.
"""

_slicers: dict[str, tuple[Slicer, Any]] = {}
"""The slices of all loops that were compiled in this guest, by the places of the loops."""
_read_only_tools: frozenset[str] = frozenset()
_tools: frozenset[str] = frozenset()
_acting_names: frozenset[str] = frozenset()
_read_only_handlers: frozenset[tuple[str, str]] = frozenset()
_active: list["_Prefetcher"] = []
_copies_left = 0


def start_run(config: dict[str, Any], namespace: dict[str, Any]) -> None:
    """Take the tools whose calls may be prefetched, and the names of everything with side effects."""
    global _read_only_tools, _tools, _copies_left, _acting_names, _read_only_handlers
    _acting_names = frozenset(config["acting_names"])
    _read_only_handlers = frozenset((capability, method) for capability, method in config["read_only_handlers"])
    _read_only_tools, _tools, _copies_left = (
        frozenset(config["read_only_tools"]),
        frozenset(config["tools"]),
        _MAX_COPIED_PER_RUN,
    )
    _active.clear()
    tool_calls.pending_calls.clear()
    namespace[PREFETCH] = prefetch


def rewrite(source: str, filename: str, *, is_continued: bool = False) -> ast.Module:
    """Parse the program, and send the items of its loops through `prefetch`.

    Args:
        source: the program so far.
        filename: its name in tracebacks.
        is_continued: whether an earlier part was rewritten before, so that its warnings are not repeated.
    """
    with warnings.catch_warnings():
        if is_continued:
            warnings.simplefilter("ignore")
        tree = _parse(source, filename)
    if not any(name in source for name in _read_only_tools):
        return tree
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = _parse(source, filename)
            slicer = Slicer(tree, filename, ProgramFacts(tree, _read_only_tools, _tools, _acting_names))
            code = compile(ast.fix_missing_locations(slicer.module), "<codeact slices>", "exec", dont_inherit=True)
            changed = ast.fix_missing_locations(slicer.tree)
            compile(changed, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except Exception:  # nested too deeply, or invalid: the program runs unchanged
            return tree
    _slicers.update((place, (slicer, code)) for place in slicer.inner_loops)
    return changed


def _parse(source: str, filename: str) -> ast.Module:
    tree = ast.parse(source, filename)
    if "await" not in source and "asyncio" not in source:
        return tree
    return awaited_tools.rewrite(tree)


def prefetch(place: str, *values: Any, wrapper: Any = None, **options: Any) -> Iterable[Any]:
    """Iterate over the items of a loop, and prefetch its calls. Rewritten programs call this."""
    items: Any = wrapper(*values, **options) if wrapper else values[0]
    is_inner = any(place in outer.inner_loops for outer in _active)
    if place not in _slicers or is_inner or _copies_left <= 0 or _has_pending_side_effects():
        return items
    try:
        known_items = list(wrapper(*map(to_sequence, values), **options)) if wrapper else to_sequence(items)
    except Exception:  # not a container, or it changes while it is read
        return items
    return _iterate(items, known_items, _Prefetcher(place, sys._getframe(1))) if known_items else items


def _has_pending_side_effects() -> bool:
    """Return whether a call that may change what tools read is still running."""
    has_pending = any(name not in _read_only_tools for name in tool_calls.pending_calls.values())
    return has_pending or tool_calls.is_event_loop_busy()


def _iterate(items: Iterable[Any], known_items: Sequence[Any], calls: "_Prefetcher") -> Iterator[Any]:
    _active.append(calls)
    try:
        next_window = 0
        for index, item in enumerate(items):
            if index == next_window and not calls.is_off:
                next_window += (size := calls.window)
                calls.prefetch_items(known_items[index : index + size])
            yield item
    finally:
        _active.remove(calls)


class _Task:
    """One slice that is running.

    Attributes:
        inner_answers: answers to calls of its inner slices; it reaches the same calls later.
    """

    def __init__(self, generator: Generator[Any, Any, Any], parent: "_Task | None") -> None:
        self.generator = generator
        self.parent = parent
        self.open_children = 0
        self.inner_answers: dict[str, deque[Any]] = {}


class _Prefetcher:
    """Prefetch the calls of one loop that is running.

    Attributes:
        inner_loops: places of the loops inside, whose calls are prefetched as well.
        answers: the answers that were not used yet, by tool and arguments; a call without an answer has an empty list.
        window: the number of items whose calls are prefetched next.
        is_off: whether prefetching has ended for this loop.
    """

    def __init__(self, place: str, frame: FrameType) -> None:
        self.answers: dict[str, deque[list[Any]]] = {}
        self.window = _FIRST_WINDOW
        self.is_off = False
        self._slicer, self._code = _slicers[place]
        self._name = self._slicer.slice_names[place]
        self.inner_loops = self._slicer.inner_loops[place]
        self._frame = frame
        self._variables: dict[str, Any] | None = None
        self._snapshotter = Snapshotter(0)
        self._call_count = self._empty_windows = self._hits = self._misses = 0
        self._ready: deque[tuple[_Task, Any]] = deque()
        self._unsent: deque[tuple[_Task, str, Any, list[Any]]] = deque()
        self._pending: dict[int, tuple[_Task, str, list[Any]]] = {}

    def prefetch_items(self, items: Sequence[Any]) -> None:
        """Make the calls for these items, and wait for all answers."""
        global _copies_left
        before, budget = self._call_count, min(_MAX_COPIED, _copies_left)
        self._snapshotter = Snapshotter(budget)
        try:
            self._run_slices(items)
        except MemoryError:
            self.answers.clear()
            self.is_off = True
        used = budget - self._snapshotter.left
        _copies_left -= used
        self._empty_windows += self._call_count == before
        if self._empty_windows == _MAX_EMPTY_WINDOWS or _copies_left <= 0 or self._snapshotter.is_spent:
            self.is_off = True
        elif used < _MAX_COPIED // 8:
            self.window = min(2 * self.window, _MAX_WINDOW)

    def _run_slices(self, items: Sequence[Any]) -> None:
        try:
            self._variables = self._variables or self._make_namespace()
            make_slice = self._variables[self._name]
            for item in items:
                self._ready.append((_Task(make_slice(self._snapshotter.copy(item)), None), None))
        except (NotCopyable, RecursionError):
            self._ready.clear()
        while self._ready or self._unsent or self._pending:
            while self._ready:
                self._resume(*self._ready.popleft())
            self._send()
            if self._pending:
                self._receive()

    def take_answer(self, key: str) -> tuple[Any] | None:
        """Return the answer to this call in a tuple, or `None` if the call was not prefetched."""
        slots = self.answers.get(key)
        while slots:
            if slot := slots.popleft():
                self._hits += 1
                return (slot[0],)
        self._misses += 1
        if self._misses > 2 * self._hits + _FIRST_WINDOW:  # the slice does not predict this loop
            self.is_off = True
        return None

    def _make_namespace(self) -> dict[str, Any]:
        """Return the namespace of the slices, with copies of the variables that they read."""
        library = {name: value for name, value in vars(sys.modules["builtins"]).items() if name in BUILTINS}
        kinds = {"ToolError": ToolError, "ToolFailed": ToolFailed, "ToolDenied": ToolDenied}
        namespace: dict[str, Any] = {"__builtins__": library, **kinds}
        namespace |= {REQUEST: _request, SEQUENCE: _to_sequence}
        for variables in (self._frame.f_globals, self._frame.f_locals):
            for name in self._slicer.read_names:
                if name in variables and name not in _read_only_tools:
                    namespace.pop(name, None)
                    with suppress(NotCopyable, RecursionError):
                        namespace[name] = self._snapshotter.copy_within(variables[name], _MAX_COPIED_PER_VARIABLE)
        exec(self._code, namespace)
        return namespace

    def _resume(self, task: _Task, answer: Any) -> None:
        """Run a slice until it needs an answer that has not arrived."""
        while True:
            try:
                failed = isinstance(answer, ToolError)
                request = task.generator.throw(answer) if failed else task.generator.send(answer)
                if isinstance(request, list):
                    task.open_children = len(request)
                    self._ready.extend((_Task(child, task), None) for child in request)
                    if request:
                        return
                    answer = None
                    continue
                name, args, keywords, line = request
                key, call = _prepare_call(name, name_arguments(name, args, keywords), line)
                if not (answers := task.inner_answers.get(key)):
                    slot: list[Any] = []
                    self.answers.setdefault(key, deque()).append(slot)
                    self._unsent.append((task, key, call, slot))
                    return
                answer = self._copy_answer(answers.popleft())
            except MemoryError:
                raise
            except Exception:  # it has finished, or reached an operation that only the program can do
                task.generator.close()
                self._finish(task)
                return

    def _finish(self, task: _Task) -> None:
        parent = task.parent
        if parent is not None:
            parent.open_children -= 1
            if not parent.open_children:
                self._ready.append((parent, None))

    def _send(self) -> None:
        batch_size = len(self._unsent) + len(self._pending)
        while self._unsent and len(self._pending) < _MAX_IN_FLIGHT:
            task, key, call, slot = self._unsent.popleft()
            try:
                if self._snapshotter.is_spent:
                    raise NotCopyable
                self._pending[submit(call, batch_size)] = (task, key, slot)
                self._call_count += 1
            except Exception:  # over a limit: the program gets this error when it reaches the call
                self._finish(task)

    def _receive(self) -> None:
        for number, answer in wait(self._pending, None):
            task, key, slot = self._pending.pop(number)
            slot.append(answer)
            above = task.parent
            while above is not None:
                above.inner_answers.setdefault(key, deque()).append(answer)
                above = above.parent
            try:
                self._ready.append((task, self._copy_answer(answer)))
            except (NotCopyable, RecursionError):
                self._finish(task)

    def _copy_answer(self, answer: Any) -> Any:
        return type(answer)(*answer.args) if isinstance(answer, ToolError) else self._snapshotter.copy(answer)


def _to_sequence(values: Iterable[Any]) -> Sequence[Any]:
    return values if isinstance(values, range) else list(values)


def _request(call: Any) -> Generator[Any, Any, Any]:
    return (yield call)


def _prepare_call(name: str, arguments: Mapping[str, Any], line: int) -> tuple[str, Any]:
    _, sent, _ = call = prepare(name, arguments, line)
    return _call_key(name, sent), call


def _call_key(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a text that is equal for equal calls. The order of arguments is ignored; the order inside them counts."""
    return f"{name} {json.dumps({key: arguments[key] for key in sorted(arguments)})}"


def take_answer(name: str, arguments: Mapping[str, Any]) -> tuple[Any] | None:
    """Return the prefetched answer to a call in a tuple, or `None`."""
    if not _active or name not in _read_only_tools:
        return None
    key = _call_key(name, arguments)
    return next((answer for calls in reversed(_active) if (answer := calls.take_answer(key)) is not None), None)


def discard_answers() -> None:
    """Drop all prefetched answers. Running loops prefetch nothing more."""
    for calls in _active:
        calls.answers.clear()
        calls.is_off = True


def note_tool_call(name: str) -> None:
    """Discard the answers if the tool may change what they read."""
    if name not in _read_only_tools:
        discard_answers()


def note_host_call(capability: str, method: str) -> None:
    """Discard the answers if the handler may change what they read."""
    if (capability, method) not in _read_only_handlers:
        discard_answers()


tool_calls.answer_lookups.append(take_answer)
tool_calls.on_call_sent.append(note_tool_call)
tool_calls.on_host_call.append(note_host_call)
sleep_hooks.append(discard_answers)
