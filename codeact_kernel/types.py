"""Frozen data types that several packages share. A type that only one package uses belongs in that package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .dataframe import make_dataframe
from .secrets import AS_IS

__all__ = [
    "ApprovalChoice",
    "CallError",
    "CallOutcome",
    "CallRecord",
    "CallResult",
    "CardStyle",
    "Decision",
    "DisplayItem",
    "HostCall",
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
ShownKind: TypeAlias = Literal["table", "text", "markdown", "chart", "image", "json"]
ApprovalChoice: TypeAlias = Literal["allow_once", "allow_cell", "allow_session", "allow_always", "reject"]
CardStyle: TypeAlias = Literal["answer", "full", "program"]
"""What is open below the answer of a finished card: nothing, everything, or the last program."""
_ALLOWING = ("allow_once", "allow_cell", "allow_session", "allow_always")


@dataclass(frozen=True, kw_only=True, slots=True)
class Isolation:
    """The isolation of one worker, as the worker reported it.

    Attributes:
        backend: the name of the backend, for example `"embedded"`.
        boundary: the boundary in words for the user.
        guest: the kind of guest inside it, `"standard"` or `"science"`.
        layers: the layers of lockdown that are in force around the worker process.
        missing: the layers that this host does not support.
    """

    backend: str
    boundary: str
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    guest: str = "standard"

    @property
    def title(self) -> str:
        """The boundary, and the guest unless it is the standard one."""
        return self.boundary if self.guest == "standard" else f"{self.boundary}, {self.guest} guest"

    def __str__(self) -> str:
        text = self.title
        if self.layers:
            text += f" ({', '.join(self.layers)})"
        if self.missing:
            text += f", without {', '.join(self.missing)}"
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A program's call of a tool.

    Attributes:
        id: counts 1, 2, 3 within a run.
        line: the line of the program that calls, if known.
        batch_size: how many calls the program makes in parallel, this call included, as the guest reports it.
        version: the version of the tool that was validated and will run. Stored approvals are valid for it only.
        is_read_only: whether the tool says that it changes nothing. The host sets it.
        own_name: the name that the user knows, if programs use another one. The host sets it.
    """

    id: int
    name: str
    arguments: Mapping[str, JSONValue]
    line: int | None = None
    batch_size: int = 1
    version: str = ""
    is_read_only: bool = False
    own_name: str = ""

    @property
    def title(self) -> str:
        """The name that the user knows."""
        return self.own_name or self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class HostCall:
    """A call of the guest to a handler of a capability, which is not a tool: nobody decides about it.

    Attributes:
        id: counts together with the ids of tool calls.
        capability: the name in the capability's declaration, for example `"files"`.
        method: the name of its handler, for example `"read"`.
        arguments: JSON values. They are hostile data.
        data: bytes that belong to the arguments, as hostile as these.
    """

    id: int
    capability: str
    method: str
    arguments: JSONObject
    data: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Whether a call may run, who decided, and why.

    Attributes:
        choice: `"reject"`, or the scope of the permission: this call, the tool in this cell, the tool in this session,
            or always the tool with exactly these arguments.
        by: `"policy"` (the tool needs no approval, or is on the allow list), `"user"` (who was asked), `"memory"` (an
            earlier decision of the user), or `"nobody"` (nobody could be asked).
        reason: for a rejection, a text for the program; for a permission by policy, a text for the user.
        arguments: the arguments with which the user replaced the program's; `None` if the user changed nothing.
    """

    choice: ApprovalChoice
    by: Literal["policy", "user", "memory", "nobody"]
    reason: str = ""
    arguments: Mapping[str, JSONValue] | None = None

    @property
    def allowed(self) -> bool:
        return self.choice in _ALLOWING  # unknown choices count as rejections: approvers can be third-party


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredResult:
    """A tool's result that is too large to be sent whole, and stays in the kernel.

    Attributes:
        guest_ref: the description from which the guest makes its table, column or value.
        preview: the beginning of the result.
        length: how many rows or values it has.
    """

    guest_ref: JSONObject
    preview: JSONValue
    length: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CallResult:
    """A tool's result as JSON.

    Attributes:
        value: the result, or only its beginning if `stored` or `is_cut` is set.
        stored: the stored result, if it was too large to be sent whole. The program fetches its parts.
        is_cut: whether the program got more than is recorded, because the results of the turn took too much memory.
        data: bytes that belong to the value; only a handler of a capability returns them.
    """

    value: JSONValue
    stored: StoredResult | None = None
    is_cut: bool = False
    data: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallError:
    """A call without a result. The guest raises the exception named by `kind`.

    Attributes:
        is_final: whether no other program could have avoided the error. The guest never learns it.
    """

    kind: Literal["ToolFailed", "ToolDenied"]
    message: str
    is_final: bool = False


CallOutcome: TypeAlias = CallResult | CallError


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRecord:
    """One finished call with the program's arguments.

    Attributes:
        seconds: the time of the tool itself.
        overtook: how many calls that were made before this one had no answer yet.
    """

    call: ToolCall
    decision: Decision
    answer: CallOutcome
    seconds: float
    overtook: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens of one or more model turns; `estimated` from the length of the texts if the endpoint reported none."""

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
"""The beginning of the message of a call that the end of the turn stopped or prevented."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timings:
    """Seconds of a turn. `tools` and `waiting` (for decisions) count overlapping calls once."""

    model: float = 0.0
    sandbox: float = 0.0
    tools: float = 0.0
    waiting: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramFailure:
    """Why a program did not finish, or why a turn has no result.

    If the program raised an exception, `kind` is the name of its type. `"ToolFailed"` and `"ToolDenied"` are raised by
    calls of tools; the backend reports `"MemoryError"` and `"RecursionError"` if the guest cannot raise them. The other
    kinds are names from the host:

    - `"Refused"`: preflight rejected the program, so it did not run.
    - `"Rejected"`: the user rejected the program in a review, so it did not run.
    - `"TimedOut"`: the program took longer than its limit.
    - `"Crashed"`: the program crashed or ended its guest.
    - `"WorkerLost"`: the worker process ended, or broke the protocol of the bridge.
    - `"NoAnswer"`: the turn used up its tokens, observations or direct calls, or a budget, before the model finished.
    - `"Interrupted"`: the user stopped the turn.
    - The name of a `CodeActError` that ended the turn, for example `"ModelError"` or `"SandboxError"`.

    Attributes:
        kind: see above. Do not trust it: a program can raise an exception of any name.
        message: one line.
        traceback: the traceback of the guest with the lines of the program; empty if there is none.
        line: the line of the program, if known.
    """

    kind: str
    message: str
    traceback: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """The outcome of one run of a program.

    Attributes:
        failure: `None` if the program finished.
        value: the value of the last expression as JSON, or `None`.
        text: the `repr` of the value; `None` if there is no value.
        is_json: whether `value` is the whole value. Otherwise only `text` describes it.
        observed: the texts that the program passed to `observe(...)` for the model.
        state_lost: whether the guest was replaced, so that the program's variables are gone. Set by the host only.
    """

    failure: ProgramFailure | None = None
    value: JSONValue = None
    text: str | None = None
    is_json: bool = False
    observed: Sequence[str] = ()
    state_lost: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DisplayItem:
    """A validated item that a program passed to `show(...)`.

    Attributes:
        title: empty if the item has none.
        data: for a table, `columns`, `rows` (lists of cells) and `total`, which includes the rows that were not kept;
            for a chart its Vega-Lite; for an image `mime`, `width`, `height` and `base64`; else the text or value.
    """

    kind: ShownKind
    title: str = ""
    data: JSONValue = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputFile:
    """A file that a program wrote for the user.

    Attributes:
        name: its path below /output.
        path: its path on the host; relative if the file is in the working folder.
        size: in bytes.
        media_type: guessed from the name, or for images from the content.
        preview: the beginning of a text; empty for other files.
    """

    name: str
    path: str
    size: int
    media_type: str
    preview: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnResult:
    """The result of a turn, which `%%codeact` binds to `_codeact`.

    Attributes:
        ask: the prompt that the user typed.
        program: the last program, or `None` if the model answered in words.
        programs: the programs that give the result again, one after the other; empty if no program can.
        tools: the tools that were described to the model.
        inputs: the notebook's variables that the program could read.
        answer: the words of the model if it wrote no program.
        calls: the finished tool calls, in the order in which they ended.
        first_call: the index of the first call in `calls` that `programs` made.
        value: the value of the last expression as JSON, or its `repr` if it is not JSON.
        stdout, stderr: the bounded output of the program.
        usage, timings: tokens and seconds.
        outputs: the JSON values, and tables as `Frame`, that the program assigned to the requested names.
        continues: the earlier prompts that the model saw, the oldest first.
        data: the value with which later programs go on: the JSON value, else what the program assigned for the notebook
            (a table is a `Frame`), else the table that it showed last; `None` if there is nothing.
        shape: the keys, types and number of rows of the value, for the prompts that follow; empty if there is no value.
        files: the files that the program wrote to /output.
        shown: the items that the program passed to `show(...)`.
        error: why the turn failed, or `None`.
        feedback: after a program without a result, what its author can do about it, in words for a model; else empty.
        stopped: whether the user stopped the turn.
        attempts: how many programs were written.
        model_turns: how many times the model was asked.
        model, isolation: the model that wrote the program, and the isolation in which it ran.
        note: a sentence that must be shown if the answers are not from a live model; else empty.
    """

    ask: str
    program: str | None = None
    programs: Sequence[str] = ()
    tools: Sequence[str] = ()
    inputs: Sequence[str] = ()
    answer: str = ""
    calls: Sequence[CallRecord] = ()
    first_call: int = 0
    value: JSONValue = None
    text: str | None = None
    stdout: str = ""
    stderr: str = ""
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    outputs: Mapping[str, object] = field(default_factory=dict[str, object], metadata=AS_IS)
    continues: Sequence[str] = ()
    data: object = field(default=None, compare=False, metadata=AS_IS)
    shape: str = ""
    files: Sequence[OutputFile] = ()
    shown: Sequence[DisplayItem] = ()
    error: ProgramFailure | None = None
    feedback: str = ""
    stopped: bool = False
    attempts: int = 0
    model_turns: int = 0
    model: str = ""
    note: str = ""
    isolation: Isolation | None = None

    @property
    def df(self) -> Any:
        """The value as a `pandas.DataFrame`: the table that the program ended with, assigned, or showed last.

        Raises:
            UserError: if pandas is not installed, or there is no table.
        """
        return make_dataframe(self.data)
