"""Find the guest's files in their package, without importing it: that would copy 44 MB into the user's home."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ...errors import UserError

__all__ = ["component", "native"]


def component() -> Path:
    """Return the path of the guest as a WebAssembly component.

    Raises:
        UserError: if the package is not installed.
    """
    return _file("python-sandbox.wasm")


def native() -> Path:
    """Return the path of the guest as its package ships it for Hyperlight, compiled.

    Raises:
        UserError: if the package is not installed.
    """
    return _file("python-sandbox.aot")


def _file(name: str) -> Path:
    spec = find_spec("python_guest")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("The guest is not installed: pip install hyperlight-sandbox-python-guest.")
    return Path(spec.submodule_search_locations[0]) / "resources" / name
