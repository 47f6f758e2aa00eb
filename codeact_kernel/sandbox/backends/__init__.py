"""Backends by name. A backend's own library is imported in the worker, and nowhere else."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ...errors import UserError
from ...settings import Limits
from ..base import Backend, Dispatch
from . import compiled, hypervisor, shipped

__all__ = ["AUTO", "BOUNDARIES", "Backend", "check", "guest", "load"]

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
    if name == "hyperlight" and (missing := hypervisor.missing()):
        raise UserError(f"The hyperlight backend cannot run here. {missing}")


def guest(name: str) -> Path:
    """The guest as the backend loads it: compiled on this machine, or as it was shipped."""
    return shipped.native() if name == "hyperlight" else compiled.path()


def load(name: str, guest: str, function: Dispatch, limits: Limits) -> Backend:
    """The backend `name`, with a guest prepared. Child side.

    Raises:
        SandboxError: its guest does not start.
        UserError: there is no such backend.
    """
    check(name)
    if name == "hyperlight":
        from .hyperlight import Hyperlight  # in the worker only: this loads the hypervisor's library

        return Hyperlight(guest, function, limits)
    from .embedded import Embedded  # in the worker only: this loads wasmtime

    return Embedded(guest, function, limits)
