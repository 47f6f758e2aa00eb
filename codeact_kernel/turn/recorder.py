"""Collect the result of a turn step by step, so that nothing is lost if the turn is stopped."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..capabilities.data import input_instructions
from ..errors import UserError
from ..events import ModelAnswered, Notice, OutputWritten
from ..memory.shape import describe_value, pick_value
from ..model.base import Delta, Message, ModelClient, RemoteModelClient
from ..model.usage import estimate
from ..preflight import reads_earlier_names
from ..secrets import hide_in
from ..tools import join_stubs
from ..types import CallResult, Isolation, OutputFile, ProgramFailure, RunOutcome, Stream, Timings, TurnResult, Usage
from .calls import Calls
from .context import TurnContext
from .prompt import Feedback
from .stopwatch import Stopwatch

__all__ = ["TurnRecorder"]

_MARK = "\n… some output is left out …\n"


class TurnRecorder:
    """The growing result of one turn. Only its methods change its attributes.

    Attributes:
        program: the last program.
        answer: the model's words, if it wrote no program.
        attempts: the number of programs that the model wrote.
        outcome: the outcome of the last run.
        error: the reason why the turn would fail if it ended now.
        feedback: what the last program would be answered with, if the turn went on.
        model_time, run_time, review_time: time spent on the model's answers, on runs, and on the user's reviews.
        text_time: the part of `run_time` in which a program waited for the model's text.
    """

    def __init__(self, ask: str, model: ModelClient, calls: Calls, context: TurnContext) -> None:
        self.program: str | None = None
        self.answer = ""
        self.attempts = 0
        self.model_turns = 0
        self.error: ProgramFailure | None = None
        self.outcome = RunOutcome()
        self.feedback = ""
        self.model_time = Stopwatch()
        self.run_time = Stopwatch()
        self.review_time = Stopwatch()
        self.text_time = Stopwatch()
        self._ask = ask
        self._model = model
        self._recorded = context.recorded
        self._calls = calls
        self._accounts = context.accounts
        self._capabilities = context.capabilities
        self._emit = context.emit
        self._limits = context.limits
        self._continues = tuple(context.follow_up.asks)
        self._keeps_files = context.replay is None
        self._tools = tuple(context.tools)
        self._inputs = tuple(variable.name for variable in context.inputs)
        self._isolation: Isolation | None = None
        self._is_stopped = False
        self._printed: dict[Stream, str] = {"stdout": "", "stderr": ""}
        self._printed_by_run = ""
        self._files: Sequence[OutputFile] = ()
        self._programs: list[str] = []
        self._earlier_programs: list[str] = []
        self._first_record = self._records_before_run = 0
        self._has_direct_calls = False
        self._had_changes = False
        self._seen = set[str]()
        schemas = input_instructions([replace(variable, schema_only=True) for variable in context.inputs])
        self._known = "\n".join([ask, context.follow_up.text, join_stubs(context.specs().values()), schemas])
        self._live_names = {"input", *(variable.name for variable in context.inputs)}
        if context.follow_up.results:
            self._live_names |= {"previous", "results"}

    def start_model_turn(self) -> int:
        """Count a request to the model, and return its number."""
        self.model_turns += 1
        return self.model_turns

    @property
    def note(self) -> str:
        """The sentence that says where the answers come from, if they are not from a live model."""
        return self._model.note if self._recorded is None else self._recorded.note

    @property
    def model_name(self) -> str:
        """The model that wrote the answers."""
        return self._model.name if self._recorded is None else self._recorded.model

    def leave_record(self) -> None:
        """Record that the model is asked after all."""
        self._recorded = None

    def record_words(self, words: str) -> None:
        """Record that the model answered in words."""
        self.answer, self.error = words, None

    def record_program(self, program: str, *, is_direct: bool) -> None:
        """Record that the model wrote a program, or with `is_direct` a block that only calls a direct tool."""
        self.attempts += 1
        if not is_direct:
            self.program = program

    def record_edit(self, program: str) -> None:
        """Record that the user changed the program."""
        self.program = program

    def forget_words(self) -> None:
        """Forget an answer in words, because the model wrote a program after it."""
        self.answer = ""

    def record_error(self, kind: str, message: str, line: int | None = None) -> None:
        """Record an error. The turn fails with it unless a retry succeeds."""
        self.error = ProgramFailure(kind=kind, message=message, line=line)

    def forget_error(self) -> None:
        """Forget the error, because the model made a direct call and sees its outcome."""
        self.error = None

    def record_feedback(self, feedback: Feedback | None) -> None:
        """Record what a model would be told now, although the turn has ended."""
        self.feedback = "" if feedback is None else feedback.message.content

    def record_stop(self) -> None:
        """Record that the user stopped the turn."""
        self._is_stopped = True
        self.record_error("Interrupted", "stopped by the user")

    def record_outcome(self, program: str, outcome: RunOutcome) -> None:
        """Record the outcome of a program."""
        self.outcome, self.error = outcome, outcome.failure
        if not reads_earlier_names(program, self._earlier_programs):
            can_be_repeated = not self._had_changes and self._seen <= self._read_by(program)
            self._programs, self._first_record = [program] if can_be_repeated else [], self._records_before_run
        elif self._programs:
            self._programs.append(program)
        self._seen |= self._read_by(program)
        if outcome.failure is not None:
            self._programs = []
        self._earlier_programs = [] if outcome.state_lost else [*self._earlier_programs, program]

    def record_direct_call(self) -> None:
        """Record that the model made a call itself. Its programs hold what it then saw, so they cannot be repeated."""
        self.forget_error()
        self._has_direct_calls = True

    @contextmanager
    def counting(self, messages: Sequence[Message]) -> Generator[Callable[[Delta], None]]:
        """Count the tokens of one answer, even if it is stopped or fails after the prompt was sent, and report its end.

        Args:
            messages: the request to the model.

        Yields:
            A function that takes each piece of the answer.
        """
        usage: Usage | None = None
        finish: str | None = None
        texts: list[str] = []
        begun, was_read, error = False, True, ""

        def take(delta: Delta) -> None:
            nonlocal usage, finish, begun
            usage, finish, begun = delta.usage or usage, delta.finish or finish, True
            texts.append(delta.text)

        try:
            yield take
        except BaseException as problem:
            error = type(problem).__name__
            if isinstance(problem, Exception):
                was_read = begun  # else the endpoint was not reached, or rejected the request
            raise
        finally:
            tokens = (usage or estimate(messages, "".join(texts))) if was_read else Usage()
            model = self._model
            if was_read:
                self._accounts.charge_answer(model, tokens)
            endpoint = model.endpoint if isinstance(model, RemoteModelClient) else ""
            self._emit(
                ModelAnswered(
                    number=self.model_turns,
                    usage=tokens,
                    finish=finish,
                    error=error,
                    model=model.name,
                    note=model.note,
                    endpoint=endpoint,
                )
            )

    def start_run(self, isolation: Isolation) -> None:
        """Record that a program starts in a sandbox with this isolation."""
        self._isolation = isolation
        self._printed_by_run = ""
        self._records_before_run = len(self._calls.records)
        self._had_changes = self._capabilities.has_changes

    def write(self, stream: Stream, text: str) -> None:
        """Record text that the program printed."""
        self._printed_by_run = _bounded(self._printed_by_run + text, self._limits.shown_to_model * 2)
        self._printed[stream] = _bounded(self._printed[stream] + text, self._limits.output_characters)
        self._emit(OutputWritten(stream=stream, text=text))

    def _read_by(self, program: str) -> set[str]:
        """Return the tools and variables that the last run read.

        The model may have seen what a program read, and may have written it into the program after it. Only if that one
        reads the same again, it can be repeated on other data.
        """
        records = self._calls.records[self._records_before_run :]
        called = {record.call.name for record in records if isinstance(record.answer, CallResult)}
        return called | (self._live_names & set(re.findall(r"\w+", program)))

    def _has_lost_effects(self) -> bool:
        """Whether a program that failed has changed something that the programs after it did not change again."""
        records, start = self._calls.records, self._first_record
        return not self._calls.effects(records[:start]) <= self._calls.effects(records[start:])

    @property
    def printed(self) -> str:
        """The text that the current run printed, shortened for the feedback to the model."""
        return self._printed_by_run

    @property
    def is_empty(self) -> bool:
        """Whether the programs of the turn changed nothing and produced nothing that the user can see."""
        seen = self._calls.has_acted or self._capabilities.shown or self._capabilities.has_changes
        return not (seen or self._printed["stdout"] or self._printed["stderr"] or self.outcome.text)

    def save_files(self) -> None:
        """Save the files of /output in the working folder, after the last program, unless the turn only repeats one."""
        if not self._keeps_files:
            self._capabilities.close()
            return
        try:
            self._files = self._capabilities.save()
        except UserError as error:
            self._emit(Notice(text=str(error)))

    def timings(self) -> Timings:
        """Return the seconds so far. The sandbox gets the time of runs in which no tool, user or model was busy."""
        tools, waiting = self._calls.tools_time.seconds, self._calls.waiting_time.seconds
        sandbox = max(0.0, self.run_time.seconds - tools - waiting - self.text_time.seconds)
        waiting += self.review_time.seconds
        return Timings(model=self.model_time.seconds, sandbox=sandbox, tools=tools, waiting=waiting)

    def result(self) -> TurnResult:
        """Return the result as it stands, without secrets."""
        outcome = self.outcome
        result = TurnResult(
            ask=self._ask,
            program=self.program,
            programs=() if self._has_direct_calls or self._has_lost_effects() else tuple(self._programs),
            tools=self._tools,
            inputs=self._inputs,
            answer=self.answer,
            calls=tuple(self._calls.records),
            first_call=self._first_record,
            value=outcome.value if outcome.is_json else outcome.text,
            text=outcome.text,
            stdout=self._printed["stdout"],
            stderr=self._printed["stderr"],
            usage=self._accounts.cell.usage,
            timings=self.timings(),
            outputs=self._capabilities.outputs,
            files=self._files,
            shown=tuple(self._capabilities.shown),
            error=self.error,
            feedback=self.feedback,
            stopped=self._is_stopped,
            attempts=self.attempts,
            model_turns=self.model_turns,
            model=self.model_name,
            note=self.note,
            continues=self._continues,
            isolation=self._isolation,
        )
        result = hide_in(result)
        data = pick_value(result)
        # Not what the model saw of the data: a recorded program gives the same shape, and no model has seen its data.
        known = "\n".join([self._known, *self._programs, self.program or ""])
        return replace(result, data=data, shape=describe_value(data, known))


def _bounded(text: str, max_characters: int) -> str:
    """Keep the head and the tail of the text, with a single mark between them however often this is called."""
    if len(text) <= max_characters:
        return text
    half = (max_characters - len(_MARK)) // 2
    head, tail = text[:half], text[-half:]
    return head + tail if _MARK in text else head + _MARK + tail
