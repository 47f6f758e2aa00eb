"""Compare a turn with its record, and write the differences as a unified diff."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from itertools import islice

from ..text import truncate_middle
from ..types import TurnResult
from .lock import Lock, LockedValue, create_lock

__all__ = ["describe_call", "find_differences"]

_MAX_LINES = 200
"""Lines of a diff."""
_MAX_COMPARED = 4_000
"""Lines of a value that a diff compares."""
_MAX_WIDTH = 300
"""Characters of a line."""
_MAX_ARGUMENTS = 200


def find_differences(lock: Lock, result: TurnResult) -> str:
    """Return the differences between a record and a turn, in their calls and in their values.

    Returns:
        A unified diff, or an empty text if there is no difference.
    """
    actual = create_lock(lock.key, lock.depends, result, recorded=lock.recorded, version=lock.version)
    return "\n".join([*_compare("calls", lock, actual), *_compare("value", lock, actual)])


def describe_call(tool: str, arguments: LockedValue) -> str:
    """Write a call as in a program."""
    if not isinstance(arguments.json_value, dict):
        return f"{tool}(arguments with the digest {arguments.digest[:12]})"
    values = arguments.json_value.items()
    text = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False, sort_keys=True)}" for name, value in values)
    return f"{tool}({truncate_middle(text, _MAX_ARGUMENTS)})"


def _compare(what: str, old: Lock, new: Lock) -> Iterator[str]:
    if _fingerprints(what, old) == _fingerprints(what, new):
        return
    names = (f"recorded {what}", f"{what} now")
    lines = unified_diff(_write(what, old), _write(what, new), *names, lineterm="", n=2)
    shown = [truncate_middle(line, _MAX_WIDTH) for line in islice(lines, _MAX_LINES + 1)]
    yield from shown[:_MAX_LINES] or [f"The {what} differ only in parts that are too long to be shown."]
    if len(shown) > _MAX_LINES:
        yield "… more lines differ"


def _fingerprints(what: str, lock: Lock) -> Sequence[str]:
    if what == "calls":
        return [f"{call.tool} {call.arguments.fingerprint}" for call in lock.calls]
    return [lock.value.fingerprint] if lock.value is not None else []


def _write(what: str, lock: Lock) -> Sequence[str]:
    if what == "calls":
        return [describe_call(call.tool, call.arguments) for call in lock.calls]
    if lock.value is None:
        return []
    if lock.value.digest:
        return [f"(a value with the digest {lock.value.digest[:12]}, which is too large or may hold a secret)"]
    text = json.dumps(lock.value.json_value, ensure_ascii=False, indent=1, sort_keys=True)
    return text.split("\n")[:_MAX_COMPARED]
