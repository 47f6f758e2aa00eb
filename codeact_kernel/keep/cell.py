"""Write the program of a turn as an ordinary cell of the notebook."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..errors import UserError
from ..text import format_list
from ..tools.redaction import without_secrets
from .analysis import find_reaching_names
from .bindings import Bindings, Notebook, NotebookTool, bind_names
from .edits import EditedProgram, comment, free_name, reveal_hidden
from .final_value import end_with_value, has_plain_end

__all__ = ["Kept", "Notebook", "NotebookTool", "TurnProgram", "describe_results", "make_cell", "prepare"]

_FOLDERS = ("/input", "/output")
_FILE_NAMES = frozenset({"Path", "csv", "glob", "io", "open", "os", "pathlib", "shutil", "zipfile"})
"""Names with which programs use files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnProgram:
    """A program that gave the result of a turn.

    Attributes:
        ask: the prompt.
        text: the last program.
        earlier: the programs before it whose variables it uses.
        inputs: the notebook's variables that the program could read.
        has_value: whether the turn has a value.
        outputs: the names that `--out` asked for.
        tables: those of them that became DataFrames.
        day: the day of the turn.
    """

    ask: str
    text: str
    earlier: Sequence[str] = ()
    inputs: Sequence[str] = ()
    has_value: bool = True
    outputs: Sequence[str] = ()
    tables: Sequence[str] = ()
    day: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The text of a cell, and sentences for the user about it."""

    source: str
    notes: Sequence[str] = ()


def make_cell(turn: TurnProgram, notebook: Notebook) -> Kept:
    """Write a cell that gives the value of the turn.

    Raises:
        UserError: the program needs something that only the sandbox has; the message says what to do.
    """
    program = prepare(turn)
    bindings = bind_names(program, notebook, turn.inputs)
    taken = program.names.bound | notebook.variables.keys() | notebook.tools.keys()
    end = _end(program, turn, free_name("_value", taken))  # IPython hides this name from lists of variables
    names = [*bindings.imports, "as_output"] if turn.tables else bindings.imports
    imports = sorted(set(names), key=str.casefold)
    lines = [*(f"import {module}" for module in bindings.modules)]
    lines += [f"from codeact import {', '.join(imports)}", ""] if imports else []
    lines += [*bindings.lines, ""] if bindings.lines else []
    body = program.render().strip("\n")
    source = "\n".join([_heading(turn, program, bindings), *lines, *([body] if body else []), *end])
    return Kept(source=source, notes=[*_describe_overwritten(bindings), *describe_results(bindings)])


def prepare(turn: TurnProgram) -> EditedProgram:
    """Join the programs of a turn, and make them run outside of the sandbox.

    Raises:
        UserError: they need something that only the sandbox has.
    """
    program = EditedProgram(reveal_hidden("\n\n".join([*turn.earlier, turn.text])))
    if not program.tree.body:
        raise UserError("The program is empty, so there is nothing to keep.")
    if not _FILE_NAMES.isdisjoint(program.names.used):
        _refuse_files(program.tree)
    for statement in list(program.tree.body):
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__" and len(program.tree.body) > 1:
            program.drop(statement)  # IPython would apply it to all later cells of the notebook
    program.tree = _Outside(program).visit(program.tree)
    return EditedProgram(program.render())


def _refuse_files(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text.startswith(_FOLDERS):
                raise UserError(
                    f"The program uses the file {text[:80]!r}, which only the sandbox has: read or write it in a "
                    "function with @tool, and ask again."
                )
            case _:
                pass


class _Outside(ast.NodeTransformer):
    """Writes `(value)` for `observe(value)`, and `await (main())` for `asyncio.run(main())`.

    The notebook has no model that observes, and its event loop is running already.
    """

    def __init__(self, program: EditedProgram) -> None:
        self._program = program
        self._depth = 0

    def visit(self, node: ast.AST) -> Any:
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        self._depth += is_function
        result = super().visit(node)
        self._depth -= is_function
        return result

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="observe"), args=[value], keywords=[]):
                self._program.replace(self._program.start(node.func), self._program.end(node.func), "")
                return value
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=[value], keywords=[]) if _runs_loop(
                owner, method
            ):
                if self._depth:
                    raise UserError(
                        "A function of the program runs an event loop of its own, which a notebook cannot: ask for the "
                        "program with `await` instead of asyncio.run."
                    )
                self._program.replace(self._program.start(node.func), self._program.end(node.func), "await ")
                return ast.copy_location(ast.Await(value), node)
            case _:
                return node


def _runs_loop(owner: ast.expr, method: str) -> bool:
    is_asyncio = isinstance(owner, ast.Name) and owner.id == "asyncio"
    return method == "run_until_complete" or (is_asyncio and method == "run")


def _end(program: EditedProgram, turn: TurnProgram, name: str) -> list[str]:
    """Change the end of the program, and return the lines that follow it."""
    bound = program.names.module.bound
    unassigned = [output for output in turn.outputs if output not in bound]  # the value of the program is meant
    sources = {output: name if output in unassigned else output for output in turn.outputs}
    outputs = [f"{table} = as_output({sources[table]})" for table in turn.tables]
    outputs += [f"{output} = {name}" for output in unassigned if output not in turn.tables]
    if not turn.has_value:
        return ["", *outputs] if outputs else []
    if not outputs and has_plain_end(program):
        return []
    value = end_with_value(program, name)
    if not outputs:
        return [value]
    return [*([] if value == name else ["", f"{name} = {value}"]), *outputs, name]


def _heading(turn: TurnProgram, program: EditedProgram, bindings: Bindings) -> str:
    day = f"{turn.day.day} {turn.day:%B %Y}"
    lines = [comment(without_secrets(turn.ask)), f"# Kept from a prompt of {day}."]
    if asking := [tool.variable or tool.name for tool in bindings.tools if tool.asks]:
        verb = "runs" if len(asking) == 1 else "run"
        lines.append(f"# {format_list(asking, 10)} {verb} without asking here: this cell calls your own code.")
    return "\n".join([*lines, *warn_of_reach(program)])


def warn_of_reach(program: EditedProgram) -> list[str]:
    """Warn in a comment of names that reached nothing in the sandbox, and reach files or more in the notebook."""
    if not (names := find_reaching_names(program.names)):
        return []
    return [f"# Here {format_list(names, 10)} can reach files and more: read this before you run it."]


def describe_results(bindings: Bindings) -> list[str]:
    """Say which results of earlier prompts the program needs."""
    if not bindings.results:
        return []
    return [
        f"It reads {format_list(bindings.results, 5)}, which the notebook has until the kernel restarts: to run it "
        "later, keep the program of that prompt, too."
    ]


def _describe_overwritten(bindings: Bindings) -> list[str]:
    if not bindings.overwritten:
        return []
    return [f"It assigns variables that your notebook has: {format_list(bindings.overwritten, 10)}."]
