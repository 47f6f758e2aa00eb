"""What a person can choose and where: one table of options, and layers of which the last decides."""

from __future__ import annotations

from .layers import PLACES, Layer, Resolved, environment, from_environment, layer, resolve
from .messages import known, shown, worded
from .options import OPTIONS, Option
from .project_file import FolderFile, find, here

__all__ = [
    "OPTIONS",
    "PLACES",
    "FolderFile",
    "Layer",
    "Option",
    "Resolved",
    "environment",
    "find",
    "from_environment",
    "here",
    "known",
    "layer",
    "resolve",
    "shown",
    "worded",
]
