"""Pass a question that a tool asks while its call runs on to the user, who answers it like an approval request."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..approval import ApprovalPolicy, ApprovalRequest
from ..errors import ProgramError, ToolDefinitionError
from ..text import truncate
from ..tools.described import describe_signature
from ..tools.schema import ToolSignature
from ..types import JSONObject, JSONValue, ToolCall
from .stopwatch import Stopwatch

__all__ = ["ToolQuestions"]

_MAX_MESSAGE = 2_000
_EMPTY: Mapping[object, JSONValue] = {"string": "", "boolean": False, "array": []}


@dataclass(frozen=True, slots=True)
class ToolQuestions:
    """Asks the user on behalf of one call.

    Attributes:
        turn, run, call: the call that asks.
        approvals: asks the user.
        waiting_time: the time in which the turn waits for the user.
        timeout: the time limit of the call, which does not run while the user thinks.
    """

    turn: str
    run: int
    call: ToolCall
    approvals: ApprovalPolicy
    waiting_time: Stopwatch
    timeout: asyncio.Timeout

    async def __call__(self, who: str, message: str, schema: JSONObject, /) -> Mapping[str, JSONValue] | None:
        """Return the user's answers; see `tools.questions.Ask`."""
        try:
            signature = describe_signature(schema, name="answer", description="")
        except ToolDefinitionError:
            return None
        arguments = _suggest_answers(schema)
        version = uuid.uuid4().hex  # no decision about another question is a decision about this one
        request = ApprovalRequest(
            turn=self.turn,
            run=self.run,
            call=replace(self.call, own_name=f"{who} asks", arguments=arguments, version=version, line=None),
            summary=truncate(message, _MAX_MESSAGE, "…"),
            schema=signature.schema,
            is_question=True,
            validator=_AnswerValidator(signature, version),
        )
        loop, until = asyncio.get_running_loop(), self.timeout.when()
        left = None if until is None else until - loop.time()
        self.timeout.reschedule(None)
        try:
            with self.waiting_time.running():
                decision = await self.approvals.decide(request)
        finally:
            if left is not None:
                self.timeout.reschedule(loop.time() + left)
        if not decision.allowed:
            return None
        answers = arguments if decision.arguments is None else decision.arguments
        optional = {parameter.own_name for parameter in signature.parameters if not parameter.is_required}
        return {name: value for name, value in answers.items() if value not in ("", None) or name not in optional}


@dataclass(frozen=True, slots=True)
class _AnswerValidator:
    signature: ToolSignature
    version: str

    def find_version(self, arguments: Mapping[str, JSONValue]) -> str:
        try:
            self.signature.bind(
                json.dumps({name: value for name, value in arguments.items() if value not in ("", None)})
            )
        except ProgramError as error:
            raise ProgramError(str(error).partition(". Its signature")[0]) from None
        return self.version


def _suggest_answers(schema: JSONObject) -> dict[str, JSONValue]:
    """Return an answer to each question: its default, the first choice, or an empty one."""
    properties = schema.get("properties")
    answers: dict[str, JSONValue] = {}
    for name, part in properties.items() if isinstance(properties, dict) else ():
        facts = part if isinstance(part, dict) else {}
        choices = facts.get("enum")
        if "default" in facts:
            answers[name] = facts["default"]
        elif isinstance(choices, list) and choices:
            answers[name] = choices[0]
        else:
            answers[name] = _EMPTY.get(facts.get("type"))
    return answers
