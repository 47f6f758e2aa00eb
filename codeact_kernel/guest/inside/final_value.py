"""Decide which value a program returns, and read it.

The value is that of the last statement: an expression or an assignment, also inside `if`, `try`, `with`, `match` and
the `else` of a loop. A coroutine is awaited and an iterator is read, so that a program with a lazy last value does its
work.
"""

import ast
import itertools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from .tool_calls import get_kind

VALUE_NAMES = VALUE, ASSIGNED, CHANGED = "__codeact_value__", "__codeact_assigned__", "__codeact_changed__"
"""Variables for the value of a program's last statement: an expression, an assignment, or a changed container."""
_MAX_ITEMS = 10_000
"""Maximum number of items that are read from iterators, ranges and similar objects, in total."""
_MAX_DEPTH = 6
_IN_PLACE_METHODS = frozenset({
    "add", "append", "appendleft", "extend", "extendleft", "insert", "reverse", "sort", "update",
})  # fmt: skip
"""Methods that change a container and return `None`. The container is then the value, as after an item assignment."""
_NOT_VALUES = (BuiltinFunctionType, FunctionType, MethodType, ModuleType)
"""A program that ends with one of these forgot to call it."""
_CONTAINERS = (dict, list, set, deque)
_FLAT = {bool, bytes, float, int, str, type(None)}


# -- which value a program returns -------------------------------------------------------------------------------------


def keep_value(body: list[ast.stmt]) -> None:
    """Change the last of these statements so that it leaves its value in a variable."""
    if not body:
        return
    last = body[-1]
    match last:
        case ast.Expr(value=value):
            body[-1] = _make_assign(VALUE, value, last)
            match value:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _IN_PLACE_METHODS:
                    body.append(_make_assign(CHANGED, ast.Name(name, ast.Load()), last))
                case _:
                    pass
        case ast.For(orelse=orelse) | ast.AsyncFor(orelse=orelse) | ast.While(orelse=orelse):
            keep_value(orelse)
        case (
            ast.Assign(targets=[target, *_])
            | ast.AnnAssign(target=target, value=ast.expr())
            | ast.AugAssign(target=target)
        ):
            if (value := _to_load(target)) is not None:
                body.append(_make_assign(ASSIGNED, value, last))
        case ast.If():
            keep_value(last.body)
            keep_value(last.orelse)
        case ast.Try() | ast.TryStar():
            keep_value(last.orelse or last.body)
            for handler in last.handlers:
                keep_value(handler.body)
        case ast.With() | ast.AsyncWith():
            keep_value(last.body)
        case ast.Match():
            for case in last.cases:
                keep_value(case.body)
        case _:
            pass


def _make_assign(name: str, value: ast.expr, place: ast.stmt) -> ast.stmt:
    statement = ast.Assign([ast.Name(name, ast.Store())], value)
    for node in ast.walk(statement):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, place)
    return statement


def _to_load(target: ast.expr) -> ast.expr | None:
    """Return the expression that reads the target of an assignment; for an item, its container."""
    match target:
        case ast.Name(id=name):
            return None if name == "_" else ast.Name(name, ast.Load())
        case ast.Attribute(value=value, attr=name):
            return ast.Attribute(value, name, ast.Load())
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            loaded = {ast.dump(part): part for part in map(_to_load, parts) if part is not None}
            if len(loaded) == 1 and isinstance(parts[0], ast.Subscript):
                return next(iter(loaded.values()))  # all are items of one container
            return ast.Tuple(list(loaded.values()), ast.Load()) if loaded else None
        case ast.Starred(value=value):
            return _to_load(value)
        case ast.Subscript(value=value):
            return _to_load(value)
        case _:
            return None


def take_value(namespace: dict[str, Any], *, allow_assigned: bool) -> Any:
    """Return the value that the program left, and remove it from the namespace.

    Args:
        namespace: the program's global variables.
        allow_assigned: whether the value of an assignment counts.
    """
    value, assigned, changed = (namespace.pop(name, None) for name in VALUE_NAMES)
    if assigned is None and value is None and isinstance(changed, _CONTAINERS):
        assigned = changed
    if value is None and allow_assigned and not callable(assigned) and not hasattr(type(assigned), "write"):
        value = assigned
    return None if isinstance(value, _NOT_VALUES) else value


# -- lazy values -------------------------------------------------------------------------------------------------------


def needs_await(value: Any) -> bool:
    """Return whether the value, or a part of it, has to be awaited."""
    return next(_find_awaitables(value, _MAX_DEPTH, set()), None) is not None


async def await_parts(value: Any) -> Any:
    """Return the value with every awaitable in its lists and dicts awaited, all at the same time."""
    import asyncio

    awaitables = list(itertools.islice(_find_awaitables(value, _MAX_DEPTH, set()), _MAX_ITEMS))
    results = await asyncio.gather(
        *(_read_async(part) if hasattr(type(part), "__anext__") else part for part in awaitables)
    )
    return _replace({id(part): result for part, result in zip(awaitables, results, strict=True)}, value, _MAX_DEPTH)


