"""Record the answers of a model in a file, and answer from it. Examples ship with records for users without a model.

An answer is found by its ask (the exact prompt of the user) and its step (how many answers of the turn precede it).
Both are read from the messages: the first message of the user ends with the ask.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar, cast

from ..errors import ModelError, UserError
from ..types import JSONObject, Usage
from .base import Delta, Message, ModelClient, RemoteModelClient, start_stream
from .scripted import stream_text
from .usage import estimate

__all__ = ["RecordedAnswer", "RecordedModel", "RecordingModel"]

T = TypeVar("T", str, int)

VERSION = 1
FILE_BYTES = 1 << 20
NAME_CHARACTERS = 200
LARGEST_NUMBER = 1 << 40


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedAnswer:
    """One answer of a model with its tokens."""

    ask: str
    step: int
    text: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    model: str
    recorded: str
    answers: Mapping[tuple[str, int], RecordedAnswer]


class RecordedModel:
    """Answer from a record. Use `RecordedModel.load` to make one."""

    def __init__(self, record: Record) -> None:
        self.name = record.model
        self.note = (
            f"Recorded answer of {record.model} ({record.recorded}): the model was not asked now; "
            f"the sandbox and the tools ran live."
        )
        self._answers = record.answers

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecordedModel:
        """Read a record.

        Raises:
            UserError: if the file cannot be read, or is not a record.
        """
        return cls(load_record(Path(path)))

    async def stream(
        self, messages: Sequence[Message], functions: Sequence[JSONObject] = ()
    ) -> AsyncGenerator[Delta, None]:
        """Answer in pieces.

        Raises:
            ModelError: if the record has no answer to this ask, or no answer at this step.
        """
        ask, step = locate_turn(messages, {ask for ask, _ in self._answers})
        if ask is None:
            raise ModelError(
                "The record holds no answer to this prompt: configure a model (OPENAI_API_KEY, "
                "AZURE_OPENAI_ENDPOINT, or a running Ollama), or restore the example's prompt."
            )
        answer = self._answers.get((ask, step))
        if answer is None:
            raise ModelError(
                f"The record ends after {step} answers to this prompt: restore the example's tools and data, "
                "or configure a model."
            )
        usage = Usage(prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens)
        async for delta in stream_text(answer.text, usage):
            yield delta


class RecordingModel:
    """Pass on the answers of a model, and record each when it is complete or the caller stops reading.

    Args:
        inner: the real model.
        path: the record, which is created if it does not exist. An answer to the same ask and step is replaced.
        asks: the prompts of the example. For any other prompt the ask is the whole first message of the user.
    """

    def __init__(self, inner: ModelClient, path: str | os.PathLike[str], asks: Collection[str] = ()) -> None:
        self.name = inner.name
        self.note = inner.note
        if isinstance(inner, RemoteModelClient):
            self.endpoint = inner.endpoint
        self._inner = inner
        self._path = Path(path)
        self._asks = {ask.strip() for ask in asks}

    async def stream(
        self, messages: Sequence[Message], functions: Sequence[JSONObject] = (), max_tokens: int | None = None
    ) -> AsyncGenerator[Delta, None]:
        """Ask the inner model.

        Raises:
            ModelError: if the inner model raises it. Nothing is recorded then.
            UserError: if the file is not a record, or is a record of another model.
        """
        texts: list[str] = []
        usage: Usage | None = None
        stream = start_stream(self._inner, messages, functions, max_tokens)
        try:
            async for delta in stream:
                texts.append(delta.text)
                usage = delta.usage or usage
                yield delta
        except GeneratorExit:
            # The caller stops when the program is complete, so the answer is the text until here.
            self._keep(messages, "".join(texts), usage)
            raise
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()
        self._keep(messages, "".join(texts), usage)

    def _keep(self, messages: Sequence[Message], text: str, usage: Usage | None) -> None:
        usage = usage or estimate(messages, text)
        ask, step = locate_turn(messages, self._asks)
        answer = RecordedAnswer(
            ask=first_user_text(messages) if ask is None else ask,
            step=step,
            text=text,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )
        answers: dict[tuple[str, int], RecordedAnswer] = {}
        if self._path.exists():
            record = load_record(self._path)
            if record.model != self.name:
                raise UserError(f"{self._path} holds answers of {record.model}: record {self.name} in another file.")
            answers.update(record.answers)
        answers[answer.ask, answer.step] = answer
        save_record(self._path, Record(model=self.name, recorded=date.today().isoformat(), answers=answers))


def locate_turn(messages: Sequence[Message], asks: Collection[str]) -> tuple[str | None, int]:
    """Return which of `asks` the messages are about, and how many answers they contain."""
    text = first_user_text(messages)
    step = sum(message.role == "assistant" for message in messages)
    ends = [ask for ask in asks if text == ask or text.endswith("\n" + ask)]
    return max(ends, key=len, default=None), step


def first_user_text(messages: Sequence[Message]) -> str:
    return next((message.content.strip() for message in messages if message.role == "user"), "")


def load_record(path: Path) -> Record:
    try:
        # A FIFO would wait for a writer.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UserError(f"{path} is not a record of a model (not a file): check its path.")
            data = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise UserError(f"The record {path} cannot be read ({error.strerror}): check its path.") from None
    if len(data) > FILE_BYTES:
        raise UserError(f"The record {path} is larger than {FILE_BYTES:,} bytes: record the example again.")
    try:
        return parse_record(json.loads(data))
    except (ValueError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else "not JSON"
        raise UserError(f"{path} is not a record of a model ({reason}): record the example again.") from None


def parse_record(value: object) -> Record:
    """Check the shape of a record.

    Raises:
        ValueError: if the shape is wrong. The message says why in a few words.
    """
    table = to_object(value)
    if table.get("version") != VERSION:
        raise ValueError(f"its version is not {VERSION}")
    entries = table.get("answers")
    if not isinstance(entries, list):
        raise ValueError("it has no list of answers")
    answers: dict[tuple[str, int], RecordedAnswer] = {}
    for entry in cast("list[object]", entries):
        row = to_object(entry)
        answer = RecordedAnswer(
            ask=take_field(row, "ask", str).strip(),
            step=take_field(row, "step", int),
            text=take_field(row, "text", str),
            prompt_tokens=take_field(row, "prompt_tokens", int),
            completion_tokens=take_field(row, "completion_tokens", int),
        )
        answers[answer.ask, answer.step] = answer
    model, recorded = take_field(table, "model", str), take_field(table, "recorded", str)
    if not 0 < len(model) <= NAME_CHARACTERS or not model.isprintable():
        raise ValueError("the model's name is too long or empty, or has invisible characters")
    return Record(model=model, recorded=date.fromisoformat(recorded).isoformat(), answers=answers)


def to_object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("it is not made of objects")
    return cast("dict[str, object]", value)


def take_field(row: Mapping[str, object], name: str, kind: type[T]) -> T:
    value = row.get(name)
    if type(value) is not kind or (isinstance(value, int) and not 0 <= value <= LARGEST_NUMBER):
        raise ValueError(f"{name!r} is missing or has the wrong type")
    return cast(T, value)


def save_record(path: Path, record: Record) -> None:
    answers = [asdict(answer) for answer in record.answers.values()]
    table = {"version": VERSION, "model": record.model, "recorded": record.recorded, "answers": answers}
    # The file is replaced as a whole, so that an interrupted recording leaves the old file.
    beside = path.with_name(path.name + ".new")
    try:
        beside.unlink(missing_ok=True)  # otherwise a link in the folder could make us write to another file
        with beside.open("x", encoding="utf-8") as file:
            file.write(json.dumps(table, indent=1) + "\n")
        os.replace(beside, path)
    except OSError as error:
        raise UserError(f"The record {path} cannot be written ({error.strerror}): check its path.") from None
