"""Whether a text is Python that does something, which tools it calls, and whether several texts are one program. Pure.

Nothing is run. What is parsed of one answer is bounded, since its author is not known.
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
"""More blocks than this are never one program."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text as Python.

    Attributes:
        tree: `None` where the text is not Python for this host, or was not parsed.
        error: why, in the words of Python.
        line: where.
    """

    text: str
    tree: ast.Module | None = None
    error: str = ""
    line: int = 0


class Parser:
    """Parses texts of one answer, as long as they are no more than `characters` in all.

    Attributes:
        lines_left: how many lines may still be read in search of the end of a block.
    """

    def __init__(self, characters: int) -> None:
        self.lines_left = _LINES
        self._left = characters
        self._known: dict[str, Parsed] = {}

    @property
    def may_look(self) -> bool:
        """Whether lines may still be read."""
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
    """Whether it is Python with a statement that does something, and not words that happen to be Python."""
    if parsed.tree is None:
        return False
    lines = parsed.text.encode().split(b"\n")
    return any(_acts(node, lines) for node in ast.walk(parsed.tree))


def _acts(node: ast.AST, lines: Sequence[bytes]) -> bool:
    if isinstance(node, ast.Call):
        # Words read as calls too, `Alice (120)`: a program puts the parenthesis right after the name.
        return lines[(node.func.end_lineno or 1) - 1].startswith(b"(", node.func.end_col_offset or 0)
    if isinstance(node, ast.AnnAssign):
        # `Total: 120` is an annotation to Python and an answer to a user.
        return node.value is not None
    return isinstance(node, _DOING)


def is_data(parsed: Parsed) -> bool:
    """Whether it is nothing but literals: an example of what a tool returns, or of what a program printed."""
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
    """Which of `names` it calls: as `name(...)`, `name.map(...)`, or by `call_tool("name", ...)`."""
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
    """Its statements, in a form in which the same ones are equal however they are spaced."""
    return frozenset() if parsed.tree is None else frozenset(ast.dump(node) for node in parsed.tree.body)


def are_one_program(parts: Sequence[Parsed], tools: Collection[str]) -> bool:
    """Whether texts are the pieces of one program, and not drafts, corrections or alternatives.

    Each one after the first has to read a name that those before it made, and must not make such a name anew, repeat
    one of their statements, or call a tool that they call.
    """
    trees = [part.tree for part in parts]
    made: set[str] = set()
    said: set[str] = set()
    called: set[str] = set()
    for number, tree in enumerate(trees):
        if tree is None or number >= _MAX_PARTS:
            return False
        calls = find_called_names(tree, tools)
        statements = {ast.dump(node) for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)}
        if number and (calls & called or statements & said or not _goes_on(tree, made)):
            return False
        made |= {name for node in tree.body for name in _find_assigned_names(node)}
        called |= calls
        said |= statements
    return True


def _goes_on(tree: ast.Module, before: set[str]) -> bool:
    """Whether it reads what was made `before`, and makes nothing of it anew without having read it."""
    own: set[str] = set()
    read: set[str] = set()
    for node in tree.body:
        read |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)} - own
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            read.add(node.target.id)
        kept = set(_find_assigned_names(node))
        if kept & before - read and not isinstance(node, ast.Import | ast.ImportFrom | ast.For | ast.With):
            return False
        own |= kept
    return bool(read & before)


def _find_assigned_names(node: ast.stmt) -> Iterator[str]:
    """The names that one statement of a program makes."""
    waiting: list[ast.AST] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in one.names)
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name
            continue
        elif isinstance(one, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            continue
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id
        waiting.extend(ast.iter_child_nodes(one))
