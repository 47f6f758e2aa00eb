"""Write programs of prompts as cells and tools of this notebook: find out what the notebook has, and what it lacks."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast

from codeact_kernel.capabilities.data import Frame
from codeact_kernel.errors import UserError
from codeact_kernel.guest.kinds import SCIENCE
from codeact_kernel.keep import Kept, Notebook, NotebookTool, TurnProgram, make_cell, make_tool
from codeact_kernel.keep.edits import free_name
from codeact_kernel.keep.literals import Pick
from codeact_kernel.session import Session
from codeact_kernel.tools import MARK, Tool, ToolSpec
from codeact_kernel.tools.names import validate_name
from codeact_kernel.tools.to_json import is_plain
from codeact_kernel.types import CallError, TurnResult

from .notebook_memory import NotebookMemory

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["KernelState", "write_cell", "write_copies", "write_tool"]

_MAX_COPY = 20_000
"""Characters of a text to copy. The file of the notebook holds it."""
_MISSING = object()


class KernelState(Protocol):
    """What this module reads of the frontend."""

    @property
    def shell(self) -> InteractiveShell: ...
    @property
    def session(self) -> Session: ...
    @property
    def memory(self) -> NotebookMemory: ...


def write_cell(kernel: KernelState, result: TurnResult) -> Kept:
    """Write the program of a turn as a cell.

    Raises:
        UserError: it needs something that only the sandbox has.
    """
    _refuse_science(result)
    with _refuse_deep_programs():
        return _with_notes(make_cell(_to_turn(result), _describe_notebook(kernel, result)), result)


def write_tool(kernel: KernelState, result: TurnResult, name: str, picks: Sequence[Pick] | None = None) -> Kept:
    """Write the program of a turn as a cell that defines the tool `name`.

    Raises:
        UserError: as for `write_cell`, or a program cannot call a tool of this name.
    """
    validate_name(name)
    _refuse_science(result)
    if name in kernel.session.tools and name in re.findall(r"\w+", result.program or ""):
        raise UserError(f"The program calls the tool {name} itself: choose another name.")
    value = None if result.value == result.text else result.value
    with _refuse_deep_programs():
        notebook = _describe_notebook(kernel, result)
        return _with_notes(make_tool(_to_turn(result), notebook, name, value, picks), result)


def _refuse_science(result: TurnResult) -> None:
    # A kept program finds the functions and tables of the standard guest. One that uses pandas needs none of them.
    if result.isolation is not None and result.isolation.guest == SCIENCE.name:
        raise UserError(
            "The program ran in the science guest, so it is not rewritten: copy it from the card. Where pandas is "
            "installed it runs in the notebook as it is, and its tools are your functions."
        )


@contextmanager
def _refuse_deep_programs() -> Generator[None]:
    try:
        yield
    except RecursionError:
        raise UserError("The program is nested too deeply to be kept: ask for a flatter one.") from None


def write_copies(kernel: KernelState, result: TurnResult) -> dict[str, str]:
    """Write the cell and the tool for the buttons of a finished card; none if the program cannot be kept."""
    if result.program is None or result.error is not None or result.stopped:
        return {}
    copies: dict[str, str] = {}
    # The user's own variables are looked at, and a button is not worth an error.
    with suppress(Exception):
        copies["Copy as cell"] = write_cell(kernel, result).source
        copies["Copy as tool"] = write_tool(kernel, result, _choose_tool_name(kernel, result)).source
    return {label: text for label, text in copies.items() if len(text) <= _MAX_COPY}


def _choose_tool_name(kernel: KernelState, result: TurnResult) -> str:
    """Return a name made of the first words of the prompt."""
    words = re.findall(r"[a-z][a-z0-9]*", result.ask.lower())[:4]
    name = "_".join(words)[:40] or "kept_tool"
    try:
        validate_name(name)
    except UserError:
        name = f"{name}_tool"
    return free_name(name, {*kernel.session.tools, *kernel.shell.user_ns})


def _to_turn(result: TurnResult) -> TurnProgram:
    return TurnProgram(
        ask=result.ask,
        text=result.program or "",
        earlier=result.programs[:-1],
        inputs=result.inputs,
        has_value=result.text is not None,
        outputs=list(result.outputs),
        tables=[name for name, value in result.outputs.items() if isinstance(value, Frame)],
        day=date.today(),
    )


def _with_notes(kept: Kept, result: TurnResult) -> Kept:
    """Add what the user decided in the turn and the cell does not know."""
    notes = list(kept.notes)
    denied = {call.call.name for call in result.calls if not call.decision.allowed}
    changed = {call.call.name for call in result.calls if call.decision.arguments is not None}
    if denied:
        notes.append(f"You denied calls of {', '.join(sorted(denied))}: the cell makes them.")
    if changed:
        notes.append(f"You changed arguments of {', '.join(sorted(changed))}: the cell passes the program's own.")
    return Kept(source=kept.source, notes=notes)


def _describe_notebook(kernel: KernelState, result: TurnResult) -> Notebook:
    variables = dict(_find_variables(kernel))
    words = set(re.findall(r"\w+", "\n".join([*result.programs, result.program or ""])))
    functions = dict(_find_tools(variables))
    failed = {record.call.name for record in result.calls if isinstance(record.answer, CallError)}
    tools = {
        name: NotebookTool(
            name=name,
            variable=_find_function(spec, functions),
            is_plain=not spec.is_async and name not in failed and kernel.session.tools.is_plain(name),
            asks=spec.approval_mode == "always_require",
            is_trusted=spec.source == "trusted",
            read_only=spec.read_only,
            parameters=spec.parameters,
        )
        for name, spec in kernel.session.tools.specs().items()
        if not spec.direct
    }

    results, previous = _find_results(kernel, result)

    def keeps_meaning(name: str, module: str, member: str) -> bool:
        source = sys.modules.get(module)
        found = getattr(source, member, _MISSING) if member else source
        return source is not None and found is variables.get(name)

    return Notebook(
        tools=tools,
        variables={name: name not in words or is_plain(value) for name, value in variables.items()},
        fixed=frozenset(name for name, value in variables.items() if callable(value) or isinstance(value, ModuleType)),
        results=results,
        previous=previous,
        keeps_meaning=keeps_meaning,
    )


def _find_results(kernel: KernelState, result: TurnResult) -> tuple[dict[int, str], int | None]:
    """Return expressions for the values that the program could read as `results[n]`, and the n of `previous`."""
    turns = kernel.memory.thread.turns
    same = [place for place, turn in enumerate(turns) if (turn.ask, turn.program) == (result.ask, result.program)]
    followed = result.continues[-1] if result.continues else None
    earlier = sorted(turns[: same[-1]] if same else [], key=lambda turn: turn.ask == followed)
    # The newest result of the same program: the thread has only a copy of its value.
    places = {(item.ask, item.program): f"codeact.results[{place}]" for place, item in enumerate(kernel.memory.results)}
    kept = [turn for turn in earlier if turn.shape and (turn.ask, turn.program) in places]
    return {turn.number: places[turn.ask, turn.program] for turn in kept}, kept[-1].number if kept else None


def _find_tools(variables: Mapping[str, Any]) -> Iterator[tuple[str, Tool]]:
    for name, value in variables.items():
        if callable(value) and isinstance(tool := inspect.getattr_static(value, MARK, None), Tool):
            yield name, tool


def _find_variables(kernel: KernelState) -> Iterator[tuple[str, Any]]:
    """Yield the user's variables, without those of IPython and those that kept cells made for themselves."""
    names = cast("Mapping[str, Any]", kernel.shell.user_ns)
    for name, value in list(names.items()):
        hidden = name.startswith("_") or name in kernel.shell.user_ns_hidden
        made = name.endswith("_seen") and (name.removesuffix("_seen") in names)
        if not (hidden or made):
            yield name, value


def _find_function(spec: ToolSpec, functions: Mapping[str, Tool]) -> str | None:
    """Return the variable that holds the function of a tool, by preference the one with the tool's name."""
    same = [
        name for name, tool in functions.items() if (tool.spec.name, tool.spec.version) == (spec.name, spec.version)
    ]
    return spec.name if spec.name in same else next(iter(same), None)
