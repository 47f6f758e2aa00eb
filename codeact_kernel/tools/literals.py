"""Write the values of a Literal or an Enum for the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, Flag
from typing import Any

from ..wire.jsonable import Copier, Unsendable

__all__ = ["form_of", "write_choices", "write_flags"]

MAX_CHARACTERS = 1_000
"""If the values are longer, only the first of them are shown, with the number of the others."""
MAX_CHOICES_SHOWN = 24
MAX_NAME_CHARACTERS = 32
MAX_INTEGER = 1 << 64
DEPTH = 8
TYPES: tuple[type[Any], ...] = (str, int, float, bool, type(None))


def write_choices(choices: Sequence[object]) -> tuple[str, ...]:
    """Write the values as `Literal['a', 'b']`; return the names of their types if JSON cannot hold all of them."""
    values = [form_of(choice) if isinstance(choice, Enum) else choice for choice in choices]
    if not values or not all(type(value) in TYPES for value in values):
        return tuple(dict.fromkeys(type(value).__name__[:MAX_NAME_CHARACTERS] for value in values))
    return (f"Literal[{_join([repr(value) for value in values if _is_short(value)], len(values))}]",)


def write_flags(kind: type[Flag]) -> tuple[str, ...]:
    """Write the members of a Flag, which a value can combine, as `int (sum of READ=1, WRITE=2)`."""
    members = list(kind)
    texts = [f"{member.name}={member.value}" for member in members if _is_short(member.value)]
    return (f"int (sum of {_join(texts, len(members))})",)


def _join(texts: Sequence[str], count: int) -> str:
    if len(texts) < count or len(", ".join(texts)) > MAX_CHARACTERS:
        texts = _take_first(texts[:MAX_CHOICES_SHOWN], MAX_CHARACTERS)
        texts.append(f"... {count - len(texts)} more")
    return ", ".join(texts)


def form_of(member: Enum) -> object:
    """Return a member as plain data, or its value if it has no such form."""
    try:
        return Copier(DEPTH).copy(member)
    except Unsendable:
        return member.value


def _is_short(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= MAX_INTEGER  # Python refuses to write very long integers
    return not isinstance(value, str) or len(value) <= MAX_CHARACTERS


def _take_first(texts: Iterable[str], max_characters: int) -> list[str]:
    """Take the first texts that fit into `max_characters` together; skip texts that are too long."""
    fitting: list[str] = []
    for text in texts:
        if len(text) + 2 <= max_characters:
            fitting.append(text)
            max_characters -= len(text) + 2
    return fitting
