"""Our own modules for the guest, as text that the host sends in.

A module has the same name in the guest as here, so that its imports read the same for people and tools. What is in
`wire` belongs to both ends: it is code of the host that is also sent.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Connection", "OwnModule", "bootstrap_source", "own_module", "read_all"]

_ROOT = Path(__file__).parents[2]
_SENT = ("codeact_kernel.guest.inside", "codeact_kernel.wire")
_EMPTY = ("codeact_kernel", "codeact_kernel.guest")
"""Packages that only hold others in the guest: here they hold the host's code."""


class Connection(enum.Enum):
    """How a guest sends a message to its host function: code that stands in front of the bootstrap.

    Operations of any length go to the host in one message if `WHOLE` is set; see `sandbox/chunking.py`. A guest that
    `HAS_LIBRARY` needs no modules from the pack.
    """

    MICRO_VM = """
from wit_world.imports import tools
WHOLE, HAS_LIBRARY = False, False
attached = []
def send(text):
    return tools.dispatch("codeact", text)
"""
    COMPONENT = MICRO_VM.replace("WHOLE, HAS_LIBRARY = False", "WHOLE, HAS_LIBRARY = True")
    REACTOR = """
import _host
WHOLE, HAS_LIBRARY = True, True
attached = []
def send(text):
    message = text.encode()
    if attached:
        message += b"\\0" + attached.pop()
    answer, _, data = _host.call(message).partition(b"\\0")
    if data:
        attached.append(data)
    return answer.decode()
"""


@dataclass(frozen=True, slots=True)
class OwnModule:
    """One of our modules for the guest.

    Attributes:
        is_package: whether it has submodules.
        source: its text.
        filename: its name in the guest's tracebacks; no file of the host.
    """

    is_package: bool
    source: str
    filename: str


def read_all() -> None:
    """Read all files now, because a locked-down worker cannot open files."""
    _modules()


def bootstrap_source(connection: Connection) -> str:
    """Return the program that runs first in every guest with this connection."""
    source = _modules()["codeact_kernel.guest.inside.bootstrap"].source
    return f"{connection.value}\nexec(compile({source!r}, '<codeact bootstrap>', 'exec'))"


def own_module(name: str) -> OwnModule | None:
    """Return the module that the guest knows as `name`, if it is one of ours."""
    return _modules().get(name)


@cache
def _modules() -> dict[str, OwnModule]:
    modules = {name: OwnModule(is_package=True, source="", filename=f"<codeact {name}>") for name in _EMPTY}
    for package in _SENT:
        folder = _ROOT.joinpath(*package.split("."))
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            inner = ".".join(parts[:-1] if is_package else parts)
            name = f"{package}.{inner}" if inner else package
            modules[name] = OwnModule(is_package, path.read_text(encoding="utf-8"), f"<codeact {inner or package}>")
    return modules
