"""The loop of a turn: ask the model, check its program, run it against the tools, and give the result or try again.

    ask → program → run ⇄ tool calls → result

The model gets another try after a program that was rejected or that failed (at most `max_retries` times), after one
that asked to see something with `observe(...)`, after one that the user sent back, and after a call of a direct tool.
Everything that happens is emitted as an event. Nothing here knows about notebooks.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..errors import CodeActError, ModelError
from ..events import Notice, RetryStarted, ReviewDecided, ReviewRequested, TurnFinished, TurnStarted
from ..model.base import Message, ModelClient, RemoteModelClient
from ..sandbox.pool import Pool
from ..text import truncate
from ..types import RunOutcome, ToolCall, TurnResult
from . import prompt
from .budget import TurnBudget
from .calls import Calls
from .context import TurnContext
from .direct_call import DirectCall
from .eager import EagerRun
from .program_checker import ProgramChecker
from .prompt import Feedback
from .recorder import TurnRecorder
from .runner import ProgramRunner
from .tool_offer import offer_tools
from .writer import Answer, Program, ProgramWriter, Unusable, Words

__all__ = ["run_turn"]

_WORDS_SHOWN = 4_000
"""Characters of an answer in words that the model is shown again."""

_ASK_AGAIN = "Run the cell again, or try another model."


async def run_turn(ask: str, context: TurnContext, model: ModelClient, sandboxes: Pool) -> TurnResult:
    """Run one turn, from the user's prompt to its result.

    A program that fails after all retries does not raise: the result's `error` says why it failed.

    Args:
        ask: the user's prompt.
        sandboxes: the pool that provides the sandbox.

    Raises:
        ModelError: if the model gives no usable answer.
        SandboxError: if no sandbox starts.
    """
    emit, calls = context.emit, Calls(context)
    recorder = TurnRecorder(ask, model, calls, context)
    offer = offer_tools(context.specs(), ask, context.follow_up, context.limits.tools_tokens)
    checker = ProgramChecker(context, shown={spec.name for spec in offer.shown})
    writer = ProgramWriter(context, model, checker, recorder)
    endpoint = model.endpoint if isinstance(model, RemoteModelClient) else ""
    messages = prompt.write_first_messages(
        ask, offer.shown, context.capabilities.instructions, context.follow_up.text, context.guest, offer.others
    )
    emit(
        TurnStarted(
            ask=ask,
            model=recorder.model_name,
            note=recorder.note,
            tools=tuple(context.tools),
            continues=tuple(context.follow_up.asks),
            endpoint=endpoint,
        )
    )
    context.accounts.report()
    for notice in context.notices:
        emit(Notice(text=notice))
    try:
        async with sandboxes.checkout() as sandbox:
            runner = ProgramRunner(context, sandbox, checker, calls, recorder)
            await TurnLoop(context, writer, runner).run(messages)
    except asyncio.CancelledError:
        recorder.record_stop()
        raise
    except CodeActError as error:
        recorder.record_error(type(error).__name__, str(error))
        raise
    finally:
        recorder.save_files()
        result = recorder.result()
        emit(TurnFinished(result=result, usage=result.usage, timings=result.timings))
    return result


class TurnLoop:
    """Asks for programs and runs them until a program gives the result or the budget is used up."""

    def __init__(self, context: TurnContext, writer: ProgramWriter, runner: ProgramRunner) -> None:
        self.context = context
        self.writer = writer
        self.runner = runner
        self.checker, self.calls, self.recorder = runner.checker, runner.calls, runner.recorder
        self.budget = TurnBudget(context.settings)

    async def run(self, messages: list[Message]) -> None:
        """Continue from these messages to the end of the turn. The recorder has the result."""
        feedback: Feedback | None = None
        while await self.may_ask(messages, feedback):
            is_recorded = self.writer.is_recorded
            async with self.runner.eager_run(keep_state=is_recorded or not self.budget.is_last_program) as eager:
                match await self.ask_model(messages, eager):
                    case Words(text):
                        shown, feedback = text[:_WORDS_SHOWN], None if is_recorded else self.ask_for_call()
                    case Unusable(problem):
                        shown, feedback = "(an answer that could not be used)", prompt.report_unusable(problem)
                    case Program(text):
                        program, feedback = await self.execute(text, eager)
                        shown = f"```python\n{program}\n```"
            if feedback is None or not (self.may_continue(feedback) if is_recorded else self.may_retry(feedback)):
                self.recorder.record_feedback(feedback)
                return
            messages += [Message("assistant", shown), feedback.message]

    async def ask_model(self, messages: list[Message], eager: EagerRun | None) -> Answer:
        """Ask for the next program.

        An earlier answer in words stands if the model was only asked to reconsider it, and that request fails.

        Raises:
            ModelError: if the endpoint fails, or the answer cannot be used and no retry is left.
        """
        try:
            answer = await self.writer.write(messages, eager)
            if isinstance(answer, Unusable) and self.budget.is_last_retry:
                why_not = await self.writer.why_no_request(messages)  # a budget may have cut the answer off
                advice = f"The model was not asked again: {why_not}." if why_not else _ASK_AGAIN
                raise ModelError(f"No usable answer. {answer.problem} {advice}")
            return answer
        except ModelError:
            if not self.recorder.answer:
                raise
            return Words(self.recorder.answer)

    async def execute(self, program: str, eager: EagerRun | None) -> tuple[str, Feedback | None]:
        """Check, review and run a program.

        Returns:
            The program as it was run or rejected, and the feedback for the model: `None` if it gave the result.
        """
        self.recorder.forget_words()
        if (feedback := self.checker.repeated(program)) is not None:
            return program, feedback
        calls_before = len(self.calls.records)
        program, feedback = await self.review(program, self.check(program))
        feedback = feedback or await self.run_program(program, eager)
        error = self.recorder.error
        # A program whose worker was lost before its first call has done nothing, and may succeed in the next worker.
        is_lost = error is not None and error.kind == "WorkerLost" and len(self.calls.records) == calls_before
        if feedback is not None and (feedback.charges != "retry" or (error is not None and not is_lost)):
            self.checker.remember(program, feedback)
        return program, feedback

    def check(self, program: str) -> Feedback | None:
        """Return the feedback for the model if preflight rejects the program."""
        feedback = self.checker.check(program)
        if feedback is not None and self.checker.direct_call(program) is None:
            self.recorder.record_error("Refused", feedback.reason, feedback.line)
        return feedback

    async def review(self, program: str, rejection: Feedback | None) -> tuple[str, Feedback | None]:
        """Let the user review the program, if they want to.

        Returns:
            The program to run, and the feedback for the model if it must not run.
        """
        if rejection or not self.context.settings.review:
            return program, rejection
        problem = ""
        while True:
            self.context.emit(ReviewRequested(program=program, problem=problem))
            with self.recorder.review_time.running():
                decision = await self.context.approvals.review(program, problem)
            self.context.emit(ReviewDecided(program=decision.program, comment=decision.comment))
            if decision.program is None:
                comment = decision.comment.strip()
                self.recorder.record_error("Rejected", comment or "the user did not let the program run")
                return program, prompt.report_review(comment if decision.by == "user" else "")
            if decision.program == program and not problem:
                return program, None
            program = decision.program
            self.recorder.record_edit(program)
            if (fault := self.check(program)) is None:
                return program, None
            problem = fault.problem or fault.reason

    async def run_program(self, program: str, eager: EagerRun | None) -> Feedback | None:
        """Run the program. Return the feedback for the model, or `None` if the program gave the result."""
        if (call := self.checker.direct_call(program)) is not None:
            return await self.make_direct_call(program, call)
        is_last = self.budget.is_last_program
        keep_state = self.writer.may_write_after_record if self.writer.is_recorded else not is_last
        outcome = await self.runner.run(program, eager, keep_state=keep_state)
        max_characters = self.context.limits.shown_to_model
        if outcome.failure is not None:
            return self.feedback_after_failure(outcome, state_lost=outcome.state_lost or not keep_state)
        if outcome.observed:
            printed = self.recorder.printed
            return prompt.report_observed(
                outcome.observed, printed, state_lost=not keep_state, max_characters=max_characters
            )
        return prompt.report_no_value() if self.recorder.is_empty and self.budget.may_report_no_value() else None

    def feedback_after_failure(self, outcome: RunOutcome, *, state_lost: bool) -> Feedback | None:
        """Return the feedback that helps the model fix its program, or `None` if no other program can succeed."""
        assert outcome.failure is not None
        if self.calls.is_final(outcome.failure):
            self.context.emit(Notice(text="The model was not asked again: no other program can change that."))
            return None
        max_characters = self.context.limits.shown_to_model
        named, printed = self.checker.specs_named(), self.recorder.printed
        outcome = replace(outcome, state_lost=state_lost)
        return prompt.report_failure(outcome, self.calls.records, printed, named, max_characters=max_characters)

    async def make_direct_call(self, program: str, call: DirectCall) -> Feedback | None:
        """Make the call of a direct tool, and return its result for the model; `None` if no call is left."""
        if message := self.budget.too_many_calls or self.context.accounts.why_no_call():
            self.recorder.record_error("NoAnswer", message)
            return None
        self.calls.set_program(program, ())
        async with self.calls.start_run(self.recorder.attempts).running():
            request = ToolCall(id=1, name=call.name, arguments=call.arguments, line=1)
            answer = await self.calls.answer(request, direct=True)
        self.recorder.record_direct_call()
        return prompt.report_call(call.name, answer, max_characters=self.context.limits.shown_to_model)

    def ask_for_call(self) -> Feedback | None:
        """Return the question for a model that answered in words and called none of the tools."""
        if not len(self.context.tools) or self.calls.records:
            return None
        if not self.calls.run and self.budget.may_ask_for_call(self.recorder.answer):
            return prompt.ask_for_call()
        self.context.emit(Notice(text="No tool was called: the answer is in the model's own words."))
        return None

    def may_continue(self, feedback: Feedback) -> bool:
        """Return whether the turn goes on after an answer from a record, whose failure costs the model no retry."""
        has_observed = feedback.charges == "observation"
        if has_observed and self.writer.has_recorded_program:
            return True
        may_ask = self.writer.leave_record(
            "The recorded program asked to see data, so the model is asked to go on." if has_observed else ""
        )
        if has_observed and not may_ask and not self.writer.is_given:
            self.recorder.record_error("NoAnswer", "the recorded program asked to see data and gave no answer")
        return may_ask

    async def may_ask(self, messages: list[Message], feedback: Feedback | None) -> bool:
        """Return whether the budgets allow the next request.

        If they do not, the turn ends with its answer in words if it has one, and else with the reason.

        Args:
            feedback: why the model is asked again; `None` for the first request.
        """
        if self.writer.is_recorded:
            return True
        if why_not := await self.writer.why_no_request(messages):
            not_again = f"The model was not asked again: {why_not}"
            if self.recorder.answer:
                self.context.emit(Notice(text=f"{not_again}."))
            elif feedback is not None:
                self.recorder.record_error("NoAnswer", f"{truncate(feedback.reason, 300).rstrip('.')}. {not_again}")
            else:
                self.recorder.record_error("NoAnswer", why_not)
            return False
        if feedback is not None:
            self.context.emit(RetryStarted(attempt=self.recorder.attempts + 1, reason=feedback.reason))
        return True

    def may_retry(self, feedback: Feedback) -> bool:
        """Charge the feedback to the budget, and return whether the model may have another try."""
        may_retry, why_not = self.budget.charge(feedback)
        if why_not:
            self.recorder.record_error("NoAnswer", why_not)
        if not may_retry and feedback.charges in ("repeated_program", "everything"):
            self.context.emit(Notice(text="The model wrote the same program again, which was not run."))
        return may_retry
