"""Who may say what when; frames; call ids; limits. All of it without a pipe."""

from __future__ import annotations

import itertools
import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact_kernel.bridge import messages as m
from codeact_kernel.bridge.protocol import Connection, Speaker, State
from codeact_kernel.errors import BridgeError
from codeact_kernel.settings import Limits
from codeact_kernel.types import RunOutcome

LIMITS = Limits()
READY, RUN, OUTPUT = m.Ready(1), m.Run("1", {}, {}, False), m.Output("stdout", "hello\n")
CALL, HOST_CALL = m.CallTool(2, "get", {}, 0), m.CallHost(2, "files", "read", {})
RETURNED, RAISED = m.CallReturned(1, None), m.CallRaised(1, "ToolFailed", "no")
FINISHED = m.Finished(RunOutcome(value=1, text="1", is_json=True))
MESSAGES = {type(message): message for message in (READY, RUN, OUTPUT, CALL, HOST_CALL, RETURNED, RAISED, FINISHED)}
HOST, WORKER = Speaker.HOST, Speaker.WORKER

# Call 1 is open while RUNNING, so Finished is forbidden there; where no call is open has a test of its own.
ALLOWED = {
    (State.PREPARING, WORKER, m.Ready): State.IDLE,
    (State.IDLE, HOST, m.Run): State.RUNNING,
    (State.RUNNING, WORKER, m.Output): State.RUNNING,
    (State.RUNNING, WORKER, m.CallTool): State.RUNNING,
    (State.RUNNING, WORKER, m.CallHost): State.RUNNING,
    (State.RUNNING, HOST, m.CallReturned): State.RUNNING,
    (State.RUNNING, HOST, m.CallRaised): State.RUNNING,
}
EVERYTHING = [(state, speaker, kind) for state in State for speaker in Speaker for kind in MESSAGES]
A_TALK = [
    (WORKER, READY),
    (HOST, RUN),
    (WORKER, OUTPUT),
    (WORKER, m.CallTool(1, "get", {"a": [1, "é"]}, 1)),
    (WORKER, m.CallTool(2, "get", {}, 2)),
    (WORKER, m.CallHost(3, "files", "list", {"path": "é"})),
    (HOST, m.CallReturned(3, [])),
    (HOST, m.CallReturned(2, {"x": "😀"})),
    (WORKER, m.Output("stderr", "\n" * 300)),
    (HOST, m.CallRaised(1, "ToolDenied", "no")),
    (WORKER, FINISHED),
    (WORKER, READY),
    (HOST, RUN),
    (WORKER, m.CallTool(1, "again", {}, 0)),
    (HOST, m.CallReturned(1, None)),
    (WORKER, FINISHED),
]


