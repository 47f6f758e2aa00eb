"""Find out whether a program reads variables of the programs before it, which it would miss if it ran alone."""

from __future__ import annotations

import ast
from collections.abc import Iterable

__all__ = ["reads_earlier_names"]


def reads_earlier_names(program: str, earlier: Iterable[str]) -> bool:
    """Return whether the program reads a name that an earlier program bound, before it binds the name itself.

    A program that cannot be parsed, or that looks up names by their text, counts as one that does.
    """
    try:
        names = set[str]()
        for text in earlier:
            before = _Reader(set())
            before.visit(ast.parse(text))
            names |= before.bound
        reader = _Reader(names)
        reader.visit(ast.parse(program))
        reader.read_functions()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return bool(names) and reader.has_read


class _Reader(ast.NodeVisitor):
    """Visits the nodes in about the order in which they run. A name that only one branch binds counts as bound."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.bound: set[str] = set()
        self.has_read = False
        self._functions: list[ast.AST] = []

    def read_functions(self) -> None:
        """Visit the bodies of functions, which run later than their definitions."""
        while self._functions:
            self.generic_visit(self._functions.pop())

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif node.id in ("eval", "exec", "globals", "locals", "vars") or (
            node.id in self.names and node.id not in self.bound
        ):
            self.has_read = True

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit_all([node.value, *node.targets])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_all([node.value, node.target] if node.value is not None else [])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.visit_Name(ast.Name(node.target.id, ast.Load()))
        self._visit_all([node.value, node.target])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._visit_all([node.iter, node.target, *node.body, *node.orelse])

    visit_AsyncFor = visit_For

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._visit_all([node.iter, node.target, *node.ifs])

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        outside = set(self.bound)
        self._visit_all([*node.generators, node.elt])
        self.bound = outside

    visit_SetComp = visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> None:
        outside = set(self.bound)
        self._visit_all([*node.generators, node.key, node.value])
        self.bound = outside

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all([*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)])
        self.bound.add(node.name)
        self._functions.append(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> None:
        self.bound.add(node.arg)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.generic_visit(node)
        self.bound.add(node.name)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name is not None:
            self.bound.add(node.name)
        self.generic_visit(node)

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)
