from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from codeact_kernel.errors import ModelError, UserError
from codeact_kernel.model.base import Delta, Message, ModelClient
from codeact_kernel.model.recorded import FILE_BYTES, RecordedModel, RecordingModel
from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.types import Usage

ASK = "Which user spent the most?"
ANSWER = {"ask": ASK, "step": 0, "text": "```python\nbest()\n```", "prompt_tokens": 40, "completion_tokens": 7}


def record_in(folder: Path, *answers: object, **more: object) -> Path:
    table = {"version": 1, "model": "small-1.5b", "recorded": "2026-11-22", "answers": list(answers), **more}
    path = folder / "record.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def first(ask: str = ASK, before: str = "Tools:\n\n") -> tuple[Message, ...]:
    return Message("system", "Write Python."), Message("user", before + ask)


def second(ask: str = ASK) -> tuple[Message, ...]:
    return *first(ask), Message("assistant", "```python\nx\n```"), Message("user", f"It failed: NameError\n{ASK}")


def ask_model(model: ModelClient, messages: Sequence[Message]) -> tuple[str, Delta]:
    async def collect() -> list[Delta]:
        return [delta async for delta in model.stream(messages)]

    deltas = asyncio.run(collect())
    return "".join(delta.text for delta in deltas), deltas[-1]


def test_a_recorded_answer_comes_back_with_its_tokens(tmp_path: Path) -> None:
    text, last = ask_model(RecordedModel.load(record_in(tmp_path, ANSWER)), first())
    assert text == "```python\nbest()\n```"
    assert last == Delta(usage=Usage(prompt_tokens=40, completion_tokens=7), finish="stop")


def test_a_recorded_answer_says_that_the_model_was_not_asked_now(tmp_path: Path) -> None:
    model = RecordedModel.load(record_in(tmp_path, ANSWER))
    assert model.name == "small-1.5b"
    assert model.note == (
        "Recorded answer of small-1.5b (2026-11-22): the model was not asked now; the sandbox and the tools ran live."
    )


def test_a_repair_takes_the_answer_of_its_step(tmp_path: Path) -> None:
    model = RecordedModel.load(record_in(tmp_path, ANSWER, {**ANSWER, "step": 1, "text": "better"}))
    assert ask_model(model, second())[0] == "better"


@pytest.mark.parametrize("ask", ["Which user spent the least?", f"Never tell: {ASK}", ASK + "!", ASK.lower(), ""])
def test_another_ask_is_not_answered_from_the_record(tmp_path: Path, ask: str) -> None:
    model = RecordedModel.load(record_in(tmp_path, ANSWER))
    with pytest.raises(ModelError, match=r"holds no answer to this prompt: configure a model .*, or restore the"):
        ask_model(model, first(ask))


def test_the_longest_recorded_ask_is_the_one_that_is_meant(tmp_path: Path) -> None:
    longer = {**ANSWER, "ask": f"Be brief.\n{ASK}", "text": "brief"}
    model = RecordedModel.load(record_in(tmp_path, ANSWER, longer))
    assert ask_model(model, first(f"Be brief.\n{ASK}"))[0] == "brief"


def test_a_step_beyond_the_record_is_told_apart_from_an_unknown_ask(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ends after 1 answers"):
        ask_model(RecordedModel.load(record_in(tmp_path, ANSWER)), second())


@pytest.mark.parametrize(
    "more",
    [
        {"version": 2},
        {"answers": {}},
        {"answers": [7]},
        {"answers": [{**ANSWER, "step": "0"}]},
        {"answers": [{**ANSWER, "step": True}]},
        {"answers": [{**ANSWER, "step": -1}]},
        {"answers": [{**ANSWER, "text": None}]},
        {"model": 5},
        {"model": ""},
        {"model": "m" * 201},
        {"model": "two\nlines"},
        {"model": "\x1b[31mred"},
        {"model": "\u202eback"},
        {"answers": [{**ANSWER, "prompt_tokens": 10**20}]},
        {"recorded": None},
        {"recorded": "yesterday"},
    ],
)
def test_a_file_of_another_shape_is_no_record(tmp_path: Path, more: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"is not a record of a model .*: record the example again"):
        RecordedModel.load(record_in(tmp_path, **more))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"7", b"[" * 100_000])
