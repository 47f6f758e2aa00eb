"""Give cells of the notebook what programs have in the sandbox: tools that return plain data, tables, and `show`."""

from __future__ import annotations

from .host import CellHost
from .names import CellNames

__all__ = ["CellHost", "CellNames"]
