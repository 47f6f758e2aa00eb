"""Write the result of a turn as JSON that can be kept, and read it again.

What is written has bounded size, and no secret that `without_secrets` knows: long texts and values are cut, with a mark
that says so. Reading is strict, because the text may be damaged, or come from somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass, replace
from typing import Any, TypeAlias, TypeVar, cast, get_args

from ..bridge import strict_json
from ..capabilities.show import revalidate_item
from ..errors import BridgeError, ProgramError
from ..tools.redaction import without_secrets
from ..types import (
    ApprovalChoice,
    CallError,
    CallRecord,
    CallResult,
    Decision,
    DisplayItem,
    Isolation,
    JSONValue,
    OutputFile,
    ProgramFailure,
    ShownKind,
    StoredResult,
    Timings,
    ToolCall,
    TurnResult,
    Usage,
)
from ..wire.jsonable import tag_floats, untag_floats

__all__ = ["cut_text", "read_record", "result_from_json", "result_to_json", "write_record"]

T = TypeVar("T")
_MAX_CHARS: Mapping[str, int] = {
    "TurnResult.ask": 20_000,
    "TurnResult.program": 100_000,
    "TurnResult.answer": 20_000,
    "TurnResult.value": 64_000,
    "TurnResult.text": 20_000,
    "TurnResult.stdout": 20_000,
    "TurnResult.stderr": 20_000,
    "TurnResult.outputs": 20_000,
    "TurnResult.feedback": 20_000,
    "ProgramFailure.traceback": 20_000,
    "DisplayItem.data": 20_000,
}
_OTHER_CHARS = 2_000
"""Characters that are kept of any other text or value, such as an argument of a call."""
_LEFT_OUT = frozenset({"TurnResult.data", "CallResult.data"})
"""What would be kept twice: the value, or an output; and what no tool returns."""
_MAX_ITEMS: Mapping[str, int] = {"TurnResult.calls": 1_000}
_OTHER_ITEMS = 100
"""Items that are kept of any other list, and entries of an object."""
_SECRET_CHARS = 4_000
"""Characters after a cut that are searched for secrets too: the beginning of a secret is not recognized."""
_MAX_BYTES, _MAX_DEPTH, _MAX_INT = 64 << 20, 200, 1 << 53
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def result_to_json(result: TurnResult) -> str:
    """Write the result as JSON. Tables in its `outputs` are left out."""
    return write_record(result)


def result_from_json(text: str) -> TurnResult:
    """Read what `result_to_json` wrote.

    Raises:
        ValueError: if the text is anything else.
    """
    return read_record(TurnResult, text)


def write_record(record: object) -> str:
    """Write an object of one of the types that a result consists of."""
    value = _write_record(record)
    text = _ENCODER.encode(value)
    if without_secrets(text) != text:  # only then is it worth looking at every text
        text = _ENCODER.encode(_redact(value))
    return _encodable(text)


def read_record(kind: type[T], text: str) -> T:
    """Read what `write_record` wrote for an object of this type.

    Raises:
        ValueError: if the text is anything else.
    """
    try:
        value = strict_json.loads(text.encode(), limit=_MAX_BYTES, depth=_MAX_DEPTH)
        return cast("T", _record_reader(kind)(value))
    except (BridgeError, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"this is not a {kind.__name__} ({error})") from None


def cut_text(text: str, max_chars: int) -> str:
    """Return the text without secrets. If it is too long, a mark stands for its middle."""
    return _encodable(without_secrets(_cut(text, max_chars)))


def _cut(text: str, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    half = max_chars // 2
    head = without_secrets(text[: half + _SECRET_CHARS])[:half]
    tail = without_secrets(text[-half - _SECRET_CHARS :])[-half:]
    return f"{head} … {len(text) - max_chars:,} characters left out … {tail}"


def _cut_value(value: JSONValue, max_chars: int) -> JSONValue:
    """Return the value for strict JSON, or the beginning of its JSON as a text if that is too long."""
    if isinstance(value, str):
        return _cut(value, max_chars)
    parts: list[str] = []
    size = 0
    for part in _ENCODER.iterencode(value):  # a result can have many megabytes: only the beginning is encoded
        parts.append(part)
        size += len(part)
        if size > max_chars + _SECRET_CHARS:
            break
    if size <= max_chars:
        return cast("JSONValue", tag_floats(value))
    return without_secrets("".join(parts))[:max_chars] + " … the rest was left out"


def _encodable(text: str) -> str:
    """Replace lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _redact(value: JSONValue) -> JSONValue:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, list):
        return [_redact(item) for item in value]
    if isinstance(value, dict):
        return {without_secrets(name): _redact(item) for name, item in value.items()}
    if value is None or isinstance(value, bool) or (text := without_secrets(str(value))) == str(value):
        return value
    return text


# Writing: the type of the object decides, and the name of its field how much is kept.


def _write_record(record: Any) -> JSONValue:
    kind = type(record).__name__
    names = [field.name for field in fields(record) if f"{kind}.{field.name}" not in _LEFT_OUT]
    content = {name: _write(getattr(record, name), f"{kind}.{name}") for name in names}
    if isinstance(record, StoredResult):
        content["guest_ref"] = {}  # it describes memory that is gone; a reader does not believe another one
    if isinstance(record, CallResult) and isinstance(content["value"], str) and not isinstance(record.value, str):
        content["is_cut"] = True
    return content


