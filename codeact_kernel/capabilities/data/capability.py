"""The capability `data`: variables of the notebook, large results of tools, and values for the notebook.

Values stay here until the program reads them, one piece at a time. The model sees names, types and a few rows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec

from ...capability import DATA
from ...errors import ProgramError
from ...guest.kinds import STANDARD, GuestKind
from ...json_size import take_beginning, weigh
from ...secrets import hide_in
from ...settings import Limits
from ...text import format_bytes
from ...tools.to_json import to_json
from ...types import JSONObject, JSONValue, StoredResult
from ...wire.data_libraries import cells, is_a
from ..base import BytesHandler, Handler
from .columns import Column
from .exact import ExactFrame, FrameReceiver, FrameStore, has_exact_form
from .inputs import Input, left_out
from .instructions import input_instructions, output_instructions
from .outputs import Frame, OutputReceiver
from .tables import InputTable, from_columns, from_rows, memory_of, result_of, sendable_columns

__all__ = ["Data", "Progress"]

Progress = Callable[[str, int, int], None]
"""Takes the name of a variable, the number of values that were sent, and the number of all its values."""

_MAX_TEXT_PIECE = 1 << 19
_PROGRESS_SECONDS = 0.5
"""The shortest time between two reports of progress."""
_PREVIEW_ROWS = 3
"""Rows of a stored result that are recorded."""
_MAX_CHECKED = 1_000
"""Values of each column of a large result that are encoded once before the program gets it."""


class Data:
    """The data of the notebook, for one turn.

    Args:
        inputs: variables that the program gets.
        outputs: names that it has to assign.
        progress: takes the progress of large inputs.
        notify: takes a sentence about each column of a tool's result that was left out.
        earlier: the values of earlier turns, by their numbers. Programs read them as `results[n]`.
        previous: the number of the value that programs also read as `previous`.
        guest: the kind of guest: one with pandas gets DataFrames.

    Attributes:
        received: the values that the last program assigned to the outputs.
        names: the variables that programs get.
    """

    declaration = DATA
    name = DATA.name

    def __init__(
        self,
        inputs: Sequence[Input],
        outputs: Sequence[str],
        limits: Limits,
        progress: Progress | None = None,
        notify: Callable[[str], None] = lambda text: None,
        earlier: Mapping[int, Frame | JSONValue] | None = None,
        previous: int | None = None,
        guest: GuestKind = STANDARD,
    ) -> None:
        self.handlers: Mapping[str, Handler] = {
            "column": self._column,
            "text": self._text,
            "result": self._earlier_result,
            "put": self._put,
            "part": self._part,
            "done": self._done,
            "frame": self._describe_frame,
            "put_frame": self._put_frame,
        }
        self.byte_handlers: Mapping[str, BytesHandler] = {"buffer": self._send_buffer, "frame_part": self._take_buffer}
        self._guest = guest
        self._frames = FrameStore(self._notify_frame_left_out, self._report_progress)
        self._limits = limits
        self._progress = progress
        self._notify = notify
        self._stored: list[tuple[str, InputTable | Column | str]] = []
        self._size = 0
        self._reported_at = 0.0
        self._sent_counts: Counter[str] = Counter()
        inputs = hide_in(list(inputs))  # before anything of them is cut off or sent in pieces
        self._inputs: JSONObject = {variable.name: self._store_input(variable) for variable in inputs}
        self._outputs = tuple(outputs)
        self._earlier = earlier or {}
        self._earlier_refs: dict[int, JSONObject] = {}
        self._previous = previous
        self.names: frozenset[str] = frozenset(self._inputs) | guest.aliases
        if self._earlier:
            self.names |= {"results", "previous"} if previous else {"results"}
        self._receivers: dict[str, OutputReceiver | FrameReceiver] = {}
        self._sizes: dict[str, int] = {}
        self.instructions = input_instructions(inputs, guest) + output_instructions(outputs)
        self.received: dict[str, Frame | JSONValue] = {}

    @property
    def guest_config(self) -> JSONObject:
        config: JSONObject = {
            "inputs": self._inputs,
            "outputs": list(self._outputs),
            "exact": self._guest.has_pandas and find_spec("pandas") is not None,
        }
        if self._earlier:
            config |= {"results": list(self._earlier), "previous": self._previous}
        return config

    def start_run(self) -> None:
        """Discard the values that the previous run sent."""
        self._receivers.clear()
        self._sizes.clear()
        self.received.clear()

    def result(self, value: object, limits: Limits) -> JSONValue | StoredResult:
        """Return a tool's result as JSON, or store a large result and return a reference to it.

        The result is copied if the tool could change it later.

        Raises:
            ProgramError: if it has no JSON form, or exceeds the limit for the results of a turn.
        """
        if 8 * cells(value) > limits.kept_bytes:
            table = result_of(_copied(value))
            if table is not None:
                table, refused = sendable_columns(table, _MAX_CHECKED)
                self._notify_left_out(refused, value)
                return self._store_result(table, memory_of(value))
        result = self._to_json(value, replace(limits, answer_bytes=limits.result_bytes))
        if _estimate_size(result, limits.kept_bytes) <= limits.kept_bytes:
            return result
        return self._store_result(from_rows(result) if isinstance(result, list) else result, weigh(result))

    def frame_result(self, value: object, limits: Limits) -> JSONValue | StoredResult:
        """Store a tool's DataFrame, and return a reference to it; return anything else as `result` does.

        Raises:
            ProgramError: as `result`.
        """
        if not is_a(value, "pandas", "DataFrame"):
            return self.result(value, limits)
        self._count_stored(memory_of(value))
        ref, preview = self._frames.add("", _copied(value)), to_json(value.head(_PREVIEW_ROWS), limits=limits)
        return StoredResult(guest_ref=ref, preview=hide_in(preview), length=len(value))

    def _to_json(self, value: object, limits: Limits) -> JSONValue:
        try:
            return to_json(value, limits=limits)
        except ProgramError:
            table = result_of(value)
            if table is None:
                raise
            table, refused = sendable_columns(table, table.rows)
            if not refused:  # the error has another cause
                raise
            rows = to_json(table.sample(table.rows), limits=limits)
            self._notify_left_out(refused, value)
            return rows

    def _notify_left_out(self, columns: Iterable[str], table: object) -> None:
        for name in columns:
            self._notify(left_out("A tool's result", name, table))

    def _store_result(self, value: InputTable | Column | JSONValue, size: int) -> StoredResult:
        self._count_stored(size)
        value = hide_in(value)
        if isinstance(value, InputTable):
            sample, length = to_json(value.sample(_PREVIEW_ROWS), limits=self._limits), value.rows
        elif isinstance(value, list | dict | str | int | float | None):
            sample, length = take_beginning(value), len(value) if isinstance(value, list | dict | str) else 1
        else:
            sample, length = to_json(value.values(0, _PREVIEW_ROWS), limits=self._limits), value.length
        guest_ref = self._store("", value)
        # The program gets a list, as it would from a smaller result.
        guest_ref["kind"] = {"table": "rows", "column": "list"}.get(str(guest_ref["kind"]), guest_ref["kind"])
        return StoredResult(guest_ref=guest_ref, preview=sample, length=length)

    def _count_stored(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.result_bytes:
            max_size = format_bytes(self._limits.result_bytes)
            raise ProgramError(f"the results of one turn may have {max_size} in all: ask for less")

    def _store_input(self, variable: Input) -> JSONObject:
        if self._guest.has_pandas and has_exact_form(variable.source):
            return self._frames.add(variable.name, variable.source)
        return self._store(variable.name, variable.value)

    def _store(self, name: str, value: InputTable | Column | JSONValue) -> JSONObject:
        index = len(self._stored)
        if isinstance(value, InputTable):
            self._stored.append((name, value))
            names: list[JSONValue] = [column.name for column in value.columns]
            return {"kind": "table", "id": index, "columns": names, "rows": value.rows}
        if isinstance(value, None | bool | int | float | str | list | dict):
            text = json.dumps(value, ensure_ascii=False)
            self._stored.append((name, text))
            return {"kind": "value", "id": index}
        self._stored.append((name, value))
        return {"kind": "column", "id": index, "rows": value.length}

    async def _column(self, arguments: JSONObject) -> JSONValue:
        name, stored = self._stored[self._parse_index(arguments, "table", len(self._stored))]
        if isinstance(stored, str):
            raise ProgramError("the stored value is not a table")
        columns = stored.columns if isinstance(stored, InputTable) else [stored]
        column = columns[self._parse_index(arguments, "column", len(columns))]
        start = self._parse_index(arguments, "start", column.length)
        count = self._parse_index(arguments, "count", column.length - start + 1)
        piece, sent = column.piece(start, max(1, count))
        if name:
            self._report_progress(name, sent, column.length * len(columns))
        return piece

    async def _earlier_result(self, arguments: JSONObject) -> JSONValue:
        number = arguments.get("number")
        if type(number) is not int or number not in self._earlier:
            raise ProgramError("no earlier prompt with that number has a result")
        if number not in self._earlier_refs:
            self._earlier_refs[number] = self._store_earlier(self._earlier[number])
        return self._earlier_refs[number]

    def _store_earlier(self, value: Frame | JSONValue) -> JSONObject:
        if isinstance(value, Frame):
            if self._guest.has_pandas and isinstance(value, ExactFrame):
                return self._frames.add("", value.exact)
            return self._store("", hide_in(from_columns(value.columns, value.rows)))
        value = hide_in(value)
        table = from_rows(value) if isinstance(value, list) and value else None
        if not isinstance(table, InputTable):
            return self._store("", value)
        # Rows are a list of dicts, as in the turn that gave them, and have the methods of a table as well.
        return {**self._store("", table), "kind": "rows"}

    async def _text(self, arguments: JSONObject) -> JSONValue:
        _, stored = self._stored[self._parse_index(arguments, "value", len(self._stored))]
        if not isinstance(stored, str):
            raise ProgramError("the stored value is a table or a column")
        start = self._parse_index(arguments, "start", len(stored) + 1)
        return stored[start : start + _MAX_TEXT_PIECE]

    async def _put(self, arguments: JSONObject) -> JSONValue:
        name, left = self._start_output(arguments)
        self._receivers[name] = OutputReceiver(name, arguments, left)
        return None

    async def _put_frame(self, arguments: JSONObject) -> JSONValue:
        name, left = self._start_output(arguments)
        self._receivers[name] = receiver = FrameReceiver(name, arguments, left)
        self._sizes[name] = receiver.size
        return None

    def _start_output(self, arguments: JSONObject) -> tuple[str, int]:
        """Return the name of an output that begins, and the bytes that it may have."""
        name = arguments.get("name")
        if not isinstance(name, str) or name not in self._outputs:
            raise ProgramError("that name is not an output of this program")
        self.received.pop(name, None)
        others = sum(self._sizes[key] for key in self._sizes if key != name)
        return name, self._limits.outputs_bytes - others

    async def _part(self, arguments: JSONObject) -> JSONValue:
        receiver = self._receiver(arguments)
        if not isinstance(receiver, OutputReceiver):
            raise ProgramError("that output comes in buffers")
        receiver.take(arguments)
        self._sizes[receiver.name] = receiver.size
        return None

    async def _take_buffer(self, arguments: JSONObject, data: bytes) -> bytes:
        receiver = self._receiver(arguments)
        if not isinstance(receiver, FrameReceiver):
            raise ProgramError("that output comes in pieces of columns")
        receiver.take(arguments, data)
        return b""

    async def _describe_frame(self, arguments: JSONObject) -> JSONValue:
        return await self._frames.describe(arguments)

    async def _send_buffer(self, arguments: JSONObject, data: bytes) -> bytes:
        return await self._frames.send(arguments, data)

    def _notify_frame_left_out(self, name: str, column: str, value: object) -> None:
        self._notify(left_out(f"--in {name}" if name else "A tool's result", column, value))

    async def _done(self, arguments: JSONObject) -> JSONValue:
        receiver = self._receiver(arguments)
        del self._receivers[receiver.name]  # it takes no more pieces
        self.received[receiver.name] = await asyncio.to_thread(receiver.assemble)
        return None

    def _receiver(self, arguments: JSONObject) -> OutputReceiver | FrameReceiver:
        name = arguments.get("name")
        receiver = self._receivers.get(name) if isinstance(name, str) else None
        if receiver is None:
            raise ProgramError("no output with that name has been started")
        return receiver

    @staticmethod
    def _parse_index(arguments: JSONObject, name: str, end: int) -> int:
        number = arguments.get(name)
        if type(number) is not int or not 0 <= number < end:
            raise ProgramError(f"{name} must be a number from 0 to {end - 1}")
        return number

    def _report_progress(self, name: str, sent: int, total: int) -> None:
        self._sent_counts[name] += sent
        now = time.monotonic()
        if self._progress is not None and now - self._reported_at > _PROGRESS_SECONDS:
            self._reported_at = now
            self._progress(name, min(self._sent_counts[name], total), total)


def _copied(value: object) -> object:
    """Copy frames of pandas and arrays of numpy, which the tool could change later."""
    copy = getattr(value, "copy", None)
    return copy() if callable(copy) and type(value).__module__.startswith(("pandas", "numpy")) else value


def _estimate_size(value: JSONValue, max_size: int) -> int:
    """Estimate the bytes of the value as JSON. Stop counting above `max_size`."""
    size, todo = 0, [value]
    while todo and size <= max_size:
        item = todo.pop()
        if isinstance(item, list):
            todo += item
            size += 2 + len(item)
        elif isinstance(item, dict):
            todo += item.values()
            size += 2 + sum(map(len, item)) + 4 * len(item)
        else:
            size += len(item) + 2 if isinstance(item, str) else 8
    return size
