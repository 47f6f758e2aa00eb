"""Several mounts or hosts, in whatever way a person gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, cast

from .domains import AllowedDomain, allowed_domain
from .mounts import FileMount, file_mount

__all__ = ["allowed_domains", "file_mounts"]

T = TypeVar("T")


def file_mounts(given: object) -> tuple[FileMount, ...]:
    """One mount or a list of them, as `file_mount` takes each; in a text there are commas between them.

    Raises:
        UserError: one of them is none.
    """
    return _parse_list(given, file_mount)


def allowed_domains(given: object) -> tuple[AllowedDomain, ...]:
    """One host or a list of them, as `allowed_domain` takes each; in a text there are commas between them, and a method
    may stand before a host as it does in a request: `GET api.example.com`.

    Raises:
        UserError: one of them is none.
    """
    return _parse_list(given, _domain)


def _domain(given: object) -> AllowedDomain:
    if isinstance(given, str) and len(words := given.split()) == 2:
        return allowed_domain((words[1], words[0].split("|")))
    return allowed_domain(given)


def _parse_list(given: object, one: Callable[[object], T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(one(part) for part in _parts(given)))


def _parts(given: object) -> list[object]:
    if isinstance(given, str):
        return [part.strip() for part in given.split(",") if part.strip()]
    if isinstance(given, list | set | frozenset) or (isinstance(given, tuple) and not _is_one(cast("object", given))):
        return [part for item in cast("Iterable[object]", given) for part in _parts(item)]
    return [given]


def _is_one(given: object) -> bool:
    """Whether a tuple is one mount or host with what belongs to it: a pair of texts is."""
    return (
        isinstance(given, tuple)
        and len(pair := cast("tuple[object, ...]", given)) == 2
        and isinstance(pair[0], str | Path)
        and not isinstance(pair[1], FileMount | AllowedDomain | Path)
    )
