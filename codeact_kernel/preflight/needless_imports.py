"""Remove needless imports from a program: of tools, and of functions that every program has.

Models write them although the prompt says that tools need no import. Removing such an import is better than rejecting
the whole program.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Container
from dataclasses import dataclass

from .rules import EXCEPTIONS, RESERVED, TOOL_MODULES, is_known_library

__all__ = ["Cleaned", "without_needless_imports"]

MAX_CHANGES = 40
"""A program that needs more changes is left unchanged."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A program without its needless imports.

    Attributes:
        names: The imported names, for the notice.
    """

    program: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """A node of the program, and the text that replaces it."""

    node: ast.stmt | ast.expr
    text: str


def without_needless_imports(
    program: str, tools: Collection[str], modules: Container[str], known: Container[str] = ()
) -> Cleaned:
    """Remove imports of tools and other names that every program has. The lines keep their numbers.

    An import is needless if its module is neither in the sandbox nor a well-known library, and if all names that it
    imports already exist. Never raises. Imports that may be needed stay, and preflight checks them.

    Args:
        tools: The names of the tools that the program may call.
        modules: The names that can be imported.
        known: Other names that already exist in the guest.
    """
    if "import" not in program or "\r" in program or "\f" in program:
        return Cleaned(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(program)
            needless = _Needless(tree, tools, modules, known)
            changes = list({id(change.node): change for change in needless.changes}.values())
            if not 0 < len(changes) <= MAX_CHANGES:
                return Cleaned(program)
            cleaned = _apply(program, changes)
            ast.parse(cleaned)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Cleaned(program)
    return Cleaned(cleaned, tuple(dict.fromkeys(needless.names)))


class _Needless:
    """The changes that remove the needless imports of a program."""

    def __init__(
        self, tree: ast.Module, tools: Collection[str], modules: Container[str], known: Container[str]
    ) -> None:
        self.changes: list[_Change] = []
        self.names: list[str] = []
        self._tools, self._modules, self._known = tools, modules, known
        self._members: dict[str, list[ast.Attribute]] = defaultdict(list)
        self._uses: Counter[str] = Counter()
        nodes = list(ast.walk(tree))
        for node in nodes:
            match node:
                case ast.Attribute(value=ast.Name(owner)):
                    self._members[owner].append(node)
                case ast.Name(name):
                    self._uses[name] += 1
                case _:
                    pass
        for node in nodes:
            match node:
                case ast.ImportFrom():
                    self._check_names(node)
                case ast.Import():
                    self._check_modules(node)
                case _:
                    pass

    def _exists(self, name: str) -> bool:
        return name in self._tools or name in RESERVED or name in EXCEPTIONS or name in self._known

    def _is_missing(self, module: str) -> bool:
        top = module.partition(".")[0]
        return top == "__main__" or not (top in self._modules or module in self._modules or is_known_library(top))

    def _check_names(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if not node.level and not self._is_missing(module):
            return
        if [alias.name for alias in node.names] == ["*"]:
            if module.partition(".")[0] in TOOL_MODULES | {"__main__"}:
                self.names.append(module)
                self.changes.append(_Change(node, "pass"))
            return
        if all(self._exists(alias.name) for alias in node.names):
            self.names += [alias.name for alias in node.names]
            self.changes.append(_Change(node, _assignments(node.names)))

    def _check_modules(self, node: ast.Import) -> None:
        kept: list[ast.alias] = []
        renamed: list[ast.alias] = []
        for alias in node.names:
            owner = alias.asname or alias.name.partition(".")[0]
            if alias.name in self._tools and alias.name not in self._modules and owner not in self._members:
                renamed.append(alias)
            elif not self._is_missing(alias.name) or not self._is_module_of_tools(alias, owner):
                kept.append(alias)
        if len(kept) == len(node.names):
            return
        stay = set(map(id, kept))
        self.names += [alias.name for alias in node.names if id(alias) not in stay]
        imports = [ast.unparse(ast.Import(kept))] if kept else []
        names = _assignments(renamed)
        self.changes.append(_Change(node, "; ".join([*imports, *([names] if names != "pass" else [])]) or "pass"))

    def _is_module_of_tools(self, alias: ast.alias, owner: str) -> bool:
        """Whether the module is only used as in `tools.get_orders`, which then becomes `get_orders`."""
        top = alias.name.partition(".")[0]
        members = self._members.get(owner, [])
        if top == "__main__" or not (members or top in TOOL_MODULES or top in self._tools):
            return False
        if (
            len(members) > MAX_CHANGES
            or self._uses[owner] != len(members)
            or not all(self._exists(node.attr) for node in members)
        ):
            return False
        if any(node.lineno != node.end_lineno for node in members):
            return False
        self.changes += [_Change(node, node.attr) for node in members]
        return True


def _assignments(names: Collection[ast.alias]) -> str:
    """Return the assignments that replace an import with `as`, or `pass`."""
    pairs = [(alias.asname, alias.name) for alias in names if alias.asname and alias.asname != alias.name]
    return "; ".join(f"{new} = {name}" for new, name in pairs) or "pass"


def _apply(program: str, changes: Collection[_Change]) -> str:
    lines = [line.encode() for line in program.split("\n")]
    for change in sorted(changes, key=lambda change: (change.node.lineno, change.node.col_offset), reverse=True):
        node = change.node
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
        text = change.text.encode()
        if first == last and text == b"pass" and not head and not tail.strip():
            lines[first] = b""  # a whole line at the top level needs no replacement
            continue
        # The lines in between stay and become empty, so that later lines keep their numbers.
        lines[first : last + 1] = [head + text + (b" \\" if first < last else b"")] + [b"\\"] * max(0, last - first - 1)
        if first < last:
            lines.insert(last, b" " + tail)
        else:
            lines[first] += tail
    return b"\n".join(lines).decode()