def _write(value: object, where: str) -> JSONValue:
    if is_dataclass(value):
        return _write_record(value)
    max_chars, max_items = _MAX_CHARS.get(where, _OTHER_CHARS), _MAX_ITEMS.get(where, _OTHER_ITEMS)
    if where in ("TurnResult.value", "CallResult.value", "StoredResult.preview", "DisplayItem.data"):
        return _cut_value(cast("JSONValue", value), max_chars)
    if isinstance(value, Mapping):
        entries = list(cast("Mapping[str, Any]", value).items())[:max_items]
        return {_cut(name, 200): _cut_value(item, max_chars) for name, item in entries if _is_json(item)}
    if isinstance(value, str):
        return _cut(value, max_chars)
    if isinstance(value, Sequence):
        return [_write(item, f"{where}[]") for item in cast("Sequence[object]", value)[:max_items]]
    return cast("JSONValue", tag_floats(value))


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | dict)


# Reading: the annotation of each field decides.

_Reader: TypeAlias = Callable[[Any], object]


def _record_reader(kind: type[Any]) -> _Reader:
    known: dict[str, Field[Any]] = {
        field.name: field for field in fields(kind) if f"{kind.__name__}.{field.name}" not in _LEFT_OUT
    }

    def read(value: Any) -> object:
        if not isinstance(value, dict) or not value.keys() <= known.keys():  # type: ignore[reportUnknownMemberType]
            raise ValueError(f"not the fields of a {kind.__name__}")
        content = cast("dict[str, Any]", value)
        # A field that a later version adds has a default, and is missing in what an earlier version wrote.
        record: object = kind(**{name: _READERS[cast("str", known[name].type)](item) for name, item in content.items()})
        if isinstance(record, DisplayItem):
            return _read_item(record)
        return replace(record, guest_ref={}) if isinstance(record, StoredResult) else record

    return read


def _read_item(item: DisplayItem) -> DisplayItem:
    """Return an item that the card can show. A large item was not kept whole: a sentence takes its place."""
    try:
        return revalidate_item(item)
    except ProgramError:
        return DisplayItem(kind="text", title=item.title, data=f"(The {item.kind} is not in the history.)")


def _exactly(*kinds: type) -> _Reader:
    def read(value: Any) -> object:
        if type(value) not in kinds:
            raise ValueError(f"{kinds[0].__name__} expected")
        return value

    return read


def _read_int(value: Any) -> object:
    """Read a count, a size or a line number: no sum of them is too large for a float."""
    if type(value) is not int or abs(value) > _MAX_INT:
        raise ValueError("a whole number expected")
    return value


def _read_float(value: Any) -> object:
    return float(_exactly(float, int)(value))  # type: ignore[arg-type]  # an integer can be too large for a float


def _one_of(*choices: str) -> _Reader:
    def read(value: Any) -> object:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"one of {', '.join(choices)} expected")
        return value

    return read


def _sequence(item: _Reader) -> _Reader:
    def read(value: Any) -> object:
        if not isinstance(value, list):
            raise ValueError("a list expected")
        return tuple(item(each) for each in cast("list[Any]", value))

    return read


def _optional(inner: _Reader) -> _Reader:
    return lambda value: None if value is None else inner(value)


def _read_json(value: Any) -> object:
    return untag_floats(value)


def _read_object(value: Any) -> object:
    return untag_floats(_exactly(dict)(value))


def _read_outcome(value: Any) -> object:
    return _record_reader(CallError if isinstance(value, dict) and "message" in value else CallResult)(value)


_READERS: Mapping[str, _Reader] = {
    "str": _exactly(str),
    "str | None": _optional(_exactly(str)),
    "int": _read_int,
    "int | None": _optional(_read_int),
    "float": _read_float,
    "bool": _exactly(bool),
    "tuple[str, ...]": _sequence(_exactly(str)),
    "Sequence[str]": _sequence(_exactly(str)),
    "JSONValue": _read_json,
    "JSONObject": _read_object,
    "Mapping[str, JSONValue]": _read_object,
    "Mapping[str, JSONValue] | None": _optional(_read_object),
    "Mapping[str, object]": _read_object,
    "ApprovalChoice": _one_of(*get_args(ApprovalChoice)),
    "ShownKind": _one_of(*get_args(ShownKind)),
    "Literal['policy', 'user', 'memory', 'nobody']": _one_of("policy", "user", "memory", "nobody"),
    "Literal['ToolFailed', 'ToolDenied']": _one_of("ToolFailed", "ToolDenied"),
    "ToolCall": _record_reader(ToolCall),
    "Decision": _record_reader(Decision),
    "CallOutcome": _read_outcome,
    "StoredResult | None": _optional(_record_reader(StoredResult)),
    "Usage": _record_reader(Usage),
    "Timings": _record_reader(Timings),
    "Isolation | None": _optional(_record_reader(Isolation)),
    "ProgramFailure | None": _optional(_record_reader(ProgramFailure)),
    "Sequence[CallRecord]": _sequence(_record_reader(CallRecord)),
    "Sequence[OutputFile]": _sequence(_record_reader(OutputFile)),
    "Sequence[DisplayItem]": _sequence(_record_reader(DisplayItem)),
}
"""How a field is read, by its annotation in `types`."""
