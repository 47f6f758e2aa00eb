"""Write the program of a turn as a new tool, with parameters for some of its literals."""

from __future__ import annotations

import ast
import builtins
import io
import tokenize
from collections.abc import Sequence

from ..errors import UserError
from ..render.escaping import escape_strictly
from ..text import format_list
from ..tools.redaction import without_secrets
from ..types import JSONValue
from .analysis import find_reaching_names
from .bindings import Bindings, Notebook, bind_names
from .cell import Kept, TurnProgram, describe_results, prepare, warn_of_reach
from .edits import EditedProgram, free_name, is_same_tree, parse
from .final_value import end_with_value
from .literals import Parameter, Pick, put_parameters

__all__ = ["make_tool"]

_WIDTH = 110


def make_tool(
    turn: TurnProgram, notebook: Notebook, name: str, value: JSONValue, picks: Sequence[Pick] | None = None
) -> Kept:
    """Write a cell that defines the tool `name`.

    Args:
        value: the value of the turn, for the type hint of the result.
        picks: the literals that become parameters; by default those that the prompt names.

    Raises:
        UserError: the program cannot be a function; the message says why.
    """
    program = _make_local(prepare(turn))
    bindings = bind_names(program, notebook, turn.inputs, taken=frozenset({name}))
    names = frozenset(program.names.bound | {*notebook.tools, *program.names.used, *dir(builtins)})
    parameters = put_parameters(program, turn.ask, notebook.tools, picks, names)
    end = _end(program, turn, free_name("value", names | {parameter.name for parameter in parameters}))
    is_async = _awaits(program.tree, end)
    lines = [*bindings.lines, program.render().strip("\n"), *end]
    body = "\n".join(line for line in lines if line)
    imports = ", ".join(sorted({*bindings.imports, "tool"}, key=str.lower))
    hints = ", ".join(f"{item.name}: {type(item.value).__name__} = {_literal(item.value)}" for item in parameters)
    head = f"{'async ' if is_async else ''}def {name}({hints}) -> {_hint(value)}:"
    day = f"{turn.day.day} {turn.day:%B %Y}"
    source = "\n".join([
        f"# Kept from a prompt of {day}.",
        *warn_of_reach(program),
        *(f"import {module}" for module in bindings.modules),
        f"from codeact import {imports}",
        "",
        "",
        _decorator(bindings, reaches_more=bool(find_reaching_names(program.names))),
        head,
        f"    {_docstring(without_secrets(turn.ask))}",
        _indent(body),
    ])  # fmt: skip
    try:
        compile(parse(source), "<tool>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise UserError(f"The program cannot be a function ({error.msg}): use %codeact to-cell.") from None
    return Kept(source=source, notes=[*_describe(name, parameters), *describe_results(bindings)])


def _make_local(program: EditedProgram) -> EditedProgram:
    """Make the variables of the program those of a function.

    Raises:
        UserError: it imports every name of a module, which no function can.
    """
    for node in ast.walk(program.tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            raise UserError(f"The program imports * from {node.module}, which a function cannot: use %codeact to-cell.")
    program.tree = _NonLocal(program).visit(program.tree)
    return EditedProgram(program.render())


class _NonLocal(ast.NodeTransformer):
    def __init__(self, program: EditedProgram) -> None:
        self._program = program

    def visit_Global(self, node: ast.Global) -> ast.AST:
        start = self._program.start(node)
        self._program.replace(start, start + len("global"), "nonlocal")
        return ast.copy_location(ast.Nonlocal(node.names), node)


def _end(program: EditedProgram, turn: TurnProgram, name: str) -> list[str]:
    if turn.outputs and not turn.has_value:  # what `--out` asked for is the result
        return [f"return {turn.outputs[0]}" if len(turn.outputs) == 1 else f"return {_as_dict(turn.outputs)}"]
    if not turn.has_value:
        return []
    return [f"return {end_with_value(program, name)}"]


def _as_dict(names: Sequence[str]) -> str:
    return "{" + ", ".join(f"{name!r}: {name}" for name in names) + "}"


def _awaits(tree: ast.Module, end: Sequence[str]) -> bool:
    """Return whether the program awaits outside of its functions."""
    todo: list[ast.AST] = [tree, *(parse(f"async def f():\n {line}").body[0].body[0] for line in end)]  # type: ignore[attr-defined]
    while todo:
        for node in ast.iter_child_nodes(todo.pop()):
            if isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith)):
                return True
            if isinstance(node, ast.comprehension) and node.is_async:
                return True
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                todo.append(node)
    return False


def _decorator(bindings: Bindings, *, reaches_more: bool) -> str:
    """Return `@tool` with the options that the tools of the program make necessary, or allow."""
    options: list[str] = []
    if any(tool.asks for tool in bindings.tools):
        options.append('approval_mode="always_require"')
    if bindings.tools and not reaches_more and all(tool.read_only for tool in bindings.tools):
        options.append("read_only=True")
    if not all(tool.is_trusted for tool in bindings.tools):
        options.append('source="untrusted"')
    return f"@tool({', '.join(options)})" if options else "@tool"


def _hint(value: JSONValue) -> str:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return "list[dict[str, object]]"
    return "object" if value is None else type(value).__name__


def _literal(value: object) -> str:
    text = escape_strictly(repr(value))
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text else text


def _docstring(ask: str) -> str:
    """Write the prompt as a docstring with one line of code for each line of the prompt."""
    lines = [escape_strictly(line.strip().replace("\\", "\\\\")) for line in ask.strip().splitlines()]
    text = "\n    ".join(line for line in lines if line)
    if '"""' in text or text.endswith('"'):
        text = text.replace('"', '\\"')
    return f'"""{text}"""'


def _indent(body: str) -> str:
    """Indent a program as the body of a function, and leave the lines inside of its texts as they are."""
    inside: set[int] = set()
    starts: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(body + "\n").readline):
        kind = tokenize.tok_name[token.type]
        if kind == "STRING":
            inside.update(range(token.start[0] + 1, token.end[0] + 1))
        elif kind.endswith("STRING_START"):  # from Python 3.12 on
            starts.append(token.start[0])
        elif kind.endswith("STRING_END"):
            inside.update(range(starts.pop() + 1, token.end[0] + 1))
    lines = body.split("\n")
    text = "\n".join(
        line if number in inside or not line.strip() else f"    {line}" for number, line in enumerate(lines, 1)
    )
    (function,) = parse(f"async def f():\n{text}").body
    if not isinstance(function, ast.AsyncFunctionDef) or not is_same_tree(ast.Module(function.body, []), parse(body)):
        raise UserError("The texts of the program cannot be indented as a function: use %codeact to-cell.")
    return text


def _describe(name: str, parameters: Sequence[Parameter]) -> list[str]:
    if not parameters:
        return [
            f"The tool has no parameters, because the prompt names no value of the program. To choose some: "
            f"%codeact to-tool {name} limit=10"
        ]
    parts = [
        f"{item.name}={item.value!r}" + (f" ({item.count} places)" if item.count > 1 else "") for item in parameters
    ]
    return [f"Parameters: {format_list(parts, 10)}."]
