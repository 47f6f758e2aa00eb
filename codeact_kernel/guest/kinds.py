"""The kinds of guest: which Python runs in the sandbox, and what a program finds there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from . import modules

__all__ = ["AUTO", "GUESTS", "GUEST_NAMES", "SCIENCE", "STANDARD", "GuestKind", "find_guest"]

_SCIENCE_MODULES = Path(__file__).with_name("science_modules.txt")


@dataclass(frozen=True, slots=True)
class GuestKind:
    """One kind of guest.

    Attributes:
        name: the name in settings.
        label: what is special about it, for the card and the status; empty for the standard guest.
        modules: returns the sorted public names of modules that a program can import.
        has_pandas: whether programs have numpy and pandas, and so get tables as DataFrames.
        library_bytes: memory that the guest's own library takes, beside the memory of a program.
        aliases: names of libraries that programs have without an import.
    """

    name: str
    label: str
    modules: Callable[[], tuple[str, ...]]
    has_pandas: bool = False
    library_bytes: int = 0
    aliases: frozenset[str] = frozenset()


@cache
def _science_modules() -> tuple[str, ...]:
    """Read the list that `scripts/science_modules.py` writes: it imports each module in the guest."""
    return tuple(_SCIENCE_MODULES.read_text(encoding="utf-8").split())


STANDARD: Final = GuestKind("standard", "", modules)
"""CPython with its standard library, in every backend."""
SCIENCE: Final = GuestKind(
    "science",
    "pandas",
    _science_modules,
    has_pandas=True,
    library_bytes=128 << 20,
    aliases=frozenset({"np", "pd", "plt"}),
)
"""CPython with numpy, pandas, scipy, scikit-learn, statsmodels and matplotlib, as WebAssembly only."""
GUESTS: Final = (STANDARD, SCIENCE)
AUTO: Final = "auto"
"""The name that selects the science guest where it is ready, and else the standard guest."""
GUEST_NAMES: Final = (AUTO, *(guest.name for guest in GUESTS))
"""Every name that settings may give."""


def find_guest(name: str) -> GuestKind:
    """Return the guest with the given name, which is not `auto`.

    Raises:
        KeyError: if there is none.
    """
    return {guest.name: guest for guest in GUESTS}[name]
