"""The wording of values and of unknown names in messages."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import cast

from ..errors import UserError

__all__ = ["format_value", "require_known", "truncate_for_error"]


def truncate_for_error(given: object, max_length: int = 60) -> str:
    """Format a value from the user for a message, truncated and without control characters."""
    try:
        words = str(given)[:max_length]
    except (ValueError, RecursionError):  # for example an integer with thousands of digits
        words = f"something too long ({type(given).__name__})"
    return "".join(sign if sign.isprintable() else "?" for sign in words)


def format_value(value: object) -> str:
    """Format a value in the way the user would write it."""
    if isinstance(value, frozenset | tuple):
        parts = [str(item) for item in cast("Iterable[object]", value)]
        return ", ".join(sorted(parts) if isinstance(value, frozenset) else parts) or "-"
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def require_known(name: str, known: Collection[str], what: str) -> str:
    """Return `name` if it is in `known`.

    Raises:
        UserError: if it is not; the message suggests the nearest name.
    """
    if name in known:
        return name
    import difflib  # imported only after a mistake

    near = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.5)
    advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(sorted(known))}."
    raise UserError(f"{what} {truncate_for_error(name)} is not known: {advice}")
