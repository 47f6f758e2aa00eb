"""Backends by name. A backend's own library is imported in the worker, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from ...errors import UserError
from ...settings import Limits
from ..interfaces import Backend, Dispatch
from . import guest_cache, guest_files, micro_vm_support

__all__ = ["AUTO", "BOUNDARIES", "Backend", "check", "devices", "guest", "load", "offered"]

BOUNDARIES = {
    "hyperlight": "Hyperlight micro-VM",
    "embedded": "WebAssembly in a locked-down process",
}
"""Each backend's boundary, in the words the person sees; the strongest first."""
AUTO = "auto"
"""The name that stands for the first of them that starts."""


def check(name: str) -> None:
    """See that the backend `name` can be had here, as far as that shows without starting it.

    Raises:
        UserError: with the part that is missing, and how to get it.
    """
    if name not in (AUTO, *BOUNDARIES):
        raise UserError(f"There is no backend {name!r}: choose {', '.join([AUTO, *BOUNDARIES])}.")
    needed = {"python_guest": "hyperlight-sandbox-python-guest"}
    if name != "hyperlight":
        needed["wasmtime"] = "wasmtime"
    for module, package in needed.items():
        if find_spec(module) is None:
            raise UserError(f"The {name} backend needs {package}: pip install {package}.")
    if name == "hyperlight" and (missing := micro_vm_support.missing()):
        raise UserError(f"The hyperlight backend cannot run here. {missing}")


def guest(name: str) -> Path:
    """The guest as the backend loads it: compiled on this machine, or as it was shipped."""
    return guest_files.native() if name == "hyperlight" else guest_cache.path()


def offered() -> list[str]:
    """The names that can be chosen here."""
    return [AUTO, *(name for name in BOUNDARIES if name != "hyperlight" or not micro_vm_support.missing())]


def devices(name: str) -> list[str]:
    """The devices that a worker opens for the backend."""
    return [path for path in micro_vm_support.DEVICES if name == "hyperlight" and Path(path).exists()]


def load(name: str) -> Callable[[str, Dispatch, Limits], Backend]:
    """What makes the backend, from the path of its guest, with the guest prepared. Child side: loads the library.

    Raises:
        UserError: there is no such backend.
    """
    match name:
        case "hyperlight":
            from .hyperlight import Hyperlight

            return Hyperlight
        case "embedded":
            from .embedded import Embedded

            return Embedded
        case _:
            raise UserError(f"There is no backend {name!r}.")