def _find_awaitables(value: Any, depth: int, seen: set[int]) -> Iterator[Any]:
    """Yield the parts of the value that have to be awaited. `seen` holds the ids of containers that were searched."""
    kind = type(value)
    if kind in _FLAT or depth == 0 or id(value) in seen:
        return
    seen.add(id(value))
    if hasattr(kind, "__await__") or hasattr(kind, "__anext__"):
        yield value
        return
    parts = value if isinstance(value, dict) else _get_fields(value)
    if parts is not None:
        parts = parts.values()
    elif kind in (list, tuple):
        parts = value
    else:
        return
    if len(parts) <= _MAX_ITEMS:
        for part in parts:
            yield from _find_awaitables(part, depth - 1, seen)


def _get_fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass or a named tuple by name, or `None` for other objects."""
    kind = type(value)
    names = getattr(kind, "_fields", None) if isinstance(value, tuple) else getattr(kind, "__dataclass_fields__", None)
    return None if names is None else {name: getattr(value, name, None) for name in names}


def _replace(results: dict[int, Any], value: Any, depth: int) -> Any:
    """Return the value with each awaitable replaced by its result."""
    if id(value) in results:
        return results[id(value)]
    if depth == 0:
        return value
    if isinstance(value, dict):
        return {key: _replace(results, part, depth - 1) for key, part in value.items()}
    if type(value) in (list, tuple):
        return [_replace(results, part, depth - 1) for part in value]
    fields = _get_fields(value)
    if fields is None or next(_find_awaitables(value, depth, set()), None) is None:
        return value
    return {name: _replace(results, part, depth - 1) for name, part in fields.items()}


async def _read_async(items: Any) -> list[Any]:
    result: list[Any] = []
    async for item in items:
        if len(result) == _MAX_ITEMS:
            _warn_truncated()
            break
        result.append(item)
    return result


def read_lazy(value: Any) -> Any:
    """Return the value with its lazy parts read: iterators, sequences and mappings become lists and dicts."""
    return _LazyReader().read(value, _MAX_DEPTH)


class _LazyReader:
    def __init__(self) -> None:
        self._left = _MAX_ITEMS
        self._has_warned = False
        self._known: dict[int, tuple[Any, Any]] = {}

    def read(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _FLAT or depth == 0 or get_kind(value):
            return value
        known = self._known.get(id(value))
        if known is None:  # it keeps the value alive, so that no other object gets its id
            known = self._known[id(value)] = value, self._read(value, kind, depth)
        return known[1]

    def _read(self, value: Any, kind: type, depth: int) -> Any:
        if kind in (list, tuple) or isinstance(value, dict):
            return self._read_parts(value, depth)
        if (fields := _get_fields(value)) is not None:
            result = self._read_parts(fields, depth)
            return value if result is fields else result
        if hasattr(kind, "__next__") and hasattr(kind, "__iter__") and not hasattr(kind, "readline"):
            return self._read_items(value, depth)
        try:
            return self._read_other(value, depth)
        except Exception:  # a class of the program that implements its protocol wrongly
            return value

    def _read_parts(self, value: Any, depth: int) -> Any:
        """Return a copy if a part is lazy, otherwise the container itself."""
        is_dict = isinstance(value, dict)
        parts = list(value.values()) if is_dict else value
        if set(map(type, parts)) <= _FLAT:
            return value
        results = [self.read(item, depth - 1) for item in itertools.islice(parts, _MAX_ITEMS)]
        if all(item is part for item, part in zip(results, parts, strict=False)):
            return value
        results += parts[_MAX_ITEMS:]
        return dict(zip(value, results, strict=True)) if is_dict else results

    def _read_items(self, items: Iterable[Any], depth: int) -> list[Any]:
        """Read the items one by one: a group of `groupby` is gone once the next is read."""
        result: list[Any] = []
        for item in items:
            if self._left == 0:
                if not self._has_warned:
                    _warn_truncated()
                self._has_warned = True
                break
            self._left -= 1
            result.append(self.read(item, depth - 1))
        return result

    def _read_other(self, value: Any, depth: int) -> Any:
        if hasattr(type(value), "__fspath__"):
            return value.__fspath__()
        if isinstance(value, (bytes, bytearray, memoryview, set, frozenset)):
            return value
        if isinstance(value, Mapping):
            return self._read_parts(dict(value), depth)
        if type(value).__name__ == "UserString":
            return str(value)
        if isinstance(value, (Sequence, Set, ValuesView)) and not isinstance(value, (str, tuple)):
            return self._read_items(value, depth)
        return value


def _warn_truncated() -> None:
    print(f"(The value has more items: the first {_MAX_ITEMS:,} are shown.)", file=sys.stderr)
