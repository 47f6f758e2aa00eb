"""Select the statements of a loop's body that belong to its program slice.

A statement is kept unchanged if every name that it reads is known and it only calls known functions. From other
statements, only the calls that certainly happen are kept, and the names that these statements change count as unknown
afterwards.
"""

import ast
from collections.abc import Iterator
from typing import Any, Protocol

from .ast_tools import LOOPS, REQUEST, SEQUENCE, copy_tree, make_assign, make_generator, make_load, to_loop
from .program_facts import CONSUMERS, ProgramFacts, contains, find_base_name, find_changed_names, has_jump, walk_all

_KEPT_NODES = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare),
    *(ast.IfExp, ast.JoinedStr, ast.FormattedValue, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Starred, ast.keyword),
    *(ast.Call, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Pass, ast.Continue, ast.Break, ast.Return),
)
_CLOCK_METHODS = frozenset({"now", "today", "utcnow"})
"""Methods that return a different value at each call."""
_SIMPLE_STATEMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)
_CERTAIN_FIELDS: dict[type[ast.AST], str] = {ast.BoolOp: "values", ast.IfExp: "test", ast.Compare: "left"}
"""Expressions of which only the first part is certainly evaluated."""


_Kept = tuple[list[ast.stmt], set[str], bool]
"""The kept statements, the names that are unknown after them, and whether all statements were kept whole."""


class SliceContext(Protocol):
    """The slices of the whole program, as the slice of one loop sees them. `slicer.Slicer` implements it."""

    facts: ProgramFacts
    helpers: set[str]

    def can_prefetch(self, loop: ast.For) -> bool: ...
    def has_call(self, node: ast.AST) -> bool: ...
    def make_name(self, name: str) -> str: ...
    def get_covered(self) -> set[str]: ...
    def cover(self, places: set[str], *, replace: bool = False) -> None: ...
    def get_loops(self, helper: str) -> set[str]: ...
    def slice_in_parallel(self, loop: ast.For, items: str, unknown: set[str]) -> list[ast.stmt]: ...


