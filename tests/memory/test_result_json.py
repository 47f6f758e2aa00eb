"""What is kept of a turn can be read again, has bounded size, holds no secret, and is never taken from a damaged text."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import pytest

from codeact_kernel import types
from codeact_kernel.capabilities.data import Frame
from codeact_kernel.memory.result_json import (
    _LEFT_OUT,
    _READERS,
    read_record,
    result_from_json,
    result_to_json,
    write_record,
)
from codeact_kernel.render import bundle
from codeact_kernel.types import (
    CallError,
    CallRecord,
    CallResult,
    Decision,
    DisplayItem,
    Isolation,
    OutputFile,
    ProgramFailure,
    StoredResult,
    Timings,
    ToolCall,
    TurnResult,
    Usage,
)

CALL = ToolCall(
    id=1, name="get_orders", arguments={"year": 2026, "of": ["a", None]}, line=3, batch_size=2, version="v1"
)
POLICY = Decision(choice="allow_once", by="policy")
EDITED = Decision(choice="allow_session", by="user", arguments={"year": 2025})
DENIED = Decision(choice="reject", by="user", reason="too dear")


def record(call: ToolCall = CALL, decision: Decision = POLICY, answer=None, seconds: float = 0.25) -> CallRecord:
    return CallRecord(call=call, decision=decision, answer=answer or CallResult(value=[1, 2]), seconds=seconds)


FULL = TurnResult(
    ask="How many orders?",
    program="rows = get_orders(year=2026)\nlen(rows)",
    calls=(
        record(),
        record(decision=EDITED, answer=CallResult(value={"a": 1.5}, is_cut=True)),
        record(decision=DENIED, answer=CallError(kind="ToolDenied", message="too dear", is_final=True)),
        record(answer=CallResult(value=[1], stored=StoredResult(guest_ref={}, preview=[1], length=9_000))),
    ),
    value=[{"month": "May", "total": 3}, {"month": "June", "total": None}],
    text="[…]",
    stdout="working\n",
    stderr="careful\n",
    usage=Usage(prompt_tokens=812, completion_tokens=47, estimated=True),
    timings=Timings(model=1.5, sandbox=0.25, tools=0.125, waiting=2.0),
    outputs={"total": 3},
    files=(OutputFile(name="a.csv", path="a.csv", size=7, media_type="text/csv", preview="a\n1"),),
    shown=(DisplayItem(kind="table", title="Orders", data={"columns": ["a"], "rows": [[1]], "total": 1}),),
    attempts=1,
    model_turns=1,
    model="m",
    note="From a record.",
    isolation=Isolation(backend="embedded", boundary="WebAssembly", layers=("seccomp",), missing=("landlock",)),
)
FAILURE = ProgramFailure(kind="KeyError", message="'total'", traceback="Traceback …", line=2)


@pytest.mark.parametrize(
    "result",
    [
        FULL,
        TurnResult(ask="Only words.", answer="There are three."),
        dataclasses.replace(FULL, error=FAILURE, value=None, text=None),
        dataclasses.replace(
            FULL, error=ProgramFailure(kind="Interrupted", message="stopped by the user"), stopped=True
        ),
        dataclasses.replace(FULL, value=[math.inf, -math.inf, {"deep": [1e300, True, "x"]}]),
        dataclasses.replace(FULL, isolation=None, program=None, calls=()),
    ],
    ids=["whole", "words", "failed", "stopped", "numbers", "nothing ran"],
)
def test_a_result_is_the_same_after_it_was_kept_and_so_is_its_card(result):
    again = result_from_json(result_to_json(result))
    assert again == result
    assert bundle(again) == bundle(result)


def test_a_table_among_the_outputs_is_left_out_and_everything_else_stays():
    result = dataclasses.replace(FULL, outputs={"table": Frame({"a": [1]}, 1), "total": 3})
    assert result_from_json(result_to_json(result)) == dataclasses.replace(FULL, outputs={"total": 3})


def test_what_is_too_long_is_cut_and_says_so():
    calls = tuple(record(answer=CallResult(value=["x" * 50] * 10_000)) for _ in range(1_500))
    huge = dataclasses.replace(
        FULL, stdout="y" * 10**6, value=[{"n": number} for number in range(10**5)], calls=calls, program="z" * 10**6
    )
    text = result_to_json(huge)
    assert len(text) < 4 << 20
    again = result_from_json(text)
    assert "980,000 characters left out" in again.stdout
    assert "900,000 characters left out" in again.program
    assert isinstance(again.value, str) and again.value.endswith("the rest was left out")
    assert len(again.calls) == 1_000
    assert again.calls[0].answer.is_cut


def test_a_secret_of_the_environment_is_nowhere_in_it_also_where_a_text_is_cut(monkeypatch):
    secret = "s3cr3t-" + "q" * 30
    monkeypatch.setenv("SHOP_API_KEY", secret)
    monkeypatch.setenv("SHOP_PASSWORD", "1234567890")
    result = dataclasses.replace(
        FULL,
        ask=f"Use {secret}.",
        stdout="a" * 9_990 + secret + "b" * 50_000,
        value=["v" * 63_970 + secret],
        calls=(record(call=dataclasses.replace(CALL, arguments={secret: [secret, 1234567890]})),),
    )
    text = result_to_json(result)
    assert "s3cr3t" not in text
    assert "1234567890" not in text
    again = result_from_json(text)
    assert again.ask == "Use <secret>."
    assert again.calls[0].call.arguments == {"<secret>": ["<secret>", "<secret>"]}


def test_a_text_that_no_file_can_hold_is_kept_with_a_question_mark():
    assert result_from_json(result_to_json(TurnResult(ask="a\ud800b", value=["\udfff"]))).ask == "a?b"


@pytest.mark.parametrize(
    "change",
    [
        {"ask": 1}, {"ask": None}, {"more": 1}, {"calls": {}}, {"calls": [1]}, {"attempts": True}, {"attempts": "1"},
        {"usage": {"prompt_tokens": "1"}}, {"error": {"kind": "x"}}, {"timings": [1]}, {"stopped": 0},
        {"isolation": {"backend": "x", "boundary": "y", "layers": "abc"}}, {"outputs": []},
        {"shown": [{"kind": "script", "title": "", "data": ""}]},
        {"calls": [{"call": {"id": 1, "name": "f", "arguments": []}, "decision": {"choice": "allow_once", "by": "policy"},
                    "answer": {"value": 1}, "seconds": 0}]},
        {"calls": [{"call": {"id": 1, "name": "f", "arguments": {}}, "decision": {"choice": "allow", "by": "policy"},
                    "answer": {"value": 1}, "seconds": 0}]},
    ],
)  # fmt: skip
def test_a_field_of_another_type_or_name_is_refused(change):
    with pytest.raises(ValueError, match="this is not a TurnResult"):
        result_from_json(json.dumps(json.loads(result_to_json(FULL)) | change))


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", '{"ask": NaN}', "[" * 10_000, '{"ask":"a","ask":"b"}'])
def test_a_damaged_text_is_refused(text):
    with pytest.raises(ValueError, match="this is not a TurnResult"):
        result_from_json(text)


WHOLE = json.loads(result_to_json(dataclasses.replace(FULL, error=FAILURE)))
VALUES = (
    None, True, -1, 0, 2**53, 10**400, 1.5, -1e308, "", "x", "\u202e\x1b[31m<b>", [], [None], [[[]]], {}, {"a": None},
    {"": []}, {"message": 1}, {"value": 1}, {"kind": "ToolFailed", "message": "x"}, {"kind": "table", "data": 5},
)  # fmt: skip


def places(value: object) -> list[tuple[object, ...]]:
    """The way to every part of a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *[(key, *way) for key, item in entries for way in places(item)]]


