"""Collect facts in one pass over a program's tree: names that it binds, uses, calls and imports, with their scopes."""

from __future__ import annotations

import ast
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..capability import CALL_NAMES
from .coroutines import find_dropped_coroutines
from .guards import NAME_FAILURES, Probes, catches, handles, truth_of

__all__ = ["Binding", "Call", "Import", "ProgramFacts", "Scope", "Use"]


Kind: TypeAlias = Literal["module", "function", "class", "comprehension"]
Verb: TypeAlias = Literal["defines", "imports", "binds"]


@dataclass(eq=False, slots=True)
class Scope:
    """The scope of names.

    Attributes:
        bound: The names that are bound in the scope.
        globals: The names that are declared `global` in the scope.
        function: The name of the function whose body it is; empty for a lambda, and for any other scope.
        is_decorated: Other code than the program's own calls may call the function.
    """

    kind: Kind
    parent: Scope | None = None
    bound: set[str] = field(default_factory=set[str])
    globals: set[str] = field(default_factory=set[str])
    function: str = ""
    is_decorated: bool = False

    @property
    def owner(self) -> Scope | None:
        """The scope of the innermost named function, or `None` at the top level."""
        scope: Scope | None = self
        while scope is not None and not scope.function:
            scope = scope.parent
        return scope

    def means_global(self, name: str) -> bool:
        """Whether `name` in this scope is a global (or a tool, or a builtin) and not a variable of a function."""
        scope = self
        while scope.parent is not None:
            if name in scope.globals:
                return True
            if name in scope.bound and (scope is self or scope.kind != "class"):
                return False
            scope = scope.parent
        return True


@dataclass(frozen=True, slots=True)
class Binding:
    """A place that binds a name, with its scope."""

    name: str
    line: int
    verb: Verb
    scope: Scope


