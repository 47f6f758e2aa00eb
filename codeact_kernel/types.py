"""The nouns that cross rooms: small frozen facts, all of them JSON-able.

Nothing here does anything. A value that only one room knows belongs in that room.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "ApprovalChoice",
    "CallError",
    "CallOutcome",
    "CallRecord",
    "CallResult",
    "Decision",
    "DisplayItem",
    "Handler",
    "Isolation",
    "JSONObject",
    "JSONValue",
    "OutputFile",
    "ProgramFailure",
    "RunOutcome",
    "ShownKind",
    "StoredResult",
    "Stream",
    "Timings",
    "ToolCall",
    "TurnResult",
    "Usage",
]

JSONValue: TypeAlias = "None | bool | int | float | str | list[JSONValue] | dict[str, JSONValue]"
JSONObject: TypeAlias = "dict[str, JSONValue]"
Stream: TypeAlias = Literal["stdout", "stderr"]
Handler: TypeAlias = "Callable[[JSONObject], Awaitable[JSONValue]]"
"""One service: takes what a program sends, gives what it gets. Raises ProgramError, whose text the program sees."""
ShownKind: TypeAlias = Literal["table", "text", "markdown", "chart", "image", "json"]
ApprovalChoice: TypeAlias = Literal["allow_once", "allow_cell", "allow_session", "allow_always", "reject"]
_ALLOWING = ("allow_once", "allow_cell", "allow_session", "allow_always")


@dataclass(frozen=True, kw_only=True, slots=True)
class Isolation:
    """The boundary one worker really has, as it reported it.

    Attributes:
        backend: its short name, for example `"embedded"`.
        boundary: the same in words a person understands.
        layers: the layers of lockdown around the worker process that are in force.
        missing: the layers that this host could not give.
    """

    backend: str
    boundary: str
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.boundary
        if self.layers:
            text += f" ({', '.join(self.layers)})"
        if self.missing:
            text += f", without {', '.join(self.missing)}"
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """The guest wants a tool.

    Attributes:
        id: counts 1, 2, 3 within a run.
        line: the program's line that calls, if known.
        together: how many calls the program sent off at once, this one among them, as far as it told.
        version: of the tool that was validated and will run; what is remembered of an approval is bound to it.
    """

    id: int
    name: str
    arguments: Mapping[str, JSONValue]
    line: int | None = None
    batch_size: int = 1
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Whether a call may run, who said so, and why not.

    Attributes:
        choice: `"reject"`, or for how much the call was allowed: for itself, for the tool in this cell, for the tool
            in this session, or always for the tool with exactly these arguments.
        by: `"policy"` (the tool needs no approval, or is on the allow list), `"person"`, `"memory"` (the person said
            so before), or `"nobody"` (approval was needed and nobody could give it).
        reason: of a rejection, for the program; of a permission by policy, for the person.
        arguments: what the person put in the place of the program's arguments; `None` leaves those.
    """

    choice: ApprovalChoice
    by: Literal["policy", "person", "memory", "nobody"]
    reason: str = ""
    arguments: Mapping[str, JSONValue] | None = None

    @property
    def allowed(self) -> bool:
        return self.choice in _ALLOWING  # what is not known is no yes: an approver may be anybody's


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredResult:
    """A tool's result that is too large to be sent whole: it stays in the kernel.

    Attributes:
        told: what the guest makes its table, column or value from.
        sample: its beginning.
        length: how many rows or values it has.
    """

    guest_ref: JSONObject
    preview: JSONValue
    length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CallResult:
    """A tool's result, already JSON.

    Attributes:
        value: the result; only its beginning where `kept` is there, or where `is_cut`.
        kept: what the program fetches the whole result from, where that was too large to be sent.
        is_cut: whether the program got more than is recorded: the results of the turn took too much memory.
    """

    value: JSONValue
    kept: StoredResult | None = None
    is_cut: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CallError:
    """A call that did not give a result. The guest raises the exception named by `kind`.

    Attributes:
        is_final: whether no other program could have avoided it. Never told to the guest.
    """

    kind: Literal["ToolFailed", "ToolDenied"]
    message: str
    is_final: bool = False


