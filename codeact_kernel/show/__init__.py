"""What a program shows: text, tables, charts and pictures, as data that is checked here and drawn elsewhere."""

from __future__ import annotations

from .picture import picture
from .room import Show

__all__ = ["Show", "picture"]
