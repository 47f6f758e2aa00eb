"""Write values the way people write them: about six digits, in Python's spelling, long lists with their length.

Only the display is rounded. A call that the user decides about, and the value itself, keep every digit.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import islice

from ..text import plural, truncate_middle
from ..types import JSONValue
from .escaping import escape_controls, one_line

__all__ = ["arguments_text", "format_number", "is_scalar", "rounded_text", "value_block", "value_text"]

_MAX_VALUE, _MAX_ONE_LINE = 20_000, 100
_SIGNIFICANT, _MIN_DECIMALS = 6, 2
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|true|false|null|-?Infinity|NaN')
_SPELLINGS = {
    "true": "True",
    "false": "False",
    "null": "None",
    "NaN": "nan",
    "Infinity": "inf",
    "-Infinity": "-inf",
}


def is_scalar(value: JSONValue) -> bool:
    """Return whether `value` is neither a list nor a dict."""
    return not isinstance(value, list | dict)


def _round_number(value: float) -> float:
    """Round to six significant digits, but never to fewer than two decimals: prices keep their cents."""
    if not math.isfinite(value) or value == 0:
        return value
    return round(value, max(_MIN_DECIMALS, _SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))))


def format_number(value: float) -> str:
    """Write a rounded number in Python's spelling: `49.96`, `1e-09`, `nan`."""
    return repr(_round_number(value))


def value_text(value: JSONValue, max_chars: int = 200) -> str:
    """Write a value exactly, on one line, as a program would write it."""
    # After the first cut only escapes can make the text longer.
    return truncate_middle(escape_controls(truncate_middle(_write(value), max_chars)), 4 * max_chars + 100)


def rounded_text(value: JSONValue, max_chars: int = 200) -> str:
    """Write a value on one line with rounded numbers, a long flat list with its length."""
    if isinstance(value, list) and all(map(is_scalar, value)):
        return _list_line(value)
    return value_text(_round(value), max_chars)


def arguments_text(arguments: Mapping[str, JSONValue], max_chars: int = 200) -> str:
    """Write the arguments of a call exactly, as a program would write them."""
    each = max(20, max_chars // max(1, len(arguments)))  # so that each argument says how much of it is left out
    pairs = (f"{truncate_middle(one_line(name), each)}={value_text(value, each)}" for name, value in arguments.items())
    return truncate_middle(", ".join(pairs), 10 * max_chars)


def value_block(value: JSONValue) -> str:
    """Write a value that is not a table: text as it is, a flat list on one line, other values with indents if long."""
    if isinstance(value, str):
        return truncate_middle(escape_controls(truncate_middle(value, _MAX_VALUE)), _MAX_VALUE)
    if isinstance(value, list) and all(map(is_scalar, value)):
        return _list_line(value)
    value = _round(value)
    line = _write(value)
    text = line if len(line) <= _MAX_ONE_LINE else _write(value, indent=1)
    return truncate_middle(escape_controls(truncate_middle(text, _MAX_VALUE)), _MAX_VALUE)


def _list_line(values: list[JSONValue]) -> str:
    """Write a flat list on one line: whole if it fits, else its beginning and its length."""
    parts, length = list[str](), 0
    for value in islice(values, _MAX_ONE_LINE):
        part = value_text(_round(value), _MAX_ONE_LINE)
        length += len(part) + 2
        if length > _MAX_ONE_LINE and parts:
            break
        parts.append(part)
    if len(parts) == len(values):
        return f"[{', '.join(parts)}]"
    return f"[{', '.join(parts)}, …]  {plural(len(values), 'item')}"


def _round(value: JSONValue) -> JSONValue:
    if isinstance(value, float):
        return _round_number(value)
    if isinstance(value, list):
        return [_round(item) for item in value]
    if isinstance(value, dict):
        return {name: _round(item) for name, item in value.items()}
    return value


def _write(value: JSONValue, indent: int | None = None) -> str:
    """Write a value as JSON does, with Python's `True`, `None` and `nan`."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _TOKEN.sub(lambda token: _SPELLINGS.get(token[0], token[0]), text)
