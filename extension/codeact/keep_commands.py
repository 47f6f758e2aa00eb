"""The commands that keep the program of the last prompt: `%codeact to-cell` and `%codeact to-tool`."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

import ast
import shlex

from IPython.core.error import UsageError

from codeact_kernel.errors import UserError
from codeact_kernel.keep import Kept
from codeact_kernel.keep.literals import Literal, Pick
from codeact_kernel.render.escaping import one_line
from codeact_kernel.text import collapse_whitespace, truncate
from codeact_kernel.types import TurnResult

from .frontend import Frontend
from .kept_programs import write_cell, write_tool

__all__ = ["keep_as_cell", "keep_as_tool"]


def keep_as_cell(frontend: Frontend, argument: str) -> None:
    """Put the last program into a new cell."""
    result = _last_result(frontend)
    ask = truncate(collapse_whitespace(result.ask), 60)
    _insert(frontend, write_cell(frontend, result), f'The program of "{ask}" is in the cell below.')


def keep_as_tool(frontend: Frontend, argument: str) -> None:
    """Put a tool that does what the last program did into a new cell."""
    try:
        name, *literals = shlex.split(argument)
    except ValueError:
        name, literals = "", []
    if not name:
        raise UsageError(
            "Name the tool: %codeact to-tool NAME. Its parameters are the values that the prompt names, or those that "
            'you list: %codeact to-tool NAME limit=10 region="EU".'
        )
    picks = [_parse_pick(text) for text in literals] or None
    kept = write_tool(frontend, _last_result(frontend), name, picks)
    _insert(frontend, kept, f"The tool {name} is in the cell below.")


def _insert(frontend: Frontend, kept: Kept, sentence: str) -> None:
    frontend.shell.set_next_input(kept.source)
    print(one_line(" ".join([sentence, "It runs outside of the sandbox: read it first.", *kept.notes])))


def _parse_pick(text: str) -> Pick:
    name, sign, value = text.partition("=")
    if not (sign and name.isidentifier()):
        name, value = "", text
    literal: Literal = value
    try:
        parsed = ast.literal_eval(value)
        literal = parsed if type(parsed) in (int, float, str) else value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    return Pick(literal, name)


def _last_result(frontend: Frontend) -> TurnResult:
    result = frontend.shell.user_ns.get("_codeact")
    if not isinstance(result, TurnResult):
        raise UserError("There is no program to keep yet: ask with %%codeact first.")
    if result.stopped:  # there was no better result before
        raise UserError("The prompt was stopped, so its program may not be whole: run it again first.")
    if result.error is not None:
        raise UserError("The prompt failed, so there is no program to keep: run it again first.")
    if result.program is None:
        raise UserError("The model answered in words and without a program, so there is nothing to keep.")
    return result
