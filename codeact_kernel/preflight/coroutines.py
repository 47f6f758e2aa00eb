"""Find coroutines that a program makes and never awaits, so that their functions never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import cast

__all__ = ["find_dropped_coroutines"]

_TAILS = frozenset({"body", "cases", "handlers"})
_ALTERNATIVES = frozenset({"cases", "handlers"})
_WITHOUT_VALUE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.AsyncFor, ast.While)


def find_dropped_coroutines(tree: ast.Module) -> list[tuple[str, int]]:
    """Return the names and lines of calls whose coroutine is dropped. The value of the program is awaited."""
    defined: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.AsyncFunctionDef(name=name, decorator_list=[]):
                defined.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                others.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                others.add(name)
            case ast.alias():
                others.add(node.asname or node.name)
            case _:
                pass
    return list(_dropped(tree, defined - others, is_value=True)) if defined else []


def _dropped(node: ast.AST, names: set[str], *, is_value: bool) -> Iterator[tuple[str, int]]:
    """Yield the dropped coroutines in `node`.

    Args:
        is_value: The last statement of `node` gives the value of the program.
    """
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if name in names and not is_value:
            yield name, node.lineno
        case _:
            pass
    for field, inside in ast.iter_fields(node):
        if not isinstance(inside, list):
            continue
        parts = [part for part in cast("list[object]", inside) if isinstance(part, ast.AST)]
        is_tail = field == "orelse" or (field in _TAILS and not isinstance(node, _WITHOUT_VALUE))
        for part in parts:
            last = part is parts[-1] or field in _ALTERNATIVES
            yield from _dropped(part, names, is_value=is_value and is_tail and last)
