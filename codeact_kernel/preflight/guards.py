"""How a program says that something may be missing: it asks before, it handles the failure, or it never comes there."""

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
"""What a program asks about where it runs, before it imports what is only elsewhere."""


class Probes:
    """What a program asks about modules, or about the machine, before it imports them.

    Attributes:
        modules: their first names, where the text has them.
        flags: the names that hold the answers, or that begin as false: what they switch on may be off.
        failures: the names of what an import that fails raises, also those that the program gives to several of them.
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
                self.modules.add(module.partition(".")[0])  # of `sys`: the program itself makes it, perhaps
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
                given += [(one, value) for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value]
                self.flags |= {one.arg for one, value in given if _is_false(value)}
            case ast.NamedExpr(target=ast.Name(name), value=value) if any(map(self.asks, ast.walk(value))):
                self.flags.add(name)
            case ast.FunctionDef(name=name) if any(map(self.asks, ast.walk(node))):
                self.flags.add(name)
            case ast.Try() if any(catches(one, self.failures) for one in node.handlers):
                parts = [part for statement in (*node.body, *node.orelse) for part in ast.walk(statement)]
                if any(isinstance(part, ast.Import | ast.ImportFrom) for part in parts):
                    self.flags |= {
                        part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
                    }
            case _:
                pass

    def asks(self, node: ast.AST) -> bool:
        """Whether this asks if a module is there or where the program runs, or has the answer."""
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="name") | ast.Attribute(attr="modules"):
                return True
            case _:
                name = _name_of(node)
                return name in PROBES or name in MACHINE or name in self.flags


def _name_of(node: ast.AST) -> str:
    """The name, or the last part of a dotted one; empty for anything else."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _any_of(node: ast.AST, names: Collection[str]) -> bool:
    return isinstance(node, ast.Tuple | ast.List) and any(_name_of(one) in names for one in node.elts)


def catches(handler: ast.ExceptHandler, names: Collection[str]) -> bool:
    """Whether the handler is for one of these exceptions, or for all there are."""
    return handler.type is None or _name_of(handler.type) in names or _any_of(handler.type, names)


def handles(manager: ast.expr, names: Collection[str]) -> bool:
    """Whether the `with` block of `manager` is one like `suppress(ImportError)`."""
    given = manager.args if isinstance(manager, ast.Call) else []
    values = [one.value if isinstance(one, ast.Starred) else one for one in given]
    return any(_name_of(one) in names or _any_of(one, names) for one in values)


def truth_of(test: ast.expr) -> bool | None:
    """What a condition is, where the text says so."""
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
