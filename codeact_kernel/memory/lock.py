"""The lock file of one prompt: the programs that answered it, what they depend on, and what came of them.

It is made for git: stable, readable, one entry per line. The file may come from someone else, so reading is strict, and
nothing in it runs before the user has trusted it (`lock_folder.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from ..bridge.strict_json import loads
from ..capabilities.data import Frame
from ..errors import BridgeError, ProgramError, UserError
from ..settings import Limits
from ..tools.redaction import has_secret, without_secrets
from ..tools.to_json import to_json
from ..types import CallError, CallRecord, JSONObject, JSONValue, TurnResult
from ..wire.jsonable import tag_floats, untag_floats
from .dependencies import Dependencies, PromptKey

__all__ = [
    "MAX_BYTES",
    "MAX_CALLS",
    "Lock",
    "LockedCall",
    "LockedValue",
    "create_lock",
    "fingerprint",
    "lock_value",
    "parse_lock",
    "value_to_compare",
    "write_lock",
]

VERSION = 1
MAX_BYTES = 1 << 20
"""Bytes of a lock file."""
_MAX_VALUE = 32 << 10
"""Bytes of JSON that are kept of one value. Of a larger value only its digest is kept."""
_MAX_VALUES = 256 << 10
"""Bytes of JSON that are kept of all values of a turn."""
MAX_CALLS = 500
"""Calls of a turn that are recorded."""
_MAX_MESSAGE = 2_000
"""Characters that are kept of the error of a call, as long as there is room."""
_DEPTH = 40
_AROUND = 5
"""Levels of JSON around a value."""
_EXPANDED = 3
"""Levels of JSON that are written on lines of their own."""
_LIMITS = Limits()
_MAX_CELLS = 200_000
"""Values of a table that is compared cell by cell."""

_Text = Annotated[str, Field(max_length=20_000)]
_Name = Annotated[str, Field(max_length=200)]


def _check_moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not 2000 <= moment.year < 2200:
        raise ValueError("not a time with its distance from UTC")
    return text


_Moment = Annotated[_Name, AfterValidator(_check_moment)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LockedValue(_Part):
    """A JSON value, or the digest of a value that is too large or may hold a secret."""

    json_value: JsonValue = Field(default=None, alias="json")
    digest: _Name = ""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    @property
    def value(self) -> JSONValue:
        """The value, if it is recorded."""
        return cast("JSONValue", untag_floats(json.loads(json.dumps(self.json_value))))

    @property
    def fingerprint(self) -> str:
        """A text that is the same for the same value, see `fingerprint`."""
        return self.digest or fingerprint(self.json_value)


class LockedError(_Part):
    """The error of a call."""

    kind: Literal["ToolFailed", "ToolDenied"]
    message: _Text


class LockedCall(_Part):
    """One call, in the order in which the calls were answered. It has a result or an error.

    Attributes:
        arguments: the arguments that the program passed.
        edited: the arguments with which the user replaced them.
        overtook: how many calls that the program had made before were answered after this one.
        decision: who allowed what; see `Decision.choice`.
    """

    tool: _Name
    arguments: LockedValue
    edited: LockedValue | None = None
    result: LockedValue | None = None
    error: LockedError | None = None
    overtook: Annotated[int, Field(ge=0, le=MAX_CALLS)] = 0
    decision: _Name = ""


class Lock(_Part):
    """The content of a lock file.

    Attributes:
        ask, follows, inputs, outputs: the parts of the key; see `PromptKey`.
        depends: what the programs depend on.
        programs: the programs to run one after the other, as lines; none if the model answered in words.
        answer: the words of the model.
        calls: the calls of the programs.
        value: the value of the last program, or what it assigned to its outputs, by name.
        model, tokens: the model that wrote the programs, and the tokens that it read and wrote.
        recorded: when the turn began, as an ISO time with its distance from UTC.
        pinned: whether the programs are used also when the user runs the cell again.
        version: of this package.
    """

    codeact_lock: Literal[1]
    ask: Annotated[str, Field(max_length=200_000)]
    follows: Annotated[str, Field(max_length=200_000)] = ""
    inputs: tuple[_Name, ...] = ()
    outputs: tuple[_Name, ...] = ()
    depends: Dependencies = Dependencies()
    programs: Annotated[tuple[tuple[str, ...], ...], Field(max_length=20)] = ()
    answer: Annotated[str, Field(max_length=200_000)] = ""
    calls: Annotated[tuple[LockedCall, ...], Field(max_length=MAX_CALLS)] = ()
    value: LockedValue | None = None
    model: _Name = ""
    tokens: tuple[int, int] = (0, 0)
    recorded: _Moment
    pinned: bool = False
    version: _Name = ""

    @property
    def key(self) -> PromptKey:
        """The key of the prompt."""
        return PromptKey(ask=self.ask, follows=self.follows, inputs=self.inputs, outputs=self.outputs)

    @property
    def texts(self) -> tuple[str, ...]:
        """The programs as texts."""
        return tuple("\n".join(lines) for lines in self.programs)

    @property
    def day(self) -> str:
        """The day on which the turn was recorded, as `2026-11-30`."""
        return self.recorded[:10]

    @property
    def began(self) -> datetime:
        """The moment at which the turn began."""
        return datetime.fromisoformat(self.recorded)

    @property
    def digest(self) -> str:
        """Identifies exactly this content, however it is written."""
        return _digest(_canonical(_dump(self)))

    def is_same_turn(self, other: Lock) -> bool:
        """Return whether another turn gave the same programs, calls and value."""
        volatile = {"model", "tokens", "recorded", "pinned", "version"}
        return self.model_dump(exclude=volatile) == other.model_dump(exclude=volatile)


_ADAPTER = TypeAdapter(Lock)


def create_lock(key: PromptKey, depends: Dependencies, result: TurnResult, *, recorded: str, version: str) -> Lock:
    """Make the lock of a turn that ended well.

    Raises:
        UserError: if a file cannot hold it, or its prompt or programs hold a secret.
    """
    try:
        lock = _create_lock(key, depends, result, recorded=recorded, version=version)
        data = write_lock(lock)
        parse_lock(data)
    except (UserError, ValueError):  # a text is too long, or has a lone surrogate
        raise UserError("The program of this prompt is not recorded: it or the prompt is too large.") from None
    if (text := data.decode()) != without_secrets(text):
        raise UserError("The program of this prompt is not recorded: it or the prompt has a secret in it.")
    return lock


def _create_lock(key: PromptKey, depends: Dependencies, result: TurnResult, *, recorded: str, version: str) -> Lock:
    budget = _Budget()
    return Lock(
        codeact_lock=1,
        ask=key.ask,
        follows=key.follows,
        inputs=key.inputs,
        outputs=key.outputs,
        depends=depends,
        programs=tuple(tuple(program.split("\n")) for program in result.programs),
        answer="" if result.programs else result.answer,
        calls=tuple(_lock_call(record, budget) for record in result.calls[result.first_call :][:MAX_CALLS]),
        value=budget.lock(value_to_compare(result)),
        model=result.model[:200],
        tokens=(result.usage.prompt_tokens, result.usage.completion_tokens),
        recorded=recorded,
        version=version,
    )


def lock_value(value: object) -> LockedValue:
    """Return a value as it is recorded: as a digest if it is too large or may hold a secret."""
    return _Budget().lock(value)


def value_to_compare(result: TurnResult) -> object:
    """Return what two runs of a prompt are compared by: its value, and what it assigned to its outputs."""
    outputs = {name: _rows(value) for name, value in result.outputs.items()}
    return {"value": result.value, "outputs": outputs} if outputs else result.value


def _rows(value: object) -> object:
    if not isinstance(value, Frame):
        return value
    size: JSONObject = {"columns": list[JSONValue](value.names), "rows": value.rows}
    if value.rows * len(value.names) > _MAX_CELLS:
        return size
    try:
        return to_json(value.records(), limits=_LIMITS)
    except ProgramError:  # larger than a value may be
        return size


class _Budget:
    """Keeps values as long as there is room for them."""

    def __init__(self) -> None:
        self._left = _MAX_VALUES

    def lock(self, value: object) -> LockedValue:
        text = _canonical(value)
        data = text.encode(errors="replace")
        if len(data) <= min(_MAX_VALUE, self._left) and not has_secret(text):
            with suppress(BridgeError):  # nested too deeply, for example
                ordered = _to_json(value).encode(errors="replace")  # with the keys in their own order
                kept = LockedValue(json=loads(ordered, limit=2 * _MAX_VALUE, depth=_DEPTH - _AROUND))
                self._left -= len(data)
                return kept
        return LockedValue(digest=_digest(text))

    def cut(self, text: str) -> str:
        """Return as much of the text as there is room for."""
        text = text.encode(errors="replace").decode()[: min(_MAX_MESSAGE, self._left)]
        self._left = max(0, self._left - len(text.encode()))
        return text


def _lock_call(record: CallRecord, budget: _Budget) -> LockedCall:
    answer = record.answer
    is_cut = not isinstance(answer, CallError) and (answer.stored is not None or answer.is_cut)
    result = None
    if not isinstance(answer, CallError):
        result = LockedValue(digest="not recorded") if is_cut else budget.lock(answer.value)
    return LockedCall(
        tool=record.call.name,
        arguments=budget.lock(dict(record.call.arguments)),
        edited=None if record.decision.arguments is None else budget.lock(dict(record.decision.arguments)),
        result=result,
        error=LockedError(kind=answer.kind, message=budget.cut(answer.message))
        if isinstance(answer, CallError)
        else None,
        overtook=min(record.overtook, MAX_CALLS),
        decision=record.decision.choice,
    )


def fingerprint(value: object) -> str:
    """Return a text that is the same for the same JSON value, in whichever order its keys are."""
    return _digest(_canonical(value))


def _canonical(value: object) -> str:
    return _to_json(value, sort_keys=True)


def _to_json(value: object, *, sort_keys: bool = False) -> str:
    """Write a value as strict JSON, in which infinity and NaN have tags."""
    try:
        return json.dumps(tag_floats(value), sort_keys=sort_keys, ensure_ascii=False)
    except (TypeError, ValueError):  # not JSON: two such values are never the same
        return json.dumps(f"not JSON: {id(value)}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


# -- the file ----------------------------------------------------------------------------------------------------------


def parse_lock(data: bytes) -> Lock:
    """Read the content of a lock file.

    Raises:
        UserError: if it is not a lock; the message says why, as the end of a sentence about the file.
    """
    data = data.replace(b"\r\n", b"\n")
    if b"\n<<<<<<< " in data or data.startswith(b"<<<<<<< "):
        raise UserError("has an unresolved merge conflict: resolve it, or delete the file")
    try:
        value = loads(data, limit=MAX_BYTES, depth=_DEPTH)
    except BridgeError:
        raise UserError("is not a recorded program: restore the file, or delete it") from None
    version = value.get("codeact_lock") if isinstance(value, dict) else None
    if type(version) is int and version > VERSION:
        raise UserError("was written by a newer version: update codeact-kernel")
    try:
        return _ADAPTER.validate_json(data)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))[:100]
        raise UserError(f"is not a recorded program ({place or 'not an object'}): restore it, or delete it") from None


def write_lock(lock: Lock) -> bytes:
    """Return the content of a lock file."""
    return ("".join(_write(cast("JSONValue", _dump(lock)), _EXPANDED)) + "\n").encode()


def _dump(lock: Lock) -> JSONObject:
    content: JSONObject = lock.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    return {"codeact_lock": VERSION, **content}


def _write(value: JSONValue, levels: int) -> Iterator[str]:
    """Write the outer levels on lines of their own."""
    is_container = isinstance(value, dict | list)
    if not is_container or not value or not levels:
        yield json.dumps(value, ensure_ascii=False)
        return
    entries: Sequence[tuple[str, JSONValue]]
    if isinstance(value, dict):
        entries, (begin, end) = (
            [(f"{json.dumps(name, ensure_ascii=False)}: ", part) for name, part in value.items()],
            "{}",
        )
    else:
        entries, (begin, end) = [("", part) for part in cast("list[JSONValue]", value)], "[]"
    margin = " " * (_EXPANDED - levels + 1)
    yield f"{begin}\n"
    for number, (name, part) in enumerate(entries):
        yield margin + name
        yield from _write(part, levels - 1)
        yield ",\n" if number < len(entries) - 1 else "\n"
    yield margin[1:] + end
