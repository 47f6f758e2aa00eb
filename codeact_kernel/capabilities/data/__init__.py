"""Notebook data into a program and out of it, and results of tools that stay on the host."""

from __future__ import annotations

from .capability import Data
from .inputs import Input, Wanted, checked, taken, wanted
from .outputs import Frame, for_notebook

__all__ = ["Data", "Frame", "Input", "Wanted", "checked", "for_notebook", "taken", "wanted"]
