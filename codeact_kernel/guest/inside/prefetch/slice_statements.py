"""What of a loop's body its shadow keeps. Pure.

A statement is kept as it is where all that it reads is known, and it calls nothing strange. Of other statements only
the calls are kept that happen in any case, and what they change is unknown from there on.
"""

import ast
from collections.abc import Iterator
from typing import Any, Protocol

from .ast_tools import FEW, LOOPS, ONE, as_loop, assign, copied, function, load
from .program_facts import EAGER, Names, base, changed, has, jumps, walk

_PLAIN = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare),
    *(ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Starred, ast.keyword),
    *(ast.Call, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Pass, ast.Continue, ast.Break, ast.Return),
)
_EACH_TIME = frozenset({"now", "today", "utcnow"})
"""What these give is another each time."""
_SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)
_FIRST: dict[type[ast.AST], str] = {ast.BoolOp: "values", ast.IfExp: "test", ast.Compare: "left"}
"""Expressions of which only the first part happens in any case."""


class Slices(Protocol):
    """What the slice of one loop needs to know of those of the whole program. `slicer.Shadows` has it."""

    facts: Names
    helpers: set[str]

    def wanted(self, loop: ast.For) -> bool: ...
    def leads_to_a_call(self, node: ast.AST) -> bool: ...
    def fresh(self, name: str) -> str: ...
    def covered(self) -> set[str]: ...
    def cover(self, places: set[str], *, only: bool = False) -> None: ...
    def loops_of(self, helper: str) -> set[str]: ...
    def side_by_side(self, loop: ast.For, items: str, unknown: set[str]) -> list[ast.stmt]: ...


