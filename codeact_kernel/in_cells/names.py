"""The functions that kept cells import: what a program sees in the place of tools and variables, and `show`."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from ..capabilities.data import load_input, parse_input_names, to_dataframe
from ..errors import UserError
from ..settings import Limits
from ..tools import MARK, Registry, default_registry
from ..tools.registry import get_tool
from ..types import TurnResult
from .guest_code import GuestCode
from .host import CellHost

__all__ = ["CellNames"]

_VARIABLE = "variable"


class CellNames:
    """The names of programs, for cells. `codeact` exports them.

    Attributes:
        errors: the exceptions of tools, by name.
    """

    def __init__(self, host: CellHost) -> None:
        self._host = host
        self._code = GuestCode(host)
        calls = self._code.calls
        self.errors: Mapping[str, type[Exception]] = {
            name: getattr(calls, name) for name in ("ToolDenied", "ToolError", "ToolFailed")
        }
        self._variables: Any = self._code.module("data.variables")
        self._make_value: Callable[[Any], Any] = calls.read_ref[0]
        calls.read_ref[0] = self._read
        calls.use_event_loop(_EventLoop(host, calls))
        self._columns: Counter[int] = Counter()

    def as_program_sees(self, value: Any) -> Any:
        """Return what a program gets in the place of a tool or a variable of the notebook.

        The function of a tool returns plain data, raises `ToolFailed`, and has `map`, `submit`, and `start`, which
        returns an awaitable. A DataFrame becomes a table, any other value plain data.

        Args:
            value: the function or the name of a tool, the value of a variable, or the result of an earlier prompt.

        Raises:
            UserError: there is no such tool, or programs cannot get the value.
        """
        if isinstance(value, str) and value in default_registry:
            return self._tool_function(value, default_registry)
        if hasattr(value, MARK):
            function = cast("Callable[..., object]", value)
            tool, registry = get_tool(function), Registry()
            registry.add(function)
            return self._tool_function(tool.spec.name, registry)
        if isinstance(value, TurnResult):
            return self._read(self._host.refer_to_result(value.data))  # type: ignore[arg-type]
        if callable(value):
            raise UserError("A program sees only functions with @tool: put @tool on this one first.")
        (request,) = parse_input_names([_VARIABLE])
        return self._read(self._host.refer(load_input(request, value, Limits())))

    def as_output(self, value: Any) -> Any:
        """Return what the notebook gets for a variable of `--out`: a DataFrame for rows, and plain data else."""
        self._variables._put("value", value)
        return to_dataframe(self._host.received)

    def show(self, value: Any, **options: Any) -> None:
        """Show a value below the cell, as programs do."""
        self._host.start_item()
        self._code.module("show.function").show(value, **options)

    def call_tool(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool by its name, as programs do."""
        self._require_tool(name)
        return self.as_program_sees(name)(**arguments)

    def call_tool_async(self, name: str, /, **arguments: Any) -> Awaitable[Any]:
        """Call a tool by its name, and return an awaitable, as programs do."""
        self._require_tool(name)
        return self.as_program_sees(name).start(**arguments)

    def _require_tool(self, name: str) -> None:
        if name not in default_registry:
            raise self.errors["ToolFailed"](f"There is no tool {name[:64]!r}.")

    def _tool_function(self, name: str, registry: Registry) -> Any:
        spec = registry.get(name)
        assert spec is not None
        self._host.add_tool(name, registry)
        function = self._code.calls.make_tool_function(name, list(spec.parameters))
        function.start = function.__codeact_start__
        return function

    def _read(self, ref: Any) -> Any:
        """Make the value for a reference, and release the data when the columns of the value are gone."""
        value, number = self._make_value(ref), ref["id"]
        columns = self._columns_of(value)
        self._columns[number] = len(columns)
        for column in columns:
            weakref.finalize(column, self._drop_column, number)
        if not columns:
            self._host.release(number)
        return value

    def _columns_of(self, value: Any) -> list[Any]:
        kind = self._code.calls.get_kind(value)
        if kind == "column":
            return [value]
        table = value.table() if kind == "rows" else value
        return [table[name] for name in table.columns] if kind in ("rows", "table") else []

    def _drop_column(self, number: int) -> None:
        self._columns[number] -= 1
        if not self._columns[number]:
            del self._columns[number]
            self._host.release(number)


class _EventLoop:
    """Awaits calls on the event loop of the cell."""

    def __init__(self, host: CellHost, calls: Any) -> None:
        self._host = host
        self._calls = calls

    async def start_call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        _, copies, _ = self._calls.prepare(name, arguments)
        return await self.adopt_call(self._host.start(name, copies))

    async def adopt_call(self, number: int) -> Any:
        await asyncio.wrap_future(self._host.future(number))
        ((_, answer),) = self._calls.wait([number], None)
        if isinstance(answer, self._calls.ToolError):
            raise answer
        return answer

    def is_busy(self) -> bool:
        return False
