"""Backends by name. A backend's own library is imported in the worker, and nowhere else."""

from __future__ import annotations

from importlib.util import find_spec

from ...errors import UserError
from ...settings import Limits
from ..base import Backend
from ..hostfunction import HostFunction

__all__ = ["BOUNDARIES", "Backend", "check", "load"]

BOUNDARIES = {"embedded": "WebAssembly in a locked-down process"}
"""Each backend's boundary, in the words the person sees."""


def check(name: str) -> None:
    """See that the backend `name` can be had here.

    Raises:
        UserError: with the part that is missing, and how to get it.
    """
    if name not in BOUNDARIES:
        raise UserError(f"There is no backend {name!r}: choose {' or '.join(BOUNDARIES)}.")
    for module, package in (("wasmtime", "wasmtime"), ("python_guest", "hyperlight-sandbox-python-guest")):
        if find_spec(module) is None:
            raise UserError(f"The {name} backend needs {package}: pip install {package}.")


def load(name: str, guest: str, function: HostFunction, limits: Limits) -> Backend:
    """The backend `name`, with a guest prepared. Child side.

    Raises:
        UserError: there is no such backend.
    """
    check(name)
    from .embedded import Embedded  # in the worker only: this loads wasmtime

    return Embedded(guest, function, limits)
