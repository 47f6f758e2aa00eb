"""Imports that a program does not need, since it has what they import: tools, and the functions of the sandbox.

Models write them though the prompt says that there is nothing to import. Such an import is taken out of the text,
instead of a whole program being refused for it.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Container
from dataclasses import dataclass

from .rules import EXCEPTIONS, RESERVED, TOOL_MODULES, is_known_library

__all__ = ["Cleaned", "without_needless_imports"]

MANY = 40
"""Changes of one program; one that would need more is left as it is."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A program without its needless imports.

    Attributes:
        names: what was imported, for the notice.
    """

    program: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Change:
    """A part of the text, from a line and column (in bytes) to another, and what stands there instead."""

    node: ast.stmt | ast.expr
    text: str


def without_needless_imports(
    program: str, tools: Collection[str], modules: Container[str], known: Container[str] = ()
) -> Cleaned:
    """Take out what imports nothing but tools and other things that every program has. The lines keep their numbers.

    An import is needless where its module is not in the sandbox, is no library that everybody knows, and all names that
    it asks for are there already. Never raises; what is not sure to be harmless stays, for preflight to judge.

    Args:
        tools: the names of the tools that the program may call.
        modules: the names that can be imported.
        known: other names that are in the guest already.
    """
    if "import" not in program or "\r" in program or "\f" in program:
        return Cleaned(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(program)
            found = _Needless(tree, tools, modules, known)
            changes = list({id(change.node): change for change in found.changes}.values())
            if not 0 < len(changes) <= MANY:
                return Cleaned(program)
            cleaned = _changed(program, changes)
            ast.parse(cleaned)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Cleaned(program)
    return Cleaned(cleaned, tuple(dict.fromkeys(found.names)))


class _Needless:
    """The changes that take the needless imports out of a program."""

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
                    self._look_at_names(node)
                case ast.Import():
                    self._look_at_modules(node)
                case _:
                    pass

    def _is_there(self, name: str) -> bool:
        return name in self._tools or name in RESERVED or name in EXCEPTIONS or name in self._known

    def _is_missing(self, module: str) -> bool:
        top = module.partition(".")[0]
        return top == "__main__" or not (top in self._modules or module in self._modules or is_known_library(top))

    def _look_at_names(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if not node.level and not self._is_missing(module):
            return
        if [alias.name for alias in node.names] == ["*"]:
            if module.partition(".")[0] in TOOL_MODULES | {"__main__"}:
                self.names.append(module)
                self.changes.append(_Change(node, "pass"))
            return
        if all(self._is_there(alias.name) for alias in node.names):
            self.names += [alias.name for alias in node.names]
            self.changes.append(_Change(node, _renamed(node.names)))

    def _look_at_modules(self, node: ast.Import) -> None:
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
        names = _renamed(renamed)
        self.changes.append(_Change(node, "; ".join([*imports, *([names] if names != "pass" else [])]) or "pass"))

    def _is_module_of_tools(self, alias: ast.alias, owner: str) -> bool:
        """Whether the module is only used as `tools.get_orders`, which then loses its first part."""
        top = alias.name.partition(".")[0]
        members = self._members.get(owner, [])
        if top == "__main__" or not (members or top in TOOL_MODULES or top in self._tools):
            return False
        if (
            len(members) > MANY
            or self._uses[owner] != len(members)
            or not all(self._is_there(node.attr) for node in members)
        ):
            return False
        if any(node.lineno != node.end_lineno for node in members):
            return False
        self.changes += [_Change(node, node.attr) for node in members]
        return True


def _renamed(names: Collection[ast.alias]) -> str:
    """What is left of an import of names that are there: those that it gives another name."""
    pairs = [(alias.asname, alias.name) for alias in names if alias.asname and alias.asname != alias.name]
    return "; ".join(f"{new} = {name}" for new, name in pairs) or "pass"


def _changed(program: str, changes: Collection[_Change]) -> str:
    lines = [line.encode() for line in program.split("\n")]
    for change in sorted(changes, key=lambda change: (change.node.lineno, change.node.col_offset), reverse=True):
        node = change.node
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
        text = change.text.encode()
        if first == last and text == b"pass" and not head and not tail.strip():
            lines[first] = b""  # a line of its own at the top level: nothing is needed in its place
            continue
        # The lines in between stay, empty: what comes after keeps its number.
        lines[first : last + 1] = [head + text + (b" \\" if first < last else b"")] + [b"\\"] * max(0, last - first - 1)
        if first < last:
            lines.insert(last, b" " + tail)
        else:
            lines[first] += tail
    return b"\n".join(lines).decode()
