"""Turn results of tools into plain data by one rule, never by `repr`:

    the tool returns                        the program gets
    None, bool, str                         the same; a lone surrogate in text becomes U+FFFD
    int                                     the same, up to 4,000 digits
    float, Decimal, Fraction                a float, also NaN and infinity; text where no float says it exactly
    datetime, date, time, pandas Timestamp  ISO 8601 text
    timedelta                               seconds
    Enum                                    its value, by this rule
    UUID, Path, IP address, UserString      text
    pandas Period, Interval, type of column text
    bytes                                   their UTF-8 text
    list, tuple, range, other sequences     a list
    set, frozenset                          a list, sorted
    dict, other mappings                    an object; int, float, bool, None, date, Enum keys become text: `1`, `true`
    dataclass, NamedTuple, pydantic model   an object of its fields (a model by its `model_dump()`)
    numpy scalar, array                     a number, text or ISO text; a list (of lists); a record as an object
    DataFrame of pandas, polars, pyarrow    a list of row objects
    Series of these                         a list; by label when the index of a pandas one says something
    pandas NaT, NA, NaN in pandas           null

The rule for values that are not of a library is in `wire.jsonable`; programs follow it for arguments.

A pandas index is data unless it only counts the rows, or is the rest of such a count after a filter. The rows of a
DataFrame have an index with data as their first fields (`"index"` if it has no name). The index of `value_counts()` is
always data.

All other types are refused by an error that names the type. So are structures that contain themselves, are nested
deeper than `Limits.depth` or larger than `Limits.answer_bytes`, and keys or columns that would get the same name.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

from ..errors import ProgramError
from ..settings import Limits
from ..types import JSONValue
from ..wire.data_libraries import cells, is_a, plain
from ..wire.jsonable import Copier, Unsendable, describe_type

__all__ = ["is_plain", "to_json"]

as_text = json.JSONEncoder(ensure_ascii=False).encode


_SCALARS = frozenset({type(None), bool, int, float, str})


def is_plain(value: object) -> bool:
    """Return whether the value is made of exactly the types of plain data, so that `to_json` would only copy it."""
    todo, seen = [value], set[int]()
    while todo:
        part = todo.pop()
        if id(part) in seen and type(part) in (dict, list):
            continue
        seen.add(id(part))
        if type(part) is dict:
            if {*map(type, cast("dict[object, object]", part))} - {str}:
                return False
            items = list(cast("dict[object, object]", part).values())
        elif type(part) is not list:
            if type(part) not in _SCALARS:
                return False
            continue
        else:
            items = cast("list[object]", part)
        if {*map(type, items)} - _SCALARS:
            todo += [item for item in items if type(item) not in _SCALARS]
    return True


def to_json(value: object, *, limits: Limits) -> JSONValue:
    """Return a fresh copy of `value` as plain data, by the rule of this module.

    Raises:
        ProgramError: The value cannot be sent; the message says what to return instead.
    """
    try:
        return _HostCopier(limits).copy(value)
    except Unsendable as error:
        raise ProgramError(str(error)) from None


class _HostCopier(Copier):
    """Also copies values of libraries, and measures what it copies as JSON."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits.depth)
        self._limits = limits
        self._left = limits.answer_bytes + 1  # the last value has no comma

    def reduce_foreign(self, value: object) -> object:
        if 2 * cells(value) > self._left:  # a cell is at least a digit and a comma; checked before it is copied
            raise self._too_large()
        if is_a(value, "pydantic", "BaseModel"):
            return value.model_dump(warnings=False)
        return plain(value)

    def _copy_scalar(self, value: Any) -> Any:
        value = super()._copy_scalar(value)
        if isinstance(value, str):
            if len(value) > self._left:  # before it is encoded
                raise self._too_large()
            value = _well_formed(value)
            size = len(as_text(value).encode())
        elif isinstance(value, float) and not math.isfinite(value):
            size = 25  # with its tag
        else:
            size = len(str(value))  # None, False and True have the same length in JSON
        self._spend(size + 1)
        return value

    def copy_key(self, label: object) -> str:
        key = super().copy_key(label)
        if len(key) > self._left:
            raise self._too_large()
        key = _well_formed(key)
        self._spend(len(as_text(key).encode()) + 1)
        return key

    def _enter(self, value: object, level: int) -> None:
        super()._enter(value, level)
        self._spend(3)  # brackets and a comma

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._too_large()

    def _too_large(self) -> ProgramError:
        size = self._limits.answer_bytes
        return ProgramError(f"the result is larger than {size:,} bytes of JSON: return less, or one page at a time.")

    def refuse(self, value: object) -> Unsendable:
        advice = "return text, numbers, lists, dicts, a dataclass, a pydantic model or a DataFrame instead."
        if type(value) in (bytes, bytearray, memoryview):
            advice = "it is not UTF-8 text; return text, for example base64."
        elif hasattr(value, "__next__"):
            advice = "return list(...) of it."
        return Unsendable(f"a value of type {describe_type(value)} cannot be sent: {advice}")

    def refuse_key(self, label: object) -> Unsendable:
        return Unsendable(
            f"a {describe_type(label)} cannot be a key: use text or whole numbers as keys, "
            "and .reset_index() on a pandas object with such labels."
        )

    def refuse_nesting(self, *, circle: bool) -> Unsendable:
        if circle:
            return Unsendable("the result contains itself: return a structure without cycles.")
        return Unsendable(f"the result is nested deeper than {self._limits.depth} levels: return a flatter one.")


def _well_formed(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
