"""Draw a chart in the child process of `render_chart`: the chart comes on stdin, the PNG goes to stdout.

The parent has checked the chart, but three independent layers here do not rely on that: image marks are rejected,
vl-convert is configured to load nothing, and on Linux the kernel denies network, processes and all files except fonts.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

__all__ = ["main"]

_SECONDS = 20
_MEMORY = 1 << 30
_VERSION = "5.8"
"""The oldest version of Vega-Lite in vl-convert. JupyterLab 4 draws with a still older version."""

_READABLE = (
    "/etc/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/usr/share/fonts",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
)

_DENIED: Mapping[str, Any] = {
    "allowed_base_urls": [],
    "base_url": False,
    "allow_google_fonts": False,
    "auto_google_fonts": False,
    "google_fonts": [],
    "allow_per_request_plugins": False,
    "per_request_plugin_import_domains": [],
    "plugin_import_domains": [],
    "vega_plugins": [],
}
"""The settings of vl-convert 2.x that control loading."""
_HARMLESS = {
    "default_format_locale",
    "default_theme",
    "default_time_format_locale",
    "embed_local_fonts",
    "gc_after_conversion",
    "google_font_variant_threshold",
    "max_ephemeral_workers",
    "max_v8_execution_time_secs",
    "max_v8_heap_size_mb",
    "missing_fonts",
    "num_workers",
    "subset_fonts",
    "themes",
}
"""Its other settings. A setting in neither list could allow loading, so then nothing is drawn."""


def main(confine: Callable[[Sequence[str]], None]) -> None:
    """Draw once, or exit with an error.

    Args:
        confine: limits this process to reading these files and folders. Raises `OSError` if that is not possible.
    """
    _limit()
    chart = json.load(sys.stdin.buffer)
    if _has_image_marks(chart):
        sys.exit("vl-convert 1.x loads the files of image marks whatever it is told")
    draw = _load_renderer()
    confine([path for path in _READABLE if Path(path).exists()])
    sys.stdout.buffer.write(draw(chart))


def _has_image_marks(node: object) -> bool:
    """Look for image marks everywhere except in rows of data, whose columns can have any name."""
    if isinstance(node, list):
        return any(_has_image_marks(item) for item in cast("list[object]", node))
    if not isinstance(node, dict):
        return False
    parts = cast("dict[str, object]", node)
    if any(parts.get(name) == "image" for name in ("mark", "type")):  # a mark, or its definition
        return True
    return any(_has_image_marks(part) for name, part in parts.items() if name not in ("values", "datasets"))


def _load_renderer() -> Callable[[object], bytes]:
    """Import vl-convert and configure it to load nothing. Exit if that is not possible."""
    import vl_convert

    renderer: Any = vl_convert  # its types are those of one version
    draw = partial(renderer.vegalite_to_png, vl_version=_VERSION, scale=2)
    match renderer.__version__.split(".")[0]:
        case "1":
            return partial(draw, allowed_base_urls=[])
        case "2":
            renderer.configure(**_DENIED)
            settings: dict[str, object] = renderer.get_config()
            if {name: value for name, value in settings.items() if name not in _HARMLESS} != _DENIED:
                sys.exit("vl-convert has settings that are not known")
            return draw
        case _:
            sys.exit("not a known version of vl-convert")


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource

    signal.alarm(_SECONDS)  # even if the kernel is gone
    for resource_name, maximum in (("CPU", _SECONDS), ("DATA", _MEMORY), ("FSIZE", 0), ("CORE", 0)):
        name = getattr(resource, f"RLIMIT_{resource_name}", None)
        if name is not None:
            resource.setrlimit(name, (maximum, maximum))
