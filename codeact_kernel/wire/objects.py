"""Write single values of a column as JSON, and read them with their types.

None, truth values, texts and finite numbers stand for themselves. Everything else is an object with one field, whose
name is the type: `{"date": "2026-01-31"}`. What is read is hostile, so the types are few and their texts are bounded.
"""

from __future__ import annotations

import binascii
import datetime
import decimal
import math
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, cast

from .zones import find_zone, name_zone, pandas_zone

__all__ = ["from_tagged", "to_tagged"]

_MAX_DEPTH = 20
_MAX_DIGITS = 4_000
_EXACT = 1 << 53


def to_tagged(value: Any, depth: int = 0) -> Any:
    """Return the value as plain data that `from_tagged` reads.

    Raises:
        TypeError: if its type is not among those that can be sent.
    """
    if value is None or type(value) in (bool, str):
        return value
    if depth > _MAX_DEPTH:
        raise TypeError(f"values nested more than {_MAX_DEPTH} levels deep cannot be sent")
    if type(value) is int:
        return value if abs(value) < _EXACT else {"int": _decimal(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    for write in (_tag_library, _tag_scalar):
        if (tagged := write(value)) is not None:
            return tagged
    if isinstance(value, (list, tuple, set, frozenset)):
        kind: type = next(filter(lambda kind: isinstance(value, kind), (list, tuple, frozenset, set)))
        return {kind.__name__: [to_tagged(item, depth + 1) for item in cast("list[Any]", value)]}
    if isinstance(value, dict):
        entries = cast("dict[Any, Any]", value).items()
        return {"dict": [[to_tagged(key, depth + 1), to_tagged(item, depth + 1)] for key, item in entries]}
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"values of type {type(value).__name__[:60]} cannot be sent: convert them to text first")


def _tag_scalar(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return {"datetime": value.isoformat()}
        if (zone := name_zone(value.tzinfo)) is None:
            raise TypeError("a time in a zone without a name cannot be sent: convert it to UTC first")
        return {"zoned": [value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(), zone]}
    if isinstance(value, datetime.date):
        return {"date": value.isoformat()}
    if isinstance(value, datetime.time) and value.tzinfo is None:
        return {"time": value.isoformat()}
    if isinstance(value, datetime.timedelta):
        return {"timedelta": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": binascii.b2a_base64(value, newline=False).decode()}
    return None


def _tag_library(value: Any) -> Any:
    """Tag a value of numpy or pandas, which only exists if the library is loaded."""
    pandas, numpy = cast("Any", sys.modules.get("pandas")), cast("Any", sys.modules.get("numpy"))
    if pandas is not None:
        if value is pandas.NaT or value is pandas.NA:
            return {"missing": "NaT" if value is pandas.NaT else "NA"}
        if isinstance(value, pandas.Timestamp):
            zone = None if value.tzinfo is None else name_zone(value.tzinfo)
            if value.tzinfo is not None and zone is None:
                raise TypeError("a time in a zone without a name cannot be sent: convert it to UTC first")
            return (
                {"timestamp": [int(value.value), zone]} if _is_in_range(value) else _tag_scalar(value.to_pydatetime())
            )
        if isinstance(value, pandas.Timedelta):
            return {"duration": int(value.value)}
        if isinstance(value, pandas.Period):
            return {"period": [int(value.ordinal), value.freqstr]}
    if numpy is not None and isinstance(value, numpy.generic):
        item = value.item()
        if not isinstance(item, numpy.generic):
            return to_tagged(item)
    return None


def _is_in_range(time: Any) -> bool:
    try:
        return bool(time.as_unit("ns") is not None)
    except (OverflowError, ValueError):
        return False


def from_tagged(tagged: Any) -> Any:
    """Return the value that `to_tagged` wrote.

    Raises:
        ValueError, TypeError, LookupError: if it is anything else.
    """
    if tagged is None or type(tagged) in (bool, str, int, float):
        return tagged
    if not isinstance(tagged, dict) or len(cast("dict[str, Any]", tagged)) != 1:
        raise ValueError("a value without a type")
    ((kind, content),) = cast("dict[str, Any]", tagged).items()
    return _READERS[kind](content)


def _decimal(number: int) -> str:
    if number.bit_length() > 13_288:
        raise TypeError(f"an integer of more than {_MAX_DIGITS:,} digits cannot be sent: use hex(...) of it")
    return str(number)


def _text(content: Any) -> str:
    if not isinstance(content, str) or len(content) > _MAX_DIGITS + 100:
        raise ValueError("a text expected")
    return content


def _number(content: Any) -> int:
    if type(content) is not int or abs(content) >= 1 << 63:
        raise ValueError("a whole number expected")
    return content


def _read_zoned(content: Any) -> datetime.datetime:
    text, zone = content
    moment = datetime.datetime.fromisoformat(_text(text)).replace(tzinfo=datetime.UTC)
    return moment.astimezone(find_zone(_text(zone)))


def _pandas() -> Any:
    return import_module("pandas")


def _read_timestamp(content: Any) -> Any:
    number, zone = content
    moment = _pandas().Timestamp(_number(number))
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(pandas_zone(_text(zone)))


def _read_duration(content: Any) -> Any:
    return _pandas().Timedelta(_number(content))


def _read_period(content: Any) -> Any:
    number, freq = content
    text = _text(freq)
    if len(text) > 20 or not text.replace("-", "").isalnum():
        raise ValueError("a frequency that is not known")
    return _pandas().Period(ordinal=_number(number), freq=text)


def _read_missing(content: Any) -> Any:
    return {"NaT": _pandas().NaT, "NA": _pandas().NA}[content]


def _read_items(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise ValueError("a list expected")
    return [from_tagged(item) for item in cast("list[Any]", content)]


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "int": lambda content: int(_text(content)),
    "float": lambda content: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[content],
    "list": _read_items,
    "tuple": lambda content: tuple(_read_items(content)),
    "set": lambda content: set(_read_items(content)),
    "frozenset": lambda content: frozenset(_read_items(content)),
    "dict": lambda content: {from_tagged(key): from_tagged(item) for key, item in content},
    "datetime": lambda content: datetime.datetime.fromisoformat(_text(content)),
    "zoned": _read_zoned,
    "date": lambda content: datetime.date.fromisoformat(_text(content)),
    "time": lambda content: datetime.time.fromisoformat(_text(content)),
    "timedelta": lambda content: datetime.timedelta(*map(_number, content)),
    "decimal": lambda content: decimal.Decimal(_text(content)),
    "bytes": lambda content: binascii.a2b_base64(content, strict_mode=True),
    "timestamp": _read_timestamp,
    "duration": _read_duration,
    "period": _read_period,
    "missing": _read_missing,
}
