"""What a program shows: text, tables, charts and pictures, as data that is checked here and drawn elsewhere."""

from __future__ import annotations

from .capability import Show
from .render_png import picture

__all__ = ["Show", "picture"]
