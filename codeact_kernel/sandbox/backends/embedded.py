"""The embedded backend: the guest runs as WebAssembly in wasmtime, inside a locked-down process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from . import guest_cache
from .base import Backend, GuestFactory

__all__ = ["EmbeddedBackend"]


class EmbeddedBackend(Backend):
    """Works wherever wasmtime does. `embedded_guest.py` runs it."""

    name = "embedded"
    boundary = "WebAssembly in a locked-down process"
    packages: ClassVar[Mapping[str, str]] = {"python_guest": "hyperlight-sandbox-python-guest", "wasmtime": "wasmtime"}
    compiler = f"{__package__}.embedded_guest"

    def guest_file(self) -> Path:
        return guest_cache.path()

    def load(self) -> GuestFactory:
        from .embedded_guest import EmbeddedGuest

        return EmbeddedGuest
