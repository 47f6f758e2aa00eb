"""The colours of a card. Each is mixed with the colour of the text, so that one page suits light and dark themes."""

from __future__ import annotations

__all__ = ["COLOURS", "VARIABLES", "colour_style"]

COLOURS = {
    "comment": "#767676",
    "string": "#2f8458",
    "number": "#b8601c",
    "keyword": "#9355d6",
    "builtin": "#337ab7",
    "red": "#d0454c",
    "green": "#2f8458",
    "orange": "#b8601c",
    "blue": "#337ab7",
}

_SHARE = "65%"
"""The share of the colour; the rest is the colour of the text. No colour alone reaches a contrast of 4.5 to 1
(WCAG 2.2, AA) on the backgrounds of a card in both themes. With this share each reaches 5, also on the calling line."""

VARIABLES = ";".join(
    f"--ca-{name}:color-mix(in srgb,{colour} {_SHARE},currentColor)" for name, colour in COLOURS.items()
)
"""Declares all colours on the element around a card. `card.css` declares the same variables."""


def colour_style(name: str) -> str:
    """Return the style for text in this colour. Untrusted notebooks drop the variables; the plain colour remains."""
    return f"color:{COLOURS[name]};color:var(--ca-{name})"
