"""One pass over a program's tree: what it binds, uses, calls and imports, each with its scope."""

from __future__ import annotations

import ast
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["CALLERS", "Binding", "Call", "Import", "Reading", "Scope", "Use"]

CALLERS = frozenset({"call_tool", "call_tool_async"})
IMPORT_FAILURES = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})

Kind: TypeAlias = Literal["module", "function", "class", "comprehension"]
Verb: TypeAlias = Literal["defines", "imports", "binds"]


@dataclass(eq=False, slots=True)
class Scope:
    """Where a name lives. `bound` are the names bound here, `globals` those declared `global` here."""

    kind: Kind
    parent: Scope | None = None
    bound: set[str] = field(default_factory=set[str])
    globals: set[str] = field(default_factory=set[str])

    def means_global(self, name: str) -> bool:
        """Whether `name`, used here, is the global (or a tool, or a builtin) and not a variable of a function."""
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
    """A name that gets a value, and the scope it gets it in."""

    name: str
    line: int
    verb: Verb
    scope: Scope


@dataclass(frozen=True, slots=True)
class Use:
    """A name that is read; `quoted` when it is the text in `call_tool("name")`, `repeated` in a loop or a function."""

    name: str
    line: int
    column: int
    scope: Scope
    quoted: bool = False
    repeated: bool = False


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
        module: empty in `from . import x`.
        names: what `from module import ...` asks for.
        guarded: the program itself handles that the module is missing.
    """

    line: int
    module: str
    names: tuple[str, ...] = ()
    relative: bool = False
    guarded: bool = False


class Reading(ast.NodeVisitor):
    """What one program says. A decorator, a default and an annotation are read in the scope of their function."""

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
        self.guards = 0
        self.loops = 0

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

    def enter(self, kind: Kind, node: ast.AST) -> None:
        with self.within(Scope(kind, self.scope)):
            for parameter in getattr(node, "type_params", ()):  # Python 3.12
                self.bind(parameter.name, parameter.lineno)
            self.visit_repeated(node)

    def visit_repeated(self, node: ast.AST) -> None:
        """What stands in `node` may happen any number of times."""
        self.loops += 1
        self.generic_visit(node)
        self.loops -= 1

    visit_While = visit_repeated

    def visit_Await(self, node: ast.Await) -> None:
        self.awaited.append(("await", node.value, self.scope))
        self.generic_visit(node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> None:
        self.awaited += [("async with", item.context_expr, self.scope) for item in node.items]
        self.generic_visit(node)

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
        self.enter("function", node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.bind(node.name, node.lineno, "defines")
        self.enter("class", node)

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
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.uses.append(Use(node.id, node.lineno, node.col_offset, self.scope, repeated=self.loops > 0))
        else:
            self.bind(node.id, node.lineno)

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
        if isinstance(node.value, ast.Name):
            self.members.append((node.value.id, node.attr, node.lineno))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.calls.append(Call(node.func.id, node, self.scope))
            match node.args:
                case [ast.Constant(value=str(name)) as text, *_] if node.func.id in CALLERS:
                    again = self.loops > 0
                    self.uses.append(Use(name, text.lineno, text.col_offset, self.module, quoted=True, repeated=again))
                case _:
                    pass
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        guard = any(map(_expects_missing_module, node.handlers))
        self.guards += guard
        for statement in node.body:
            self.visit(statement)
        self.guards -= guard
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    visit_TryStar = visit_Try

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports.append(Import(node.lineno, alias.name, guarded=self.guards > 0))
            self.bind(alias.asname or alias.name.partition(".")[0], node.lineno, "imports")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        names = tuple(alias.name for alias in node.names)
        self.imports.append(Import(node.lineno, node.module or "", names, node.level > 0, self.guards > 0))
        for alias in node.names:
            self.bind(alias.asname or alias.name, node.lineno, "imports")


def _expects_missing_module(handler: ast.ExceptHandler) -> bool:
    match handler.type:
        case None:
            return True
        case ast.Tuple(elts=types):
            return any(isinstance(one, ast.Name) and one.id in IMPORT_FAILURES for one in types)
        case ast.Name(id=name):
            return name in IMPORT_FAILURES
        case _:
            return False
