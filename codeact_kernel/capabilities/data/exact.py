"""Pass DataFrames, Series and arrays to a guest with pandas and back, exactly, as buffers.

Everything that a guest sends is hostile: `wire.frame_reader` checks it when it is read, and the sizes are checked here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

from ...errors import ProgramError
from ...secrets import hide_in, mask
from ...text import format_bytes, plural
from ...types import JSONObject, JSONValue
from ...wire.data_libraries import indexed_columns, is_a, present
from ...wire.frame_reader import read_frame
from ...wire.frame_writer import Buffer, is_frame, write_frame
from .outputs import Frame

__all__ = ["ExactFrame", "FrameReceiver", "FrameStore", "has_exact_form"]

_PIECE = 4 << 20
"""Bytes of one piece of a buffer."""
_MAX_BUFFERS = 20_000


class ExactFrame(Frame):
    """A DataFrame, a Series or an array that a program passed to the notebook.

    Attributes:
        exact: the value, with its types, its index and its labels.
    """

    __slots__ = ("exact",)

    def __init__(self, exact: Any) -> None:
        object.__setattr__(self, "exact", exact)

    @property
    def columns(self) -> dict[str, Sequence[Any]]:  # type: ignore[override]  # the field of a table that came in columns
        return {name: present(values) for name, values in indexed_columns(self.to_dataframe())}

    @property
    def names(self) -> list[str]:
        return [name for name, _ in indexed_columns(self.to_dataframe().head(0))]

    def head(self, count: int) -> Frame:
        return ExactFrame(self.to_dataframe().head(count))

    @property
    def rows(self) -> int:  # type: ignore[override]
        return len(self.exact)

    def describe(self, row: str) -> str:
        """Describe the value in a line, a DataFrame with the text for one of its rows."""
        if is_a(self.exact, "pandas", "DataFrame"):
            return f"pandas DataFrame of {row}, {plural(self.rows, 'row')}"
        if is_a(self.exact, "pandas", "Series"):
            return f"pandas Series, {plural(self.rows, 'value')}"
        return f"numpy array of shape {self.exact.shape}"

    def to_dataframe(self) -> Any:
        if is_a(self.exact, "pandas", "DataFrame"):
            return self.exact
        if is_a(self.exact, "pandas", "Series"):
            return self.exact.to_frame("value" if self.exact.name is None else self.exact.name)
        pandas: Any = import_module("pandas")
        return pandas.DataFrame(self.exact if self.exact.ndim < 3 else list(self.exact))


def has_exact_form(value: Any) -> bool:
    """Return whether a guest with pandas gets the value exactly.

    Frames of polars and pyarrow become DataFrames, if the libraries that convert them are installed.
    """
    if is_a(value, "polars", "DataFrame", "LazyFrame", "Series"):
        return find_spec("pandas") is not None and find_spec("pyarrow") is not None
    if is_a(value, "pyarrow", "Table", "RecordBatch", "ChunkedArray"):
        return find_spec("pandas") is not None
    return is_frame(value)


def _to_exact_form(value: Any) -> Any:
    if is_a(value, "polars", "LazyFrame"):
        value = value.collect()
    return value if is_frame(value) else value.to_pandas()


@dataclass(slots=True)
class _Stored:
    name: str
    value: Any
    written: tuple[JSONObject, list[Buffer]] | None = None


class FrameStore:
    """The values that a guest can fetch. A value is described when the program first uses it.

    Args:
        notify_left_out: called with the name of a variable, a column that cannot be sent, and the value.
        report: called with the name of a variable, the bytes of a piece, and the bytes of all its buffers.
    """

    def __init__(
        self, notify_left_out: Callable[[str, str, object], None], report: Callable[[str, int, int], None]
    ) -> None:
        self._notify_left_out = notify_left_out
        self._report = report
        self._stored: list[_Stored] = []

    def add(self, name: str, value: Any) -> JSONObject:
        """Store a value under the name of its variable, and return the guest's reference to it."""
        self._stored.append(_Stored(name, value))
        return {"kind": "frame", "id": len(self._stored) - 1}

    async def describe(self, arguments: JSONObject) -> JSONValue:
        """Return the description of a value, and the sizes of its buffers."""
        description, buffers = await self._write(self._find(arguments))
        return {"description": description, "sizes": [len(buffer) for buffer in buffers]}

    async def send(self, arguments: JSONObject, data: bytes) -> bytes:
        """Return a piece of a buffer."""
        stored = self._find(arguments)
        _, buffers = await self._write(stored)
        buffer = buffers[_index(arguments, "buffer", len(buffers))]
        start = _index(arguments, "start", len(buffer) + 1)
        piece = bytes(buffer[start : start + _PIECE])
        self._report(stored.name, len(piece), sum(map(len, buffers)))
        return piece

    def _find(self, arguments: JSONObject) -> _Stored:
        return self._stored[_index(arguments, "frame", len(self._stored))]

    async def _write(self, stored: _Stored) -> tuple[JSONObject, list[Buffer]]:
        if stored.written is None:
            refused: list[str] = []
            try:
                stored.written = await asyncio.to_thread(_write, stored.value, refused)
            except TypeError as error:
                raise ProgramError(f"{stored.name or 'the result'} cannot be sent: {error}") from None
            for column in refused:
                self._notify_left_out(stored.name, column, stored.value)
        return stored.written


