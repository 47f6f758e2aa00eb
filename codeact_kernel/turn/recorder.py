"""What a turn has come to so far: filled in as it goes, so that nothing is lost when it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from ..capabilities.registry import CapabilitySet
from ..errors import UserError
from ..events import Emit, Notice, OutputWritten
from ..model.base import Delta, Message, ModelClient
from ..model.usage import estimate
from ..settings import Limits
from ..types import Isolation, OutputFile, ProgramFailure, RunOutcome, Stream, Timings, TurnResult, Usage
from .calls import Calls, Stopwatch

__all__ = ["TurnRecorder"]

_MARK = "\n… some output is left out …\n"


class TurnRecorder:
    """The growing result of one turn."""

    def __init__(
        self, ask: str, model: ModelClient, calls: Calls, reach: CapabilitySet, emit: Emit, limits: Limits
    ) -> None:
        self.program: str | None = None
        self.run_turn_loop = ""
        self.attempts = 0
        self.model_turns = 0
        self.usage = Usage()
        self.error: ProgramFailure | None = None
        self.stopped = False
        self.outcome = RunOutcome()
        self.isolation: Isolation | None = None
        self.model_time = Stopwatch()
        self.run_time = Stopwatch()
        self.review_time = Stopwatch()
        self.text_time = Stopwatch()
        self._ask = ask
        self._model = model
        self._calls = calls
        self._reach = reach
        self._emit = emit
        self._limits = limits
        self._printed: dict[Stream, str] = {"stdout": "", "stderr": ""}
        self._this_run = ""
        self._files: Sequence[OutputFile] = ()

    @contextmanager
    def counting(self, messages: Sequence[Message]) -> Generator[Callable[[Delta], None]]:
        """Count the tokens of one answer, also of an answer that is stopped or breaks off: the prompt was sent.

        Args:
            messages: what the model is asked.

        Yields:
            What takes each piece of the answer.
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

    def begin_run(self, isolation: Isolation) -> None:
        """A program starts."""
        self.isolation = isolation
        self._this_run = ""

    def write(self, stream: Stream, text: str) -> None:
        """The program printed."""
        self._this_run = _bounded(self._this_run + text, self._limits.shown_to_model * 2)
        self._printed[stream] = _bounded(self._printed[stream] + text, self._limits.output_bytes)
        self._emit(OutputWritten(stream=stream, text=text))

    @property
    def printed(self) -> str:
        """What the present run printed, as far as a repair prompt needs it."""
        return self._this_run

    @property
    def is_empty(self) -> bool:
        """Whether the turn's programs came to nothing that the user can see, and changed nothing."""
        seen = self._calls.has_acted or self._reach.shown or self._reach.has_changes
        return not (seen or self._printed["stdout"] or self._printed["stderr"] or self.outcome.text)

    def keep_files(self) -> None:
        """The turn is over: what was written for the person is put where they find it."""
        try:
            self._files = self._reach.save()
        except UserError as error:
            self._emit(Notice(text=str(error)))

    def timings(self) -> Timings:
        """Seconds so far; what of a run was no tool, no person and no waiting for the model is the sandbox's."""
        tools, waiting = self._calls.tools_time.seconds, self._calls.waiting_time.seconds
        sandbox = max(0.0, self.run_time.seconds - tools - waiting - self.text_time.seconds)
        waiting += self.review_time.seconds
        return Timings(model=self.model_time.seconds, sandbox=sandbox, tools=tools, waiting=waiting)

    def result(self) -> TurnResult:
        """All of it, as it stands."""
        outcome = self.outcome
        return TurnResult(
            ask=self._ask,
            program=self.program,
            answer=self.run_turn_loop,
            calls=tuple(self._calls.records),
            value=outcome.value if outcome.is_json else outcome.text,
            text=outcome.text,
            stdout=self._printed["stdout"],
            stderr=self._printed["stderr"],
            usage=self.usage,
            timings=self.timings(),
            outputs=self._reach.outputs,
            files=self._files,
            shown=tuple(self._reach.shown),
            error=self.error,
            stopped=self.stopped,
            attempts=self.attempts,
            model_turns=self.model_turns,
            model=self._model.name,
            note=self._model.note,
            isolation=self.isolation,
        )


def _bounded(text: str, most: int) -> str:
    """The head and the tail; called again as text is added, so the mark stands once."""
    if len(text) <= most:
        return text
    half = (most - len(_MARK)) // 2
    head, tail = text[:half], text[-half:]
    return head + tail if _MARK in text else head + _MARK + tail
