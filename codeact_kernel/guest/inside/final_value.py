"""Which value a program ends with, and what is done to get it.

The value is that of the last statement: of an expression or an assignment, also inside `if`, `try`, `with`, `match` and
the `else` of a loop. A coroutine is awaited and an iterator is read, so that a program whose last value is lazy does
what it says.
"""

import ast
import itertools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from .tool_calls import kind_of

PLACES = VALUE, ASSIGNED, CHANGED = "__codeact_value__", "__codeact_assigned__", "__codeact_changed__"
"""Where a program leaves the value of its last statement: of an expression, of an assignment, and what it changed."""
_MOST = 10_000
"""Items that are read of iterators, ranges and the like, all together."""
_DEPTH = 6
_IN_PLACE = frozenset({
    "add", "append", "appendleft", "extend", "extendleft", "insert", "reverse", "sort", "update",
})  # fmt: skip
"""Methods that give nothing and change a container, which is then the value, as it is where an item is assigned."""
_SAYS_NOTHING = (BuiltinFunctionType, FunctionType, MethodType, ModuleType)
"""A program that ends with one of these forgot to call it."""
_CONTAINERS = (dict, list, set, deque)
_FLAT = {bool, bytes, float, int, str, type(None)}


# -- which value it is -------------------------------------------------------------------------------------------------


def keep_value(body: list[ast.stmt]) -> None:
    """Let the last of these statements leave its value, in place."""
    if not body:
        return
    last = body[-1]
    match last:
        case ast.Expr(value=value):
            body[-1] = _assign(VALUE, value, last)
            match value:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _IN_PLACE:
                    body.append(_assign(CHANGED, ast.Name(name, ast.Load()), last))
                case _:
                    pass
        case ast.For(orelse=orelse) | ast.AsyncFor(orelse=orelse) | ast.While(orelse=orelse):
            keep_value(orelse)
        case (
            ast.Assign(targets=[target, *_])
            | ast.AnnAssign(target=target, value=ast.expr())
            | ast.AugAssign(target=target)
        ):
            if (value := _loaded(target)) is not None:
                body.append(_assign(ASSIGNED, value, last))
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
            for one in last.cases:
                keep_value(one.body)
        case _:
            pass


def _assign(name: str, value: ast.expr, place: ast.stmt) -> ast.stmt:
    made = ast.Assign([ast.Name(name, ast.Store())], value)
    for node in ast.walk(made):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, place)
    return made


def _loaded(target: ast.expr) -> ast.expr | None:
    """The expression that reads what was assigned; of an item, the whole that it was put into."""
    match target:
        case ast.Name(id=name):
            return None if name == "_" else ast.Name(name, ast.Load())
        case ast.Attribute(value=value, attr=name):
            return ast.Attribute(value, name, ast.Load())
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            loaded = {ast.dump(one): one for one in map(_loaded, parts) if one is not None}
            if len(loaded) == 1 and isinstance(parts[0], ast.Subscript):
                return next(iter(loaded.values()))  # items of one container
            return ast.Tuple(list(loaded.values()), ast.Load()) if loaded else None
        case ast.Starred(value=value):
            return _loaded(value)
        case ast.Subscript(value=value):
            return _loaded(value)
        case _:
            return None


def taken(namespace: dict[str, Any], *, assigned: bool) -> Any:
    """The value that the program left, and takes with it.

    Args:
        assigned: that of an assignment counts.
    """
    value, of_assignment, changed = (namespace.pop(name, None) for name in PLACES)
    if of_assignment is None and value is None and isinstance(changed, _CONTAINERS):
        of_assignment = changed
    if value is None and assigned and not callable(of_assignment) and not hasattr(of_assignment, "write"):
        value = of_assignment
    return None if isinstance(value, _SAYS_NOTHING) else value


# -- what is not there yet ---------------------------------------------------------------------------------------------


def waits(value: Any) -> bool:
    """Whether the value, or something in it, has to be awaited."""
    return next(_waiting(value, _DEPTH, set()), None) is not None


async def awaited(value: Any) -> Any:
    """The value when it is there. All that is awaited in lists and dicts is awaited together."""
    import asyncio

    waiting = list(itertools.islice(_waiting(value, _DEPTH, set()), _MOST))
    made = await asyncio.gather(*(_first(one) if hasattr(type(one), "__anext__") else one for one in waiting))
    return _with({id(one): result for one, result in zip(waiting, made, strict=True)}, value, _DEPTH)


