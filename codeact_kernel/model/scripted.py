"""A model that answers from a list, for tests and for examples without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeAlias

from ..errors import ModelError
from ..types import JSONObject, Usage
from .base import Delta, Message
from .usage import estimate

__all__ = ["Answerer", "ScriptedModel", "stream_text"]

Answerer: TypeAlias = Callable[[Sequence[Message]], str]

DELTA_CHARACTERS = 7


class ScriptedModel:
    """Answer with the next text of a script each time.

    Args:
        answers: texts, or functions that receive the messages and return a text.
        name: the name that the cell shows.
        usage: the tokens of every answer; by default they are estimated from the text.

    Attributes:
        asked: the messages of each request so far.
    """

    note = "Answers come from a script, not from a model."

    def __init__(
        self, answers: Sequence[str | Answerer], name: str = "scripted", *, usage: Usage | None = None
    ) -> None:
        self.name = name
        self.asked: list[tuple[Message, ...]] = []
        self._answers = tuple(answers)
        self._usage = usage

    async def stream(
        self, messages: Sequence[Message], functions: Sequence[JSONObject] = ()
    ) -> AsyncGenerator[Delta, None]:
        """Answer in small pieces, as a real model does.

        Raises:
            ModelError: if the script has no answer left.
        """
        turn = len(self.asked)
        self.asked.append(tuple(messages))
        if turn >= len(self._answers):
            raise ModelError(
                f"The script of {self.name!r} has {len(self._answers)} answers and was asked once more: add an answer."
            )
        answer = self._answers[turn]
        text = answer if isinstance(answer, str) else answer(messages)
        async for delta in stream_text(text, self._usage or estimate(messages, text)):
            yield delta


async def stream_text(text: str, usage: Usage) -> AsyncGenerator[Delta, None]:
    """Cut a finished answer into the pieces of a stream."""
    for start in range(0, len(text), DELTA_CHARACTERS):
        yield Delta(text=text[start : start + DELTA_CHARACTERS])
        # Lets other tasks run and cancellation arrive, as a real stream does.
        await asyncio.sleep(0)
    yield Delta(usage=usage, finish="stop")
