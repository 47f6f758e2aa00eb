"""What an error says in addition, so that the next program need not guess.

Imported only where a program failed with a KeyError.
"""

import ast
import linecache
from types import FrameType, FunctionType, TracebackType
from typing import Any

from . import tool_calls
from .tool_calls import KEYS, PROGRAM

_KEY_CHARACTERS = 60
_NAMES, _ROWS = 20, 100
"""Names in the failing expression that are looked at, and rows of each."""
_NOTHING: Any = object()


def note_keys(error: KeyError) -> None:
    """Add to a KeyError of the program which keys there are, where the dict can be found. Never raises."""
    try:
        keys = _keys(error)
        if keys:
            more = "" if len(keys) <= KEYS else ", and more"
            error.add_note(f"The keys there are {', '.join(map(_short, keys[:KEYS]))}{more}.")
    except BaseException:  # a key whose repr raises, or no memory left: then without
        return


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= _KEY_CHARACTERS else f"{text[:_KEY_CHARACTERS]}…"


def _keys(error: KeyError) -> list[Any]:
    step, last, inner = error.__traceback__, None, ""
    while step is not None:
        inner = step.tb_frame.f_code.co_filename
        if inner.startswith(PROGRAM):
            last = step
        step = step.tb_next
    # A table of ours says by itself which columns it has.
    if last is None or len(error.args) != 1 or inner.startswith("<codeact"):
        return []
    node = ast.parse(f"({_text(last)}\n)", mode="eval").body
    found = _failing(node, last.tb_frame, error.args[0])
    if found is None:
        rows = _iterated(node, last)
        found = None if rows is None else _lacking(_value(rows, last.tb_frame), error.args[0])
        node = node if rows is None else rows
    if found is not None:
        return list(dict.keys(found))[: KEYS + 1]
    keys = tool_calls.last_keys if _is_result(node, last.tb_frame) else ()
    return [] if error.args[0] in keys else list(keys)


def _iterated(node: ast.expr, step: TracebackType) -> ast.expr | None:
    """What the comprehension around `row["key"]` takes its rows from: its variables are gone once it has failed."""
    match node:
        case ast.Subscript(value=ast.Name(id=name)) if name not in step.tb_frame.f_locals:
            pass
        case _:
            return None
    first, last, start, _ = _position(step)
    program = ast.parse("".join(linecache.getlines(step.tb_frame.f_code.co_filename)))
    around = [
        generator.iter
        for part in ast.walk(program)
        if isinstance(part, ast.ListComp | ast.SetComp | ast.DictComp)
        and (part.lineno, part.col_offset) <= (first or 0, start or 0)
        and (last or 0) <= (part.end_lineno or 0)
        for generator in part.generators
        if isinstance(generator.target, ast.Name)
        and generator.target.id == name
        # Another call of a tool in it may have been the last one.
        and _calls_in(part, step.tb_frame) == _calls_in(generator.iter, step.tb_frame)
    ]
    return around[-1] if around else None


def _position(step: TracebackType) -> "tuple[int | None, int | None, int | None, int | None]":
    return list(step.tb_frame.f_code.co_positions())[step.tb_lasti // 2]


def _text(step: TracebackType) -> str:
    """The expression that failed."""
    first, last, start, end = _position(step)
    if first is None or last is None or start is None or end is None:
        return ""
    lines = [line.encode() for line in linecache.getlines(step.tb_frame.f_code.co_filename)[first - 1 : last]]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    return b"".join(lines).decode()


def _failing(node: ast.expr, frame: FrameType, key: Any) -> "dict[Any, Any] | None":
    """The dict in which the expression did not find the key."""
    match node:
        case ast.Subscript(value=value) | ast.Call(func=ast.Attribute(value=value, attr="pop" | "__getitem__")):
            found = _lacking(_value(value, frame), key)
            if found is not None:
                return found
        case _:
            pass
    # What sorts or formats rows by a key, for example, names them somewhere.
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    return next(filter(None, (_lacking(_value(name, frame), key) for name in names[:_NAMES])), None)


def _lacking(value: Any, key: Any) -> "dict[Any, Any] | None":
    """`value`, or the first of its rows that has no such key."""
    rows = value[:_ROWS] if type(value) in (list, tuple) else [value]
    return next((row for row in rows if isinstance(row, dict) and key not in dict.keys(row)), None)


def _value(node: ast.expr, frame: FrameType) -> Any:
    """What an expression gives, without running anything of the program's."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) | ast.NamedExpr(target=ast.Name(id=name)):
            return frame.f_locals.get(name, frame.f_globals.get(name, _NOTHING))
        case ast.Subscript(value=base, slice=index):
            whole, at = _value(base, frame), _value(index, frame)
            if type(whole) in (list, tuple) and type(at) is int and -len(whole) <= at < len(whole):
                return whole[at]
            return dict.get(whole, at, _NOTHING) if type(whole) is dict and type(at) in (str, int) else _NOTHING
        case _:
            return _NOTHING


def _is_result(node: ast.expr, frame: FrameType) -> bool:
    """Whether an expression is about what a tool gave, and about nothing that the program made of it."""
    match node:
        case ast.Subscript(value=inner):
            return _is_result(inner, frame)
        case ast.Call(func=ast.Name(id="list" | "reversed" | "sorted" | "tuple"), args=[inner, *_]):
            return _is_result(inner, frame)
        case _:
            return _is_call(node, frame)


def _is_call(node: ast.AST, frame: FrameType) -> bool:
    tool = _value(node.func, frame) if isinstance(node, ast.Call) else None
    return tool is tool_calls.call_tool or (type(tool) is FunctionType and "__codeact_start__" in tool.__dict__)


def _calls_in(node: ast.AST, frame: FrameType) -> int:
    return sum(_is_call(part, frame) for part in ast.walk(node))
