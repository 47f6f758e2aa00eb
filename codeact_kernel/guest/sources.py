"""The source of our own modules for the guest. The host sends the modules in `inside` and never runs them.

The modules in `wire` belong to both ends: the host runs them and also sends them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["own_module", "prelude_source", "read_all"]

_FOLDERS = (Path(__file__).with_name("inside"), Path(__file__).parents[1] / "wire")


def read_all() -> None:
    """Read all files now, because a locked-down worker cannot open files."""
    for name in _names():
        _read(name)


def prelude_source(*, whole: bool) -> str:
    """Return the code that runs first in every guest. It has a file name, so that tracebacks can leave it out.

    Args:
        whole: Operations of any length go to the host in one message; see `sandbox/chunking.py`.
    """
    return f"WHOLE = {whole}\nexec(compile({_read('codeact_prelude')!r}, '<codeact prelude>', 'exec'))"


def own_module(name: str) -> str | None:
    """Return the source of our own module `name` for the guest, or `None` if there is none."""
    return _read(name) if name in _names() else None


@cache
def _names() -> frozenset[str]:
    return frozenset(_files())


@cache
def _files() -> dict[str, Path]:
    return {path.stem: path for folder in _FOLDERS for path in folder.glob("codeact_*.py")}


@cache
def _read(name: str) -> str:
    return _files()[name].read_text(encoding="utf-8")
