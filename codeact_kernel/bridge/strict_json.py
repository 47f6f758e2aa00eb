"""JSON that means one thing only, with its limits checked before decoding.

Python's `json` accepts NaN, numbers that overflow to infinity, duplicate keys and lone surrogates; each of them is a
way to make two readers disagree, so all four are refused. Deep input is refused before the decoder recurses into it.
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

# Possessive, and content with a string that never ends: hostile text must not make it scan again and again.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(set(range(256)) - set(b"[]{}"))


def dumps(value: JSONValue, *, limit: int) -> bytes:
    """`value` as UTF-8 JSON of at most `limit` bytes.

    Raises:
        BridgeError: it is too large, or holds what JSON cannot carry (NaN, a lone surrogate, a foreign type).
    """
    try:
        data = to_text(value).encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise BridgeError(f"not JSON: {error}") from None
    if len(data) > limit:
        raise BridgeError(f"{len(data):,} bytes of JSON, the limit is {limit:,}")
    return data


def to_text(value: JSONValue) -> str:
    """`value` as JSON without spaces.

    Raises:
        TypeError, ValueError, RecursionError: it holds what JSON cannot carry.
    """
    return "".join(_chunks(value, 0)) if _chunks else _encoder.encode(value)


def loads(data: bytes, *, limit: int, depth: int) -> JSONValue:
    """Decode `data`, refusing everything that is too long, nested deeper than `depth`, or not strict JSON.

    Raises:
        BridgeError: the data was refused.
    """
    if len(data) > limit:
        raise BridgeError(f"{len(data):,} bytes of JSON, the limit is {limit:,}")
    if data.count(b"[") + data.count(b"{") > depth and _is_deeper(data, depth):
        raise BridgeError(f"JSON nested deeper than {depth} levels")
    try:
        value: JSONValue = _decoded(data.decode())
    except (ValueError, RecursionError) as error:
        raise BridgeError(f"not JSON: {error}") from None
    if b"\\u" in data:
        _refuse_surrogates(value)
    return value


def _is_deeper(data: bytes, depth: int) -> bool:
    """Whether the brackets are nested deeper, or more of them stay open. Eight megabytes take a second at most."""
    rest = _STRING.sub(b"", data).translate(_BRACKETS, _OTHERS)
    for _ in range(depth):  # each pass takes the innermost pairs away
        if b"[]" not in rest:
            break
        rest = rest.replace(b"[]", b"")
    return b"[]" in rest or rest.count(b"[") > depth


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _refuse(text: str) -> JSONValue:
    raise ValueError(f"{text} is not JSON")


def _unique_keys(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object with a key twice")
    return result


# Made once: `json` makes its own anew at each call, which takes longer than reading or writing a short message.
_decoded = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse, object_pairs_hook=_unique_keys).decode
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_make: Any = getattr(json.encoder, "c_make_encoder", None)  # without markers: a circle is a RecursionError
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
