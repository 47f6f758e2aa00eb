"""Find the literals of a program that become parameters of a tool: the prompt names them, or the user picks them."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import UserError
from .bindings import NotebookTool
from .edits import EditedProgram, free_name

__all__ = ["Literal", "Parameter", "Pick", "put_parameters"]

Literal: TypeAlias = "int | float | str"
_NUMBER = re.compile(r"(?<![\w.])\d(?:[\d,_]*\d)?(?:\.\d+)?(?!\w)(\s*(?:%|percent\b))?")
_QUOTES = "\"'`“”‘’„«»"
_SLICE = "first"
_YEARS = range(1900, 2101)


@dataclass(frozen=True, slots=True)
class Pick:
    """A literal that the user picks. Without a name, the name comes from its place in the program."""

    value: Literal
    name: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the tool. `count` is the number of places where the program has the literal."""

    name: str
    value: Literal
    count: int


@dataclass(frozen=True, slots=True)
class _Place:
    """A place where a literal can become a parameter.

    Attributes:
        hint: a name for it, from the code around it.
        is_key: whether it names a part of the data, such as `"amount"` in `order["amount"]`.
    """

    node: ast.Constant
    value: Literal
    hint: str = ""
    is_key: bool = False


def put_parameters(
    program: EditedProgram,
    ask: str,
    tools: Mapping[str, NotebookTool],
    picks: Sequence[Pick] | None,
    taken: frozenset[str],
) -> list[Parameter]:
    """Replace literals of the program by parameters. Equal literals share one parameter.

    Args:
        picks: the literals; by default those that the prompt names.
        taken: names that no parameter may have.

    Raises:
        UserError: a picked literal is not in the program, or a name cannot be that of a parameter.
    """
    places = sorted(_find_places(program.tree, tools), key=lambda place: (place.node.lineno, place.node.col_offset))
    if picks is None:
        named = [place for place in places if not place.is_key and _is_in_prompt(place.value, ask)]
        picks = [Pick(value) for _, value in dict.fromkeys((type(place.value), place.value) for place in named)]
    parameters: list[Parameter] = []
    nodes: dict[ast.Constant, str] = {}
    for pick in picks:
        found = [place for place in places if (type(place.value), place.value) == (type(pick.value), pick.value)]
        found = [place for place in found if not place.is_key] or found
        if not found:
            raise UserError(f"{pick.value!r} is not in the program: %codeact to-cell shows it.")
        constant, named = _find_constant(program, found, pick.name)
        others = taken | {parameter.name for parameter in parameters}
        name = named or _choose_name(pick, found, others)
        parameters.append(Parameter(name, pick.value, len(found)))
        nodes.update({place.node: name for place in found})
        if constant is not None:
            program.drop(constant)
    program.tree = _Replacer(program, nodes).visit(program.tree)
    return parameters


def _find_constant(program: EditedProgram, places: Sequence[_Place], name: str) -> tuple[ast.Assign | None, str]:
    """Return the statement that only names the literal, such as `limit = 400`, with the name: the parameter has it."""
    nodes = {place.node for place in places}
    for statement in program.tree.body[:-1]:
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant() as value) if value in nodes:
                stores = [binding for binding in program.names.bindings if binding.name == target]
                if len(stores) == 1 and name in ("", target):
                    return statement, target
            case _:
                pass
    return None, ""


def _is_in_prompt(value: Literal, ask: str) -> bool:
    """Return whether the prompt names the value: as a number, in quotes, or as a word with a capital or a digit."""
    if not isinstance(value, str):
        return value not in (0, 1) and float(value) in _read_numbers(ask)
    if not value.strip() or len(value) > len(ask):
        return False
    is_name = value[0].isupper() or any(map(str.isdigit, value))
    for before, after in _find_neighbours(value, ask):
        if before and after and before in _QUOTES and after in _QUOTES:
            return True
        if is_name and not (_is_word(before) or _is_word(after)):
            return True
    return False


