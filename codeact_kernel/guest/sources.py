"""Our own code for the guest, as text. The host hands it in and never runs what is in `inside`.

What is in `wire` belongs to both ends: it is code of the host that is also sent.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["own_module", "prelude_source", "read_all"]

_FOLDERS = (Path(__file__).with_name("inside"), Path(__file__).parents[1] / "wire")


def read_all() -> None:
    """Read every file now: a locked-down worker cannot open files any more."""
    for name in _names():
        _read(name)


def prelude_source(*, whole: bool) -> str:
    """What runs first in every guest. Named, so that tracebacks can leave it out.

    Args:
        whole: operations of any length go to the host in one message; see `sandbox/chunking.py`.
    """
    return f"WHOLE = {whole}\nexec(compile({_read('codeact_prelude')!r}, '<codeact prelude>', 'exec'))"


def own_module(name: str) -> str | None:
    """The source of the module that the guest knows as `name`, if it is one of ours."""
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
