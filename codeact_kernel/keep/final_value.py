"""End a program with its value: in the sandbox the value of a program is that of its last statement, of any kind.

The rules are those of `guest.inside.final_value`.
"""

from __future__ import annotations

import ast

from .edits import EditedProgram

__all__ = ["end_with_value", "has_plain_end"]

_IN_PLACE_METHODS = frozenset({
    "add", "append", "appendleft", "extend", "extendleft", "insert", "reverse", "sort", "update",
})  # fmt: skip
_LAZY_FUNCTIONS = frozenset({"enumerate", "filter", "iter", "map", "reversed", "zip"})
_LAZY_METHODS = frozenset({"items", "keys", "values"})

_BLOCKS = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.Match,
)  # fmt: skip
"""Statements in which the value can be computed."""


def has_plain_end(program: EditedProgram) -> bool:
    """Return whether the program ends with an expression whose value a cell shows as it is."""
    last = program.tree.body[-1]
    if not isinstance(last, ast.Expr) or _find_changed_container(last) is not None:
        return False
    is_quiet = program.text[program.end(last) :].lstrip().startswith(";")  # IPython hides the value
    return not (is_quiet or _is_coroutine(last.value, program.tree) or _is_lazy(last.value, program.tree))


def end_with_value(program: EditedProgram, name: str) -> str:
    """Change the program so that its value can be read after its last statement.

    Args:
        name: a free name, for a value that is computed inside of the last statement.

    Returns:
        The expression for the value. If the program ends with it, that expression is no longer in the program.
    """
    last = program.tree.body[-1]
    if isinstance(last, ast.Expr) and (container := _find_changed_container(last)) is not None:
        return container
    if isinstance(last, ast.Expr):
        return _take_last_expression(program, last)
    if isinstance(last, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        return _read_target(last) or "None"
    if not isinstance(last, _BLOCKS):
        return "None"
    _Keeper(program, name).keep_in_blocks(last)
    program.replace(program.start(last), program.start(last), f"{name} = None\n")
    program.tree.body.insert(-1, _parse_statement(f"{name} = None"))
    return name


def _take_last_expression(program: EditedProgram, last: ast.Expr) -> str:
    """Remove the last expression, and return it so that a lazy value is read and a coroutine awaited."""
    start, end = program.start(last), len(program.text)
    written = program.take(start, program.end(last))
    program.replace(start, end, "")
    program.tree.body.pop()
    value = last.value
    if _is_lazy(value, program.tree):
        return f"list({written})"
    return f"await {written}" if _is_coroutine(value, program.tree) else written


def _is_lazy(value: ast.expr, tree: ast.Module) -> bool:
    """Return whether the value is an iterator or a view, which the sandbox reads."""
    match value:
        case ast.GeneratorExp():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in _LAZY_FUNCTIONS
        case ast.Call(func=ast.Attribute(attr=method), args=[], keywords=[]):
            return method in _LAZY_METHODS
        case ast.Name(id=name):
            assigned = [
                node.value
                for node in tree.body
                if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
            ]
            return bool(assigned) and not isinstance(assigned[-1], ast.Name) and _is_lazy(assigned[-1], tree)
        case _:
            return False


def _is_coroutine(value: ast.expr, tree: ast.Module) -> bool:
    match value:
        case ast.Call(func=ast.Name(id=name)):
            return any(isinstance(node, ast.AsyncFunctionDef) and node.name == name for node in tree.body)
        case _:
            return False


def _find_changed_container(statement: ast.Expr) -> str | None:
    """Return the variable that the statement changes in place, such as `rows` in `rows.sort()`."""
    match statement.value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _IN_PLACE_METHODS:
            return name
        case _:
            return None


def _read_target(statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> str | None:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    loaded = _to_load(target)
    return None if loaded is None else ast.unparse(loaded)


def _to_load(target: ast.expr) -> ast.expr | None:
    match target:
        case ast.Name(id=name):
            return None if name == "_" else target
        case ast.Attribute():
            return target
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            loaded = {ast.dump(part): part for part in map(_to_load, parts) if part is not None}
            if len(loaded) == 1 and isinstance(parts[0], ast.Subscript):
                return next(iter(loaded.values()))  # all are items of one container
            return ast.Tuple(list(loaded.values()), ast.Load()) if loaded else None
        case ast.Starred(value=value) | ast.Subscript(value=value):
            return _to_load(value)
        case _:
            return None


def _parse_statement(text: str) -> ast.stmt:
    return ast.parse(text).body[0]


class _Keeper:
    """Assigns the value of each branch of a statement to a variable."""

    def __init__(self, program: EditedProgram, name: str) -> None:
        self._program = program
        self._name = name

    def keep_in_blocks(self, statement: ast.stmt) -> None:
        match statement:
            case ast.For(orelse=orelse) | ast.AsyncFor(orelse=orelse) | ast.While(orelse=orelse):
                self.keep(orelse)
            case ast.If():
                self.keep(statement.body)
                self.keep(statement.orelse)
            case ast.Try() | ast.TryStar():
                self.keep(statement.orelse or statement.body)
                for handler in statement.handlers:
                    self.keep(handler.body)
            case ast.With() | ast.AsyncWith():
                self.keep(statement.body)
            case ast.Match():
                for case in statement.cases:
                    self.keep(case.body)
            case _:
                pass

    def keep(self, body: list[ast.stmt]) -> None:
        if not body:
            return
        last, program = body[-1], self._program
        if isinstance(last, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            value = _read_target(last)
        elif isinstance(last, ast.Expr):
            value = _find_changed_container(last)
            if value is None:
                start = program.start(last)
                program.replace(start, start, f"{self._name} = ")
                body[-1] = ast.Assign([ast.Name(self._name, ast.Store())], last.value)
                return
        else:
            self.keep_in_blocks(last)
            return
        if value is not None:
            program.insert_after(last, f"{self._name} = {value}")
            body.append(_parse_statement(f"{self._name} = {value}"))