def test_whatever_is_changed_in_a_kept_result_is_refused_or_has_a_card():
    for way, value in itertools.product(places(WHOLE)[1:], VALUES):
        changed = json.loads(json.dumps(WHOLE))
        part = changed
        for key in way[:-1]:
            part = part[key]
        part[way[-1]] = value
        try:
            result = result_from_json(json.dumps(changed))
        except ValueError as error:
            assert str(error).startswith("this is not a TurnResult (")
        else:
            assert set(bundle(result)) == {"text/plain", "text/markdown", "text/html"}, (way, value)
            assert result_from_json(result_to_json(result)) == result, (way, value)


def test_a_field_that_an_earlier_version_did_not_write_has_its_default():
    kept = json.loads(result_to_json(FULL))
    del kept["note"], kept["calls"][0]["call"]["version"]
    again = result_from_json(json.dumps(kept))
    assert again.note == ""
    assert again.calls[0].call.version == ""


def test_a_part_of_a_result_can_be_kept_alone():
    assert read_record(Decision, write_record(EDITED)) == EDITED
    assert read_record(ToolCall, write_record(CALL)) == CALL


def test_every_field_of_every_part_can_be_read():
    parts = (TurnResult, CallRecord, CallResult, CallError, Decision, ToolCall, Usage, Timings, OutputFile, DisplayItem,
             Isolation, ProgramFailure, StoredResult)  # fmt: skip
    assert [field for part in parts for field in dataclasses.fields(part)
            if field.type not in _READERS and f"{part.__name__}.{field.name}" not in _LEFT_OUT] == []  # fmt: skip
    assert types.TurnResult in parts
