"""Fetch DataFrames from the notebook, and send them there, as buffers."""

from typing import Any

from codeact_kernel.wire.frame_reader import read_frame
from codeact_kernel.wire.frame_writer import is_frame, write_frame

from ..tool_calls import call_host, exchange_bytes

__all__ = ["fetch", "is_frame", "put"]

_PIECE = 4 << 20


def fetch(ref: dict[str, Any]) -> Any:
    """Return the value for a reference to a DataFrame, a Series or an array of the notebook."""
    answer = call_host("data", "frame", frame=ref["id"])
    buffers = [_fetch_buffer(ref["id"], number, size) for number, size in enumerate(answer["sizes"])]
    return read_frame(answer["description"], buffers)


def _fetch_buffer(frame: int, number: int, size: int) -> bytearray:
    buffer = bytearray(size)  # pandas changes values in place, so they must be writable
    start = 0
    while start < size:
        piece = exchange_bytes("data", "buffer", frame=frame, buffer=number, start=start)
        buffer[start : start + len(piece)] = piece
        start += len(piece)
    return buffer


def put(name: str, value: Any) -> None:
    """Send the value of a variable to the notebook.

    Raises:
        TypeError: a column has values that cannot be sent.
    """
    try:
        description, buffers = write_frame(value)
    except TypeError as error:
        raise TypeError(f"{name} cannot be handed to the notebook: {error}") from None
    call_host("data", "put_frame", name=name, description=description, sizes=[len(buffer) for buffer in buffers])
    for number, buffer in enumerate(buffers):
        for start in range(0, len(buffer), _PIECE):
            exchange_bytes("data", "frame_part", bytes(buffer[start : start + _PIECE]), name=name, buffer=number)
    call_host("data", "done", name=name)
