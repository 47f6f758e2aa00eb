"""Draw figures of matplotlib as pictures. The library is not imported: its figures only exist if it is."""

from __future__ import annotations

import io
from typing import Any

__all__ = ["Picture", "draw_figure"]

_DPI = 100
_MAX_PIXELS = 25_000_000
_MAX_TEXT = 300


class Picture(bytes):
    """The bytes of a PNG file.

    Attributes:
        alternative: the text that stands for the picture where it is not seen.
    """

    alternative: str = ""


def draw_figure(figure: Any) -> Picture:
    """Return a figure as a picture, with the titles in it, or else its labels, as its alternative text."""
    width, height = figure.get_size_inches()
    dpi = min(_DPI, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, bbox_inches="tight")
    picture = Picture(out.getvalue())
    picture.alternative = _describe(figure)
    return picture


def _describe(figure: Any) -> str:
    axes = figure.get_axes()
    titles = [figure.get_suptitle(), *(part.get_title() for part in axes)]
    labels = [f"{part.get_ylabel()} by {part.get_xlabel()}".strip() for part in axes if part.get_xlabel()]
    texts = (str(text) for text in (titles if any(titles) else labels) if text)
    return "; ".join(dict.fromkeys(texts))[:_MAX_TEXT]
