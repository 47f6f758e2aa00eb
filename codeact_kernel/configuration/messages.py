"""How choices are told: values as a person writes them, and a wrong name with the nearest right one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import cast

from ..errors import UserError

__all__ = ["format_value", "require_known", "truncate_for_error"]


def truncate_for_error(given: object, most: int = 60) -> str:
    """Something that somebody gave, short and harmless, for a sentence."""
    try:
        words = str(given)[:most]
    except (ValueError, RecursionError):  # of an integer with thousands of digits, for example
        words = f"something too long ({type(given).__name__})"
    return "".join(sign if sign.isprintable() else "?" for sign in words)


def format_value(value: object) -> str:
    """A value as a person would write it."""
    if isinstance(value, frozenset | tuple):
        parts = [str(one) for one in cast("Iterable[object]", value)]
        return ", ".join(sorted(parts) if isinstance(value, frozenset) else parts) or "-"
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def require_known(name: str, there: Collection[str], what: str) -> str:
    """`name`, if it is there.

    Raises:
        UserError: it is not; names the nearest.
    """
    if name in there:
        return name
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(name[:100], there, n=1, cutoff=0.5)
    advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(sorted(there))}."
    raise UserError(f"{what} {truncate_for_error(name)} is not known: {advice}")