def _write(value: Any, refused: list[str]) -> tuple[JSONObject, list[Buffer]]:
    """Write a value without secrets, and add the columns that cannot be written to `refused`."""
    description, buffers = write_frame(_to_exact_form(value), lambda column, reason: refused.append(column))
    return hide_in(description), [mask(buffer) for buffer in buffers]


class FrameReceiver:
    """Receives one value.

    Args:
        header: the guest's description of the value, and the sizes of its buffers.
        max_bytes: the maximum size of all buffers together.

    Attributes:
        size: the bytes of all buffers.

    Raises:
        ProgramError: if the sizes are not valid.
    """

    def __init__(self, name: str, header: JSONObject, max_bytes: int) -> None:
        sizes = header.get("sizes")
        if not isinstance(sizes, list) or len(sizes) > _MAX_BUFFERS or any(type(size) is not int for size in sizes):
            raise ProgramError("the value has no valid sizes")
        self._sizes = cast("list[int]", sizes)
        if any(size < 0 for size in self._sizes):
            raise ProgramError("the value has no valid sizes")
        self.name = name
        self.size = sum(self._sizes)
        if self.size > max_bytes:
            raise ProgramError(f"{name} is larger than {format_bytes(max_bytes)}: assign less")
        self._description = header.get("description")
        self._buffers = [bytearray() for _ in self._sizes]

    def take(self, arguments: JSONObject, data: bytes) -> None:
        """Take the next piece of a buffer.

        Raises:
            ProgramError: if it is more than was announced.
        """
        number = _index(arguments, "buffer", len(self._buffers))
        if len(self._buffers[number]) + len(data) > self._sizes[number]:
            raise ProgramError("a buffer with more bytes than announced")
        self._buffers[number] += data

    def assemble(self) -> ExactFrame:
        """Return the value. This can take seconds, so call it in a thread.

        Raises:
            ProgramError: if bytes are missing, or the value is not valid.
        """
        if any(len(buffer) != size for buffer, size in zip(self._buffers, self._sizes, strict=True)):
            raise ProgramError("a buffer with fewer bytes than announced")
        try:
            return ExactFrame(read_frame(self._description, self._buffers))
        except (ValueError, ImportError) as error:
            raise ProgramError(f"{self.name} cannot be passed to the notebook: {error}") from None


def _index(arguments: JSONObject, name: str, end: int) -> int:
    number = arguments.get(name)
    if type(number) is not int or not 0 <= number < end:
        raise ProgramError(f"{name} must be a number from 0 to {end - 1}")
    return number
