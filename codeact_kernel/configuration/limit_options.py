"""The option `limits`: caps by their names, `calls_per_run=100` or `show.items=5`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from ..errors import UserError
from ..limits import Limits
from .messages import require_known

__all__ = ["ELSEWHERE", "NAMES", "apply_limits", "narrows", "read_caps"]

ELSEWHERE: Mapping[str, str] = {
    "run_seconds": "timeout", "memory_bytes": "memory", "decision_seconds": "approval_timeout",
}  # fmt: skip
"""Caps that are options of their own."""
_LEAST: Mapping[str, int] = {
    "frame_bytes": 64 << 10, "answer_bytes": 1 << 10, "value_bytes": 1 << 10, "output_bytes": 1 << 10,
    "error_characters": 40, "http.redirects": 0, "observations": 0, "direct_calls": 0,
}  # fmt: skip
"""Where it is not 1: with less nothing works any more, or with nothing all else does."""
_MOST = 1 << 40


def _all(limits: object, before: str = "") -> Iterator[tuple[str, int | float]]:
    for one in fields(cast("Any", limits)):
        value: Any = getattr(limits, one.name)
        if is_dataclass(value):
            yield from _all(value, f"{one.name}.")
        elif before + one.name not in ELSEWHERE:
            yield before + one.name, value


NAMES: Mapping[str, int | float] = dict(_all(Limits()))
"""Each cap that can be chosen, with what it is by default."""

_ENDS_TOOLS = frozenset({"frame_bytes", *(name for name in NAMES if name.endswith("seconds"))})
"""Caps at which a tool, a request or the whole worker is stopped, whatever it is doing. A transfer of money that is cut
in half is worse than one that is not made; so a smaller number here is not a narrower one."""


def read_caps(given: object) -> tuple[str, ...]:
    """What somebody wrote, as texts in one spelling: one text or several, or a table, perhaps with tables in it.

    Raises:
        UserError: a cap that there is not.
        ValueError, TypeError: no caps at all.
    """
    return tuple(f"{name}={_number(name, value)}" for name, value in _pairs(given))


def narrows(new: Sequence[str], old: Sequence[str]) -> bool:
    """Whether none of the new caps is above what held before, or could end a tool in the middle of what it does."""
    held = {**NAMES, **_numbers(old)}
    return all(value <= held[name] and name not in _ENDS_TOOLS for name, value in _numbers(new).items())


def apply_limits(limits: Limits, caps: Sequence[str]) -> Limits:
    """`limits` with these caps; of two with one name the last."""
    rooms: dict[str, dict[str, int | float]] = {}
    for name, value in _numbers(caps).items():
        room, _, cap = name.rpartition(".")
        rooms.setdefault(room, {})[cap] = value
    own = cast("dict[str, Any]", rooms.pop("", {}))
    made: dict[str, Any] = {room: replace(getattr(limits, room), **cast("Any", caps)) for room, caps in rooms.items()}
    return replace(limits, **own, **made)


def _numbers(caps: Sequence[str]) -> dict[str, int | float]:
    pairs = (one.partition("=") for one in caps)
    return {name: _number(name, text) for name, _, text in pairs}


def _pairs(given: object, before: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(given, str):
        for one in filter(None, (part.strip() for part in given.split(","))):
            name, equals, value = one.partition("=")
            if not equals:
                raise ValueError
            yield name.strip(), value.strip()
    elif isinstance(given, Mapping):
        for name, value in cast("Mapping[object, object]", given).items():
            if isinstance(value, Mapping):
                yield from _pairs(cast("object", value), f"{before}{name}.")
            else:
                yield f"{before}{name}", value
    elif isinstance(given, list | tuple):
        for one in cast("Sequence[object]", given):
            if not isinstance(one, str):
                raise TypeError
            yield from _pairs(one)
    else:
        raise TypeError


def _number(name: str, given: object) -> int | float:
    if name in ELSEWHERE:
        raise UserError(f"{name} is the option {ELSEWHERE[name]}: choose it there.")
    default = NAMES[require_known(name, NAMES, "The limit")]
    if isinstance(given, bool) or (isinstance(default, int) and isinstance(given, float)):
        raise TypeError
    number = int(cast("Any", given)) if isinstance(default, int) else float(cast("Any", given))
    least = _LEAST.get(name, 1 if isinstance(default, int) else 0.001)
    if not least <= number <= _MOST:
        raise UserError(f"{name} is a number from {least} to {_MOST}, not {number}.")
    return number
