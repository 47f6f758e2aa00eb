"""The pictures that a program showed, for agents that see pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from ..capabilities.show import render_chart
from ..types import DisplayItem, JSONObject

__all__ = ["draw_pictures"]

MAX_PICTURES = 4
"""A picture costs an agent about as much as a page of text."""
MAX_CHARACTERS = 4_000_000
"""All pictures of one answer, in base64."""


async def draw_pictures(items: Sequence[DisplayItem]) -> list[tuple[str, str]]:
    """Return the media type and the base64 of the first images and charts. A chart that cannot be drawn is left out."""
    pictures: list[tuple[str, str]] = []
    room = MAX_CHARACTERS
    for item in [item for item in items if item.kind in ("image", "chart")][:MAX_PICTURES]:
        data = cast("JSONObject", item.data)
        if item.kind == "chart":
            mime, picture = "image/png", await asyncio.to_thread(render_chart, data)
        else:
            mime, picture = str(data["mime"]), str(data["base64"])
        if picture and len(picture) <= room:
            pictures.append((mime, picture))
            room -= len(picture)
    return pictures
