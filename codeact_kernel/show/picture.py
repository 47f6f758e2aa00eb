"""A chart as a picture, for exports and for front ends that draw none: by vl-convert, where that is installed.

It runs JavaScript, so it runs in a child process of its own that ends with the picture: with little memory and time, a
bare environment, and told to load nothing. (It loads the pictures that a chart names all the same; ours name none.)
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec

from ..errors import ProgramError
from ..values import JSONObject
from .images import image_size
from .limits import ShowLimits

__all__ = ["draws", "picture"]

_SECONDS = 20.0
"""The first one ever takes one, and 90 MB."""
_CHILD = (sys.executable, "-P", "-m", "codeact_kernel.show.drawing")


@cache
def draws() -> bool:
    """Whether pictures can be made here."""
    return find_spec("vl_convert") is not None


async def picture(chart: JSONObject, limits: ShowLimits | None = None) -> str:
    """A checked chart as a PNG in base64; nothing where it cannot be drawn. Cancelling ends the child."""
    limits = limits or ShowLimits()
    child = await asyncio.create_subprocess_exec(
        *_CHILD,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in ("TZ", "SYSTEMROOT") if name in os.environ},
        start_new_session=True,  # an interrupt of the notebook is not for it
    )
    try:
        async with asyncio.timeout(_SECONDS):
            data, _ = await child.communicate(json.dumps(chart).encode())
        mime, width, height = image_size(data)
    except (TimeoutError, OSError, ProgramError):
        return ""
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    small = len(data) <= limits.image_bytes and 0 < width * height <= limits.image_pixels
    return base64.b64encode(data).decode() if small and mime == "image/png" else ""