class Walk:
    """Keeps what it can of statements that follow each other.

    Args:
        top: they are the body of a loop, and this is its shadow.
        answered: their calls were made before.
    """

    def __init__(self, shadows: Slices, *, top: bool = False, answered: bool = False) -> None:
        self.shadows = shadows
        self.facts = shadows.facts
        self.top = top
        self.answered = answered

    def statements(self, body: list[ast.stmt], unknown: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        """What is kept, the names that are unknown after it, and whether that is all there was."""
        kept: list[ast.stmt] = []
        exact, grouped = True, 0
        for index, node in enumerate(body):
            if index >= grouped and not self.answered:
                together, count = self.together(body[index:], unknown)
                kept += together
                grouped = index + count
            if isinstance(node, ast.Continue) and self.top:
                return [*kept, ast.Return(None)], unknown, exact
            made, unknown, whole = self.statement(node, unknown)
            kept += made
            exact = exact and whole
            # From here on nobody knows what happens, or what everything is.
            leaves = has(ast.Raise, node) or jumps([node], (ast.Continue, ast.Break, ast.Return))
            if not whole and (leaves or _somewhere(node)):
                return [*kept, ast.Return(None)], unknown, False
        return kept, unknown, exact

    def statement(self, node: ast.stmt, unknown: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        match node:
            case ast.For(orelse=[]):
                return self._loop(node, unknown)
            case ast.If():
                return self._branch(node, unknown)
            case _ if self.plain(node, unknown):
                made = self.yielding(node)
                return made, unknown - changed(node), True
            case _ if isinstance(node, _SIMPLE):
                return self.calls(node, unknown), unknown | changed(node), False
            case _:
                return [], unknown | changed(node), False

    def _loop(self, node: ast.For, unknown: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        """In its shadow a loop goes over a list, of which the shadows of its items are made first."""
        if not self.plain(node.iter, unknown):
            return self.calls(node.iter, unknown), unknown | changed(node), False
        items = self.shadows.fresh("items")
        *before, first = self.yielding(assign(items, ast.Call(load(FEW), [node.iter], [])))
        wanted = self.shadows.wanted(node) and not self.answered
        header = self.shadows.side_by_side(node, items, unknown) if wanted else []
        covered = self.shadows.covered()
        inside = Walk(self.shadows, answered=self.answered or wanted)
        body, after, exact = inside.statements(node.body, unknown - changed(node.target))
        if exact:
            whole = ast.For(node.target, load(items), body, [])
            return [*before, first, *header, whole], after, True
        self.shadows.cover(covered, only=True)
        return [*before, first, *header], unknown | changed(node), False

    def _branch(self, node: ast.If, unknown: set[str]) -> tuple[list[ast.stmt], set[str], bool]:
        if not self.plain(node.test, unknown):
            return self.calls(node.test, unknown), unknown | changed(node), False
        *before, test = self.yielding(ast.Expr(node.test))
        assert isinstance(test, ast.Expr)
        then, after, exact = self.statements(node.body, unknown)
        other, after_other, exact_other = self.statements(node.orelse, unknown)
        whole = exact and exact_other
        branch = ast.If(test.value, then or [ast.Pass()], other)
        return [*before, branch], after | after_other, whole

    # -- what a shadow can do as the program does it -------------------------------------------------------------

    def plain(self, node: ast.AST, unknown: set[str]) -> bool:
        """Whether it can be kept as it is."""
        if isinstance(node, LOOPS):
            return not isinstance(node, ast.For) and self._comprehension(node, unknown)
        if isinstance(node, ast.Lambda):
            inside = unknown - changed(node.args)
            return not any(map(self.shadows.leads_to_a_call, ast.walk(node))) and self.plain(node.body, inside)
        if not isinstance(node, _PLAIN):
            return False
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            facts = self.facts
            return node.id in facts.imported or node.id not in unknown | facts.strange | facts.acts
        if isinstance(node, ast.Attribute) and (node.attr.startswith("_") or node.attr in _EACH_TIME):
            return False
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id in unknown:
            return False
        if isinstance(node, ast.Call):
            return self._call(node, unknown)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and not self._targets(node):
            return False
        return all(self.plain(part, unknown) for part in ast.iter_child_nodes(node))

    def _targets(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> bool:
        """Whether all it assigns to is the program's own, and a copy in a shadow."""
        mine = not changed(node) & (self.facts.reads | self.facts.strange | self.facts.imported)
        return mine and not _somewhere(node)

    def _call(self, node: ast.Call, unknown: set[str]) -> bool:
        parts = [*node.args, *node.keywords]
        match node.func:
            case ast.Attribute():
                parts.append(node.func)
            case ast.Name(id=name):
                lazy = any(isinstance(one, ast.GeneratorExp) for one in node.args) and name not in EAGER
                calls = any(map(self.shadows.leads_to_a_call, walk(*node.args)))
                facts = self.facts
                known = name in facts.safe or name in facts.imported or name in self.shadows.helpers
                if (lazy and calls) or not (known or facts.tool(node)):
                    return False
            case _:
                return False
        return all(self.plain(part, unknown) for part in parts)

    def _comprehension(self, node: Any, unknown: set[str]) -> bool:
        if has((ast.NamedExpr, ast.Await), node):
            return False
        for part in node.generators:
            if not self.plain(part.iter, unknown):
                return False
            unknown = unknown - changed(part.target)
            if not all(self.plain(test, unknown) for test in part.ifs):
                return False
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        return all(self.plain(one, unknown) for one in results)

    # -- which calls happen in any case --------------------------------------------------------------------------

    def certain(self, node: ast.AST) -> Iterator[ast.AST]:
        """The parts of an expression or a simple statement that are evaluated in any case."""
        if isinstance(node, (*LOOPS, ast.Lambda)):
            return
        parts: Any = ast.iter_child_nodes(node)
        if (first := _FIRST.get(type(node))) is not None:
            part = getattr(node, first)
            parts = part[:1] if isinstance(part, list) else [part]
        yield from parts

    def together(self, body: list[ast.stmt], unknown: set[str]) -> tuple[list[ast.stmt], int]:
        """Calls of the next statements that need nothing of each other, at once; and how many statements those are."""
        wanted: list[ast.expr] = []
        count = 0
        for node in body:
            first: Any = getattr(node, "iter", None) or getattr(node, "test", None)
            if not isinstance(node, (*_SIMPLE, ast.For, ast.If)):
                break
            count += 1
            wanted += [call for call in self._innermost(first or node) if self.plain(call, unknown)]
            unknown = unknown | changed(node)
            if first:
                break
        if len(wanted) < 2:
            return [], count
        made = [_Yields(self).visit(copied(call)) for call in wanted]
        lines: list[ast.expr] = [ast.Call(load(ONE), [one.value], []) for one in made]
        return [ast.Expr(ast.Yield(ast.List(lines, ast.Load())))], count

    def _innermost(self, node: ast.AST) -> Iterator[ast.expr]:
        for part in self.certain(node):
            yield from self._innermost(part)
        inside = walk(*ast.iter_child_nodes(node))
        if isinstance(node, ast.expr) and self.facts.tool(node) and not any(map(self.shadows.leads_to_a_call, inside)):
            yield node

    # -- how a call becomes a yield ------------------------------------------------------------------------------

    def yielding(self, node: ast.stmt) -> list[ast.stmt]:
        """The statement with its calls as yields, and before it the functions that it needs."""
        yields = _Yields(self)
        made = yields.visit(ast.copy_location(copied(node), node))
        return [*yields.functions, made]

    def calls(self, node: ast.AST, unknown: set[str]) -> list[ast.stmt]:
        """Only the calls in it that happen in any case."""
        if not any(map(self.shadows.leads_to_a_call, ast.walk(node))):
            return []
        if isinstance(node, ast.expr) and self.plain(node, unknown):
            return self.yielding(ast.Expr(node))
        return [made for part in self.certain(node) for made in self.calls(part, unknown)]


def _somewhere(node: ast.AST) -> bool:
    """Whether it assigns to a part of what has no name."""
    parts = [one for one in ast.walk(node) if isinstance(one, (ast.Subscript, ast.Attribute))]
    return any(base(one) is None for one in parts if isinstance(one.ctx, (ast.Store, ast.Del)))


class _Yields(ast.NodeTransformer):
    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.functions: list[ast.stmt] = []

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = self.walk.facts.tool(node)
        by_name = isinstance(node.func, ast.Name) and node.func.id == name
        self.generic_visit(node)
        if name is not None:
            args = node.args if by_name else node.args[1:]
            given = ast.Dict([ast.Constant(one.arg) if one.arg else None for one in node.keywords],
                             [one.value for one in node.keywords])  # fmt: skip
            parts: list[ast.expr] = [ast.Constant(name), ast.List(args, ast.Load()), given, ast.Constant(node.lineno)]
            return ast.Yield(ast.Tuple(parts, ast.Load()))
        if isinstance(node.func, ast.Name) and node.func.id in self.walk.shadows.helpers:
            self.walk.shadows.cover(self.walk.shadows.loops_of(node.func.id))
            return ast.YieldFrom(ast.Call(load(f"helper_{node.func.id}"), node.args, node.keywords))
        return node

    def _comprehension(self, node: Any) -> ast.AST:
        if not any(map(self.walk.shadows.leads_to_a_call, ast.walk(node))):
            return node
        name, out = self.walk.shadows.fresh("part"), self.walk.shadows.fresh("out")
        loop = as_loop(node, lambda value: ast.Call(ast.Attribute(load(out), "append", ast.Load()), [value], []))
        body, _, _ = Walk(self.walk.shadows, answered=self.walk.answered).statements([loop], set())
        kind = {ast.SetComp: "set", ast.DictComp: "dict"}.get(type(node), "list")
        made = ast.Return(ast.Call(load(kind), [load(out)], []))
        self.functions.append(function(name, [], [assign(out, ast.List([], ast.Load())), *body, made]))
        return ast.YieldFrom(ast.Call(load(name), [], []))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension
