"""The result of a turn, filled in as the turn goes on, so that nothing is lost if it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from ..errors import UserError
from ..events import Notice, OutputWritten
from ..model.base import Delta, Message, ModelClient
from ..model.usage import estimate
from ..types import Isolation, OutputFile, ProgramFailure, RunOutcome, Stream, Timings, TurnResult, Usage
from .calls import Calls
from .context import TurnContext
from .stopwatch import Stopwatch

__all__ = ["TurnRecorder"]

_MARK = "\n… some output is left out …\n"


class TurnRecorder:
    """The growing result of one turn. Its parts are read freely, and changed only by its methods.

    Attributes:
        program: the last program.
        answer: the model's words, if it wrote no program.
        attempts: how many programs the model wrote.
        outcome: of the last run.
        error: why the turn would fail if it ended now.
        model_time, run_time, review_time: time spent on the model's answers, on runs, and on the user's reviews.
        text_time: the part of `run_time` in which a program waited for the model's text.
    """

    def __init__(self, ask: str, model: ModelClient, calls: Calls, context: TurnContext) -> None:
        self.program: str | None = None
        self.answer = ""
        self.attempts = 0
        self.model_turns = 0
        self.usage = Usage()
        self.error: ProgramFailure | None = None
        self.outcome = RunOutcome()
        self.model_time = Stopwatch()
        self.run_time = Stopwatch()
        self.review_time = Stopwatch()
        self.text_time = Stopwatch()
        self._ask = ask
        self._model = model
        self._calls = calls
        self._capabilities = context.capabilities
        self._emit = context.emit
        self._limits = context.limits
        self._isolation: Isolation | None = None
        self._is_stopped = False
        self._printed: dict[Stream, str] = {"stdout": "", "stderr": ""}
        self._printed_by_run = ""
        self._files: Sequence[OutputFile] = ()

    def start_model_turn(self) -> int:
        """Count a question to the model, and return its number."""
        self.model_turns += 1
        return self.model_turns

    def record_words(self, words: str) -> None:
        """The model answered in words."""
        self.answer, self.error = words, None

    def record_program(self, program: str, *, is_direct: bool) -> None:
        """The model wrote a program. `is_direct` is for a block that only calls a direct tool."""
        self.attempts += 1
        if not is_direct:
            self.program = program

    def record_edit(self, program: str) -> None:
        """The user changed the program."""
        self.program = program

    def forget_words(self) -> None:
        """The model wrote a program after it had answered in words."""
        self.answer = ""

    def record_error(self, kind: str, message: str, line: int | None = None) -> None:
        """Something went wrong, and the turn fails unless the model does better."""
        self.error = ProgramFailure(kind=kind, message=message, line=line)

    def forget_error(self) -> None:
        """The model called a tool itself, and sees what came of it."""
        self.error = None

    def record_stop(self) -> None:
        """The user stopped the turn."""
        self._is_stopped = True
        self.record_error("Interrupted", "stopped by the person")

    def record_outcome(self, outcome: RunOutcome) -> None:
        """A program ended."""
        self.outcome, self.error = outcome, outcome.failure

    @contextmanager
    def counting(self, messages: Sequence[Message]) -> Generator[Callable[[Delta], None]]:
        """Count the tokens of one answer, also if it is stopped or breaks off: the prompt was sent by then.

        Args:
            messages: the question to the model.

        Yields:
            A function that takes each piece of the answer.
        """
        usage: Usage | None = None
        texts: list[str] = []
        begun, was_read = False, True

        def take(delta: Delta) -> None:
            nonlocal usage, begun
            usage, begun = delta.usage or usage, True
            texts.append(delta.text)

        try:
            yield take
        except Exception:
            was_read = begun  # else the model was not reached, or refused
            raise
        finally:
            if was_read:
                self.usage += usage or estimate(messages, "".join(texts))

    def start_run(self, isolation: Isolation) -> None:
        """A program starts in a sandbox with this boundary."""
        self._isolation = isolation
        self._printed_by_run = ""

    def write(self, stream: Stream, text: str) -> None:
        """The program printed `text`."""
        self._printed_by_run = _bounded(self._printed_by_run + text, self._limits.shown_to_model * 2)
        self._printed[stream] = _bounded(self._printed[stream] + text, self._limits.output_bytes)
        self._emit(OutputWritten(stream=stream, text=text))

    @property
    def tokens(self) -> int:
        """The tokens of the turn so far, read and written."""
        return self.usage.prompt_tokens + self.usage.completion_tokens

    @property
    def printed(self) -> str:
        """The text that the current run printed, as far as a retry prompt needs it."""
        return self._printed_by_run

    @property
    def is_empty(self) -> bool:
        """Whether the turn's programs gave nothing that the user can see, and changed nothing."""
        seen = self._calls.has_acted or self._capabilities.shown or self._capabilities.has_changes
        return not (seen or self._printed["stdout"] or self._printed["stderr"] or self.outcome.text)

    def save_files(self) -> None:
        """Save what the programs wrote to /output into the working folder. The turn is over."""
        try:
            self._files = self._capabilities.save()
        except UserError as error:
            self._emit(Notice(text=str(error)))

    def timings(self) -> Timings:
        """Return the seconds so far. Time in a run that no tool, no user and no model took is the sandbox's."""
        tools, waiting = self._calls.tools_time.seconds, self._calls.waiting_time.seconds
        sandbox = max(0.0, self.run_time.seconds - tools - waiting - self.text_time.seconds)
        waiting += self.review_time.seconds
        return Timings(model=self.model_time.seconds, sandbox=sandbox, tools=tools, waiting=waiting)

    def result(self) -> TurnResult:
        """Return the result as it stands."""
        outcome = self.outcome
        return TurnResult(
            ask=self._ask,
            program=self.program,
            answer=self.answer,
            calls=tuple(self._calls.records),
            value=outcome.value if outcome.is_json else outcome.text,
            text=outcome.text,
            stdout=self._printed["stdout"],
            stderr=self._printed["stderr"],
            usage=self.usage,
            timings=self.timings(),
            outputs=self._capabilities.outputs,
            files=self._files,
            shown=tuple(self._capabilities.shown),
            error=self.error,
            stopped=self._is_stopped,
            attempts=self.attempts,
            model_turns=self.model_turns,
            model=self._model.name,
            note=self._model.note,
            isolation=self._isolation,
        )


def _bounded(text: str, max_characters: int) -> str:
    """Keep the head and the tail. The mark between them stands once, however often this is called."""
    if len(text) <= max_characters:
        return text
    half = (max_characters - len(_MARK)) // 2
    head, tail = text[:half], text[-half:]
    return head + tail if _MARK in text else head + _MARK + tail
