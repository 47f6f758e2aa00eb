"""Ask the user about a call by a form of the client, and read the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..approval import ApprovalRequest, ReviewDecision
from ..render.escaping import escape_controls, escape_strictly, one_line
from ..render.lookalikes import find_lookalikes
from ..text import truncate
from ..types import Decision, JSONObject

__all__ = ["FORM_SCHEMA", "Ask", "DenyWithAdvice", "FormAnswer", "FormApprover", "write_question"]

_MAX_ARGUMENTS = 4_000
"""Characters of the arguments in a form. A call that has more cannot be shown whole, so it cannot be approved."""
_MAX_SUMMARY = 200
_MAX_REASON = 500

FORM_SCHEMA: JSONObject = {
    "type": "object",
    "properties": {
        "decision": {
            "type": "string",
            "title": "May this call run?",
            "oneOf": [{"const": "allow_once", "title": "Allow once"}, {"const": "deny", "title": "Deny"}],
        },
        "reason": {
            "type": "string",
            "title": "Reason, if you deny it",
            "description": "The program sees it.",
            "maxLength": _MAX_REASON,
        },
    },
    "required": ["decision"],
}


@dataclass(frozen=True, slots=True)
class FormAnswer:
    """The answer of a client to a form: `accept` with the fields, `decline` or `cancel`. It is hostile data."""

    action: str
    fields: Mapping[str, object]


Ask: TypeAlias = Callable[[str, str], Awaitable[FormAnswer]]
"""Shows a form with this text to the user. The second argument identifies the question."""


class FormApprover:
    """Asks about each call by a form.

    Args:
        ask: shows the form.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def decide(self, request: ApprovalRequest, /) -> Decision:
        """Ask whether a call is allowed. Only a clear yes allows it."""
        question = write_question(request)
        if not question:
            return Decision(
                choice="reject",
                by="policy",
                reason=f"the arguments of {request.call.name} are too long to be shown for approval",
            )
        answer = await self._ask(question, request.digest)
        if answer.action == "accept" and answer.fields.get("decision") == "allow_once":
            return Decision(choice="allow_once", by="user")
        reason = answer.fields.get("reason") if answer.action == "accept" else None
        if isinstance(reason, str) and reason.strip():
            return Decision(choice="reject", by="user", reason=escape_controls(truncate(reason.strip(), _MAX_REASON)))
        what = "closed the question about" if answer.action == "cancel" else "denied"
        return Decision(choice="reject", by="user", reason=f"the user {what} {request.call.name}")

    async def review(self, program: str, problem: str, /) -> ReviewDecision:
        return await _CANNOT_REVIEW.review(program, problem)


class DenyWithAdvice:
    """Denies every call that needs approval, for clients that cannot ask, and says how to allow the tool."""

    async def decide(self, request: ApprovalRequest, /) -> Decision:
        name = request.call.name
        how = f"start the server with --allow {name}"
        if name == "http_request":
            how = "the host that it wants needs approval, which only a client with forms can ask for"
        elif request.untrusted:
            how = f"{request.untrusted} returned text that an outsider can write, so only the user can allow it"
        reason = f"{name} needs approval, and this client cannot ask the user (it has no elicitation): {how}"
        return Decision(choice="reject", by="nobody", reason=reason)

    async def review(self, program: str, problem: str, /) -> ReviewDecision:
        return ReviewDecision(program=None, comment="this client cannot show a program for review", by="nobody")


_CANNOT_REVIEW = DenyWithAdvice()


def write_question(request: ApprovalRequest) -> str:
    """Return the text of the form: the exact call, with invisible characters as escapes. Empty if it is too long."""
    call = request.call
    arguments = [
        f"    {one_line(name)} = {json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items()
    ]
    shown = escape_strictly("\n".join(arguments))
    if len(shown) > _MAX_ARGUMENTS:
        return ""
    parts = [f"A program wants to call {one_line(call.title)}" + (" with:" if arguments else " without arguments.")]
    parts += [shown] if arguments else []
    parts += [one_line(truncate(text, _MAX_SUMMARY)) for text in (request.summary,) if text]
    if request.untrusted:
        parts.append(
            f"The program has read text that an outsider can write, from {escape_controls(request.untrusted)}."
        )
    if note := find_lookalikes("\n".join(arguments)):
        parts.append(note)
    return "\n".join(parts)
