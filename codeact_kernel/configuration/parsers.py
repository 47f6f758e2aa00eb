"""Parse the values of options, from text or from the types of TOML and Python.

Each parser raises ValueError or TypeError if the value is not valid, or UserError if it has a better message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias, cast

from ..access import workspace_root
from ..errors import UserError
from ..settings import parse_memory

__all__ = [
    "Read",
    "names",
    "one_of",
    "plain",
    "root",
    "seconds",
    "seconds_or_never",
    "size",
    "switch",
    "text",
    "whole",
]

Read: TypeAlias = Callable[[object], object]


def text(given: object) -> str:
    if not isinstance(given, str) or not given.strip() or len(given) > 200:
        raise ValueError
    return given.strip()


def whole(minimum: int, maximum: int) -> Read:
    def read(given: object) -> int:
        if isinstance(given, bool | float):
            raise TypeError
        number = int(cast("Any", given))
        if not minimum <= number <= maximum:
            raise ValueError
        return number

    return read


def seconds(given: object) -> float:
    if isinstance(given, bool):
        raise TypeError
    number = float(cast("Any", given))
    if not 0 < number <= 86_400:
        raise ValueError
    return number


def seconds_or_never(given: object) -> float | None:
    return None if given is None or given == "never" else seconds(given)


def size(given: object) -> str:
    try:
        parse_memory(stripped := text(given))
    except UserError:
        raise ValueError from None
    return stripped


def names(given: object) -> frozenset[str]:
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list | tuple | set | frozenset):  # a table could map names to false
        raise TypeError
    parts = [name.strip() for item in cast("Iterable[object]", items) for name in plain(item).split(",")]
    if not all(name.isidentifier() for name in parts if name):
        raise ValueError
    return frozenset(name for name in parts if name)


def plain(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError
    return given


def switch(given: object) -> bool:
    if isinstance(given, bool):
        return given
    return {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}[
        plain(given).lower()
    ]


def one_of(*choices: str) -> Read:
    def read(given: object) -> str:
        if given not in choices:
            raise ValueError
        return cast("str", given)

    return read


def root(given: object) -> Path | None:
    return None if given in (None, "") else workspace_root(given if isinstance(given, Path) else plain(given))
