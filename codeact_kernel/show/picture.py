"""A chart as a picture, for files that are written where no page draws it: by vl-convert, where that is installed.

It runs JavaScript, so it runs in a child process of its own that ends with the picture: with little memory and time, a
bare environment, and told to load nothing. (It loads the pictures that a chart names all the same; ours name none.)
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from importlib.util import find_spec

from ..errors import ProgramError
from ..limits import ShowLimits
from ..values import JSONObject
from .images import image_size

__all__ = ["picture"]

_SECONDS = 20.0
"""It takes less than one, and 90 MB."""
_ENVIRONMENT = ("TZ", "SYSTEMROOT")


def picture(chart: JSONObject, limits: ShowLimits | None = None) -> str:
    """A checked chart as a PNG in base64; nothing where it cannot be drawn. Waits for the child."""
    limits = limits or ShowLimits()
    if find_spec("vl_convert") is None:
        return ""
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "codeact_kernel.show.drawing"],
            input=json.dumps(chart).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            start_new_session=True,  # an interrupt of the notebook is not for it
        )
        mime, width, height = image_size(child.stdout)
    except (OSError, subprocess.TimeoutExpired, ProgramError):
        return ""
    small = len(child.stdout) <= limits.image_bytes and 0 < width * height <= limits.image_pixels
    return base64.b64encode(child.stdout).decode() if small and mime == "image/png" else ""