def _waiting(value: Any, depth: int, seen: set[int]) -> Iterator[Any]:
    """What has to be awaited of the value. `seen` are the containers that were looked into."""
    kind = type(value)
    if kind in _FLAT or depth == 0 or id(value) in seen:
        return
    seen.add(id(value))
    if hasattr(kind, "__await__") or hasattr(kind, "__anext__"):
        yield value
        return
    parts = value if isinstance(value, dict) else _fields(value)
    if parts is not None:
        parts = parts.values()
    elif kind in (list, tuple):
        parts = value
    else:
        return
    if len(parts) <= _MOST:
        for part in parts:
            yield from _waiting(part, depth - 1, seen)


def _fields(value: Any) -> dict[str, Any] | None:
    """The fields of a dataclass or a named tuple, by their names."""
    kind = type(value)
    names = getattr(kind, "_fields", None) if isinstance(value, tuple) else getattr(kind, "__dataclass_fields__", None)
    return None if names is None else {name: getattr(value, name, None) for name in names}


def _with(made: dict[int, Any], value: Any, depth: int) -> Any:
    """The value with what was awaited in the places where it was awaited."""
    if id(value) in made:
        return made[id(value)]
    if depth == 0:
        return value
    if isinstance(value, dict):
        return {key: _with(made, part, depth - 1) for key, part in value.items()}
    if type(value) in (list, tuple):
        return [_with(made, part, depth - 1) for part in value]
    fields = _fields(value)
    if fields is None or next(_waiting(value, depth, set()), None) is None:
        return value
    return {name: _with(made, part, depth - 1) for name, part in fields.items()}


async def _first(items: Any) -> list[Any]:
    made: list[Any] = []
    async for item in items:
        if len(made) == _MOST:
            _say_more()
            break
        made.append(item)
    return made


def listed(value: Any) -> Any:
    """The value with what is lazy in it read: iterators, sequences and mappings of any class, as lists and dicts."""
    return _Listing().of(value, _DEPTH)


class _Listing:
    def __init__(self) -> None:
        self._left = _MOST
        self._said = False
        self._known: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _FLAT or depth == 0 or kind_of(value):
            return value
        known = self._known.get(id(value))
        if known is None:  # which keeps the value, so that nothing else gets its id
            known = self._known[id(value)] = value, self._of(value, kind, depth)
        return known[1]

    def _of(self, value: Any, kind: type, depth: int) -> Any:
        if kind in (list, tuple) or isinstance(value, dict):
            return self._inside(value, depth)
        if (fields := _fields(value)) is not None:
            made = self._inside(fields, depth)
            return value if made is fields else made
        if hasattr(kind, "__next__") and hasattr(kind, "__iter__") and not hasattr(kind, "readline"):
            return self._items(value, depth)
        try:
            return self._other(value, depth)
        except Exception:  # a class of the program's own that says it is one and is none
            return value

    def _inside(self, value: Any, depth: int) -> Any:
        """A copy, if something inside is lazy."""
        is_dict = isinstance(value, dict)
        parts = list(value.values()) if is_dict else value
        if set(map(type, parts)) <= _FLAT:
            return value
        made = [self.of(one, depth - 1) for one in itertools.islice(parts, _MOST)]
        if all(one is part for one, part in zip(made, parts, strict=False)):
            return value
        made += parts[_MOST:]
        return dict(zip(value, made, strict=True)) if is_dict else made

    def _items(self, items: Iterable[Any], depth: int) -> list[Any]:
        """The items one after another: what `groupby` gives is gone when the next comes."""
        made: list[Any] = []
        for item in items:
            if self._left == 0:
                if not self._said:
                    _say_more()
                self._said = True
                break
            self._left -= 1
            made.append(self.of(item, depth - 1))
        return made

    def _other(self, value: Any, depth: int) -> Any:
        if hasattr(type(value), "__fspath__"):
            return value.__fspath__()
        if isinstance(value, (bytes, bytearray, memoryview, set, frozenset)):
            return value
        if isinstance(value, Mapping):
            return self._inside(dict(value), depth)
        if type(value).__name__ == "UserString":
            return str(value)
        if isinstance(value, (Sequence, Set, ValuesView)) and not isinstance(value, (str, tuple)):
            return self._items(value, depth)
        return value


def _say_more() -> None:
    print(f"(The value has more items: the first {_MOST:,} are shown.)", file=sys.stderr)