@dataclass(frozen=True, slots=True)
class Use:
    """A place that reads a name.

    Attributes:
        quoted: The name is the text in `call_tool("name")`.
        repeated: The place is in a loop or a function.
        in_branch: The place is in one of several branches, so it may never run.
        is_harmless: The program handles a missing name, or never notices it.
        guarded: The program handles an import error at this place.
    """

    name: str
    line: int
    column: int
    scope: Scope
    quoted: bool = False
    repeated: bool = False
    in_branch: bool = False
    is_harmless: bool = False
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a plain name."""

    name: str
    node: ast.Call
    scope: Scope


@dataclass(frozen=True, slots=True)
class Import:
    """One module of an import statement.

    Attributes:
        module: The name of the module; empty in `from . import x`.
        names: The names in `from module import ...`.
        guarded: The program handles a missing module.
        scope: The scope of the statement.
        instead_of: The imports in the `try` whose handler contains this import, which only runs if one of them fails.
    """

    line: int
    module: str
    names: tuple[str, ...] = ()
    relative: bool = False
    guarded: bool = False
    scope: Scope = field(default_factory=lambda: Scope("module"))
    instead_of: tuple[Import, ...] = ()


class ProgramFacts(ast.NodeVisitor):
    """The facts of one program. Decorators, defaults and annotations are read in the scope of their function."""

    def __init__(self) -> None:
        self.module = self.scope = Scope("module")
        self.bound: set[str] = set()
        self.bindings: list[Binding] = []
        self.uses: list[Use] = []
        self.calls: list[Call] = []
        self.imports: list[Import] = []
        self.returns: list[int] = []
        self.members: list[tuple[str, str, int]] = []
        self.awaited: list[tuple[str, ast.expr, Scope]] = []
        self.dropped: list[tuple[str, int]] = []
        self.attributes: list[Use] = []
        self.unbound: list[Binding] = []
        self.functions: list[Scope] = []
        self.probes = Probes()
        self.guards = self.name_guards = 0
        self.loops = self.branches = 0
        self.instead_of: tuple[Import, ...] = ()

    def visit_Module(self, node: ast.Module) -> None:
        self.probes = Probes(node)
        self.dropped = find_dropped_coroutines(node)
        self.generic_visit(node)

    def bind(self, name: str, line: int, verb: Verb = "binds") -> None:
        scope = self.module if name in self.scope.globals else self.scope
        scope.bound.add(name)
        self.bound.add(name)
        self.bindings.append(Binding(name, line, verb, scope))

    @contextmanager
    def within(self, scope: Scope) -> Generator[None]:
        outer, self.scope = self.scope, scope
        yield
        self.scope = outer

    def enter(self, kind: Kind, node: ast.AST, function: str = "", *, is_decorated: bool = False) -> None:
        with self.within(Scope(kind, self.scope, function=function, is_decorated=is_decorated)):
            if function:
                self.functions.append(self.scope)
            for parameter in getattr(node, "type_params", ()):  # Python 3.12
                self.bind(parameter.name, parameter.lineno)
            returns = getattr(node, "returns", None)
            self.loops += 1
            for child in ast.iter_child_nodes(node):
                # Python 3.14 evaluates annotations only on request.
                self.visit_each([child], name_guard=child is returns)
            self.loops -= 1

    def visit_each(
        self,
        nodes: Iterable[ast.AST | None],
        *,
        guard: bool = False,
        name_guard: bool = False,
        branch: bool = False,
    ) -> None:
        """Visit nodes in which import errors or missing names are handled, or which are in a branch."""
        self.guards += guard
        self.name_guards += name_guard
        self.branches += branch
        for node in nodes:
            if node is not None:
                self.visit(node)
        self.guards -= guard
        self.name_guards -= name_guard
        self.branches -= branch

    def visit_branch(self, nodes: Iterable[ast.AST], *, never: bool, guard: bool = False, branch: bool = False) -> None:
        """Visit nodes that may `never` run; in that case, only the names that they bind count."""
        calls, awaited = len(self.calls), len(self.awaited)
        self.visit_each(nodes, guard=guard or never, name_guard=never, branch=branch)
        if never:
            del self.calls[calls:], self.awaited[awaited:]

    def visit_repeated(self, node: ast.AST) -> None:
        """Visit a node whose parts may run any number of times."""
        self.loops += 1
        self.generic_visit(node)
        self.loops -= 1

    def visit_While(self, node: ast.While) -> None:
        never = truth_of(node.test) is False
        self.visit(node.test)
        self.loops += 1
        self.visit_branch(node.body, never=never)
        self.loops -= 1
        self.visit_each(node.orelse)

    def visit_If(self, node: ast.If) -> None:
        truth, asks = truth_of(node.test), any(map(self.probes.asks, ast.walk(node.test)))
        self.visit(node.test)
        for part, runs in ((node.body, True), (node.orelse, False)):
            never = truth is (not runs)
            self.visit_branch(part, never=never, guard=truth is None and asks, branch=truth is None)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self.visit_each((node.body, node.orelse), branch=True)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self.visit_each(node.values[1:], branch=True)

    def visit_match_case(self, node: ast.match_case) -> None:
        self.visit(node.pattern)
        self.visit_each([node.guard, *node.body], branch=True)

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        guard = any(handles(item.context_expr, self.probes.failures) for item in node.items)
        name_guard = any(handles(item.context_expr, NAME_FAILURES) for item in node.items)
        self.visit_each(node.items)
        self.visit_each(node.body, guard=guard, name_guard=name_guard)

    def visit_Await(self, node: ast.Await) -> None:
        self.awaited.append(("await", node.value, self.scope))
        self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.awaited += [("async with", item.context_expr, self.scope) for item in node.items]
        self.visit_With(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if node.is_async:
            self.awaited.append(("async for", node.iter, self.scope))
        self.generic_visit(node)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        if isinstance(node, ast.AsyncFor):
            self.awaited.append(("async for", node.iter, self.scope))
        self.visit(node.target)
        self.visit(node.iter)
        self.loops += 1
        for statement in node.body:
            self.visit(statement)
        self.loops -= 1
        for statement in node.orelse:
            self.visit(statement)

    visit_AsyncFor = visit_For

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.bind(node.name, node.lineno, "defines")
        # A decorator may call the function, and so may the methods that a class inherits.
        decorated = bool(node.decorator_list) or (self.scope.kind == "class" and self.scope.is_decorated)
        dunder = self.scope.kind == "class" and node.name.startswith("__")
        self.enter("function", node, node.name, is_decorated=decorated or dunder)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bind(node.name, node.lineno, "defines")
        self.enter("class", node, is_decorated=bool(node.bases or node.keywords or node.decorator_list))

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.enter("function", node)

    def visit_comprehension_scope(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.enter("comprehension", node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_comprehension_scope

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        scope = self.scope
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        with self.within(scope):
            self.visit(node.target)

    def visit_arg(self, node: ast.arg) -> None:
        self.bind(node.arg, node.lineno)
        self.visit_each([node.annotation], name_guard=True)

    def visit_Assign(self, node: ast.Assign) -> None:
        if self.scope.kind == "function":
            new = {target.id for target in node.targets if isinstance(target, ast.Name)} - self.scope.bound
            read = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
            for name in sorted(new & read - self.scope.globals):
                self.unbound.append(Binding(name, node.lineno, "binds", self.scope))
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit_each([node.annotation], name_guard=True)
        self.visit_each([node.target, node.value])

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.uses.append(self._use(node.id, node))
        else:
            self.bind(node.id, node.lineno)

    def _use(self, name: str, node: ast.expr) -> Use:
        return Use(
            name,
            node.lineno,
            node.col_offset,
            self.scope,
            repeated=self.loops > 0,
            in_branch=self.branches > 0,
            is_harmless=self.name_guards > 0,
            guarded=self.guards > 0,
        )

    def visit_optional_name(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self.bind(node.name, node.lineno)
        self.generic_visit(node)

    visit_ExceptHandler = visit_MatchAs = visit_MatchStar = visit_optional_name

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.bind(node.rest, node.lineno)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.scope.globals.update(node.names)

    def visit_Return(self, node: ast.Return) -> None:
        if self.scope.kind != "function":
            self.returns.append(node.lineno)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.attributes.append(self._use(node.attr, node))
        if isinstance(node.value, ast.Name):
            self.members.append((node.value.id, node.attr, node.lineno))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.calls.append(Call(node.func.id, node, self.scope))
            match node.args:
                case [ast.Constant(value=str(name)) as text, *_] if node.func.id in CALL_NAMES:
                    again = self.loops > 0
                    self.uses.append(Use(name, text.lineno, text.col_offset, self.module, quoted=True, repeated=again))
                case _:
                    pass
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        guard = any(catches(handler, self.probes.failures) for handler in node.handlers)
        name_guard = any(handler.type is not None and catches(handler, NAME_FAILURES) for handler in node.handlers)
        before = len(self.imports)
        self.visit_each(node.body, guard=guard, name_guard=name_guard)
        self.visit_each(node.orelse, guard=guard)
        outer = self.instead_of
        if guard and len(self.imports) > before:
            self.instead_of = tuple(self.imports[before:])
        self.visit_each(node.handlers, branch=True)
        self.instead_of = outer
        self.visit_each(node.finalbody)

    visit_TryStar = visit_Try

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(node, alias.name)
            self.bind(alias.asname or alias.name.partition(".")[0], node.lineno, "imports")

    def _import(
        self, node: ast.Import | ast.ImportFrom, module: str, names: tuple[str, ...] = (), relative: bool = False
    ) -> None:
        guarded = self.guards > 0 or module.partition(".")[0] in self.probes.modules
        self.imports.append(Import(node.lineno, module, names, relative, guarded, self.scope, self.instead_of))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        names = tuple(alias.name for alias in node.names)
        self._import(node, node.module or "", names, node.level > 0)
        for alias in node.names:
            self.bind(alias.asname or alias.name, node.lineno, "imports")
