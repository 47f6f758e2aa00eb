"""A program that runs for a client, however many of its requests that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..approval import Approver
from ..events import CallFinished, Emit, Event, Notice
from ..render.escaping import one_line
from ..types import TurnResult
from .approvals import FormAnswer

__all__ = ["Execute", "Question", "Run"]

Execute = Callable[[Approver, Emit], Awaitable[TurnResult]]
"""Runs the program to its end."""


@dataclass(slots=True)
class Question:
    """A form that waits for its answer."""

    text: str
    answer: asyncio.Future[FormAnswer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Run:
    """One program, which runs in a task of its own: a request of the client that ends does not end it.

    Attributes:
        questions: the open questions, by their keys, if the client answers them with its next request.
        notices: sentences about the run.
        calls: how many calls are finished.
        last_call: the tool that was called last.
    """

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}
        self.notices: list[str] = []
        self.calls = 0
        self.last_call = ""
        self._news = asyncio.Event()
        self._task: asyncio.Task[TurnResult] | None = None

    def start(self, execute: Execute, approver: Approver) -> None:
        """Start the program."""

        async def run() -> TurnResult:
            return await execute(approver, self._note)

        self._task = asyncio.create_task(run())
        self._task.add_done_callback(lambda _: self._news.set())

    async def ask(self, text: str, key: str) -> FormAnswer:
        """Wait until the client has answered the question."""
        question = self.questions[key] = Question(text)
        self._news.set()
        try:
            return await question.answer
        finally:
            self.questions.pop(key, None)

    def take_answer(self, key: str, answer: FormAnswer) -> None:
        """Take the answer to a question. An answer to another one is ignored."""
        question = self.questions.pop(key, None)
        if question is not None and not question.answer.done():
            question.answer.set_result(answer)

    async def wait_for_news(self) -> None:
        """Wait until the program has ended, made a call or asked something."""
        await self._news.wait()
        self._news.clear()

    @property
    def is_done(self) -> bool:
        """Whether the program has ended."""
        return self._task is not None and self._task.done()

    def result(self) -> TurnResult:
        """Return the result of a program that has ended, or raise why it has none."""
        assert self._task is not None
        return self._task.result()

    def stop(self) -> None:
        """Stop the program. Its sandbox ends in the background."""
        if self._task is not None:
            self._task.cancel()

    async def aclose(self) -> None:
        """Stop the program, and wait until its sandbox has ended."""
        self.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _note(self, event: Event) -> None:
        match event:
            case CallFinished(call=call):
                self.calls += 1
                self.last_call = one_line(call.title)
                self._news.set()
            case Notice(text=text):
                self.notices.append(text)
            case _:
                pass
