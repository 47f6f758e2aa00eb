"""Our own code for the guest, as text. The host hands it in and never runs it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["own_module", "prelude_source", "read_all"]

_FILES = {"_codeact_aio": "aio.py", "_codeact_calls": "calls.py", "_codeact_runner": "runner.py"}


def read_all() -> None:
    """Read every file now: a locked-down worker cannot open files any more."""
    for file in ("prelude.py", *_FILES.values()):
        _read(file)


def prelude_source() -> str:
    """What runs first in every guest."""
    return _read("prelude.py")


def own_module(name: str) -> str | None:
    """The source of the module that the guest knows as `name`, if it is one of ours."""
    file = _FILES.get(name)
    return None if file is None else _read(file)


@cache
def _read(file: str) -> str:
    return Path(__file__).with_name("inside").joinpath(file).read_text(encoding="utf-8")