class SliceBuilder:
    """Build the slice of consecutive statements.

    Args:
        context: the slices of the whole program.
        is_loop_body: whether the statements are the body of the loop that is sliced.
        is_answered: whether the calls of the statements were made before.
    """

    def __init__(self, context: SliceContext, *, is_loop_body: bool = False, is_answered: bool = False) -> None:
        self.context = context
        self.facts = context.facts
        self.is_loop_body = is_loop_body
        self.is_answered = is_answered

    def build(self, body: list[ast.stmt], unknown: set[str]) -> _Kept:
        """Return what the slice keeps of consecutive statements; `unknown` are the unknown names before them."""
        kept: list[ast.stmt] = []
        is_exact, grouped = True, 0
        for index, node in enumerate(body):
            if index >= grouped and not self.is_answered:
                batch, count = self.batch_calls(body[index:], unknown)
                kept += batch
                grouped = index + count
            if isinstance(node, ast.Continue) and self.is_loop_body:
                return [*kept, ast.Return(None)], unknown, is_exact
            slice_part, unknown, is_whole = self.build_statement(node, unknown)
            kept += slice_part
            is_exact = is_exact and is_whole
            # After this statement neither the control flow nor the values are known.
            leaves = contains(ast.Raise, node) or has_jump([node], (ast.Continue, ast.Break, ast.Return))
            if not is_whole and (leaves or _assigns_to_unnamed(node)):
                return [*kept, ast.Return(None)], unknown, False
        return kept, unknown, is_exact

    def build_statement(self, node: ast.stmt, unknown: set[str]) -> _Kept:
        match node:
            case ast.For(orelse=[]):
                return self._build_loop(node, unknown)
            case ast.If():
                return self._build_branch(node, unknown)
            case _ if self.can_keep(node, unknown):
                converted = self.convert_calls(node)
                return converted, unknown - find_changed_names(node), True
            case _ if isinstance(node, _SIMPLE_STATEMENTS):
                return self.keep_certain_calls(node, unknown), unknown | find_changed_names(node), False
            case _:
                return [], unknown | find_changed_names(node), False

    def _build_loop(self, node: ast.For, unknown: set[str]) -> _Kept:
        """Let an inner loop go over a list. The slices of its items run in parallel before it."""
        if not self.can_keep(node.iter, unknown):
            return self.keep_certain_calls(node.iter, unknown), unknown | find_changed_names(node), False
        items = self.context.make_name("items")
        *before, first = self.convert_calls(make_assign(items, ast.Call(make_load(SEQUENCE), [node.iter], [])))
        is_prefetched = self.context.can_prefetch(node) and not self.is_answered
        header = self.context.slice_in_parallel(node, items, unknown) if is_prefetched else []
        covered = self.context.get_covered()
        inside = SliceBuilder(self.context, is_answered=self.is_answered or is_prefetched)
        body, after, is_exact = inside.build(node.body, unknown - find_changed_names(node.target))
        if is_exact:
            loop = ast.For(node.target, make_load(items), body, [])
            return [*before, first, *header, loop], after, True
        self.context.cover(covered, replace=True)
        return [*before, first, *header], unknown | find_changed_names(node), False

    def _build_branch(self, node: ast.If, unknown: set[str]) -> _Kept:
        if not self.can_keep(node.test, unknown):
            return self.keep_certain_calls(node.test, unknown), unknown | find_changed_names(node), False
        *before, test = self.convert_calls(ast.Expr(node.test))
        assert isinstance(test, ast.Expr)
        then, after, is_exact = self.build(node.body, unknown)
        other, after_other, is_other_exact = self.build(node.orelse, unknown)
        is_whole = is_exact and is_other_exact
        branch = ast.If(test.value, then or [ast.Pass()], other)
        return [*before, branch], after | after_other, is_whole

    # -- which nodes a slice can keep unchanged ------------------------------------------------------------------

    def can_keep(self, node: ast.AST, unknown: set[str]) -> bool:
        """Return whether the slice can keep this node unchanged."""
        if isinstance(node, LOOPS):
            return not isinstance(node, ast.For) and self._can_keep_comprehension(node, unknown)
        if isinstance(node, ast.Lambda):
            inside = unknown - find_changed_names(node.args)
            return not any(map(self.context.has_call, ast.walk(node))) and self.can_keep(node.body, inside)
        if not isinstance(node, _KEPT_NODES):
            return False
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            facts = self.facts
            is_unusable = node.id in unknown | facts.unknown_names | facts.side_effect_names
            return node.id in facts.library_names or not is_unusable
        if isinstance(node, ast.Attribute) and (node.attr.startswith("_") or node.attr in _CLOCK_METHODS):
            return False
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and node.target.id in unknown:
            return False
        if isinstance(node, ast.Call):
            return self._can_call(node, unknown)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and not self._can_assign(node):
            return False
        return all(self.can_keep(part, unknown) for part in ast.iter_child_nodes(node))

    def _can_assign(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> bool:
        """Return whether every target is a variable of the program, of which a slice has a copy."""
        facts = self.facts
        is_own = not find_changed_names(node) & (facts.read_only_tools | facts.unknown_names | facts.library_names)
        return is_own and not _assigns_to_unnamed(node)

    def _can_call(self, node: ast.Call, unknown: set[str]) -> bool:
        parts = [*node.args, *node.keywords]
        match node.func:
            case ast.Attribute():
                parts.append(node.func)
            case ast.Name(id=name):
                has_generator = any(isinstance(arg, ast.GeneratorExp) for arg in node.args) and name not in CONSUMERS
                has_calls = any(map(self.context.has_call, walk_all(*node.args)))
                facts = self.facts
                is_known = name in facts.safe_builtins or name in facts.library_names or name in self.context.helpers
                if (has_generator and has_calls) or not (is_known or facts.find_tool(node)):
                    return False
            case _:
                return False
        return all(self.can_keep(part, unknown) for part in parts)

    def _can_keep_comprehension(self, node: Any, unknown: set[str]) -> bool:
        if contains((ast.NamedExpr, ast.Await), node):
            return False
        for part in node.generators:
            if not self.can_keep(part.iter, unknown):
                return False
            unknown = unknown - find_changed_names(part.target)
            if not all(self.can_keep(test, unknown) for test in part.ifs):
                return False
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        return all(self.can_keep(result, unknown) for result in results)

    # -- which calls certainly happen ----------------------------------------------------------------------------

    def find_certain_parts(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the parts of an expression or a simple statement that are certainly evaluated."""
        if isinstance(node, (*LOOPS, ast.Lambda)):
            return
        parts: Any = ast.iter_child_nodes(node)
        if (first := _CERTAIN_FIELDS.get(type(node))) is not None:
            part = getattr(node, first)
            parts = part[:1] if isinstance(part, list) else [part]
        yield from parts

    def batch_calls(self, body: list[ast.stmt], unknown: set[str]) -> tuple[list[ast.stmt], int]:
        """Collect calls of the next statements that do not depend on each other.

        Returns:
            The statement that makes these calls in parallel, if there are at least two, and the number of statements
            that it covers.
        """
        calls: list[ast.expr] = []
        count = 0
        for node in body:
            first: Any = getattr(node, "iter", None) or getattr(node, "test", None)
            if not isinstance(node, (*_SIMPLE_STATEMENTS, ast.For, ast.If)):
                break
            count += 1
            calls += [call for call in self._find_innermost_calls(first or node) if self.can_keep(call, unknown)]
            unknown = unknown | find_changed_names(node)
            if first:
                break
        if len(calls) < 2:
            return [], count
        converted = [_CallsToYields(self).visit(copy_tree(call)) for call in calls]
        lines: list[ast.expr] = [ast.Call(make_load(REQUEST), [call.value], []) for call in converted]
        return [ast.Expr(ast.Yield(ast.List(lines, ast.Load())))], count

    def _find_innermost_calls(self, node: ast.AST) -> Iterator[ast.expr]:
        for part in self.find_certain_parts(node):
            yield from self._find_innermost_calls(part)
        has_inner_calls = any(map(self.context.has_call, walk_all(*ast.iter_child_nodes(node))))
        if isinstance(node, ast.expr) and self.facts.find_tool(node) and not has_inner_calls:
            yield node

    # -- how calls become yields ---------------------------------------------------------------------------------

    def convert_calls(self, node: ast.stmt) -> list[ast.stmt]:
        """Return the statement with its calls as yields, after the functions that it needs."""
        yields = _CallsToYields(self)
        converted = yields.visit(ast.copy_location(copy_tree(node), node))
        return [*yields.functions, converted]

    def keep_certain_calls(self, node: ast.AST, unknown: set[str]) -> list[ast.stmt]:
        """Return only the calls in this node that certainly happen."""
        if not any(map(self.context.has_call, ast.walk(node))):
            return []
        if isinstance(node, ast.expr) and self.can_keep(node, unknown):
            return self.convert_calls(ast.Expr(node))
        return [call for part in self.find_certain_parts(node) for call in self.keep_certain_calls(part, unknown)]


def _assigns_to_unnamed(node: ast.AST) -> bool:
    """Return whether the node assigns to a part of an object that has no name."""
    parts = [part for part in ast.walk(node) if isinstance(part, (ast.Subscript, ast.Attribute))]
    return any(find_base_name(part) is None for part in parts if isinstance(part.ctx, (ast.Store, ast.Del)))


class _CallsToYields(ast.NodeTransformer):
    """Replace calls of tools with yields. `functions` collects the generator functions that the result needs."""

    def __init__(self, builder: SliceBuilder) -> None:
        self.builder = builder
        self.functions: list[ast.stmt] = []

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = self.builder.facts.find_tool(node)
        is_by_name = isinstance(node.func, ast.Name) and node.func.id == name
        self.generic_visit(node)
        if name is not None:
            args = node.args if is_by_name else node.args[1:]
            names: list[ast.expr | None] = [ast.Constant(word.arg) if word.arg else None for word in node.keywords]
            keywords = ast.Dict(names, [keyword.value for keyword in node.keywords])
            request: list[ast.expr] = [ast.Constant(name), ast.List(args, ast.Load()), keywords]
            request.append(ast.Constant(node.lineno))
            return ast.Yield(ast.Tuple(request, ast.Load()))
        if isinstance(node.func, ast.Name) and node.func.id in self.builder.context.helpers:
            self.builder.context.cover(self.builder.context.get_loops(node.func.id))
            return ast.YieldFrom(ast.Call(make_load(f"helper_{node.func.id}"), node.args, node.keywords))
        return node

    def _convert_comprehension(self, node: Any) -> ast.AST:
        if not any(map(self.builder.context.has_call, ast.walk(node))):
            return node
        name, out = self.builder.context.make_name("part"), self.builder.context.make_name("out")
        loop = to_loop(node, lambda value: ast.Call(ast.Attribute(make_load(out), "append", ast.Load()), [value], []))
        body, _, _ = SliceBuilder(self.builder.context, is_answered=self.builder.is_answered).build([loop], set())
        kind = {ast.SetComp: "set", ast.DictComp: "dict"}.get(type(node), "list")
        result = ast.Return(ast.Call(make_load(kind), [make_load(out)], []))
        self.functions.append(make_generator(name, [], [make_assign(out, ast.List([], ast.Load())), *body, result]))
        return ast.YieldFrom(ast.Call(make_load(name), [], []))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _convert_comprehension
