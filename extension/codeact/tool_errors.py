"""Write the error that a tool raised, as a notebook shows the errors of the user's own code."""

from __future__ import annotations

import traceback
from pathlib import Path

import codeact_kernel
from codeact_kernel.render.escaping import escape_controls
from codeact_kernel.text import truncate_middle
from codeact_kernel.tools.redaction import without_secrets

__all__ = ["write_tool_error"]

_PACKAGE_FOLDER = str(Path(codeact_kernel.__file__).parent)
_MAX_CHARACTERS = 10_000


def write_tool_error(error: BaseException) -> str:
    """Write the traceback of a tool's error without our own frames, without secrets, and bounded."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_PACKAGE_FOLDER)
    ]
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    text = "".join(["Traceback (most recent call last):\n", *lines])
    return truncate_middle(escape_controls(without_secrets(text)), _MAX_CHARACTERS)
