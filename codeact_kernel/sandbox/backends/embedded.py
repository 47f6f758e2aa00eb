"""The embedded backend: the guest runs as WebAssembly in wasmtime, inside a locked-down process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from ...guest.kinds import SCIENCE
from . import guest_cache, science_wheel
from .base import Backend, GuestFactory

__all__ = ["EmbeddedBackend", "ScienceBackend"]


class EmbeddedBackend(Backend):
    """Works wherever wasmtime does. `embedded_guest.py` runs it."""

    name = "embedded"
    boundary = "WebAssembly in a locked-down process"
    packages: ClassVar[Mapping[str, str]] = {"python_guest": "hyperlight-sandbox-python-guest", "wasmtime": "wasmtime"}
    compiler = f"{__package__}.embedded_guest"
    compile_notice = "Compiling the sandbox for this machine: once, about ten seconds…"

    def guest_file(self) -> Path:
        return guest_cache.path()

    def load(self) -> GuestFactory:
        from .embedded_guest import EmbeddedGuest

        return EmbeddedGuest


class ScienceBackend(EmbeddedBackend):
    """The same boundary around the science guest. `science_guest.py` runs it."""

    guest = SCIENCE
    packages: ClassVar[Mapping[str, str]] = {"wasmtime": "wasmtime"}
    compiler = f"{__package__}.science_guest"
    compile_notice = "Compiling pandas for this machine: once, a minute or more on few processors…"

    def why_unavailable(self) -> str:
        return super().why_unavailable() or science_wheel.why_unavailable()

    def guest_file(self) -> Path:
        return guest_cache.science_path()

    def load(self) -> GuestFactory:
        from .science_guest import ScienceGuest

        return partial(ScienceGuest, library=science_wheel.open_library())  # the lockdown forbids to open it later
