"""Shorten, quote, list and count in sentences. Escape text from outside with `render.escaping` before you show it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

__all__ = [
    "collapse_whitespace",
    "format_bytes",
    "format_dollars",
    "format_list",
    "plural",
    "quote",
    "replace_unprintable",
    "truncate",
    "truncate_middle",
]

_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def truncate(text: str, max_chars: int, mark: str = "…") -> str:
    """Return the beginning of `text` in at most `max_chars` characters, the `mark` included."""
    if len(text) <= max_chars:
        return text
    return text[: max(0, max_chars - len(mark))] + mark[:max_chars]


def truncate_middle(
    text: str, max_chars: int, mark: str = " … {:,} characters left out … ", head: int | None = None
) -> str:
    """Return the beginning and the end of `text`, with the number of characters left out between them.

    Args:
        max_chars: How many characters of `text` to keep; the mark is added to them.
        mark: A format string that receives the number of characters left out.
        head: How many characters to keep at the beginning; half of them by default.
    """
    if len(text) <= max_chars:
        return text
    head = max_chars // 2 if head is None else head
    left_out = len(text) - max_chars
    return text[:head] + mark.format(left_out) + text[head + left_out :]


def collapse_whitespace(text: str) -> str:
    """Replace each run of white space in `text`, line ends included, by a single space."""
    return " ".join(text.split())


def replace_unprintable(text: str, replacement: str = " ") -> str:
    """Replace each character of `text` that is not printable."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else replacement for character in text)


def quote(text: str, max_chars: int = 80) -> str:
    """Write the beginning of `text` in backticks, as a sentence quotes code."""
    return f"`{truncate(replace_unprintable(text[: max_chars + 1]), max_chars)}`"


def format_list(items: Sequence[str], max_items: int, mark: str = ", …") -> str:
    """Join the first `max_items` with commas; the `mark` follows if there are more."""
    return ", ".join(items[:max_items]) + (mark if len(items) > max_items else "")


def format_bytes(size: int) -> str:
    """Write a number of bytes in the largest fitting unit: `512 bytes`, `1.5 MiB`."""
    for unit, unit_size in _UNITS:
        if size >= unit_size:
            return f"{size / unit_size:,.1f}".removesuffix(".0") + f" {unit}"
    return plural(size, "byte")


def format_dollars(amount: Decimal | int) -> str:
    """Write an amount of money: `$12.50`, or with up to four decimals below one dollar: `$0.0312`."""
    if amount >= 1:
        return f"${amount:,.2f}"
    whole, _, decimals = f"{amount:.4f}".partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"


def plural(count: int, noun: str) -> str:
    """Write a number with its noun: `1 call`, `1,200 calls`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
