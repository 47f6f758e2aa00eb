"""The eight messages, and their conversion to JSON objects and back.

A message from the other end is hostile data: `decode` checks its kind, the exact set of fields and the exact type of
each field (a `bool` is not an `int` here) before it creates an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from ..errors import BridgeError
from ..types import JSONObject, JSONValue, ProgramFailure, RunOutcome, Stream

__all__ = [
    "LAST_LINE",
    "MAX_NAME_LENGTH",
    "CallHost",
    "CallRaised",
    "CallReturned",
    "CallTool",
    "Finished",
    "Message",
    "Output",
    "Ready",
    "Run",
    "data_of",
    "decode",
    "encode",
]


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker: a clean guest is waiting. `layers` of the lockdown are in force; the host lacks the `missing` layers."""

    pid: int
    layers: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Run:
    """Host: run `program`. `tools` maps each tool's name to the names of its parameters, in order; `capabilities` maps
    the name of each capability (`"files"`, `"data"`, ...) to the configuration of its guest half.

    `keep` preserves the guest's state if the program fails or observes, so that a retry finds its variables.
    """

    program: str
    tools: dict[str, JSONValue]
    capabilities: JSONObject
    keep: bool


@dataclass(frozen=True, slots=True)
class Output:
    """Worker: the program printed a text."""

    stream: Stream
    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Worker: the program calls a tool.

    `line` is 0 if it is not known. `batch_size` is the number of calls that the program sends together.
    """

    call: int
    name: str
    arguments: JSONObject
    line: int
    batch_size: int = 1


@dataclass(frozen=True, slots=True)
class CallHost:
    """Worker: the guest half of a capability calls a handler of the host half. `"program"` stands for the program that
    is still being written. `data` holds bytes that belong to the arguments.
    """

    call: int
    capability: str
    method: str
    arguments: JSONObject
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class CallReturned:
    """Host: the result of a call. If it was `stored` in the kernel, `value` is the guest's reference to it.

    `data` holds bytes that belong to the value.
    """

    call: int
    value: JSONValue
    stored: bool = False
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class CallRaised:
    """Host: a call failed or was denied. `kind` is the name of the exception in the guest."""

    call: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Worker: the run is over and no call is open."""

    outcome: RunOutcome


Message: TypeAlias = Ready | Run | Output | CallTool | CallHost | CallReturned | CallRaised | Finished


class _Any:
    """Stand for a field whose value is checked elsewhere."""


# Our own worker stays below these limits.
MAX_NAME_LENGTH = 200
"""Characters of each name in a call."""
LAST_LINE = 1 << 20
"""Of a program."""
_MAX_LAYERS, _MAX_LAYER_LENGTH = 20, 100
_MAX_KIND_LENGTH, _MAX_MESSAGE_LENGTH, _MAX_TRACEBACK_LENGTH = 200, 2_200, 64 << 10

_FIELDS: Mapping[type[Message], Mapping[str, type]] = {
    Ready: {"pid": int, "layers": list, "missing": list},
    Run: {"program": str, "tools": dict, "capabilities": dict, "keep": bool},
    Output: {"stream": str, "text": str},
    CallTool: {"call": int, "name": str, "arguments": dict, "line": int, "batch_size": int},
    CallHost: {"call": int, "capability": str, "method": str, "arguments": dict},
    CallReturned: {"call": int, "value": _Any, "stored": bool},
    CallRaised: {"call": int, "kind": str, "message": str},
    Finished: {"outcome": dict, "state_lost": bool},
}
_KINDS = {kind.__name__: kind for kind in _FIELDS}
_OUTCOME = {"failure": _Any, "value": _Any, "text": _Any, "is_json": bool, "observed": list}
_FAILURE = {"kind": str, "message": str, "traceback": str, "line": _Any}


_WITH_DATA = (CallHost, CallReturned)
"""The messages that bytes can belong to. The bytes are not part of the JSON."""


def encode(message: Message) -> JSONObject:
    """Return the JSON object that `decode` converts back to an equal message, together with `data_of(message)`."""
    kind = type(message)
    if isinstance(message, Finished):
        content = {"outcome": _outcome_to_json(message.outcome), "state_lost": message.outcome.state_lost}
    else:
        content = {name: getattr(message, name) for name in _FIELDS[kind]}
    return {"says": kind.__name__, **content}


