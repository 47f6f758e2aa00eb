"""Change a program in a few places and keep the rest of its text, with its comments, as the model wrote it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from copy import deepcopy

from ..errors import UserError
from ..preflight.program_facts import ProgramFacts, Scope
from ..render.escaping import escape_strictly

__all__ = ["EditedProgram", "comment", "free_name", "is_same_tree", "parse", "reveal_hidden"]


def parse(text: str) -> ast.Module:
    """Return the syntax tree of a program.

    Raises:
        UserError: this Python cannot read it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise UserError(
                "This Python cannot read the program: the sandbox has Python 3.14, whose syntax is newer. Run the "
                "notebook with a newer Python, or ask for the program without that syntax."
            ) from None


def reveal_hidden(program: str) -> str:
    """Write invisible characters in the texts of a program as escapes, so that the program shows what it does.

    Raises:
        UserError: there are invisible characters outside of its texts, where an escape would change the program.
    """
    program = program.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    revealed = "\n".join(escape_strictly(line) for line in program.split("\n"))
    if revealed == program:
        return program
    tree = parse(program)
    try:
        if is_same_tree(ast.parse(revealed), tree):
            return revealed
    except (SyntaxError, ValueError):
        pass
    raise UserError("The program contains invisible characters, so it is not written to a cell: run the prompt again.")


def comment(text: str) -> str:
    """Write any text as lines of a comment, without invisible characters."""
    lines = [line.rstrip() for line in text.strip().splitlines()]  # this also splits at U+2028 and form feeds
    return "\n".join(f"# {escape_strictly(line)}".rstrip() for line in lines)


def is_same_tree(one: ast.AST, other: ast.AST) -> bool:
    """Return whether two trees mean the same program."""
    try:
        return ast.dump(one) == ast.dump(other)
    except RecursionError:
        return False


class GlobalNames(ProgramFacts):
    """The facts of a program, with every `Name` node and its scope."""

    def __init__(self, tree: ast.Module) -> None:
        super().__init__()
        self._names: list[tuple[ast.Name, Scope]] = []
        self.visit(tree)

    def visit_Name(self, node: ast.Name) -> None:
        self._names.append((node, self.scope))
        super().visit_Name(node)

    def nodes(self, name: str) -> list[ast.Name]:
        """Return the places where `name` is a global of the program, a tool or a builtin."""
        return [node for node, scope in self._names if node.id == name and scope.means_global(name)]

    @property
    def used(self) -> list[str]:
        """The global names that the program reads, in order of appearance."""
        read = [
            node.id for node, scope in self._names if isinstance(node.ctx, ast.Load) and scope.means_global(node.id)
        ]
        return list(dict.fromkeys(read))


