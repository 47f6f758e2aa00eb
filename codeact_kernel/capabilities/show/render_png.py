"""Draw a chart as a PNG with vl-convert, for the card and for every document that contains it.

vl-convert runs JavaScript, so each chart is drawn in a child process with limited memory and time and an almost empty
environment, which cannot load anything (see `png_worker`).
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

__all__ = ["render_chart"]

_SECONDS = 20.0
"""A chart takes less than one second, and 90 MB."""
_TICK = 0.1
_ENVIRONMENT = ("TZ", "SYSTEMROOT")
_TEXT, _RULE = "#7a7a7a", "#80808055"
"""This grey has a contrast of 4.3 to 1 both on white and on the darkest page of JupyterLab. A file has one picture, and
the theme of the page that shows it is not known, so no other colour of a text is better on both."""
_THEME: JSONObject = {
    "axis": {"labelColor": _TEXT, "titleColor": _TEXT, "gridColor": _RULE, "domainColor": _TEXT, "tickColor": _TEXT},
    "header": {"labelColor": _TEXT, "titleColor": _TEXT},
    "legend": {"labelColor": _TEXT, "titleColor": _TEXT},
    "style": {"group-subtitle": {"fill": _TEXT}, "guide-label": {"fill": _TEXT}, "guide-title": {"fill": _TEXT}},
    "text": {"color": _TEXT},
    "title": {"color": _TEXT, "subtitleColor": _TEXT},
    "view": {"stroke": "transparent"},
}
# Neither of the two modules may import the other.
_PROGRAM = """
from codeact_kernel.sandbox.lockdown import confine_renderer
from codeact_kernel.capabilities.show.png_worker import main
main(confine_renderer)
"""


def render_chart(
    chart: JSONObject, limits: ShowLimits | None = None, *, should_stop: Callable[[], bool] = lambda: False
) -> str:
    """Draw a checked chart, and return the PNG in base64, or an empty text if it cannot be drawn.

    Args:
        should_stop: called repeatedly from another thread while the child draws. The child ends if it returns true.
    """
    limits = limits or ShowLimits()
    if find_spec("vl_convert") is None:
        return ""
    try:
        png = _draw(json.dumps(_with_theme(chart)).encode(), limits.image_bytes + 1, should_stop)
        mime, width, height = image_size(png)
    except (OSError, ProgramError):
        return ""
    is_within_limits = len(png) <= limits.image_bytes and 0 < width * height <= limits.image_pixels
    return base64.b64encode(png).decode() if is_within_limits and mime == "image/png" else ""


def _with_theme(chart: JSONObject) -> JSONObject:
    """Return the chart without a background, and with axes and texts that can be read on a light and on a dark page."""
    return {"background": "transparent", "config": _THEME, **chart}


def _draw(chart: bytes, max_bytes: int, should_stop: Callable[[], bool] = lambda: False) -> bytes:
    """Return the output of the child, up to `max_bytes`. The child has always ended afterwards.

    Raises:
        OSError: if it cannot be started, or does not read the chart.
    """
    child = subprocess.Popen(
        # -P and the root as working folder, so that nothing next to the notebook is imported. If the system does not
        # know the user, Python would even import packages from a folder named "~" in the working folder. -I is not
        # used, because vl-convert may be installed only for the user.
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=os.path.abspath(os.sep),
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,  # an interrupt of the notebook must not reach it
    )
    is_done = threading.Event()

    def watch() -> None:
        deadline = time.monotonic() + _SECONDS
        while not is_done.wait(_TICK):
            if should_stop() or time.monotonic() > deadline:
                child.kill()  # this also ends the reads below
                return

    with child:
        try:
            threading.Thread(target=watch, name="codeact chart", daemon=True).start()
            assert child.stdin is not None
            assert child.stdout is not None
            with child.stdin:
                child.stdin.write(chart)
            return child.stdout.read(max_bytes)
        finally:
            is_done.set()
            child.kill()
