"""Check the items that programs show: text, tables, charts and images. Other packages draw them."""

from __future__ import annotations

from .capability import Show
from .render_png import render_chart
from .validation import revalidate_item

__all__ = ["Show", "render_chart", "revalidate_item"]
