"""Analyse texts as Python: whether a text does something, which tools it calls, and whether texts form one program.

Nothing is run. The amount of text that is parsed from one answer is bounded, because answers are untrusted.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Parsed", "Parser", "are_one_program", "does_something", "dump_statements", "find_called_names", "is_data"]

_DOING = (
    ast.Assign | ast.AugAssign | ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    | ast.For | ast.While | ast.With | ast.Try | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
)  # fmt: skip
_LINES = 1 << 20
_MAX_PARTS = 10
"""More blocks than this are never joined to one program."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed text.

    Attributes:
        tree: `None` if the text is not Python for this host, or was not parsed.
        error: the message of Python's syntax error, if there is one.
        line: the line of the error.
    """

    text: str
    tree: ast.Module | None = None
    error: str = ""
    line: int = 0


class Parser:
    """Parse texts of one answer, up to a total of `characters`.

    Attributes:
        lines_left: how many more lines are read to find the ends of blocks.
    """

    def __init__(self, characters: int) -> None:
        self.lines_left = _LINES
        self._left = characters
        self._known: dict[str, Parsed] = {}

    @property
    def may_look(self) -> bool:
        """Whether more lines are read to find the ends of blocks."""
        return self.lines_left > 0

    def parse(self, text: str) -> Parsed:
        """Parse `text`. Never raises."""
        if text not in self._known:
            self._left -= len(text) + 1
            self._known[text] = Parsed(text) if self._left < 0 else parse(text)
        return self._known[text]


def parse(text: str) -> Parsed:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Parsed(text, ast.parse(text))
        except SyntaxError as error:
            return Parsed(text, None, error.msg, error.lineno or 0)
        except (ValueError, RecursionError, MemoryError):
            return Parsed(text)


def does_something(parsed: Parsed) -> bool:
    """Return whether a text is Python that does something, and not words that happen to be Python."""
    if parsed.tree is None:
        return False
    lines = parsed.text.encode().split(b"\n")
    return any(_acts(node, lines) for node in ast.walk(parsed.tree))


def _acts(node: ast.AST, lines: Sequence[bytes]) -> bool:
    if isinstance(node, ast.Call):
        # Words such as `Alice (120)` parse as calls too, but programs have no space before the parenthesis.
        return lines[(node.func.end_lineno or 1) - 1].startswith(b"(", node.func.end_col_offset or 0)
    if isinstance(node, ast.AnnAssign):
        # `Total: 120` is an annotation to Python and an answer to a user.
        return node.value is not None
    return isinstance(node, _DOING)


def is_data(parsed: Parsed) -> bool:
    """Return whether a text has only literals, and so is an example of a result or of printed output."""
    if parsed.tree is None:
        return False
    return all(isinstance(node, ast.Expr) and _is_literal(node.value) for node in parsed.tree.body)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True


def find_called_names(tree: ast.AST, names: Collection[str]) -> set[str]:
    """Return which of `names` are called, as `name(...)`, `name.map(...)` or `call_tool("name", ...)`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        target = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        if isinstance(target, ast.Name):
            found.add(target.id)
            first = node.args[0] if node.args else None
            if target.id in ("call_tool", "call_tool_async") and isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found & set(names)


def dump_statements(parsed: Parsed) -> frozenset[str]:
    """Return the statements of a text in a form that does not depend on spacing."""
    return frozenset() if parsed.tree is None else frozenset(ast.dump(node) for node in parsed.tree.body)


def are_one_program(parts: Sequence[Parsed], tools: Collection[str]) -> bool:
    """Return whether texts are parts of one program, and not drafts, corrections or alternatives.

    Each text after the first must read a name that an earlier text assigned. It must not reassign such a name, repeat a
    statement or call a tool of an earlier text.
    """
    trees = [part.tree for part in parts]
    assigned: set[str] = set()
    seen: set[str] = set()
    called: set[str] = set()
    for number, tree in enumerate(trees):
        if tree is None or number >= _MAX_PARTS:
            return False
        calls = find_called_names(tree, tools)
        statements = {ast.dump(node) for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)}
        if number and (calls & called or statements & seen or not _goes_on(tree, assigned)):
            return False
        assigned |= {name for node in tree.body for name in _find_assigned_names(node)}
        called |= calls
        seen |= statements
    return True


def _goes_on(tree: ast.Module, before: set[str]) -> bool:
    """Return whether a text reads names assigned `before`, and reassigns none of them without reading it."""
    own: set[str] = set()
    read: set[str] = set()
    for node in tree.body:
        loads = (name for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load))
        read |= {name.id for name in loads} - own
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            read.add(node.target.id)
        assigned = set(_find_assigned_names(node))
        if assigned & before - read and not isinstance(node, ast.Import | ast.ImportFrom | ast.For | ast.With):
            return False
        own |= assigned
    return bool(read & before)


def _find_assigned_names(node: ast.stmt) -> Iterator[str]:
    """Yield the names that one statement assigns."""
    waiting: list[ast.AST] = [node]
    while waiting:
        child = waiting.pop()
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child.name
            continue
        elif isinstance(child, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
        waiting.extend(ast.iter_child_nodes(child))
