"""Runs in the guest as `codeact_ending`: which value a program ends with, and what is done to get it.

The value is that of the last statement: of an expression or an assignment, also inside `if`, `try`, `with` and `match`.
A coroutine is awaited and an iterator is read, so that a program whose last value is lazy does what it says.
"""

import ast
import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence, Set, ValuesView
from typing import Any

VALUE, ASSIGNED = "__codeact_value__", "__codeact_assigned__"
"""Where a program leaves the value of its last statement: of an expression, and of an assignment."""
_MOST = 10_000
"""Items that are read of iterators, ranges and the like, all together."""
_DEPTH = 6
_FLAT = {bool, bytes, float, int, str, type(None)}


# -- which value it is -------------------------------------------------------------------------------------------------


def keep_value(body: list[ast.stmt]) -> None:
    """Let the last of these statements leave its value, in place."""
    if not body:
        return
    last = body[-1]
    match last:
        case ast.Expr():
            body[-1] = _assign(VALUE, last.value, last)
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
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            loaded = [_loaded(part) for part in parts]
            return ast.Tuple([one for one in loaded if one is not None], ast.Load()) if any(loaded) else None
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
    value, of_assignment = namespace.pop(VALUE, None), namespace.pop(ASSIGNED, None)
    says_nothing = callable(of_assignment) or type(of_assignment).__name__ == "module"
    return value if value is not None or not assigned or says_nothing else of_assignment


# -- what is not there yet ---------------------------------------------------------------------------------------------


def waits(value: Any) -> bool:
    """Whether the value has to be awaited."""
    return _is_awaitable(value) or hasattr(type(value), "__anext__") or bool(_awaitables(value))


async def awaited(value: Any) -> Any:
    """The value when it is there; of several awaitables in a list or a dict, all together."""
    if _is_awaitable(value):
        value = await value
    if hasattr(type(value), "__anext__"):
        return await _first(value)
    if inside := _awaitables(value):
        import asyncio

        made = await asyncio.gather(*inside)
        return dict(zip(value, made, strict=True)) if isinstance(value, dict) else list(made)
    return value


def _is_awaitable(value: Any) -> bool:
    return hasattr(type(value), "__await__")


def _awaitables(value: Any) -> Sequence[Any]:
    parts = list(value.values()) if type(value) is dict else value
    if type(parts) not in (list, tuple) or not parts or len(parts) > _MOST or not all(map(_is_awaitable, parts)):
        return ()
    return parts


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

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _FLAT or depth == 0 or kind.__module__.startswith("codeact_"):
            return value
        if kind in (list, tuple) or isinstance(value, dict):
            return self._inside(value, depth)
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
