"""The seven messages: there and back, and what is not exactly one of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact_kernel.bridge import messages as m
from codeact_kernel.errors import BridgeError
from codeact_kernel.types import ProgramFailure, RunOutcome

FAILURE = ProgramFailure(kind="ValueError", message="no", traceback="Traceback …", line=3)
EVERY_MESSAGE = [
    m.Ready(7, ["seccomp"], ["Landlock"]),
    m.Run("1 + 1", {"get": ["user"]}, {"rows": [1]}, True),
    m.Output("stdout", "é\n"),
    m.Output("stderr", " "),
    m.CallTool(1, "get", {"user": {"id": None}}, 4),
    m.CallHost(2, "files", "read", {"path": "/input/é"}),
    m.CallReturned(1, [1.5, {"a": True}]),
    m.CallReturned(2, None),
    m.CallRaised(1, "ToolDenied", "not today"),
    m.Finished(RunOutcome()),
    m.Finished(RunOutcome(value=[1], text="[1]", is_json=True, observed=("a", "b"))),
    m.Finished(RunOutcome(failure=FAILURE)),
    m.Finished(RunOutcome(failure=ProgramFailure(kind="Crashed", message="gone"))),
]
FIELDS = [(message, name) for message in EVERY_MESSAGE for name in m.encode(message) if name not in ("says", "outcome")]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def refused(value: object) -> None:
    with pytest.raises(BridgeError):
        m.decode(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: type(message).__name__)
def test_every_message_comes_back_as_it_went(message):
    assert m.decode(m.encode(message)) == message


@pytest.mark.parametrize(
    "value", [None, True, 1, "Ready", [], {}, {"says": None}, {"says": "Hello"}, {"says": ["Run"]}]
)
def test_what_names_none_of_the_seven_is_refused(value):
    refused(value)


@pytest.mark.parametrize(
    ("message", "name"), FIELDS, ids=lambda item: item if isinstance(item, str) else type(item).__name__
)
def test_a_field_that_is_missing_is_refused(message, name):
    content = m.encode(message)
    del content[name]
    refused(content)


@pytest.mark.parametrize("message", EVERY_MESSAGE, ids=lambda message: type(message).__name__)
def test_a_field_too_many_is_refused(message):
    refused({**m.encode(message), "more": 1})


@pytest.mark.parametrize(
    ("message", "name", "wrong"),
    [
        (message, name, wrong)
        for message, name in FIELDS
        for wrong in (None, 1.5, False, 1, "text", [], {})
        if (type(message), name) != (m.CallReturned, "value") and type(m.encode(message)[name]) is not type(wrong)
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, m.Message) else repr(item),
)
def test_a_field_of_another_type_is_refused(message, name, wrong):
    refused({**m.encode(message), name: wrong})


@pytest.mark.parametrize("line", [True, False])
def test_a_bool_is_no_int(line):
    refused({**m.encode(m.CallTool(1, "get", {}, 1)), "call": line})
    refused({**m.encode(m.CallTool(1, "get", {}, 1)), "line": line})
    refused({**m.encode(m.Ready(1)), "pid": line})
    refused(finished(failure=failure(line=line)))


def test_output_goes_to_stdout_or_stderr_and_nowhere_else():
    refused({"says": "Output", "stream": "log", "text": "x"})


def test_output_of_nothing_is_refused_since_no_limit_would_count_it():
    refused({"says": "Output", "stream": "stdout", "text": ""})


@pytest.mark.parametrize("changes", [{"line": -1}, {"line": m.LAST_LINE + 1}, {"batch_size": 0}, {"name": "x" * 201}])
def test_a_call_from_no_line_or_of_an_endless_name_is_refused(changes):
    refused({**m.encode(m.CallTool(1, "get", {}, 1)), **changes})


@pytest.mark.parametrize("field", ["capability", "method"])
def test_a_host_call_with_an_endless_name_is_refused(field):
    refused({**m.encode(m.CallHost(1, "files", "read", {})), field: "x" * 201})


@pytest.mark.parametrize("layers", [[""], ["x" * 101], ["x"] * 21, ["two\nlines"], ["\u202eback"], ["\x1b[31m"]])
def test_layers_that_are_no_names_are_refused(layers):
    refused({**m.encode(m.Ready(1)), "layers": layers})
    refused({**m.encode(m.Ready(1)), "missing": layers})


def test_a_failure_is_reported_in_one_line_of_a_length_that_can_be_shown():
    forged = failure(kind="A\nB" * 100, message="one\r\ntwo\u2028three" * 1_000, traceback="x" * 100_000, line=-7)
    received = m.outcome_from_json(outcome(failure=forged)).failure
    assert received is not None
    assert len(str(received).splitlines()) == 1
    assert (len(received.kind) <= 200, len(received.message) <= 2_200, len(received.traceback) <= 65_536) == (
        True,
        True,
        True,
    )
    assert received.message.startswith("one two three")
    assert received.line is None


def outcome(**changes: object) -> dict[str, object]:
    return {"failure": None, "value": None, "text": None, "is_json": False, "observed": [], **changes}


def finished(**changes: object) -> dict[str, object]:
    return {"says": "Finished", "outcome": outcome(**changes), "state_lost": False}


def failure(**changes: object) -> dict[str, object]:
    return {"kind": "E", "message": "", "traceback": "", "line": None, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"text": 1},
        {"text": ["a"]},
        {"is_json": 1},
        {"is_json": None},
        {"observed": None},
        {"observed": [1]},
        {"observed": ["a", None]},
        {"failure": "no"},
        {"failure": {}},
        {"failure": failure(kind=None)},
        {"failure": failure(message=1)},
        {"failure": failure(traceback=[])},
        {"failure": failure(line="3")},
        {"failure": failure(line=3.0)},
        {"failure": failure(more=1)},
        {"more": 1},
    ],
    ids=repr,
)
def test_an_outcome_is_checked_field_by_field(changes):
    m.decode(finished())  # type: ignore[arg-type]  # the control: it is the change that is refused
    m.decode(finished(failure=failure()))  # type: ignore[arg-type]
    refused(finished(**changes))


@settings(deadline=None)
@given(st.sampled_from(EVERY_MESSAGE), st.data())
def test_a_message_with_anything_in_a_field_is_refused_or_a_message(message, data):
    content = m.encode(message)
    content[data.draw(st.sampled_from(sorted(content)))] = data.draw(anything)
    try:
        decoded = m.decode(content)
    except BridgeError:
        return
    assert m.encode(decoded) == content
