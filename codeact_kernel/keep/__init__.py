"""Write the program of a turn as a cell of the notebook or as a tool. Only text and syntax trees: nothing runs here."""

from __future__ import annotations

from .cell import Kept, Notebook, NotebookTool, TurnProgram, make_cell
from .tool import make_tool

__all__ = ["Kept", "Notebook", "NotebookTool", "TurnProgram", "make_cell", "make_tool"]
