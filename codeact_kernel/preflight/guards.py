"""Recognize how a program handles missing modules and names: with a check, a handler, or code that never runs."""

from __future__ import annotations

import ast
from collections.abc import Collection

__all__ = ["NAME_FAILURES", "Probes", "catches", "handles", "truth_of"]

IMPORT_FAILURES = frozenset(
    {"ImportError", "ModuleNotFoundError", "PackageNotFoundError", "Exception", "BaseException"}
)
NAME_FAILURES = frozenset({"NameError", "UnboundLocalError"})
PROBES = frozenset({"find_spec", "TYPE_CHECKING"})
MACHINE = frozenset({"hexversion", "platform", "version_info"})
"""Attributes that a program checks before it imports a module of another platform."""


class Probes:
    """The checks of a program for modules, or for the machine, before its imports.

    Attributes:
        modules: The top-level names of the modules that the program checks for.
        flags: Names that hold the result of a check, or that are false at first: the code that they enable may not run.
        failures: Names of exceptions of a failed import, also the program's own names for several of them.
    """

    def __init__(self, program: ast.Module | None = None) -> None:
        self.modules: set[str] = set()
        self.flags: set[str] = set()
        self.failures = set(IMPORT_FAILURES)
        for node in ast.walk(program) if program is not None else ():
            self._note(node)

    def _note(self, node: ast.AST) -> None:
        match node:
            case ast.Call(args=[ast.Constant(value=str(module)), *_]) if self.asks(node.func):
                self.modules.add(module.partition(".")[0])
            case ast.Subscript(value=ast.Attribute(attr="modules"), slice=ast.Constant(value=str(module))):
                self.modules.add(module.partition(".")[0])  # `sys.modules`: the program itself may make the module
            case ast.Assign(targets=targets, value=value):
                names = {target.id for target in targets if isinstance(target, ast.Name)}
                if _name_of(value) in IMPORT_FAILURES or _any_of(value, IMPORT_FAILURES):
                    self.failures |= names
                if any(map(self.asks, ast.walk(value))) or _is_false(value):
                    self.flags |= names
            case ast.AnnAssign(target=ast.Name(name), value=value) if value is not None and _is_false(value):
                self.flags.add(name)
            case ast.arguments():
                parameters = [*node.posonlyargs, *node.args]
                given = [*zip(reversed(parameters), reversed(node.defaults), strict=False)]
                given += [
                    (keyword, value) for keyword, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value
                ]
                self.flags |= {parameter.arg for parameter, value in given if _is_false(value)}
            case ast.NamedExpr(target=ast.Name(name), value=value) if any(map(self.asks, ast.walk(value))):
                self.flags.add(name)
            case ast.FunctionDef(name=name) if any(map(self.asks, ast.walk(node))):
                self.flags.add(name)
            case ast.Try() if any(catches(handler, self.failures) for handler in node.handlers):
                parts = [part for statement in (*node.body, *node.orelse) for part in ast.walk(statement)]
                if any(isinstance(part, ast.Import | ast.ImportFrom) for part in parts):
                    self.flags |= {
                        part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
                    }
            case _:
                pass

    def asks(self, node: ast.AST) -> bool:
        """Whether the node checks for a module or the platform, or holds the result of such a check."""
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="name") | ast.Attribute(attr="modules"):
                return True
            case _:
                name = _name_of(node)
                return name in PROBES or name in MACHINE or name in self.flags


def _name_of(node: ast.AST) -> str:
    """Return the name, or the last part of a dotted name; empty for any other node."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _any_of(node: ast.AST, names: Collection[str]) -> bool:
    return isinstance(node, ast.Tuple | ast.List) and any(_name_of(item) in names for item in node.elts)


def catches(handler: ast.ExceptHandler, names: Collection[str]) -> bool:
    """Whether the handler catches one of these exceptions, or all exceptions."""
    return handler.type is None or _name_of(handler.type) in names or _any_of(handler.type, names)


def handles(manager: ast.expr, names: Collection[str]) -> bool:
    """Whether `manager` suppresses one of these exceptions, like `suppress(ImportError)`."""
    given = manager.args if isinstance(manager, ast.Call) else []
    values = [item.value if isinstance(item, ast.Starred) else item for item in given]
    return any(_name_of(item) in names or _any_of(item, names) for item in values)


def truth_of(test: ast.expr) -> bool | None:
    """Return the value of a condition, or None if it is only known at run time."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            known = truth_of(operand)
            return None if known is None else not known
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
        case ast.BoolOp(op=operator, values=values):
            decides = isinstance(operator, ast.Or)
            return decides if any(truth_of(value) is decides for value in values) else None
        case _:
            return False if _name_of(test) == "TYPE_CHECKING" else None
