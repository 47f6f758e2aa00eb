"""The option `limits`, which sets limits by their names: `calls_per_run=100` or `show.items=5`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from ..errors import UserError
from ..limits import Limits
from .messages import require_known

__all__ = ["ELSEWHERE", "NAMES", "apply_limits", "is_narrower", "parse_limits"]

ELSEWHERE: Mapping[str, str] = {
    "run_seconds": "timeout", "memory_bytes": "memory", "decision_seconds": "approval_timeout",
}  # fmt: skip
"""The limits that have their own option, with the name of the option."""
_MINIMUM: Mapping[str, int] = {
    "frame_bytes": 64 << 10, "answer_bytes": 1 << 10, "value_bytes": 1 << 10, "output_characters": 1 << 10,
    "error_characters": 40, "http.redirects": 0, "observations": 0, "direct_calls": 0,
    "thread_tokens": 0, "tools_tokens": 0,
}  # fmt: skip
"""The smallest values that are not 1, because nothing works with less, or everything works with 0."""
_MAXIMUM = 1 << 40


def _flatten(limits: object, prefix: str = "") -> Iterator[tuple[str, int | float]]:
    for limit in fields(cast("Any", limits)):
        value: Any = getattr(limits, limit.name)
        if is_dataclass(value):
            yield from _flatten(value, f"{limit.name}.")
        elif prefix + limit.name not in ELSEWHERE:
            yield prefix + limit.name, value


NAMES: Mapping[str, int | float] = dict(_flatten(Limits()))
"""Every limit that the option can set, with its default."""

_CAN_INTERRUPT = frozenset({"frame_bytes", *(name for name in NAMES if name.endswith("seconds"))})
"""Limits that stop a tool, a request or the whole worker in the middle of its work. A money transfer that stops halfway
is worse than none, so a smaller value of these limits is not narrower."""


def parse_limits(given: object) -> tuple[str, ...]:
    """Parse limits from a string, a list of strings, or a mapping that may be nested, to `name=value` strings.

    Raises:
        UserError: if a limit does not exist, or its value is out of range.
        ValueError, TypeError: if the value has another form.
    """
    return tuple(f"{name}={_number(name, value)}" for name, value in _pairs(given))


def is_narrower(new: Sequence[str], old: Sequence[str]) -> bool:
    """Say whether no new limit is above the old one, and none can stop a tool in the middle of its work."""
    current = {**NAMES, **_numbers(old)}
    return all(value <= current[name] and name not in _CAN_INTERRUPT for name, value in _numbers(new).items())


def apply_limits(limits: Limits, caps: Sequence[str]) -> Limits:
    """Return `limits` with these values. The last of two values with the same name wins."""
    groups: dict[str, dict[str, int | float]] = {}
    for name, value in _numbers(caps).items():
        group, _, cap = name.rpartition(".")
        groups.setdefault(group, {})[cap] = value
    own = cast("dict[str, Any]", groups.pop("", {}))
    nested: dict[str, Any] = {
        group: replace(getattr(limits, group), **cast("Any", caps)) for group, caps in groups.items()
    }
    return replace(limits, **own, **nested)


def _numbers(caps: Sequence[str]) -> dict[str, int | float]:
    pairs = (cap.partition("=") for cap in caps)
    return {name: _number(name, text) for name, _, text in pairs}


def _pairs(given: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(given, str):
        for item in filter(None, (part.strip() for part in given.split(","))):
            name, equals, value = item.partition("=")
            if not equals:
                raise ValueError
            yield name.strip(), value.strip()
    elif isinstance(given, Mapping):
        for name, value in cast("Mapping[object, object]", given).items():
            if isinstance(value, Mapping):
                yield from _pairs(cast("object", value), f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", value
    elif isinstance(given, list | tuple):
        for item in cast("Sequence[object]", given):
            if not isinstance(item, str):
                raise TypeError
            yield from _pairs(item)
    else:
        raise TypeError


def _number(name: str, given: object) -> int | float:
    if name in ELSEWHERE:
        raise UserError(f"{name} is the option {ELSEWHERE[name]}: set it there.")
    default = NAMES[require_known(name, NAMES, "The limit")]
    if isinstance(given, bool) or (isinstance(default, int) and isinstance(given, float)):
        raise TypeError
    number = int(cast("Any", given)) if isinstance(default, int) else float(cast("Any", given))
    minimum = _MINIMUM.get(name, 1 if isinstance(default, int) else 0.001)
    if not minimum <= number <= _MAXIMUM:
        raise UserError(f"{name} must be a number from {minimum} to {_MAXIMUM}, not {number}.")
    return number
