"""What cells import that were kept from a prompt: `from codeact import as_program_sees, show`.

In these cells a program runs outside of the sandbox, and finds there what it found inside.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, cast

from IPython.core.getipython import get_ipython
from IPython.display import display

from codeact_kernel.capabilities.show import render_chart
from codeact_kernel.in_cells import CellHost, CellNames
from codeact_kernel.render.elements import write_html
from codeact_kernel.render.shown_items import draw_item, item_bundle, item_text
from codeact_kernel.types import DisplayItem, JSONObject

from .magics import get_extension

__all__ = [
    "ToolDenied",
    "ToolError",
    "ToolFailed",
    "as_output",
    "as_program_sees",
    "call_tool",
    "call_tool_async",
    "show",
]


@cache
def _names() -> CellNames:
    return CellNames(CellHost(_submit, _display))


def _submit(coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
    return get_extension(get_ipython()).frontend.thread.submit(coroutine)


def _display(item: DisplayItem) -> None:
    picture = render_chart(cast("JSONObject", item.data)) if item.kind == "chart" else ""
    if item.kind == "chart" and not picture:
        data, metadata = item_bundle(item)
    else:
        data, metadata = {"text/plain": item_text(item), "text/html": write_html(draw_item(item, picture))}, {}
    display(data, metadata=metadata, raw=True)


def as_program_sees(value: Any) -> Any:
    """Return what a program gets in the place of a tool or a variable of the notebook.

    A tool becomes a function that returns plain data and raises `ToolFailed`. It has `map(...)` and `submit(...)` as in
    programs, and `start(...)`, which returns an awaitable. A DataFrame becomes a table, any other value plain data.

    Raises:
        UserError: the function is not a tool, or programs cannot get the value.
    """
    return _names().as_program_sees(value)


def as_output(value: Any) -> Any:
    """Return what the notebook gets for a variable of `--out`: a DataFrame for rows, else plain data."""
    return _names().as_output(value)


def show(
    value: Any,
    *,
    chart: Any = None,
    x: Any = None,
    y: Any = None,
    color: Any = None,
    title: str | None = None,
    kind: str | None = None,
) -> None:
    """Show a value under the cell: text (Markdown), rows as a table, PNG or JPEG bytes, a chart, or any JSON."""
    _names().show(value, chart=chart, x=x, y=y, color=color, title=title, kind=kind)


def call_tool(name: str, /, **arguments: Any) -> Any:
    """Call a tool by its name, and return plain data.

    Raises:
        ToolFailed: the tool raised an exception, or does not exist.
    """
    return _names().call_tool(name, **arguments)


def call_tool_async(name: str, /, **arguments: Any) -> Awaitable[Any]:
    """Call a tool by its name without waiting, and return an awaitable."""
    return _names().call_tool_async(name, **arguments)


ToolError, ToolFailed, ToolDenied = (_names().errors[name] for name in ("ToolError", "ToolFailed", "ToolDenied"))
