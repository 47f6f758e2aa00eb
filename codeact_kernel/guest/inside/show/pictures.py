"""Draw figures of matplotlib as pictures."""

import io
from typing import Any

from matplotlib.figure import Figure

_DPI = 100
_MAX_PIXELS = 25_000_000
shown: set[int] = set()
"""Ids of figures that are not shown at the end of the program, because it has shown or saved them itself."""
save_figure = Figure.savefig
"""matplotlib's own function, which `figures` replaces."""


def to_png(figure: Any) -> bytes:
    """Return the figure as the bytes of a PNG file."""
    width, height = figure.get_size_inches()
    dpi = min(_DPI, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    out = io.BytesIO()
    save_figure(figure, out, format="png", dpi=dpi, bbox_inches="tight")
    return out.getvalue()


def describe(figure: Any) -> str:
    """Return the titles in a figure, or else its labels: the alternative text of the picture."""
    axes = figure.get_axes()
    titles = [figure.get_suptitle(), *(part.get_title() for part in axes)]
    labels = [f"{part.get_ylabel()} by {part.get_xlabel()}".strip() for part in axes if part.get_xlabel()]
    return "; ".join(dict.fromkeys(text for text in (titles if any(titles) else labels) if text))[:300]
