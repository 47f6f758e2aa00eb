"""Encode and decode strict JSON, and check its limits before decoding.

Python's `json` accepts NaN, numbers that overflow to infinity, duplicate keys and lone surrogates. Two parsers can
read each of them differently, so all four are refused. Deep input is refused before the decoder recurses into it.
"""

from __future__ import annotations

import json
import json.encoder
import math
import re
from collections.abc import Iterable
from typing import Any

from ..errors import BridgeError
from ..types import JSONValue

__all__ = ["dumps", "loads", "to_text"]

# Possessive, and it matches a string without an end, so that hostile text cannot make it scan again and again.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


def dumps(value: JSONValue, *, limit: int) -> bytes:
    """Encode `value` as UTF-8 JSON of at most `limit` bytes.

    Raises:
        BridgeError: if it is too large, or JSON cannot represent it (NaN, a lone surrogate, another type).
    """
    try:
        data = to_text(value).encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise BridgeError(f"not JSON: {error}") from None
    if len(data) > limit:
        raise BridgeError(f"{len(data):,} bytes of JSON, the limit is {limit:,}")
    return data


def to_text(value: JSONValue) -> str:
    """Encode `value` as JSON without spaces.

    Raises:
        TypeError, ValueError, RecursionError: if JSON cannot represent the value.
    """
    return "".join(_chunks(value, 0)) if _chunks else _encoder.encode(value)


def loads(data: bytes, *, limit: int, depth: int) -> JSONValue:
    """Decode `data`.

    Raises:
        BridgeError: if the data is longer than `limit` bytes, nested deeper than `depth`, or not strict JSON.
    """
    if len(data) > limit:
        raise BridgeError(f"{len(data):,} bytes of JSON, the limit is {limit:,}")
    if data.count(b"[") + data.count(b"{") > depth and _is_deeper(data, depth):
        raise BridgeError(f"JSON nested deeper than {depth} levels")
    try:
        value: JSONValue = _decode_text(data.decode())
    except (ValueError, RecursionError) as error:
        raise BridgeError(f"not JSON: {error}") from None
    if b"\\u" in data:
        _refuse_surrogates(value)
    return value


def _is_deeper(data: bytes, depth: int) -> bool:
    """Say whether brackets are nested deeper than `depth`, or more stay open. 8 MiB take a second at most."""
    rest = _STRING.sub(b"", data).translate(_BRACKETS, _OTHERS)
    for _ in range(depth):  # each pass removes the innermost pairs
        if b"[]" not in rest:
            break
        rest = rest.replace(b"[]", b"")
    return b"[]" in rest or rest.count(b"[") > depth


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _refuse(text: str) -> JSONValue:
    raise ValueError(f"{text} is not JSON")


def _require_unique(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object with a duplicate key")
    return result


# Created once: `json` would create its own at each call, which takes longer than a short message.
_decode_text = json.JSONDecoder(
    parse_float=_parse_finite, parse_constant=_refuse, object_pairs_hook=_require_unique
).decode
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_make: Any = getattr(json.encoder, "c_make_encoder", None)  # without markers: a reference cycle raises a RecursionError
_chunks: Any = _make and _make(
    None, _encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False
)


def _refuse_surrogates(value: JSONValue) -> None:
    for text in _strings(value):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BridgeError("not JSON: text with a lone surrogate") from None


def _strings(value: JSONValue) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
