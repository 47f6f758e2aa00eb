"""Bind the names of a program to what the notebook has: functions, variables, and what every program has."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..capability import CALL_NAMES, DISCOVERY, ERROR_NAMES, GUEST_NAMES, NETWORK
from ..errors import UserError
from ..text import format_list
from .analysis import calls_computed_names, changes_foreign_data, find_awaited, find_imports, find_numbers
from .edits import EditedProgram, free_name

__all__ = ["Notebook", "NotebookTool", "bind_names"]

_BUILTINS = frozenset(dir(builtins)) - {"display", "get_ipython", "tool"} | {"__name__", "__file__", "__doc__"}
_OURS = CALL_NAMES | ERROR_NAMES | (GUEST_NAMES - {*NETWORK.guest_names, *DISCOVERY.guest_names})
"""Names of the sandbox that the package `codeact` has for cells."""
_EARLIER = frozenset({"previous", "results"})


@dataclass(frozen=True, kw_only=True, slots=True)
class NotebookTool:
    """A tool that the program may call.

    Attributes:
        variable: the notebook's variable that holds the function, or `None`.
        is_plain: whether the program may call the function as it is: its arguments and results were plain data.
        asks: whether calls need an approval.
        is_trusted: whether no outsider writes its results.
        read_only: whether calls change nothing.
        parameters: the names of its parameters.
    """

    name: str
    variable: str | None
    is_plain: bool
    asks: bool = False
    is_trusted: bool = True
    read_only: bool = False
    parameters: Sequence[str] = ()


def _keeps_meaning(name: str, module: str, member: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Notebook:
    """The names of the notebook.

    Attributes:
        tools: the tools on offer, by name.
        variables: every variable, and whether a program sees it as it is: as plain data.
        fixed: the variables that hold functions, classes and modules, which no cell may take away.
        results: expressions for the values of earlier prompts, by the numbers that programs use.
        previous: the number of the value that programs call `previous`.
        keeps_meaning: whether an import (the name that it binds, the module, and its member or "") gives a variable the
            value that it has already.
    """

    tools: Mapping[str, NotebookTool] = field(default_factory=dict[str, NotebookTool])
    variables: Mapping[str, bool] = field(default_factory=dict[str, bool])
    fixed: frozenset[str] = frozenset()
    results: Mapping[int, str] = field(default_factory=dict[int, str])
    previous: int | None = None
    keeps_meaning: Callable[[str, str, str], bool] = _keeps_meaning


@dataclass(frozen=True, kw_only=True, slots=True)
class Bindings:
    """What a program needs before its first statement.

    Attributes:
        modules: modules to import.
        imports: names to import from `codeact`.
        lines: statements that bind names.
        tools: the tools that the program uses.
        overwritten: variables of the notebook that the program assigns.
        results: the values of earlier prompts that the program reads.
    """

    modules: Sequence[str]
    imports: Sequence[str]
    lines: Sequence[str]
    tools: Sequence[NotebookTool]
    overwritten: Sequence[str]
    results: Sequence[str]


def bind_names(
    program: EditedProgram, notebook: Notebook, inputs: Collection[str], *, taken: frozenset[str] = frozenset()
) -> Bindings:
    """Change the names of the program so that they mean in the notebook what they meant in the sandbox.

    Args:
        inputs: the notebook's variables that the program could read.
        taken: further names that the result must not use.

    Raises:
        UserError: the program uses something that the notebook does not have.
    """
    return _Binder(program, notebook, inputs, taken).bind()


class _Binder:
    def __init__(
        self, program: EditedProgram, notebook: Notebook, inputs: Collection[str], taken: frozenset[str]
    ) -> None:
        self._program = program
        self._notebook = notebook
        self._inputs = [name for name in program.names.used if name in inputs]
        self._names = program.names
        self._taken = taken | program.names.bound | notebook.variables.keys() | notebook.tools.keys() | _BUILTINS
        self._imports: list[str] = []
        self._lines: list[str] = []

    def bind(self) -> Bindings:
        notebook, bound = self._notebook, self._names.module.bound
        tools = [name for name in self._names.used if name in notebook.tools and name not in bound]
        quoted = [use.name for use in self._names.uses if use.quoted and use.name in notebook.tools]
        if calls_computed_names(self._program.tree):  # it could call any tool
            quoted = list(notebook.tools)
        self._refuse_unknown(bound)
        results = self._bind_results(bound)
        needs_copies = changes_foreign_data(self._program.tree) or not ERROR_NAMES.isdisjoint(self._names.used)
        for name in tools:
            self._bind_tool(notebook.tools[name], needs_copies)
        overwritten = self._protect_variables(bound)
        for name in self._inputs:
            if name not in bound or self._reads_first(name):
                self._bind_input(name, must_copy=needs_copies or name in bound)
        for name in self._names.used:
            if name in _OURS and name not in bound:
                self._import(name)
        return Bindings(
            modules=["codeact"] if results else [],
            imports=self._imports,
            lines=self._lines,
            tools=[notebook.tools[name] for name in dict.fromkeys([*tools, *quoted])],
            overwritten=overwritten,
            results=results,
        )

    def _protect_variables(self, bound: set[str]) -> list[str]:
        """Rename variables of the program, so that the notebook keeps its functions, classes and modules.

        Returns:
            The variables of the notebook that the program assigns nevertheless.
        """
        overwritten: list[str] = []
        for name in sorted(bound):
            if name in self._inputs and self._reads_first(name):
                continue
            if name in self._notebook.fixed or name in self._notebook.tools:
                if not self._imports_the_same(name):
                    self._program.rename(name, self._free(name))
            elif name in self._notebook.variables:
                overwritten.append(name)
        return overwritten

    def _bind_results(self, bound: set[str]) -> list[str]:
        """Bind the values of earlier prompts, and return the expressions for them."""
        results, names = self._notebook.results, [name for name in self._names.used if name in _EARLIER - bound]
        used = [self._notebook.previous] if "previous" in names else []
        if "results" in names:
            used += find_numbers(self._program.tree) or list(results)
        if names and not (used and all(number in results for number in used)):
            raise UserError(
                f"The program uses {names[0]}, the value of an earlier prompt that is not remembered any more: give "
                "that value a name with --out, pass it on with --in, and ask again."
            )
        expressions = {number: results[number] for number in used if number is not None}
        for name in names:
            alias = self._free(f"{name}_seen")
            seen = {number: f"as_program_sees({text})" for number, text in expressions.items()}
            if name == "previous":
                value = seen[self._notebook.previous or 0]
            else:
                value = "{" + ", ".join(f"{number}: {text}" for number, text in seen.items()) + "}"
            self._lines.append(f"{alias} = {value}")
            self._program.rename(name, alias)
        if names:
            self._imports.insert(0, "as_program_sees")
        return list(expressions.values())

    def _free(self, wanted: str) -> str:
        name = free_name(wanted, self._taken)
        self._taken |= {name}
        return name

    def _import(self, name: str) -> None:
        alias = name
        if name in self._notebook.variables and not self._notebook.keeps_meaning(name, "codeact", name):
            alias = self._free(f"codeact_{name}")
            self._program.rename(name, alias)
        self._imports.append(name if alias == name else f"{name} as {alias}")

    def _as_program_sees(self, name: str, of: str) -> str:
        alias = self._free(f"{name}_seen")
        if "as_program_sees" not in self._imports:
            self._imports.insert(0, "as_program_sees")
        self._lines.append(f"{alias} = as_program_sees({of})")
        return alias

    def _bind_tool(self, tool: NotebookTool, needs_copies: bool) -> None:
        nodes = {node for node in self._names.nodes(tool.name) if isinstance(node.ctx, ast.Load)}
        awaited = nodes & find_awaited(self._program.tree, tool.name)
        methods = any(owner == tool.name and member in ("map", "submit") for owner, member, _ in self._names.members)
        if tool.is_plain and tool.variable is not None and not (awaited or methods or needs_copies):
            if tool.variable != tool.name:
                self._program.rename(tool.name, tool.variable, nodes)
            return
        alias = self._as_program_sees(tool.name, tool.variable or repr(tool.name))
        self._program.rename(tool.name, alias, nodes - awaited)
        self._program.rename(tool.name, f"{alias}.start", awaited)

    def _bind_input(self, name: str, *, must_copy: bool) -> None:
        if not self._notebook.variables[name] or must_copy:
            self._program.rename(name, self._as_program_sees(name, name))

    def _reads_first(self, name: str) -> bool:
        """Return whether the program reads a variable that it also assigns, before it assigns it."""
        read = [use.line for use in self._names.uses if use.name == name and use.scope.owner is None]
        bound = [binding.line for binding in self._names.bindings if binding.name == name]
        return bool(read) and min(read) <= min(bound)

    def _imports_the_same(self, name: str) -> bool:
        """Return whether the program only imports what the notebook has under this name."""
        found = [
            self._notebook.keeps_meaning(name, *imported)
            for statement in self._program.tree.body
            for imported in find_imports(statement, name)
        ]
        bindings = [binding for binding in self._names.bindings if binding.name == name]
        return len(found) == len(bindings) and all(found)

    def _refuse_unknown(self, bound: set[str]) -> None:
        gone = [name for name in self._inputs if name not in self._notebook.variables and name not in bound]
        if gone:
            raise UserError(f"The program reads {gone[0]}, which the notebook has no more: run the cell that makes it.")
        known = bound | _BUILTINS | _OURS | _EARLIER | {*self._notebook.tools, *self._inputs}
        harmless = {use.name for use in self._names.uses if use.is_harmless}
        unknown = [name for name in self._names.used if name not in known and name not in harmless]
        if network := [name for name in unknown if name in NETWORK.guest_names]:
            raise UserError(
                f"The program uses {network[0]}, which only the sandbox has: put the request into a function with "
                "@tool, and ask again."
            )
        if not {*DISCOVERY.guest_names}.isdisjoint(unknown):
            raise UserError(
                "The program looks for tools for the model, which a cell does not have: run the prompt again."
            )
        if "observe" in unknown:
            raise UserError("The program shows data to the model, which a cell does not have: run the prompt again.")
        if unknown:
            raise UserError(
                f"The program uses {format_list(unknown, 3)}, which it does not assign: it comes from an earlier "
                "program of the same turn. Run the prompt again for a whole program."
            )
