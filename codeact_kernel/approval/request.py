"""What a person is asked, and what they say of a whole program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..types import Decision, JSONObject, JSONValue, ToolCall

__all__ = ["ApprovalRequest", "ReviewDecision"]


def _not_settled() -> Decision | None:
    return None


def _no_version(arguments: Mapping[str, JSONValue]) -> str:
    return ""


def _anything_goes(arguments: Mapping[str, JSONValue]) -> str:
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalRequest:
    """One call that needs a person: all that is shown of it, and so all that is decided.

    Attributes:
        turn, run: where the call belongs.
        call: with the version of the tool that will run, and the arguments that it will get.
        about: the first line of the tool's docstring.
        schema: JSON schema of the arguments.
        source: the text of the program's line that calls.
        more: how many more calls of the program will ask, in words; empty where none will.
        untrusted: the call that brought text into the turn which an outsider can write; empty where none did. Then
            nothing that was allowed before counts.
        check: why other arguments cannot be put in the place of these; empty when they can.
        version_of: the version of the tool that other arguments would call (a request to another host is another one);
            empty when they cannot be used.
        settled: the decision, if an answer to another question has made this one needless. An approver that asks one
            question after the other looks here before it asks the next.
    """

    turn: str
    run: int
    call: ToolCall
    summary: str = ""
    schema: JSONObject = field(default_factory=dict[str, JSONValue])
    source: str = ""
    upcoming: str = ""
    untrusted: str = ""
    validate_arguments: Callable[[Mapping[str, JSONValue]], str] = _anything_goes
    tool_version_for: Callable[[Mapping[str, JSONValue]], str] = _no_version
    already_decided: Callable[[], Decision | None] = _not_settled

    @property
    def tool(self) -> tuple[str, str]:
        """Name and version: a tool that was changed is another one."""
        return self.call.name, self.call.version

    @property
    def digest(self) -> str:
        """What a decision has to name: no two calls have the same, and none can be guessed."""
        return digest_of(self.turn, self.run, self.call.id, *self.tool, dict(self.call.arguments), self.untrusted)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewDecision:
    """What the person says of a program before it runs.

    Attributes:
        program: the one to run, as the person left it; `None` rejects.
        comment: of a rejection, for the model; without one the turn ends.
        by: `"nobody"` where review was asked for and nobody could give it.
    """

    program: str | None
    comment: str = ""
    by: Literal["policy", "person", "nobody"] = "person"


def digest_of(*facts: JSONValue) -> str:
    """Hash what was shown, with everything in the order in which it was shown."""
    text = json.dumps(facts, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
