"""The request that a user decides about, and their decision about a whole program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ..errors import ProgramError
from ..types import Decision, JSONObject, JSONValue, ToolCall

__all__ = ["ApprovalRequest", "ArgumentValidator", "DecisionMemory", "ReviewDecision"]


class ArgumentValidator(Protocol):
    """Checks arguments that a user puts in place of those of the call."""

    def find_version(self, arguments: Mapping[str, JSONValue]) -> str:
        """Return the version of the tool that would run with `arguments`: for a request to another host, another one.

        Raises:
            ProgramError: The tool does not accept them; the message says why.
        """
        ...


class DecisionMemory(Protocol):
    """Knows the decisions that hold for later calls."""

    def remembered_decision(self, request: ApprovalRequest, /) -> Decision | None:
        """Return the decision about `request` if an earlier one covers it."""
        ...


class _AnyArguments:
    def find_version(self, arguments: Mapping[str, JSONValue]) -> str:
        return ""


class _NoMemory:
    def remembered_decision(self, request: ApprovalRequest, /) -> Decision | None:
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class ApprovalRequest:
    """One call that a user has to decide about: everything that is shown of it.

    Attributes:
        turn, run: The turn and the run that the call belongs to.
        call: The call, with the version of the tool that will run and the arguments that it will get.
        summary: The first line of the tool's docstring.
        schema: The JSON schema of the arguments.
        source: The text of the program's line that makes the call.
        upcoming: How many more calls of the program will need a decision, in words; empty if none will.
        is_question: Whether the tool asks the user for these arguments while the call runs; `summary` is the question.
        untrusted: The call that brought text into the turn which an outsider can write; empty if none did. If it is
            set, earlier permissions do not count.
        validator: Checks edited arguments.
        memory: Knows decisions about other calls that may make this request unnecessary.
    """

    turn: str
    run: int
    call: ToolCall
    summary: str = ""
    schema: JSONObject = field(default_factory=dict[str, JSONValue])
    source: str = ""
    upcoming: str = ""
    is_question: bool = False
    untrusted: str = ""
    validator: ArgumentValidator = field(default=_AnyArguments(), repr=False, compare=False)
    memory: DecisionMemory = field(default=_NoMemory(), repr=False, compare=False)

    @property
    def tool(self) -> tuple[str, str]:
        """The name and the version of the tool: a tool that was changed counts as another one."""
        return self.call.name, self.call.version

    @property
    def digest(self) -> str:
        """A text that a decision has to name: it differs for each call, and cannot be guessed."""
        return digest_of(self.turn, self.run, self.call.id, *self.tool, dict(self.call.arguments), self.untrusted)

    def validate_arguments(self, arguments: Mapping[str, JSONValue]) -> str:
        """Return why `arguments` cannot replace those of the call; empty if they can."""
        try:
            self.validator.find_version(arguments)
        except ProgramError as error:
            return str(error)
        return ""

    def tool_version_for(self, arguments: Mapping[str, JSONValue]) -> str:
        """Return the version of the tool that `arguments` would call; empty if the tool does not accept them."""
        try:
            return self.validator.find_version(arguments)
        except ProgramError:
            return ""

    def already_decided(self) -> Decision | None:
        """Return the decision if the answer to another request has made this one unnecessary.

        An approver that asks one question after the other calls this before it asks the next.
        """
        return self.memory.remembered_decision(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewDecision:
    """A user's decision about a program before it runs.

    Attributes:
        program: The program to run, with the user's edits; `None` rejects it.
        comment: For the model, if the program is rejected; without a comment the turn ends.
        by: `"nobody"` if a review was required and nobody could give it.
    """

    program: str | None
    comment: str = ""
    by: Literal["policy", "user", "nobody"] = "user"


def digest_of(*facts: JSONValue) -> str:
    """Hash everything that was shown, in the order in which it was shown."""
    text = json.dumps(facts, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
