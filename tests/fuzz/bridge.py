"""What the bridge hears: JSON, frames, and the guest's operations inside the worker."""

from __future__ import annotations

import json
import math
import struct
from types import SimpleNamespace
from unittest.mock import patch

from codeact_kernel.bridge import messages as m
from codeact_kernel.bridge import strict_json
from codeact_kernel.bridge.protocol import Connection, Speaker, State
from codeact_kernel.errors import BridgeError
from codeact_kernel.guest import Pack
from codeact_kernel.sandbox import host_function
from codeact_kernel.sandbox.chunking import ANSWER_PART_LENGTH
from codeact_kernel.sandbox.worker_main import GuestHost
from codeact_kernel.settings import Limits

DEPTH = 8
LIMITS = Limits(
    frame_bytes=6_000, depth=DEPTH, calls_per_run=4, host_calls_per_run=4, calls_in_flight=3,
    arguments_bytes=1_500, value_bytes=1_500, output_characters=2_000,
)  # fmt: skip
"""So small that inputs of a few kilobytes come to each of them."""

_LENGTH = struct.Struct(">I")
_NEXT = {
    (State.PREPARING, Speaker.WORKER, m.Ready): State.IDLE,
    (State.IDLE, Speaker.HOST, m.Run): State.RUNNING,
    (State.RUNNING, Speaker.WORKER, m.Output): State.RUNNING,
    (State.RUNNING, Speaker.WORKER, m.CallTool): State.RUNNING,
    (State.RUNNING, Speaker.WORKER, m.CallHost): State.RUNNING,
    (State.RUNNING, Speaker.HOST, m.CallReturned): State.RUNNING,
    (State.RUNNING, Speaker.HOST, m.CallRaised): State.RUNNING,
    (State.RUNNING, Speaker.WORKER, m.Finished): State.PREPARING,
}
"""The table once more, so that a change of the protocol's own is noticed here."""


def strict_json_target(data: bytes) -> None:
    """Bytes are refused, or one plain value that is written and read back as it is."""
    try:
        value = strict_json.loads(data, limit=2_000, depth=DEPTH)
    except BridgeError:
        return
    assert len(data) <= 2_000
    json.loads(data, object_pairs_hook=_once)
    plain(value, DEPTH)
    again = strict_json.loads(strict_json.dumps(value, limit=1 << 20), limit=1 << 20, depth=DEPTH)
    assert same(value, again), (value, again)


def host_target(data: bytes) -> None:
    """The kernel's end, whatever a worker writes."""
    _talk(Speaker.HOST, data)


def worker_target(data: bytes) -> None:
    """The worker's end."""
    _talk(Speaker.WORKER, data)


def hostfunction_target(data: bytes) -> None:
    """The guest's operations: each line is a message as `embedded` takes it; after `~` as `hyperlight` does.

    What the worker says because of them goes through a real connection, and so keeps its rules.
    """
    pipe = _BothEnds()
    function = host_function.HostFunction(GuestHost(pipe, LIMITS), _pack(), LIMITS)  # type: ignore[arg-type]
    function.begin(m.Run("1", {"f": ["x"]}, {}, keep=False), 1)
    with patch.object(host_function, "time", SimpleNamespace(sleep=_may_sleep)):
        for line in data.split(b"\n"):
            in_pieces = line[:1] == b"~"
            try:
                message = strict_json.loads(line[in_pieces:], limit=LIMITS.frame_bytes, depth=LIMITS.depth + 3)
            except BridgeError:
                continue
            if isinstance(message, dict):
                whole = "op" in message and not in_pieces
                answer = function.whole(message, len(line)) if whole else function(message)
                assert answer[:1] in ("=", "+", "!"), answer
                assert len(answer) <= ANSWER_PART_LENGTH + 1
                assert sum(map(len, function._chunking._parts)) == function._chunking._size <= LIMITS.frame_bytes
    outcome = function.end()
    function._host.end()
    if outcome is not None:
        try:
            pipe.send(m.Finished(outcome))
        except BridgeError as error:  # the worker ends, which is what a guest gets for it
            assert "bytes of JSON, the limit is" in str(error)
    assert pipe.printed <= 2 * LIMITS.output_characters + 200