def data_of(message: Message) -> bytes:
    """Return the bytes that belong to the message."""
    return message.data if isinstance(message, _WITH_DATA) else b""


def decode(value: JSONValue, data: bytes = b"") -> Message:
    """Convert a JSON value to a message, to which `data` belongs.

    Raises:
        BridgeError: if the value is not exactly one of the eight messages, or no bytes can belong to it.
    """
    if not isinstance(value, dict):
        raise BridgeError("a frame that is not a JSON object")
    content = dict(value)
    name = content.pop("says", None)
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BridgeError("a frame of an unknown kind")
    _check(content, _FIELDS[kind], kind.__name__)
    if data:
        if kind not in _WITH_DATA:
            raise BridgeError(f"{kind.__name__}: bytes belong to it")
        return replace(decode(value), data=data)  # type: ignore[call-arg]  # both kinds have the field
    if kind is Finished:
        return Finished(replace(outcome_from_json(content["outcome"]), state_lost=content["state_lost"] is True))
    if kind is Ready and not (_is_names(content["layers"]) and _is_names(content["missing"])):
        raise BridgeError("Ready: layers that are not names")
    if kind is Output and (content["stream"] not in ("stdout", "stderr") or not content["text"]):
        raise BridgeError("Output without text, or to an unknown stream")
    if kind is CallTool or kind is CallHost:
        _check_call(content)
    return cast("Message", kind(**content))  # type: ignore[arg-type]  # the fields have been checked one by one


def outcome_from_json(value: JSONValue) -> RunOutcome:
    """Convert the JSON of an outcome from the guest or the worker, and check each field.

    Raises:
        BridgeError: if the value is not an outcome.
    """
    if not isinstance(value, dict):
        raise BridgeError("an outcome that is not a JSON object")
    _check(value, _OUTCOME, "outcome")
    text, observed = value["text"], value["observed"]
    if not (text is None or isinstance(text, str)) or not _is_texts(observed):
        raise BridgeError("outcome: a field of the wrong type")
    return RunOutcome(
        failure=_failure_from_json(value["failure"]),
        value=value["value"],
        text=text,
        is_json=value["is_json"] is True,
        observed=tuple(cast("list[str]", observed)),
    )


def _failure_from_json(value: JSONValue) -> ProgramFailure | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BridgeError("a failure that is not a JSON object")
    _check(value, _FAILURE, "failure")
    line = value["line"]
    if not (line is None or type(line) is int):
        raise BridgeError("failure: a line that is not a number")
    return ProgramFailure(
        kind=_one_line(str(value["kind"]), _MAX_KIND_LENGTH),
        message=_one_line(str(value["message"]), _MAX_MESSAGE_LENGTH),
        traceback=str(value["traceback"])[:_MAX_TRACEBACK_LENGTH],
        line=line if line is not None and 0 < line <= LAST_LINE else None,
    )


def _one_line(text: str, max_length: int) -> str:
    return " ".join(text[:max_length].splitlines())


def _outcome_to_json(outcome: RunOutcome) -> JSONObject:
    failure = outcome.failure
    return {
        "failure": failure and {name: getattr(failure, name) for name in _FAILURE},
        "value": outcome.value,
        "text": outcome.text,
        "is_json": outcome.is_json,
        "observed": list(outcome.observed),
    }


def _check(content: JSONObject, fields: Mapping[str, type], owner: str) -> None:
    if content.keys() != fields.keys():
        raise BridgeError(f"{owner}: not exactly the fields {', '.join(fields)}")
    for name, expected in fields.items():
        if expected is not _Any and type(content[name]) is not expected:
            raise BridgeError(f"{owner}: {name} has the wrong type")


def _check_call(content: JSONObject) -> None:
    names = [content[field] for field in ("name", "capability", "method") if field in content]
    if any(len(cast("str", name)) > MAX_NAME_LENGTH for name in names):
        raise BridgeError("a call with a name that is too long")
    line, batch_size = cast("int", content.get("line", 0)), cast("int", content.get("batch_size", 1))
    if not 0 <= line <= LAST_LINE or batch_size < 1:
        raise BridgeError("CallTool: a line or count out of range")


def _is_names(value: JSONValue) -> bool:
    names = cast("list[str]", value) if _is_texts(value) and len(cast("list[str]", value)) <= _MAX_LAYERS else [""]
    return all(0 < len(name) <= _MAX_LAYER_LENGTH and name.isprintable() for name in names)


def _is_texts(value: JSONValue) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
