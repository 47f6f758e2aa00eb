"""The backends. To add one, write a file with its `Backend` and list it in `BACKENDS`."""

from __future__ import annotations

from typing import Final

from ...errors import UserError
from ...guest.kinds import STANDARD, GuestKind
from .base import Backend
from .embedded import EmbeddedBackend, ScienceBackend
from .hyperlight import HyperlightBackend

__all__ = ["AUTO", "BACKENDS", "BACKEND_NAMES", "SCIENCE_BACKEND", "Backend", "find_backend"]

BACKENDS: Final[tuple[Backend, ...]] = (HyperlightBackend(), EmbeddedBackend())
"""Every backend, the strongest boundary first. The last one never refuses to start."""
SCIENCE_BACKEND: Final[Backend] = ScienceBackend()
"""The only backend with the science guest. It has the name and the boundary of the embedded backend."""
AUTO: Final = "auto"
"""The name that selects the first backend that starts."""
BACKEND_NAMES: Final = (AUTO, *(backend.name for backend in BACKENDS))
"""Every name that settings may give."""


def find_backend(name: str, guest: GuestKind = STANDARD) -> Backend:
    """Return the backend with the given name, which is not `auto`, and the given guest.

    Raises:
        UserError: if no backend has the name, or it does not have the guest.
    """
    for backend in (*BACKENDS, SCIENCE_BACKEND):
        if backend.name == name and backend.guest is guest:
            return backend
    if name in BACKEND_NAMES:
        raise UserError(f"The {name} backend has no {guest.name} guest.")
    raise UserError(f"There is no backend {name!r}: choose {', '.join(BACKEND_NAMES)}.")