def _find_neighbours(part: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the characters before and after each place where the part is in the text."""
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        yield text[max(0, start - 1) : start], text[end : end + 1]
        start = text.find(part, start + 1)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _read_numbers(ask: str) -> set[float]:
    numbers: set[float] = set()
    for match in _NUMBER.finditer(ask):
        percent = match[1]
        number = float(match[0].removesuffix(percent or "").replace(",", "").replace("_", ""))
        numbers |= {number, number / 100} if percent else {number}
    return numbers


def _choose_name(pick: Pick, places: Sequence[_Place], taken: frozenset[str] | set[str]) -> str:
    if pick.name:
        if not pick.name.isidentifier() or keyword.iskeyword(pick.name) or pick.name in taken:
            raise UserError(f"{pick.name}: a parameter cannot have this name, because the program uses it.")
        return pick.name
    hints = [re.sub(r"\W+", "_", place.hint).strip("_").lower() for place in places]
    good = [hint for hint in hints if hint.isidentifier() and not keyword.iskeyword(hint)]
    good.sort(key=_SLICE.__eq__)  # a slice says least about its end
    if good:
        return free_name(good[0], frozenset(taken))
    if isinstance(pick.value, str):
        return free_name("text", frozenset(taken))
    return free_name("year" if pick.value in _YEARS else "number", frozenset(taken))


def _find_places(tree: ast.Module, tools: Mapping[str, NotebookTool]) -> Iterator[_Place]:
    fixed = _find_fixed(tree)
    hints = _find_hints(tree, tools)
    keys = _find_keys(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float, str) and node not in fixed:
            yield _Place(node, node.value, hints.get(node, ""), node in keys)  # type: ignore[arg-type]


def _find_fixed(tree: ast.Module) -> set[ast.AST]:
    """Return the constants that no name can replace: text of f-strings, patterns, annotations and docstrings."""
    fixed: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=values):
                fixed.update(values)
            case ast.MatchValue(value=value):
                fixed.update(ast.walk(value))
            case ast.MatchMapping(keys=keys):
                fixed.update(keys)
            case ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation):
                fixed.update(ast.walk(annotation))
            case ast.Expr(value=ast.Constant() as value):
                fixed.add(value)
            case _:
                pass
    return fixed


def _find_keys(tree: ast.Module) -> set[ast.AST]:
    """Return the constants that name a part of the data, or how to show it."""
    keys: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(slice=ast.Constant() as key):
                keys.add(key)
            case ast.Dict(keys=parts):
                keys.update(part for part in parts if part is not None)
            case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[ast.Constant() as key, *_]):
                keys.add(key)
            case ast.Call(func=ast.Name(id="show"), args=args, keywords=keywords):
                keys.update([*args, *(item.value for item in keywords)])
            case ast.Call(func=ast.Name(id="call_tool" | "call_tool_async"), args=[ast.Constant() as key, *_]):
                keys.add(key)
            case ast.Compare(left=ast.Name(id="__name__"), comparators=[ast.Constant() as key]):
                keys.add(key)
            case _:
                pass
    return keys


def _find_hints(tree: ast.Module, tools: Mapping[str, NotebookTool]) -> dict[ast.AST, str]:
    """Return names for constants, from the code around them."""
    hints: dict[ast.AST, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in tools:
                hints.update(zip(args, tools[name].parameters, strict=False))
            case ast.keyword(arg=str(name), value=value):
                hints[value] = name
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                hints[value] = name
            case ast.Compare(left=left, comparators=[right]):
                hints[left], hints[right] = _name_of(right), _name_of(left)
            case ast.Slice(upper=ast.Constant() as upper):
                hints[upper] = _SLICE
            case _:
                pass
    return hints


def _name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case _:
            return ""


class _Replacer(ast.NodeTransformer):
    def __init__(self, program: EditedProgram, names: Mapping[ast.Constant, str]) -> None:
        self._program = program
        self._names = names

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if node not in self._names:
            return node
        name = self._names[node]
        self._program.replace(self._program.start(node), self._program.end(node), name)
        return ast.copy_location(ast.Name(name, ast.Load()), node)
