"""The seven messages, and how each becomes one JSON object and back.

A message that comes from the other end is hostile data: `decode` checks the kind, the exact set of fields and the
exact type of each (`bool` is no `int` here) before an object is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from ..errors import BridgeError
from ..types import JSONObject, JSONValue, ProgramFailure, RunOutcome, Stream

__all__ = [
    "LAST_LINE",
    "LONGEST_NAME",
    "CallTool",
    "Finished",
    "Message",
    "Output",
    "Ready",
    "Run",
    "ToolRaised",
    "ToolReturned",
    "decode",
    "encode",
]


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker: a clean guest is waiting. Names the layers of lockdown that are in force, and those it could not have."""

    pid: int
    layers: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Run:
    """Host: run `program`. `tools` maps each tool's name to the names of its parameters, in order; `capabilities` maps
    the name of each capability (`"files"`, `"data"`, ...) to the configuration of its guest half.

    `keep` leaves the guest as it is when the program fails or observes, so that a repair finds its variables.
    """

    program: str
    tools: dict[str, JSONValue]
    capabilities: JSONObject
    keep: bool


@dataclass(frozen=True, slots=True)
class Output:
    """Worker: the program printed."""

    stream: Stream
    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Worker: the program wants a tool, or by a name with a dot a service: `files.read`.

    `line` is 0 where it is not known, `together` is what the program told.
    """

    call: int
    name: str
    arguments: JSONObject
    line: int
    together: int = 1


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """Host: the answer to a call. Where it was `kept`, `value` says how the guest gets at it."""

    call: int
    value: JSONValue
    kept: bool = False


@dataclass(frozen=True, slots=True)
class ToolRaised:
    """Host: a call that failed or was denied; `kind` names the guest's exception."""

    call: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Worker: the run is over and no call is open."""

    outcome: RunOutcome


Message: TypeAlias = Ready | Run | Output | CallTool | ToolReturned | ToolRaised | Finished


class _Any:
    """Stands for a field whose value is checked elsewhere."""


# An honest worker stays below these.
LONGEST_NAME = 200
"""Characters of the name in a call."""
LAST_LINE = 1 << 20
"""Of a program."""
_MOST_LAYERS, _LONGEST_LAYER = 20, 100
_LONGEST_KIND, _LONGEST_MESSAGE, _LONGEST_TRACEBACK = 200, 2_200, 64 << 10

_FIELDS: Mapping[type[Message], Mapping[str, type]] = {
    Ready: {"pid": int, "layers": list, "missing": list},
    Run: {"program": str, "tools": dict, "capabilities": dict, "keep": bool},
    Output: {"stream": str, "text": str},
    CallTool: {"call": int, "name": str, "arguments": dict, "line": int, "together": int},
    ToolReturned: {"call": int, "value": _Any, "kept": bool},
    ToolRaised: {"call": int, "kind": str, "message": str},
    Finished: {"outcome": dict, "state_lost": bool},
}
_KINDS = {kind.__name__: kind for kind in _FIELDS}
_OUTCOME = {"failure": _Any, "value": _Any, "text": _Any, "is_json": bool, "observed": list}
_FAILURE = {"kind": str, "message": str, "traceback": str, "line": _Any}


def encode(message: Message) -> JSONObject:
    """The JSON object that `decode` turns back into an equal message."""
    kind = type(message)
    if isinstance(message, Finished):
        content = {"outcome": _outcome_to_json(message.outcome), "state_lost": message.outcome.state_lost}
    else:
        content = {name: getattr(message, name) for name in _FIELDS[kind]}
    return {"says": kind.__name__, **content}


def decode(value: JSONValue) -> Message:
    """The message that `value` is.

    Raises:
        BridgeError: it is not exactly one of the seven.
    """
    if not isinstance(value, dict):
        raise BridgeError("a frame that is not a JSON object")
    content = dict(value)
    name = content.pop("says", None)
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BridgeError("a frame of no known kind")
    _check(content, _FIELDS[kind], kind.__name__)
    if kind is Finished:
        return Finished(replace(outcome_from_json(content["outcome"]), state_lost=content["state_lost"] is True))
    if kind is Ready and not (_is_names(content["layers"]) and _is_names(content["missing"])):
        raise BridgeError("Ready: layers that are no names")
    if kind is Output and (content["stream"] not in ("stdout", "stderr") or not content["text"]):
        raise BridgeError("Output of nothing, or to no known stream")
    if kind is CallTool:
        _check_call(content)
    return cast("Message", kind(**content))  # type: ignore[arg-type]  # the fields were checked one by one just above


def outcome_from_json(value: JSONValue) -> RunOutcome:
    """The outcome that the guest or the worker told, checked field by field.

    Raises:
        BridgeError: it is not one.
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
        raise BridgeError("failure: a line that is no number")
    return ProgramFailure(
        kind=_one_line(str(value["kind"]), _LONGEST_KIND),
        message=_one_line(str(value["message"]), _LONGEST_MESSAGE),
        traceback=str(value["traceback"])[:_LONGEST_TRACEBACK],
        line=line if line is not None and 0 < line <= LAST_LINE else None,
    )


def _one_line(text: str, most: int) -> str:
    return " ".join(text[:most].splitlines())


def _outcome_to_json(outcome: RunOutcome) -> JSONObject:
    failure = outcome.failure
    return {
        "failure": failure and {name: getattr(failure, name) for name in _FAILURE},
        "value": outcome.value,
        "text": outcome.text,
        "is_json": outcome.is_json,
        "observed": list(outcome.observed),
    }


def _check(content: JSONObject, fields: Mapping[str, type], what: str) -> None:
    if content.keys() != fields.keys():
        raise BridgeError(f"{what}: not exactly the fields {', '.join(fields)}")
    for name, expected in fields.items():
        if expected is not _Any and type(content[name]) is not expected:
            raise BridgeError(f"{what}: {name} is not of its type")


def _check_call(content: JSONObject) -> None:
    name, line, together = content["name"], cast("int", content["line"]), cast("int", content["together"])
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise BridgeError("CallTool: a name that is too long")
    if not 0 <= line <= LAST_LINE or together < 1:
        raise BridgeError("CallTool: a number that counts nothing")


def _is_names(value: JSONValue) -> bool:
    names = cast("list[str]", value) if _is_texts(value) and len(cast("list[str]", value)) <= _MOST_LAYERS else [""]
    return all(0 < len(name) <= _LONGEST_LAYER and name.isprintable() for name in names)


def _is_texts(value: JSONValue) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
