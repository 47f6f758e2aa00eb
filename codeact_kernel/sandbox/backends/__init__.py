"""The backends. To add one, write a file with its `Backend` and list it in `BACKENDS`."""

from __future__ import annotations

from typing import Final

from ...errors import UserError
from .base import Backend
from .embedded import EmbeddedBackend
from .hyperlight import HyperlightBackend

__all__ = ["AUTO", "BACKENDS", "BACKEND_NAMES", "Backend", "find_backend"]

BACKENDS: Final[tuple[Backend, ...]] = (HyperlightBackend(), EmbeddedBackend())
"""Every backend, the strongest boundary first. The last one never refuses to start."""
AUTO: Final = "auto"
"""The name that selects the first backend that starts."""
BACKEND_NAMES: Final = (AUTO, *(backend.name for backend in BACKENDS))
"""Every name that settings may give."""


def find_backend(name: str) -> Backend:
    """Return the backend with the given name, which is not `auto`.

    Raises:
        UserError: if no backend has the name.
    """
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    raise UserError(f"There is no backend {name!r}: choose {', '.join(BACKEND_NAMES)}.")
