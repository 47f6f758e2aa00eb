"""The room `data`: what of the notebook a program gets, large results of tools, and what the notebook gets back.

Values stay here until the program looks at them, a piece at a time; the model sees names, types and a few rows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ...capability import DATA
from ...errors import ProgramError
from ...json_size import take_beginning, weigh
from ...settings import Limits
from ...text import format_bytes
from ...tools.data_libraries import cells
from ...tools.to_json import to_json
from ...types import Handler, JSONObject, JSONValue, StoredResult
from .columns import Column
from .inputs import Input, left_out
from .instructions import input_instructions, outputs_wanted
from .outputs import Frame, OutputReceiver
from .tables import InputTable, from_rows, memory_of, result_of, sendable_columns

__all__ = ["Data", "Progress"]

Progress = Callable[[str, int, int], None]
"""Takes the name of a variable, and how many values of how many have gone in."""

_TEXT_PIECE = 1 << 19
_TELL_EVERY = 0.5
_LOOKED_AT = 1_000
"""Values of each column of a large result that are tried before the program gets it."""


class Data:
    """The data of the notebook, for one turn.

    Args:
        inputs: what the program gets.
        outputs: the names that it has to assign.
        progress: is told of large inputs while they go in.
        notify: is told what of a tool's result did not go in.
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
    ) -> None:
        self.handlers: Mapping[str, Handler] = {
            "column": self._column,
            "text": self._text,
            "put": self._put,
            "part": self._part,
            "done": self._done,
        }
        self._limits = limits
        self._progress = progress
        self._notify = notify
        self._kept: list[tuple[str, InputTable | Column | str]] = []
        self._size = 0
        self._told_at = 0.0
        self._went: Counter[str] = Counter()
        self._inputs: JSONObject = {one.name: self._keep(one.name, one.value) for one in inputs}
        self._outputs = tuple(outputs)
        self._receiving: dict[str, OutputReceiver] = {}
        self._sizes: dict[str, int] = {}
        self.instructions = input_instructions(inputs) + outputs_wanted(outputs)
        self.received: dict[str, Frame | JSONValue] = {}

    @property
    def guest_config(self) -> JSONObject:
        return {"inputs": self._inputs, "outputs": list(self._outputs)}

    def start_run(self) -> None:
        """What a run before has sent is not what this one sends."""
        self._receiving.clear()
        self._sizes.clear()
        self.received.clear()

    def result(self, value: object, limits: Limits) -> JSONValue | StoredResult:
        """A tool's result as JSON; a large one stays here. What the tool does with it later changes nothing.

        Raises:
            ProgramError: it has no JSON form, or is too large for the notebook as well.
        """
        if 8 * cells(value) > limits.kept_bytes:
            table = result_of(_copied(value))
            if table is not None:
                table, refused = sendable_columns(table, _LOOKED_AT)
                self._tell_left_out(refused, value)
                return self._kept_result(table, memory_of(value))
        plain = self._plain(value, replace(limits, answer_bytes=limits.result_bytes))
        if _size(plain, limits.kept_bytes) <= limits.kept_bytes:
            return plain
        return self._kept_result(from_rows(plain) if isinstance(plain, list) else plain, weigh(plain))

    def _plain(self, value: object, limits: Limits) -> JSONValue:
        try:
            return to_json(value, limits=limits)
        except ProgramError:
            table = result_of(value)
            if table is None:
                raise
            table, refused = sendable_columns(table, table.rows)
            if not refused:  # that was not why
                raise
            plain = to_json(table.sample(table.rows), limits=limits)
            self._tell_left_out(refused, value)
            return plain

    def _tell_left_out(self, columns: Iterable[str], table: object) -> None:
        for name in columns:
            self._notify(left_out("A tool's result", name, table))

    def _kept_result(self, value: InputTable | Column | JSONValue, size: int) -> StoredResult:
        self._size += size
        if self._size > self._limits.result_bytes:
            most = format_bytes(self._limits.result_bytes)
            raise ProgramError(f"the results of one turn may have {most} in all: ask for less")
        if isinstance(value, InputTable):
            sample, length = to_json(value.sample(3), limits=self._limits), value.rows
        elif isinstance(value, list | dict | str | int | float | None):
            sample, length = take_beginning(value), len(value) if isinstance(value, list | dict | str) else 1
        else:
            sample, length = to_json(value.values(0, 3), limits=self._limits), value.length
        told = self._keep("", value)
        # The program gets what a smaller result is: a list, of rows or of anything else.
        told["kind"] = {"table": "rows", "column": "list"}.get(str(told["kind"]), told["kind"])
        return StoredResult(guest_ref=told, preview=sample, length=length)

    def _keep(self, name: str, value: InputTable | Column | JSONValue) -> JSONObject:
        number = len(self._kept)
        if isinstance(value, InputTable):
            self._kept.append((name, value))
            names: list[JSONValue] = [column.name for column in value.columns]
            return {"kind": "table", "id": number, "columns": names, "rows": value.rows}
        if isinstance(value, None | bool | int | float | str | list | dict):
            text = json.dumps(value, ensure_ascii=False)
            self._kept.append((name, text))
            return {"kind": "value", "id": number}
        self._kept.append((name, value))
        return {"kind": "column", "id": number, "rows": value.length}

    async def _column(self, arguments: JSONObject) -> JSONValue:
        name, kept = self._kept[self._number(arguments, "table", len(self._kept))]
        if isinstance(kept, str):
            raise ProgramError("that is no table")
        columns = kept.columns if isinstance(kept, InputTable) else [kept]
        number = self._number(arguments, "column", len(columns))
        column = columns[number]
        start = self._number(arguments, "start", column.length)
        count = self._number(arguments, "count", column.length - start + 1)
        piece, went = column.piece(start, max(1, count))
        if name:
            self._tell(name, went, column.length * len(columns))
        return piece

    async def _text(self, arguments: JSONObject) -> JSONValue:
        _, kept = self._kept[self._number(arguments, "value", len(self._kept))]
        if not isinstance(kept, str):
            raise ProgramError("that is no single value")
        start = self._number(arguments, "start", len(kept) + 1)
        return kept[start : start + _TEXT_PIECE]

    async def _put(self, arguments: JSONObject) -> JSONValue:
        name = arguments.get("name")
        if not isinstance(name, str) or name not in self._outputs:
            raise ProgramError("nobody wants that variable")
        self.received.pop(name, None)
        others = sum(self._sizes[key] for key in self._sizes if key != name)
        self._receiving[name] = OutputReceiver(name, arguments, self._limits.outputs_bytes - others)
        return None

    async def _part(self, arguments: JSONObject) -> JSONValue:
        receiving = self._open(arguments)
        receiving.take(arguments)
        self._sizes[receiving.name] = receiving.size
        return None

    async def _done(self, arguments: JSONObject) -> JSONValue:
        receiving = self._open(arguments)
        del self._receiving[receiving.name]  # nothing is added to it any more
        self.received[receiving.name] = await asyncio.to_thread(receiving.made)
        return None

    def _open(self, arguments: JSONObject) -> OutputReceiver:
        name = arguments.get("name")
        receiving = self._receiving.get(name) if isinstance(name, str) else None
        if receiving is None:
            raise ProgramError("nothing is being sent under that name")
        return receiving

    @staticmethod
    def _number(arguments: JSONObject, name: str, end: int) -> int:
        number = arguments.get(name)
        if type(number) is not int or not 0 <= number < end:
            raise ProgramError(f"{name} is no number from 0 to {end - 1}")
        return number

    def _tell(self, name: str, went: int, total: int) -> None:
        self._went[name] += went
        now = time.monotonic()
        if self._progress is not None and now - self._told_at > _TELL_EVERY:
            self._told_at = now
            self._progress(name, min(self._went[name], total), total)


def _copied(value: object) -> object:
    """Frames of pandas and arrays of numpy can be changed by whoever made them; those of the others cannot."""
    copy = getattr(value, "copy", None)
    return copy() if callable(copy) and type(value).__module__.startswith(("pandas", "numpy")) else value


def _size(value: JSONValue, most: int) -> int:
    """About how many bytes of JSON that is; stops counting above `most`."""
    size, todo = 0, [value]
    while todo and size <= most:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
            size += 2 + len(one)
        elif isinstance(one, dict):
            todo += one.values()
            size += 2 + sum(map(len, one)) + 4 * len(one)
        else:
            size += len(one) + 2 if isinstance(one, str) else 8
    return size
