"""The colours of a card. One saved page serves light and dark themes, so each colour is mixed with that of the text."""

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
"""Of the colour; the rest is the text's. No colour alone has a contrast of 4.5 to 1 (WCAG 2.2, AA) on the grounds of a
card in both themes: with this share each has 5 or more, also on the line that is calling."""

VARIABLES = ";".join(
    f"--ca-{name}:color-mix(in srgb,{colour} {_SHARE},currentColor)" for name, colour in COLOURS.items()
)
"""The style that declares all of them, for the element around a card. `card.css` declares the same."""


def colour_style(name: str) -> str:
    """The style of a text in this colour. Where a page takes the variables away, as an untrusted notebook does, the
    plain colour stays."""
    return f"color:{COLOURS[name]};color:var(--ca-{name})"
