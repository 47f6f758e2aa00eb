"""Build and copy the pieces of syntax trees that `prefetch.slicer` puts together.

Functions here run nothing of the program.
"""

import ast
from collections.abc import Callable
from typing import Any

_PLACE = "codeact_place"
LOOPS = (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ITEM, REQUEST, SEQUENCE = "item__", "request__", "sequence__"
"""Names in slices; names in programs do not end with two underscores."""


def label_loops(tree: ast.AST, filename: str) -> None:
    """Mark each loop of a program with its place. The mark stays with the loop and with copies of it."""
    for node in ast.walk(tree):
        if isinstance(node, LOOPS):
            setattr(node, _PLACE, f"{filename}:{node.lineno}:{node.col_offset}:{type(node).__name__}")


def get_place(loop: ast.AST) -> str:
    """Return where a loop stands in the program, or "" for a loop made of one clause of a comprehension."""
    return getattr(loop, _PLACE, "")


def to_loop(node: Any, end: Callable[[ast.expr], ast.expr | ast.stmt]) -> ast.For:
    """Convert a comprehension to a `for` loop.

    Args:
        node: the comprehension.
        end: makes the innermost line from the expression that the comprehension collects.
    """
    value = ast.Tuple([node.key, node.value], ast.Load()) if isinstance(node, ast.DictComp) else node.elt
    end_line = end(value)
    body: list[Any] = [end_line if isinstance(end_line, ast.stmt) else ast.Expr(end_line)]
    for part in reversed(node.generators):
        for test in reversed(part.ifs):
            body = [ast.If(test, body, [])]
        body = [ast.For(part.target, part.iter, body, [])]
    (loop,) = body
    setattr(loop, _PLACE, get_place(node))
    return loop


def make_generator(name: str, parameters: list[str], body: list[ast.stmt]) -> ast.FunctionDef:
    """Return a function that is a generator function even if its body contains no `yield`."""
    generator = ast.If(ast.Constant(False), [ast.Expr(ast.Yield(None))], [])
    arguments = ast.arguments([], [ast.arg(parameter) for parameter in parameters], None, [], [], None, [])
    return ast.FunctionDef(name=name, args=arguments, body=[generator, *body], decorator_list=[])


def make_assign(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def make_load(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def copy_tree(node: Any) -> Any:
    """Return a deep copy, so that a change in one place does not reach another place of the same node."""
    if isinstance(node, list):
        return [copy_tree(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    copy: Any = type(node)(**{name: copy_tree(getattr(node, name)) for name in node._fields if hasattr(node, name)})
    if isinstance(node, LOOPS):
        setattr(copy, _PLACE, get_place(node))
    return ast.copy_location(copy, node)
