"""Finds coroutines that a program makes and drops: nothing of such a function would happen."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

__all__ = ["dropped_coroutines"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def dropped_coroutines(tree: ast.Module) -> list[tuple[str, int]]:
    """The names and lines of calls that stand as statements and give coroutines. The value of the program is awaited."""
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
    return list(_dropped(tree.body, defined - others, is_value=True)) if defined else []


def _dropped(body: Sequence[ast.AST], names: set[str], *, is_value: bool) -> Iterator[tuple[str, int]]:
    for node in body:
        last = is_value and node is body[-1]
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if name in names and not last:
                yield name, node.lineno
            case _:
                pass
        goes_on = last and not isinstance(node, _FUNCTIONS)
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inside = getattr(node, field, [])
            if not isinstance(inside, list):
                continue  # of a lambda or a conditional expression
            is_tail = goes_on and field != "finalbody" and (field == "orelse" or not isinstance(node, _LOOPS))
            if field in ("handlers", "cases"):
                for part in inside:
                    yield from _dropped(part.body, names, is_value=is_tail)
            else:
                yield from _dropped(inside, names, is_value=is_tail)
