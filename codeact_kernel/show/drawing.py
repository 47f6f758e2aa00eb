"""The child process of `picture`: a chart on stdin, a PNG on stdout."""

from __future__ import annotations

import json
import sys

__all__ = ["main"]

_SECONDS = 20
_MEMORY = 1 << 30
_VERSION = "5.8"
"""The oldest that vl-convert has: what JupyterLab 4 draws with is older still."""


def main() -> None:
    """Draw once."""
    _limit()
    chart = json.load(sys.stdin.buffer)
    import vl_convert

    png = vl_convert.vegalite_to_png(chart, vl_version=_VERSION, scale=2, allowed_base_urls=[])
    sys.stdout.buffer.write(png)


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource

    for what, most in (("CPU", _SECONDS), ("DATA", _MEMORY), ("FSIZE", 0), ("CORE", 0)):
        name = getattr(resource, f"RLIMIT_{what}", None)
        if name is not None:
            resource.setrlimit(name, (most, most))


if __name__ == "__main__":
    main()
