"""Notebook data into a program and out of it, and results of tools that stay on the host."""

from __future__ import annotations

from .inputs import Input, Wanted, checked, taken, wanted
from .received import Frame, for_notebook
from .room import Data

__all__ = ["Data", "Frame", "Input", "Wanted", "checked", "for_notebook", "taken", "wanted"]