CallOutcome: TypeAlias = CallResult | CallError


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRecord:
    """One finished call, as the program made it. `seconds` is the time the tool itself took."""

    call: ToolCall
    decision: Decision
    answer: CallOutcome
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens of one or several model turns. `estimated` means the endpoint did not tell and we counted text."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            estimated=self.estimated or other.estimated,
        )


STOPPED = "stopped; "
"""What the message of a call begins with that the end of the turn has cut off, or kept from beginning."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """Seconds of a turn. `tools` and `waiting` (for a decision) count overlapping calls once."""

    model: float = 0.0
    sandbox: float = 0.0
    tools: float = 0.0
    waiting: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramFailure:
    """Why a program did not finish.

    Attributes:
        kind: the exception's type name, or one of `"Refused"` (preflight), `"TimedOut"`, `"Interrupted"`,
            `"WorkerLost"`, `"Crashed"`. For people: a program can raise an exception of any name.
        message: one line.
        traceback: the guest's traceback with the program's lines; empty where there is none.
        line: the program's line, if known.
    """

    kind: str
    message: str
    traceback: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """What one run of one program came to.

    Attributes:
        failure: `None` when the program finished.
        value: the last expression as JSON, or `None`.
        text: its `repr`, `None` when there was no value.
        is_json: whether `value` holds the whole value (else only `text` does).
        observed: what the program handed to `observe(...)`: the model asked to see it.
        state_lost: whether the guest had to be replaced: the program's variables are gone. Never the guest's word.
    """

    failure: ProgramFailure | None = None
    value: JSONValue = None
    text: str | None = None
    is_json: bool = False
    observed: Sequence[str] = ()
    state_lost: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DisplayItem:
    """What a program handed to `show(...)`, checked.

    Attributes:
        title: empty where it has none.
        data: of a table, `columns`, `rows` (lists of cells) and `total`, which counts the rows that were not kept too;
            of a chart its Vega-Lite; of an image `mime`, `width`, `height` and `base64`; else the text or the value.
    """

    kind: ShownKind
    title: str = ""
    data: JSONValue = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFile:
    """A file that a program wrote for the person.

    Attributes:
        name: its path below /output.
        path: where it is now; relative where that is in the working folder.
        size: in bytes.
        media_type: by its name, or by its content where that is an image.
        preview: the beginning of a text; else empty.
    """

    name: str
    path: str
    size: int
    media_type: str
    preview: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnResult:
    """What a turn came to: the object that `%%codeact` binds to `_codeact`.

    Attributes:
        ask: what the person typed.
        program: the last program, or `None` when the model answered in words.
        answer: the model's words when it wrote no program.
        calls: every finished tool call, in the order of the answers.
        value: the value of the last expression: JSON where it is JSON, else its `repr`.
        stdout, stderr: what the program printed, bounded.
        usage, timings: tokens and seconds.
        outputs: what the program assigned to the names it was asked for: JSON values, and tables as `Frame`.
        files: what it wrote to /output.
        shown: what it handed to `show(...)`.
        error: why the turn failed, or `None`.
        stopped: whether the person stopped it.
        attempts: how many programs were written.
        model_turns: how many times the model was asked.
        model, isolation: who wrote the program and what held it.
        note: a sentence to show when the answers were not a live model's.
    """

    ask: str
    program: str | None = None
    answer: str = ""
    calls: Sequence[CallRecord] = ()
    value: JSONValue = None
    text: str | None = None
    stdout: str = ""
    stderr: str = ""
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    outputs: Mapping[str, object] = field(default_factory=dict[str, object])
    files: Sequence[OutputFile] = ()
    shown: Sequence[DisplayItem] = ()
    error: ProgramFailure | None = None
    stopped: bool = False
    attempts: int = 0
    model_turns: int = 0
    model: str = ""
    note: str = ""
    isolation: Isolation | None = None
