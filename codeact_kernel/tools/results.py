"""What a tool returns becomes JSON by one rule, never by `repr`:

    the tool returns                        the program gets
    None, bool, str                         the same; a lone surrogate in text becomes U+FFFD
    int                                     the same; text when it needs more than 64 bits
    float, Decimal                          a float; text for a Decimal no float says exactly; null for NaN, infinity
    datetime, date, time, pandas Timestamp  ISO 8601 text
    timedelta                               seconds
    Enum                                    its value, by this rule
    UUID, Path, pandas Period               text
    list, tuple, other sequences and views  a list
    set, frozenset                          a list, sorted
    dict, other mappings                    an object; int, bool, None, date, Enum keys become text: `1`, `true`, `null`
    dataclass, NamedTuple, pydantic model   an object of its fields (a model by its `model_dump()`)
    numpy scalar, array                     a number, text or ISO text; a list (of lists)
    pandas DataFrame                        a list of row objects
    pandas Series                           a list; an object by label when the index says something
    pandas NaT, NA                          null

A pandas index says something when it has a name or is not made of whole numbers; then a DataFrame's rows carry it as
their first fields (`"index"` when it has no name). Else it counts rows, or what a filter left of them, and is dropped.

`bytes` and everything not in the table are refused by a sentence that names the type, and so are a structure that
contains itself, one nested deeper than `Limits.depth`, one larger than `Limits.answer_bytes`, and two keys or columns
that would be one.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Generator, Iterable, Mapping, Sequence, Set, ValuesView
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias, TypeGuard, cast
from uuid import UUID

from pydantic import BaseModel

from ..errors import ProgramError
from ..settings import Limits
from ..values import JSONValue
from .frames import cells, plain

__all__ = ["to_json"]

Shallow: TypeAlias = "bool | int | float | str | list[object] | dict[object, object] | None"

as_text = json.JSONEncoder(ensure_ascii=False).encode

SHALLOW_TYPES = (type(None), bool, int, float, str, list, dict)


def to_json(value: object, *, limits: Limits) -> JSONValue:
    """A fresh JSON copy of `value`, by the rule of this module.

    Raises:
        ProgramError: the value cannot be sent; the sentence says what to return instead.
    """
    return _Copy(limits).of(value, 1)


class _Copy:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.answer_bytes + 1  # the last value has no comma
        self._open: set[int] = set()

    def of(self, value: object, level: int) -> JSONValue:
        shallow = self._shallow(value)
        if isinstance(shallow, list):
            with self._entered(value, level):
                items = [self.of(item, level + 1) for item in shallow]
            return _in_order(items) if isinstance(value, set | frozenset) else items
        if isinstance(shallow, dict):
            with self._entered(value, level):
                return self._object(shallow, level)
        return self._scalar(shallow)

    def _object(self, entries: dict[object, object], level: int) -> JSONValue:
        result: dict[str, JSONValue] = {}
        for label, value in entries.items():
            key = cast(str, self._scalar(_key(label)))
            if key in result:
                raise ProgramError(f"two keys of a dict are both {key[:40]!r} as text: make them differ as text.")
            result[key] = self.of(value, level + 1)
        return result

    def _scalar(self, value: bool | float | str | None) -> JSONValue:
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            value = _digits(value)
        if isinstance(value, str):
            if len(value) > self._left:  # before it is encoded
                raise self._too_large()
            value = _well_formed(value)
            size = len(as_text(value).encode())
        else:
            size = len(str(value))  # None, False and True are as long in JSON
        self._spend(size + 1)
        return value

    def _shallow(self, value: object) -> Shallow:
        while isinstance(value, Enum):
            value = value.value
        if type(value) not in SHALLOW_TYPES:
            if 2 * cells(value) > self._left:  # a cell is at least a digit and a comma; checked before it is copied
                raise self._too_large()
            value = _reduced(value)
        return cast(Shallow, value)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._too_large()

    def _too_large(self) -> ProgramError:
        size = self._limits.answer_bytes
        return ProgramError(f"the result is larger than {size:,} bytes of JSON: return less, or one page at a time.")

    @contextmanager
    def _entered(self, value: object, level: int) -> Generator[None]:
        if id(value) in self._open:
            raise ProgramError("the result contains itself: return a structure without cycles.")
        if level > self._limits.depth:
            raise ProgramError(f"the result is nested deeper than {self._limits.depth} levels: return a flatter one.")
        self._spend(3)  # brackets and a comma
        self._open.add(id(value))
        yield
        self._open.remove(id(value))


def _reduced(value: object) -> object:
    for step in (plain, _from_scalar, _from_container):
        value = step(value)
        if type(value) in SHALLOW_TYPES:
            return value
    raise _refused(value)


def _from_scalar(value: object) -> object:
    # Subclasses of the JSON types come here too: an overridden method must not run in a later json.dumps.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, UUID | PurePath):
        return str(value)
    return value


def _from_container(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(warnings=False)
    if not isinstance(value, type) and dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if _is_record(value):
        return dict(zip(value._fields, value, strict=True))
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if _is_series(value):
        return list(value)
    return value


def _number(value: Decimal) -> float | str | None:
    if not value.is_finite():
        return None
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


def _well_formed(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python's own limit on the digits of an integer
        raise ProgramError("an integer of thousands of digits cannot be sent: return it as hex text.") from None


def _key(label: object) -> str:
    if type(label) is str:
        return label
    while isinstance(label, Enum):
        label = label.value
    label = plain(label)
    if isinstance(label, str):
        return str.__str__(label)
    if label is None or isinstance(label, bool):
        return json.dumps(label)
    if isinstance(label, int):
        return _digits(int(label))
    if isinstance(label, datetime | date):
        return label.isoformat()
    raise ProgramError(
        f"a {_type_name(label)} cannot be a key: use text or whole numbers as keys, "
        "and .reset_index() on a pandas object with such labels."
    )


def _is_record(value: object) -> TypeGuard[Any]:
    return isinstance(value, tuple) and hasattr(cast(object, value), "_fields")


def _is_series(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, Sequence | Set | ValuesView) and not _is_binary(cast(object, value))


def _is_binary(value: object) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


def _in_order(items: list[JSONValue]) -> list[JSONValue]:
    try:
        return sorted(cast("list[Any]", items))
    except TypeError:  # of several types: any order that is the same each time
        return sorted(items, key=json.dumps)


def _type_name(value: object) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return name[-80:]


def _refused(value: object) -> ProgramError:
    advice = "return text, numbers, lists, dicts, a dataclass, a pydantic model or a DataFrame instead."
    if _is_binary(value):
        advice = "return text, for example value.decode() or base64."
    elif hasattr(value, "__next__"):
        advice = "return list(...) of it."
    return ProgramError(f"a value of type {_type_name(value)} cannot be sent: {advice}")