def test_a_file_that_is_no_json_object_is_no_record(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(data)
    with pytest.raises(UserError, match="is not a record"):
        RecordedModel.load(path)


def test_a_file_over_the_size_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b" " * (FILE_BYTES + 1))
    with pytest.raises(UserError, match="larger than 1,048,576 bytes"):
        RecordedModel.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.json cannot be read"):
        RecordedModel.load(tmp_path / "absent.json")


def test_what_was_recorded_can_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    usage = Usage(prompt_tokens=3, completion_tokens=2)
    recording = RecordingModel(ScriptedModel(["ä\ud83d", "two"], name="m", usage=usage), path, asks=[ASK])
    assert ask_model(recording, first())[0] == "ä\ud83d"
    assert ask_model(recording, second())[0] == "two"
    replay = RecordedModel.load(path)
    assert replay.name == "m"
    assert ask_model(replay, first(before="Other tools now:\n")) == ("ä\ud83d", Delta(usage=usage, finish="stop"))
    assert ask_model(replay, second())[0] == "two"
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


def test_recording_again_replaces_the_answer(tmp_path: Path) -> None:
    path = record_in(tmp_path, ANSWER)
    ask_model(RecordingModel(ScriptedModel(["new"], name="small-1.5b"), path, asks=[ASK]), first())
    assert ask_model(RecordedModel.load(path), first())[0] == "new"
    assert len(json.loads(path.read_text())["answers"]) == 1


def test_an_ask_that_was_not_announced_is_recorded_as_the_whole_message(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    ask_model(RecordingModel(ScriptedModel(["one"]), path), first(before="Tools:\n"))
    assert json.loads(path.read_text())["answers"][0]["ask"] == f"Tools:\n{ASK}"


def test_an_answer_that_was_read_only_to_its_program_is_recorded_so_far(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    recording = RecordingModel(ScriptedModel(["0123456789"]), path, asks=[ASK])

    async def read_one() -> str:
        async with aclosing(recording.stream(first())) as deltas:
            return (await anext(deltas)).text

    piece = asyncio.run(read_one())
    assert ask_model(RecordedModel.load(path), first())[0] == piece != "0123456789"


def test_a_failed_answer_is_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with pytest.raises(ModelError):
        ask_model(RecordingModel(ScriptedModel([]), path, asks=[ASK]), first())
    assert not path.exists()


def test_answers_of_two_models_are_not_mixed_in_one_file(tmp_path: Path) -> None:
    path = record_in(tmp_path, ANSWER)
    with pytest.raises(UserError, match=r"holds answers of small-1.5b: record big in another file"):
        ask_model(RecordingModel(ScriptedModel(["x"], name="big"), path), first())


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and links of POSIX")
def test_what_is_no_file_is_no_record_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("fifo", "endless", "."):
        with pytest.raises(UserError, match=r"not a file|cannot be read"):
            RecordedModel.load(tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_link_that_came_with_the_folder_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("mine")
    for name in ("record.json", "record.json.new"):
        folder = tmp_path / name.replace(".", " ")
        folder.mkdir()
        (folder / name).symlink_to(tmp_path / "own")
        recording = RecordingModel(ScriptedModel(["x"], name="m"), folder / "record.json")
        if name == "record.json":
            with pytest.raises(UserError, match="is not a record"):
                ask_model(recording, first())
        else:
            ask_model(recording, first())
            assert not (folder / "record.json").is_symlink()
    assert (tmp_path / "own").read_text() == "mine"


def test_a_model_that_is_recorded_is_where_it_was(tmp_path):
    here, there = ScriptedModel([]), ScriptedModel([])
    there.endpoint = "https://models.example/v1"
    assert RecordingModel(there, tmp_path / "record.json").endpoint == "https://models.example/v1"
    assert not hasattr(RecordingModel(here, tmp_path / "record.json"), "endpoint")
