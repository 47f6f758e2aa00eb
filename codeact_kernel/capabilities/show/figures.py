"""Find the figures in a tool's result, which the user sees and the program gets as a short text."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any, cast

from ...secrets import hide
from ...wire.data_libraries import is_a
from ...wire.pictures import Picture, draw_figure

__all__ = ["replace_figures"]

_MAX_PARTS = 50
"""A longer list or dict is not searched."""
_DEPTH = 2
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def replace_figures(
    value: object, show_picture: Callable[[bytes, str], str], show_chart: Callable[[str], str], depth: int = _DEPTH
) -> object:
    """Return `value` with the text that a show function returns in the place of each figure.

    Figures are figures and axes of matplotlib and seaborn, images of Pillow and IPython, charts of Altair, and the
    bytes of a PNG or JPEG file: `value` itself, or an item of it.

    Args:
        show_picture: shows a picture with its alternative text.
        show_chart: shows a Vega-Lite chart as JSON.
    """
    if (chart := _as_chart(value)) is not None:
        return show_chart(chart)
    if (picture := _as_picture(value)) is not None:
        return show_picture(picture, getattr(picture, "alternative", ""))
    if depth == 0 or type(value) not in (list, tuple, dict):
        return value
    parts = cast("list[object] | dict[object, object]", value)
    if len(parts) > _MAX_PARTS:
        return value

    def replace(part: object) -> object:
        return replace_figures(part, show_picture, show_chart, depth - 1)

    if isinstance(parts, dict):
        return {name: replace(part) for name, part in parts.items()}
    return [replace(part) for part in parts]


def _as_chart(value: object) -> str | None:
    return json.dumps(value.to_dict()) if is_a(value, "altair", "TopLevelMixin") else None


def _as_picture(value: object) -> bytes | None:
    if isinstance(value, bytes | bytearray):
        return bytes(value) if value.startswith(_SIGNATURES) else None
    figure: Any = value
    if is_a(value, "seaborn.axisgrid", "Grid") or is_a(value, "matplotlib.axes", "Axes"):
        figure = value.figure
    if is_a(figure, "matplotlib.figure", "Figure"):
        _hide_in_texts(figure)
        picture = draw_figure(figure)
        if (pyplot := cast("Any", sys.modules.get("matplotlib.pyplot"))) is not None:
            pyplot.close(figure)  # or the notebook would show it once more, below the card
        return picture
    if is_a(value, "PIL.Image", "Image"):
        out = io.BytesIO()
        value.convert("RGBA").save(out, format="PNG")
        return Picture(out.getvalue())
    if is_a(value, "IPython.display", "Image"):
        return _as_picture(value.data)
    return None


def _hide_in_texts(figure: Any) -> None:
    """Hide secrets in the texts of a figure: in a picture they cannot be found any more."""
    for text in figure.findobj(_has_text):
        if (hidden := hide(text.get_text())) != text.get_text():
            text.set_text(hidden)


def _has_text(artist: Any) -> bool:
    return hasattr(artist, "set_text")
