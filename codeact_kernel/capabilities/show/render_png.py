"""A chart as a picture, for files that are written where no page draws it: by vl-convert, where that is installed.

It runs JavaScript, so it runs in a child process of its own that ends with the picture: with little memory and time, a
bare environment, and nothing that it could load (see `drawing`).
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec

from ...errors import ProgramError
from ...limits import ShowLimits
from ...types import JSONObject
from .image_headers import image_size

__all__ = ["picture"]

_SECONDS = 20.0
"""It takes less than one, and 90 MB."""
_TICK = 0.1
_ENVIRONMENT = ("TZ", "SYSTEMROOT")
# Joined here: neither of the two modules knows the other.
_PROGRAM = """
from codeact_kernel.sandbox.lockdown import confine_renderer
from codeact_kernel.capabilities.show.png_worker import main
main(confine_renderer)
"""


def picture(
    chart: JSONObject, limits: ShowLimits | None = None, *, should_stop: Callable[[], bool] = lambda: False
) -> str:
    """Draw a checked chart as a PNG in base64; nothing where it cannot be drawn. Waits for the child.

    Args:
        should_stop: looked at again and again while the child draws, from another thread; a yes ends the child.
    """
    limits = limits or ShowLimits()
    if find_spec("vl_convert") is None:
        return ""
    try:
        png = _draw(json.dumps(chart).encode(), limits.image_bytes + 1, should_stop)
        mime, width, height = image_size(png)
    except (OSError, ProgramError):
        return ""
    small = len(png) <= limits.image_bytes and 0 < width * height <= limits.image_pixels
    return base64.b64encode(png).decode() if small and mime == "image/png" else ""


def _draw(chart: bytes, max_bytes: int, should_stop: Callable[[], bool] = lambda: False) -> bytes:
    """Return what the child writes, up to `max_bytes`. It has ended by then, whatever it was doing.

    Raises:
        OSError: if it cannot be started, or does not read the chart.
    """
    child = subprocess.Popen(
        # -P and the root as working folder: nothing beside the notebook can be imported. Python also takes a folder
        # named "~" in the working folder for that of the user's packages, if the system does not know the user. Not
        # -I: vl-convert may be installed for the user only.
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=os.path.abspath(os.sep),
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,  # an interrupt of the notebook is not for it
    )
    is_done = threading.Event()

    def watch() -> None:
        until = time.monotonic() + _SECONDS
        while not is_done.wait(_TICK):
            if should_stop() or time.monotonic() > until:
                child.kill()  # which ends the waits below as well
                return

    with child:
        try:
            threading.Thread(target=watch, name="codeact picture", daemon=True).start()
            assert child.stdin is not None
            assert child.stdout is not None
            with child.stdin:
                child.stdin.write(chart)
            return child.stdout.read(max_bytes)
        finally:
            is_done.set()
            child.kill()