class EditedProgram:
    """A program and the edits of it. Each edit changes the text and the tree alike.

    Args:
        text: a program with `\\n` at the ends of its lines.

    Attributes:
        tree: the tree with the edits so far.
        names: the names of the program before the edits.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = parse(text)
        self.names = GlobalNames(self.tree)
        self._edits: list[tuple[int, int, str]] = []
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def offset(self, line: int, column: int) -> int:
        """Return the position in the text of a place in the tree, whose columns count bytes."""
        characters = self._lines[line - 1].encode()[:column].decode(errors="ignore")
        return self._starts[line - 1] + len(characters)

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Return where a node begins in the text."""
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Return where a node ends in the text."""
        return self.offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)

    def line_of(self, node: ast.stmt) -> str:
        """Return the text before a statement on its line."""
        return self._lines[node.lineno - 1].encode()[: node.col_offset].decode(errors="ignore")

    def replace(self, start: int, end: int, text: str) -> None:
        """Replace a part of the text. The caller changes the tree."""
        self._edits.append((start, end, text))

    def drop(self, statement: ast.stmt) -> None:
        """Remove a statement of the top level, with its line if it has one of its own."""
        start, end = self.start(statement), self.end(statement)
        rest = self.text[end:].partition("\n")[0]
        if self.line_of(statement).strip() or (rest.strip() and not rest.lstrip().startswith("#")):
            self.replace(start, end, "pass")
            self.tree.body[self.tree.body.index(statement)] = ast.Pass()
        else:
            self.replace(start, end + len(rest) + 1, "")
            self.tree.body.remove(statement)

    def take(self, start: int, end: int) -> str:
        """Return a part of the text with its edits, and forget these edits."""
        inside = [edit for edit in self._edits if start <= edit[0] and edit[1] <= end]
        self._edits = [edit for edit in self._edits if edit not in inside]
        text = self.text[:end]
        for first, last, new in sorted(inside, key=lambda edit: edit[:2], reverse=True):
            text = text[:first] + new + text[last:]
        return text[start:]

    def insert_after(self, statement: ast.stmt, text: str) -> None:
        """Add a statement on a new line below another, or after it if they share a line."""
        end, indentation = self.end(statement), self.line_of(statement)
        rest = self.text[end : self._starts[(statement.end_lineno or 1)] - 1]
        if indentation.strip() or (rest.strip() and not rest.lstrip().startswith("#")):
            self.replace(end, end, f"; {text}")
        else:
            self.replace(end + len(rest), end + len(rest), f"\n{indentation}{text}")

    def rename(self, name: str, new: str, only: set[ast.Name] | None = None) -> None:
        """Give a global name of the program another one. `new` may have a dot if nothing assigns the name.

        Args:
            only: some of the places; by default every place.

        Raises:
            UserError: the program binds the name by an import, a definition or in a pattern.
        """
        nodes = self.names.nodes(name)
        for node in nodes:
            if only is None or node in only:
                self.replace(self.start(node), self.end(node), new)
                node.id = new
        if only is None:
            self._rename_other_bindings(name, new, sum(not isinstance(node.ctx, ast.Load) for node in nodes))

    def _rename_other_bindings(self, name: str, new: str, assigned: int) -> None:
        for node in ast.walk(self.tree):
            match node:
                case ast.Global(names=names) if name in names:
                    written = ", ".join(names := [new if item == name else item for item in names])
                    self.replace(self.start(node), self.end(node), f"global {written}")
                    node.names = names
                case _:
                    pass
        module = self.names.module
        bindings = [binding for binding in self.names.bindings if binding.name == name and binding.scope is module]
        if len(bindings) > assigned:
            self._rename_definitions(name, new, len(bindings) - assigned)

    def _rename_definitions(self, name: str, new: str, count: int) -> None:
        for node in self.tree.body:
            match node:
                case ast.Import() | ast.ImportFrom():
                    for alias in node.names:
                        if (alias.asname or alias.name) == name:
                            start = self.offset(alias.lineno, alias.col_offset)
                            end = self.offset(alias.end_lineno or 1, alias.end_col_offset or 0)
                            self.replace(start, end, f"{alias.name} as {new}")
                            alias.asname = new
                            count -= 1
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if node.name == name:
                    start = self.text.index(name, self.start(node) + 4)
                    self.replace(start, start + len(name), new)
                    node.name = new
                    count -= 1
                case _:
                    pass
        if count > 0:
            raise UserError(
                f"The program uses the name {name} for something else, and your notebook has it already: rename yours, "
                "and keep the program then."
            )

    def render(self) -> str:
        """Return the program with its edits. Where the text cannot be edited, it is written anew without comments."""
        if not self._edits:
            return self.text
        text = self.text
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2], reverse=True):
            text = text[:start] + new + text[end:]
        written = ast.unparse(ast.fix_missing_locations(deepcopy(self.tree)))
        try:
            if is_same_tree(ast.parse(text), ast.parse(written)):
                return text
        except SyntaxError:
            pass
        return written  # Python 3.11 does not know where the parts of an f-string are


def free_name(wanted: str, taken: set[str] | frozenset[str] | Mapping[str, object]) -> str:
    """Return `wanted`, with a number if the name is taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name