class Ends:
    """Both ends, joined by nothing but function calls."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.ends = {speaker: Connection(speaker, limits) for speaker in Speaker}

    def say(self, speaker: Speaker, message: m.Message) -> list[m.Message]:
        other = HOST if speaker is WORKER else WORKER
        return list(self.ends[other].feed(self.ends[speaker].send(message)))

    def run(self) -> Ends:
        self.say(WORKER, READY)
        self.say(HOST, RUN)
        return self


def in_state(state: State, speaker: Speaker) -> Connection:
    """The end of `speaker`, with the talk in `state`; while RUNNING call 1 is open."""
    ends = Ends()
    if state is not State.PREPARING:
        ends.say(WORKER, READY)
    if state is State.RUNNING:
        ends.say(HOST, RUN)
        ends.say(WORKER, m.CallTool(1, "get", {}, 0))
    assert ends.ends[speaker].state is state
    return ends.ends[speaker]


def frame(content: object) -> bytes:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack(">I", len(data)) + data


def refused_by_host(data: bytes, match: str | None = None, limits: Limits = LIMITS) -> None:
    """The host, in the middle of a run, refuses `data`."""
    host = Ends(limits).run().ends[HOST]
    with pytest.raises(BridgeError, match=match):
        list(host.feed(data))


def names(row: object) -> str:
    return row.value if isinstance(row, (State, Speaker)) else getattr(row, "__name__", str(row))


@pytest.mark.parametrize(("state", "speaker", "kind"), EVERYTHING, ids=names)
def test_only_what_the_table_allows_can_be_sent(state, speaker, kind):
    connection = in_state(state, speaker)
    after = ALLOWED.get((state, speaker, kind))
    if after is None:
        with pytest.raises(BridgeError):
            connection.send(MESSAGES[kind])
        assert connection.state is state
    else:
        assert connection.send(MESSAGES[kind])
        assert connection.state is after


@pytest.mark.parametrize(("state", "speaker", "kind"), EVERYTHING, ids=names)
def test_only_what_the_table_allows_is_accepted_from_the_other_end(state, speaker, kind):
    connection = in_state(state, WORKER if speaker is HOST else HOST)
    after = ALLOWED.get((state, speaker, kind))
    data = frame(m.encode(MESSAGES[kind]))
    if after is None:
        with pytest.raises(BridgeError):
            list(connection.feed(data))
    else:
        assert list(connection.feed(data)) == [MESSAGES[kind]]
        assert connection.state is after


def test_a_run_ends_with_finished_when_no_call_is_open():
    ends = Ends().run()
    assert ends.say(WORKER, FINISHED) == [FINISHED]
    assert {end.state for end in ends.ends.values()} == {State.PREPARING}


def test_finished_with_a_call_open_is_refused_on_both_ends():
    assert in_state(State.RUNNING, WORKER).open_calls == {1}
    with pytest.raises(BridgeError, match="1 calls open"):
        in_state(State.RUNNING, WORKER).send(FINISHED)
    with pytest.raises(BridgeError, match="1 calls open"):
        list(in_state(State.RUNNING, HOST).feed(frame(m.encode(FINISHED))))


def test_a_whole_talk_arrives_as_it_was_said():
    ends = Ends()
    assert [ends.say(speaker, message) for speaker, message in A_TALK] == [[message] for _, message in A_TALK]


def heard(listener: Speaker, cut: list[int]) -> list[m.Message]:
    """What `listener` hears of the talk when its bytes come in pieces that end at `cut`.

    Between two of the listener's own messages the other end's frames come as one stream.
    """
    ends, messages, stream = Ends(), [], b""

    def deliver(data: bytes) -> None:
        edges = [0, *sorted(place % (len(data) + 1) for place in cut), len(data)]
        for start, end in itertools.pairwise(edges):
            messages.extend(ends.ends[listener].feed(data[start:end]))

    for speaker, message in A_TALK:
        if speaker is listener:
            deliver(stream)
            stream = b""
            ends.say(speaker, message)
        else:
            stream += ends.ends[speaker].send(message)
    deliver(stream)
    return messages


@pytest.mark.parametrize("listener", Speaker, ids=names)
def test_frames_that_come_one_byte_at_a_time_give_the_same_messages(listener):
    assert heard(listener, list(range(2_000))) == [message for speaker, message in A_TALK if speaker is not listener]


@settings(deadline=None)
@given(st.sampled_from(Speaker), st.lists(st.integers(0, 2_000), max_size=12))
def test_frames_that_are_cut_anywhere_give_the_same_messages(listener, cut):
    assert heard(listener, cut) == [message for speaker, message in A_TALK if speaker is not listener]


def test_half_a_frame_is_no_message_yet():
    host = Connection(HOST, LIMITS)
    data = frame(m.encode(READY))
    assert list(host.feed(data[:-1])) == []
    assert host.state is State.PREPARING
    assert list(host.feed(data[-1:])) == [READY]


@pytest.mark.parametrize("call", [0, 2, -1, 10**30])
def test_call_ids_count_from_one(call):
    refused_by_host(frame(m.encode(m.CallTool(call, "get", {}, 0))), "was next")


def test_a_call_id_is_not_used_twice_whether_open_or_closed():
    ends = Ends().run()
    ends.say(WORKER, m.CallTool(1, "get", {}, 0))
    with pytest.raises(BridgeError, match="2 was next"):
        ends.ends[WORKER].send(m.CallTool(1, "get", {}, 0))
    ends.say(HOST, m.CallReturned(1, None))
    with pytest.raises(BridgeError, match="2 was next"):
        ends.ends[WORKER].send(m.CallTool(1, "get", {}, 0))


def test_calls_are_answered_in_any_order_and_each_once():
    ends = Ends().run()
    for call in (1, 2, 3):
        ends.say(WORKER, m.CallTool(call, "get", {}, 0))
    for call in (3, 1, 2):
        ends.say(HOST, m.CallReturned(call, call))
        with pytest.raises(BridgeError, match="not open"):
            ends.ends[HOST].send(m.CallRaised(call, "ToolFailed", "late"))
    assert ends.say(WORKER, FINISHED) == [FINISHED]


def test_an_answer_to_a_call_of_the_run_before_is_refused():
    ends = Ends().run()
    ends.say(WORKER, m.CallTool(1, "get", {}, 0))
    ends.say(HOST, m.CallReturned(1, None))
    ends.say(WORKER, FINISHED)
    ends.run()
    with pytest.raises(BridgeError, match="not open"):
        ends.ends[HOST].send(m.CallReturned(1, None))


def test_the_worker_cannot_answer_its_own_call():
    call = frame(m.encode(m.CallTool(1, "get", {}, 0)))
    refused_by_host(call + frame(m.encode(m.CallReturned(1, "mine"))), "may not send CallReturned")


def test_more_calls_in_flight_than_allowed_are_refused_and_an_answer_makes_room():
    ends = Ends(Limits(calls_in_flight=2)).run()
    ends.say(WORKER, m.CallTool(1, "get", {}, 0))
    ends.say(WORKER, m.CallTool(2, "get", {}, 0))
    with pytest.raises(BridgeError, match="in flight"):
        ends.ends[WORKER].send(m.CallTool(3, "get", {}, 0))
    ends.say(HOST, m.CallReturned(1, None))
    assert ends.say(WORKER, m.CallTool(3, "get", {}, 0))


def test_more_calls_in_a_run_than_allowed_are_refused_and_the_next_run_counts_anew():
    ends = Ends(Limits(calls_per_run=1, host_calls_per_run=1))
    for _ in range(2):
        ends.run()
        for call in (1, 2):
            ends.say(WORKER, m.CallTool(call, "get", {}, 0))
            ends.say(HOST, m.CallReturned(call, None))
        with pytest.raises(BridgeError, match="more than 1 calls in one run"):
            ends.ends[WORKER].send(m.CallTool(3, "get", {}, 0))
        ends.say(WORKER, FINISHED)


def test_a_frame_that_is_too_long_is_refused_by_its_length_before_it_is_collected():
    refused_by_host(struct.pack(">I", LIMITS.frame_bytes + 1), "limit")
    refused_by_host(b"\xff\xff\xff\xff", "limit")


def test_a_message_that_is_too_long_is_not_sent_and_changes_nothing():
    ends = Ends(replace(LIMITS, frame_bytes=1_000)).run()
    with pytest.raises(BridgeError, match="limit"):
        ends.ends[WORKER].send(m.CallTool(1, "get", {"a": "x" * 1_000}, 0))
    assert ends.say(WORKER, m.CallTool(1, "get", {}, 0))


def test_a_frame_that_is_nested_too_deeply_is_refused():
    deep: object = 0
    for _ in range(LIMITS.depth + 5):
        deep = [deep]
    refused_by_host(
        frame({"says": "CallTool", "call": 1, "name": "get", "arguments": {"a": deep}, "line": 0}), "deeper"
    )
    refused_by_host(frame(b"[" * 20_000), "deeper")


@pytest.mark.parametrize(
    "data",
    [
        frame(b""),
        frame(b"\xff\xfe"),
        frame(b"{"),
        frame([]),
        frame({"says": "Hello"}),
        frame({"says": "Output", "stream": "stdout"}),
        frame(b'{"says":"Output","stream":"stdout","text":"a","text":"b"}'),
        frame(b'{"says":"Output","stream":"stdout","text":"\\ud800"}'),
        frame(b'{"says":"CallTool","call":1,"name":"get","arguments":{"a":NaN},"line":0}'),
        frame(b'{"says":"CallTool","call":true,"name":"get","arguments":{},"line":0}'),
        b"Traceback (most recent call last):\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=repr,
)
def test_garbage_is_refused(data):
    refused_by_host(data)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_messages_half_a_frame_or_refused(data):
    host = Ends().run().ends[HOST]
    try:
        for message in host.feed(data):
            assert isinstance(message, (m.Output, m.CallTool, m.Finished))
    except BridgeError:
        pass
