"""Parse several mounts or hosts, in each form in which the user can write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, cast

from .domains import AllowedDomain, allowed_domain
from .mounts import FileMount, file_mount

__all__ = ["allowed_domains", "file_mounts"]

T = TypeVar("T")


def file_mounts(given: object) -> tuple[FileMount, ...]:
    """Parse one mount or a list of mounts, each in a form of `file_mount`. In a string they are separated by commas.

    Raises:
        UserError: if a mount is not valid.
    """
    return _parse_list(given, file_mount)


def allowed_domains(given: object) -> tuple[AllowedDomain, ...]:
    """Parse one host or a list of hosts, each in a form of `allowed_domain`.

    In a string they are separated by commas, and a host can follow a method as in a request: `GET api.example.com`.

    Raises:
        UserError: if a host is not valid.
    """
    return _parse_list(given, _domain)


def _domain(given: object) -> AllowedDomain:
    if isinstance(given, str) and len(words := given.split()) == 2:
        return allowed_domain((words[1], words[0].split("|")))
    return allowed_domain(given)


def _parse_list(given: object, parse_item: Callable[[object], T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(parse_item(part) for part in _split(given)))


def _split(given: object) -> list[object]:
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    if isinstance(given, list | set | frozenset) or (isinstance(given, tuple) and not _is_pair(cast("object", given))):
        return [part for item in cast("Iterable[object]", given) for part in _split(item)]
    return [given]


def _is_pair(given: object) -> bool:
    """Say whether a tuple is a single mount or host with its second part, as a pair of strings is."""
    return (
        isinstance(given, tuple)
        and len(pair := cast("tuple[object, ...]", given)) == 2
        and isinstance(pair[0], str | Path)
        and not isinstance(pair[1], FileMount | AllowedDomain | Path)
    )
