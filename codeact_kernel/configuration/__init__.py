"""The options of the user: one table of them, and the layers that set their values. The last layer wins."""

from __future__ import annotations

from .command_line import add_program_options, argument_of, parse_program_options
from .layers import PLACES, Layer, Resolved, environment, from_environment, parse_layer, resolve
from .messages import format_value, require_known, truncate_for_error
from .options import OPTIONS, Option
from .project_file import ProjectFile, find, find_project_file

__all__ = [
    "OPTIONS",
    "PLACES",
    "Layer",
    "Option",
    "ProjectFile",
    "Resolved",
    "add_program_options",
    "argument_of",
    "environment",
    "find",
    "find_project_file",
    "format_value",
    "from_environment",
    "parse_layer",
    "parse_program_options",
    "require_known",
    "resolve",
    "truncate_for_error",
]
