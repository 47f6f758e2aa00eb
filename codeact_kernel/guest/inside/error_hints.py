"""Add notes to errors, so that the next program need not guess.

Imported only after a program failed with a KeyError.
"""

import ast
import linecache
from types import FrameType, FunctionType, TracebackType
from typing import Any

from . import tool_calls
from .tool_calls import MAX_KEYS, PROGRAM

_MAX_KEY_LENGTH = 60
_MAX_NAMES, _MAX_ROWS = 20, 100
"""Maximum number of names in the failing expression that are checked, and of rows of each."""
_NOTHING: Any = object()


def note_keys(error: KeyError) -> None:
    """Add the existing keys to a KeyError of the program, if its dict can be found. Never raises."""
    try:
        keys = _find_keys(error)
        if keys:
            suffix = "" if len(keys) <= MAX_KEYS else ", and more"
            error.add_note(f"The existing keys are {', '.join(map(_truncate, keys[:MAX_KEYS]))}{suffix}.")
    except BaseException:  # a key whose repr raises, or no memory left: the note is optional
        return


def _truncate(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= _MAX_KEY_LENGTH else f"{text[:_MAX_KEY_LENGTH]}…"


def _find_keys(error: KeyError) -> list[Any]:
    step, last, inner = error.__traceback__, None, ""
    while step is not None:
        inner = step.tb_frame.f_code.co_filename
        if inner.startswith(PROGRAM):
            last = step
        step = step.tb_next
    # Our own tables already list their columns in the error.
    if last is None or len(error.args) != 1 or inner.startswith("<codeact"):
        return []
    node = ast.parse(f"({_get_expression(last)}\n)", mode="eval").body
    row = _find_failing_dict(node, last.tb_frame, error.args[0])
    if row is None:
        rows = _find_iterated(node, last)
        row = None if rows is None else _find_lacking(_evaluate(rows, last.tb_frame), error.args[0])
        node = node if rows is None else rows
    if row is not None:
        return list(dict.keys(row))[: MAX_KEYS + 1]
    keys = tool_calls.last_keys if _is_tool_result(node, last.tb_frame) else ()
    return [] if error.args[0] in keys else list(keys)


def _find_iterated(node: ast.expr, step: TracebackType) -> ast.expr | None:
    """Return the expression from which the comprehension around `row["key"]` takes its rows.

    The comprehension's own variables are gone after it has failed.
    """
    match node:
        case ast.Subscript(value=ast.Name(id=name)) if name not in step.tb_frame.f_locals:
            pass
        case _:
            return None
    first, last, start, _ = _get_position(step)
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
        # Another tool call in the comprehension may have been the last call.
        and _count_calls(part, step.tb_frame) == _count_calls(generator.iter, step.tb_frame)
    ]
    return around[-1] if around else None


def _get_position(step: TracebackType) -> "tuple[int | None, int | None, int | None, int | None]":
    return list(step.tb_frame.f_code.co_positions())[step.tb_lasti // 2]


def _get_expression(step: TracebackType) -> str:
    """Return the text of the expression that failed."""
    first, last, start, end = _get_position(step)
    if first is None or last is None or start is None or end is None:
        return ""
    lines = [line.encode() for line in linecache.getlines(step.tb_frame.f_code.co_filename)[first - 1 : last]]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    return b"".join(lines).decode()


def _find_failing_dict(node: ast.expr, frame: FrameType, key: Any) -> "dict[Any, Any] | None":
    """Return the dict in which the expression did not find the key."""
    match node:
        case ast.Subscript(value=value) | ast.Call(func=ast.Attribute(value=value, attr="pop" | "__getitem__")):
            row = _find_lacking(_evaluate(value, frame), key)
            if row is not None:
                return row
        case _:
            pass
    # For example, an expression that sorts rows by a key contains the name of the rows.
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    return next(filter(None, (_find_lacking(_evaluate(name, frame), key) for name in names[:_MAX_NAMES])), None)


def _find_lacking(value: Any, key: Any) -> "dict[Any, Any] | None":
    """Return `value`, or the first of its rows, if it has no such key."""
    rows = value[:_MAX_ROWS] if type(value) in (list, tuple) else [value]
    return next((row for row in rows if isinstance(row, dict) and key not in dict.keys(row)), None)


def _evaluate(node: ast.expr, frame: FrameType) -> Any:
    """Return the value of an expression without running any code of the program."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) | ast.NamedExpr(target=ast.Name(id=name)):
            return frame.f_locals.get(name, frame.f_globals.get(name, _NOTHING))
        case ast.Subscript(value=base, slice=index):
            whole, key = _evaluate(base, frame), _evaluate(index, frame)
            if type(whole) in (list, tuple) and type(key) is int and -len(whole) <= key < len(whole):
                return whole[key]
            return dict.get(whole, key, _NOTHING) if type(whole) is dict and type(key) in (str, int) else _NOTHING
        case _:
            return _NOTHING


def _is_tool_result(node: ast.expr, frame: FrameType) -> bool:
    """Return whether the expression is a tool's unchanged result, or a part of it."""
    match node:
        case ast.Subscript(value=inner):
            return _is_tool_result(inner, frame)
        case ast.Call(func=ast.Name(id="list" | "reversed" | "sorted" | "tuple"), args=[inner, *_]):
            return _is_tool_result(inner, frame)
        case _:
            return _is_tool_call(node, frame)


def _is_tool_call(node: ast.AST, frame: FrameType) -> bool:
    tool = _evaluate(node.func, frame) if isinstance(node, ast.Call) else None
    return tool is tool_calls.call_tool or (type(tool) is FunctionType and "__codeact_start__" in tool.__dict__)


def _count_calls(node: ast.AST, frame: FrameType) -> int:
    return sum(_is_tool_call(part, frame) for part in ast.walk(node))
