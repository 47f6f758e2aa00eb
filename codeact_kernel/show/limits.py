"""What one turn may show at most."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ShowLimits"]

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ShowLimits:
    """Every cap of what is shown, with its unit. All of it stands in the notebook's file, and a page has to draw it."""

    items: int = 50
    turn_bytes: int = 16 * MIB
    """Of all items of a turn, as they are sent."""
    title_characters: int = 300
    text_characters: int = 50_000
    """Of one text or Markdown: hostile Markdown of this size takes two seconds to read."""
    json_bytes: int = 1 * MIB
    table_bytes: int = 4 * MIB
    table_rows: int = 1_000
    """The first so many of a table are sent; how many there are is told."""
    table_columns: int = 200
    image_bytes: int = 5 * MIB
    image_pixels: int = 25_000_000
    chart_bytes: int = 4 * MIB
    chart_rows: int = 5_000
    chart_views: int = 20
    chart_entries: int = 500
    """Of an axis that has one entry for each value."""
    chart_pixels: int = 6_000_000
    chart_side: int = 300
    """Pixels of a chart's side that says nothing of it."""
    depth: int = 32
