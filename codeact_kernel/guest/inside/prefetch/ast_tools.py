"""Pieces of syntax trees, as `prefetch.slicer` puts them together. Pure."""

import ast
from collections.abc import Callable
from typing import Any

_PLACE = "codeact_place"
LOOPS = (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ITEM, ONE, FEW = "item__", "one__", "few__"
"""Names in shadows. Those of programs do not end so."""


def label(tree: ast.AST, filename: str) -> None:
    """Give the loops of a program their places, which stay with them and with copies of them."""
    for node in ast.walk(tree):
        if isinstance(node, LOOPS):
            setattr(node, _PLACE, f"{filename}:{node.lineno}:{node.col_offset}:{type(node).__name__}")


def place(loop: ast.AST) -> str:
    """Where a loop of the program stands; nothing for what is made of one clause of a comprehension."""
    return getattr(loop, _PLACE, "")


def as_loop(node: Any, end: Callable[[ast.expr], ast.expr | ast.stmt]) -> ast.For:
    """A comprehension as the loop that it is; `end` makes of its result what the innermost line does with it."""
    value = ast.Tuple([node.key, node.value], ast.Load()) if isinstance(node, ast.DictComp) else node.elt
    made = end(value)
    body: list[Any] = [made if isinstance(made, ast.stmt) else ast.Expr(made)]
    for part in reversed(node.generators):
        for test in reversed(part.ifs):
            body = [ast.If(test, body, [])]
        body = [ast.For(part.target, part.iter, body, [])]
    (loop,) = body
    setattr(loop, _PLACE, place(node))
    return loop


def function(name: str, parameters: list[str], body: list[ast.stmt]) -> ast.FunctionDef:
    """A generator function, whatever its body."""
    generator = ast.If(ast.Constant(False), [ast.Expr(ast.Yield(None))], [])
    arguments = ast.arguments([], [ast.arg(one) for one in parameters], None, [], [], None, [])
    return ast.FunctionDef(name=name, args=arguments, body=[generator, *body], decorator_list=[])


def assign(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def load(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def copied(node: Any) -> Any:
    """A deep copy: a tree of which parts stand in two places must not be changed in one."""
    if isinstance(node, list):
        return [copied(one) for one in node]
    if not isinstance(node, ast.AST):
        return node
    made: Any = type(node)(**{name: copied(getattr(node, name)) for name in node._fields if hasattr(node, name)})
    if isinstance(node, LOOPS):
        setattr(made, _PLACE, place(node))
    return ast.copy_location(made, node)
