"""Pass notebook data to programs and back, and keep large results of tools on the host."""

from __future__ import annotations

from .capability import Data
from .exact import ExactFrame
from .inputs import Input, InputRequest, load_input, parse_input_names, validate_name
from .instructions import input_instructions
from .outputs import Frame, to_dataframe

__all__ = [
    "Data",
    "ExactFrame",
    "Frame",
    "Input",
    "InputRequest",
    "input_instructions",
    "load_input",
    "parse_input_names",
    "to_dataframe",
    "validate_name",
]
