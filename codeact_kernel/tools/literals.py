"""The values of a Literal or an Enum, as a model is told of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, Flag
from typing import Any

from ..wire.jsonable import Copier, Unsendable

__all__ = ["form_of", "tell_choices", "tell_flags"]

LONGEST_CHOICES = 1_000
"""Where the values are longer than this, the first of them are told, and how many more there are."""
CHOICES_TOLD = 24
LONGEST_NAME = 32
LARGEST_INTEGER = 1 << 64
DEPTH = 8
TYPES: tuple[type[Any], ...] = (str, int, float, bool, type(None))


def tell_choices(choices: Sequence[object]) -> tuple[str, ...]:
    """Write the values as `Literal['a', 'b']`, or give the names of their types where JSON cannot hold one of them."""
    values = [form_of(choice) if isinstance(choice, Enum) else choice for choice in choices]
    if not values or not all(type(value) in TYPES for value in values):
        return tuple(dict.fromkeys(type(value).__name__[:LONGEST_NAME] for value in values))
    return (f"Literal[{_listed([repr(value) for value in values if _is_short(value)], len(values))}]",)


def tell_flags(kind: type[Flag]) -> tuple[str, ...]:
    """Write the members of a Flag, any of which may be in a value, as `int (sum of READ=1, WRITE=2)`."""
    members = list(kind)
    texts = [f"{member.name}={member.value}" for member in members if _is_short(member.value)]
    return (f"int (sum of {_listed(texts, len(members))})",)


def _listed(texts: Sequence[str], count: int) -> str:
    if len(texts) < count or len(", ".join(texts)) > LONGEST_CHOICES:
        texts = _take_first(texts[:CHOICES_TOLD], LONGEST_CHOICES)
        texts.append(f"... {count - len(texts)} more")
    return ", ".join(texts)


def form_of(member: Enum) -> object:
    """Give what a member becomes as plain data, or its value where that has no such form."""
    try:
        return Copier(DEPTH).copy(member)
    except Unsendable:
        return member.value


def _is_short(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= LARGEST_INTEGER  # Python writes no integer at all from some length on
    return not isinstance(value, str) or len(value) <= LONGEST_CHOICES


def _take_first(texts: Iterable[str], most: int) -> list[str]:
    """Take as many of `texts` as have at most `most` characters together; one that is too long is passed over."""
    taken: list[str] = []
    for text in texts:
        if len(text) + 2 <= most:
            taken.append(text)
            most -= len(text) + 2
    return taken
