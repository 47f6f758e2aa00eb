"""Pass a question that a tool asks while its call runs on to the user, who answers it like an approval request."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from ..approval import ApprovalPolicy, ApprovalRequest
from ..errors import ProgramError, ToolDefinitionError
from ..text import truncate
from ..tools.described import describe_signature
from ..tools.schema import ToolSignature
from ..types import JSONObject, JSONValue, ToolCall
from .stopwatch import Stopwatch

__all__ = ["ToolQuestions"]

_MAX_MESSAGE = 2_000
_EMPTY: Mapping[object, JSONValue] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}


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
        arguments = _suggest_answers(signature)
        version = uuid.uuid4().hex  # no decision about another question is a decision about this one
        request = ApprovalRequest(
            turn=self.turn,
            run=self.run,
            call=replace(self.call, own_name=f"{who} asks", arguments=arguments, version=version),
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
        return arguments if decision.arguments is None else decision.arguments


@dataclass(frozen=True, slots=True)
class _AnswerValidator:
    signature: ToolSignature
    version: str

    def find_version(self, arguments: Mapping[str, JSONValue]) -> str:
        try:
            self.signature.bind(json.dumps(dict(arguments)))
        except ProgramError as error:
            raise ProgramError(str(error).partition(". Its signature")[0]) from None
        return self.version


def _suggest_answers(signature: ToolSignature) -> dict[str, JSONValue]:
    """Return an answer for each question: its default, the first choice, or an empty one."""
    properties = cast("Mapping[str, Mapping[str, JSONValue]]", signature.schema.get("properties") or {})
    answers: dict[str, JSONValue] = {}
    for name, part in properties.items():
        choices = part.get("enum")
        if part.get("default") is not None:
            answers[name] = part["default"]
        elif isinstance(choices, list) and choices:
            answers[name] = choices[0]
        else:
            answers[name] = _EMPTY.get(part.get("type"), part.get("const"))
    return answers