def plain(value: object, depth: int) -> None:
    """Exactly JSON's own types, finite numbers, text that has a UTF-8, and no deeper than that."""
    kind = type(value)
    assert kind in (type(None), bool, int, float, str, list, dict), kind
    if isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, list | dict):
        assert depth > 0, "deeper than allowed"
        for one in value:
            plain(one, depth - 1)
            if isinstance(value, dict):
                assert type(one) is str
                plain(value[one], depth - 1)


def same(a: object, b: object) -> bool:
    """Equal, with the same types and order, and the sign of zero."""
    return repr(a) == repr(b) and a == b


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len({name for name, _ in pairs}) == len(pairs), "two readers could disagree about this object"
    return dict(pairs)


def _talk(me: Speaker, data: bytes) -> None:
    """Lines: a frame that is heard; after `!` bytes as they are; after `>` a frame that is said first.

    A second connection hears the same cut into small pieces, and has to make the same of it.
    """
    other = Speaker.WORKER if me is Speaker.HOST else Speaker.HOST
    whole, cut = Connection(me, LIMITS), Connection(me, LIMITS)
    state = State.PREPARING
    for line in data.split(b"\n"):
        if line[:1] == b">":
            message = _said(whole, line[1:])
            if message is not None:
                cut.send(message)
                state = _NEXT[state, me, type(message)]
            assert whole.state is state
            continue
        heard = line[1:] if line[:1] == b"!" else _LENGTH.pack(len(line)) + line
        messages, error = _heard(whole, [heard])
        step = 1 + len(line) % 7
        assert (messages, error) == _heard(cut, [heard[at : at + step] for at in range(0, len(heard), step)])
        for message in messages:
            state = _NEXT[state, other, type(message)]
            assert same(m.decode(m.encode(message), m.data_of(message)), message)
        if error:
            return
        assert whole.state is cut.state is state
        assert whole.open_calls == cut.open_calls
        assert len(whole.open_calls) <= LIMITS.calls_in_flight
        assert state is State.RUNNING or not whole.open_calls
        assert len(whole._buffer) < LIMITS.frame_bytes + _LENGTH.size


def _said(connection: Connection, frame: bytes) -> m.Message | None:
    before = connection.state, set(connection.open_calls)
    try:
        message = m.decode(strict_json.loads(frame, limit=LIMITS.frame_bytes, depth=LIMITS.depth + 4))
        connection.send(message)
    except BridgeError:
        assert (connection.state, connection.open_calls) == before
        return None
    return message


def _heard(connection: Connection, pieces: list[bytes]) -> tuple[list[m.Message], str]:
    messages: list[m.Message] = []
    try:
        for piece in pieces:
            for message in connection.feed(piece):
                messages.append(message)
    except BridgeError as error:
        return messages, str(error)
    return messages, ""


def _may_sleep(seconds: float) -> None:
    assert 0 <= seconds <= 1e6


_opened: list[Pack] = []


def _pack() -> Pack:
    if not _opened:
        _opened.append(Pack.open())
    return _opened[0]


class _BothEnds:
    """The pipe, with a kernel behind it that answers the last call first: every call returns its arguments."""

    def __init__(self) -> None:
        self.printed = 0
        self._worker, self._host = Connection(Speaker.WORKER, LIMITS), Connection(Speaker.HOST, LIMITS)
        self._open: list[m.CallTool | m.CallHost] = []
        self.send(m.Ready(1))
        assert list(self._worker.feed(self._host.send(m.Run("1", {}, {}, keep=False))))

    def send(self, message: m.Message) -> None:
        (heard,) = self._host.feed(self._worker.send(message))
        assert heard == message
        if isinstance(heard, (m.CallTool, m.CallHost)):
            self._open.append(heard)
        elif isinstance(heard, m.Output):
            self.printed += len(heard.text)

    def receive(self, seconds: float | None = None) -> m.Message | None:
        if not self._open:
            assert seconds is not None, "the worker would wait for ever"
            return None
        call = self._open.pop()
        answer = m.CallReturned(call.call, call.arguments, stored=isinstance(call, m.CallTool) and call.name == "large")
        (heard,) = self._worker.feed(self._host.send(answer))
        return heard
