"""The bridge's protocol without I/O: which side may send which message when, the framing, and the limits.

    state      sender: message                              next state
    PREPARING  worker: Ready                                IDLE
    IDLE       host: Run                                    RUNNING
    RUNNING    worker: Output, CallTool, CallHost           RUNNING
    RUNNING    host: CallReturned, CallRaised               RUNNING
    RUNNING    worker: Finished, only with no call open     PREPARING

The ids of calls are 1, 2, 3, ... within a run. An answer names an open call and closes it. A frame consists of four
bytes of length, one JSON value, and after a zero byte the bytes that belong to the message, if there are any. The
connection ends with the pipe, without a message. Both ends use this code, and each passes its `Speaker`. After a
`BridgeError` the connection cannot be used: discard the worker, never resync.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Mapping

from ..errors import BridgeError
from ..limits import WorkerLimits
from . import messages as m
from .strict_json import dumps, loads

__all__ = ["Connection", "Speaker", "State"]

_LENGTH = struct.Struct(">I")
_SEPARATOR = b"\0"


class Speaker(enum.Enum):
    """The two ends of the connection."""

    HOST = "host"
    WORKER = "worker"


class State(enum.Enum):
    """The state of the connection, which is the same on both ends."""

    PREPARING = "preparing"
    IDLE = "idle"
    RUNNING = "running"


_TABLE: Mapping[State, Mapping[tuple[Speaker, type[m.Message]], State]] = {
    State.PREPARING: {(Speaker.WORKER, m.Ready): State.IDLE},
    State.IDLE: {(Speaker.HOST, m.Run): State.RUNNING},
    State.RUNNING: {
        (Speaker.WORKER, m.Output): State.RUNNING,
        (Speaker.WORKER, m.CallTool): State.RUNNING,
        (Speaker.WORKER, m.CallHost): State.RUNNING,
        (Speaker.HOST, m.CallReturned): State.RUNNING,
        (Speaker.HOST, m.CallRaised): State.RUNNING,
        (Speaker.WORKER, m.Finished): State.PREPARING,
    },
}


class Connection:
    """One end of the connection.

    Attributes:
        state: the state of the connection.
        open_calls: the ids of the calls that have no answer yet.
    """

    def __init__(self, speaker: Speaker, limits: WorkerLimits) -> None:
        self.state = State.PREPARING
        self.open_calls: set[int] = set()
        self._me = speaker
        self._other = Speaker.WORKER if speaker is Speaker.HOST else Speaker.HOST
        self._limits = limits
        self._calls = 0
        self._buffer = bytearray()

    @property
    def has_unread_data(self) -> bool:
        """Say whether `feed` has data that it has not made a message of yet."""
        return bool(self._buffer)

    def send(self, message: m.Message) -> bytes:
        """Return the frame to write for `message`.

        Raises:
            BridgeError: if the message is not allowed in this state, or is too large for a frame. The state does not
                change then.
        """
        frame = dumps(m.encode(message), limit=self._limits.frame_bytes)
        if data := m.data_of(message):
            frame = _SEPARATOR.join((frame, data))
            self._check_length(len(frame))
        self._advance(self._me, message)
        return _LENGTH.pack(len(frame)) + frame

    def feed(self, data: bytes) -> Iterator[m.Message]:
        """Yield the messages that are complete with `data`, which may end anywhere.

        Raises:
            BridgeError: if the other end broke the protocol.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer)
            self._check_length(length)  # before its data is collected
            end = _LENGTH.size + length
            if len(buffer) < end:
                return
            frame = bytes(buffer[_LENGTH.size : end])
            del buffer[:end]
            text, _, data = frame.partition(_SEPARATOR)  # JSON contains no zero byte
            # Messages wrap a value in one or two levels of their own.
            value = loads(text, limit=self._limits.frame_bytes, depth=self._limits.depth + 4)
            message = m.decode(value, data)
            self._advance(self._other, message)
            yield message

    def _check_length(self, length: int) -> None:
        if length > self._limits.frame_bytes:
            raise BridgeError(f"a frame of {length:,} bytes, the limit is {self._limits.frame_bytes:,}")

    def _advance(self, speaker: Speaker, message: m.Message) -> None:
        after = _TABLE[self.state].get((speaker, type(message)))
        if after is None:
            raise BridgeError(f"{speaker.value} may not send {type(message).__name__} while {self.state.value}")
        match message:
            case m.Run():
                self._calls = 0
            case m.CallTool(call=call) | m.CallHost(call=call):
                self._open(call)
            case m.CallReturned(call=call) | m.CallRaised(call=call):
                if call not in self.open_calls:
                    raise BridgeError(f"an answer to call {call}, which is not open")
                self.open_calls.remove(call)
            case m.Finished() if self.open_calls:
                raise BridgeError(f"Finished with {len(self.open_calls)} calls open")
            case _:
                pass
        self.state = after

    def _open(self, call: int) -> None:
        if call != self._calls + 1:
            raise BridgeError(f"call {call} where {self._calls + 1} was next")
        if call > self._limits.calls_per_run + self._limits.host_calls_per_run:
            raise BridgeError(f"more than {self._limits.calls_per_run:,} calls in one run")
        if len(self.open_calls) >= self._limits.calls_in_flight:
            raise BridgeError(f"more than {self._limits.calls_in_flight} calls in flight")
        self._calls = call
        self.open_calls.add(call)
