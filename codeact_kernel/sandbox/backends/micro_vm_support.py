"""Whether a micro-VM can be started here, as far as that can be seen without starting one.

Nothing here proves that one starts: a device that opens may belong to a hypervisor that then refuses. Only a worker
that came up is a proof.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

__all__ = ["DEVICES", "missing"]

DEVICES = ("/dev/kvm", "/dev/mshv")
_MACHINES = {("linux", "x86_64"), ("win32", "amd64")}
_PACKAGE = "hyperlight_sandbox_backend_wasm"


def missing(
    *,
    system: str = sys.platform,
    machine: str = platform.machine(),
    installed: Callable[[str], object] = find_spec,
    exists: Callable[[str], bool] = os.path.exists,
    may_use: Callable[[str], bool] = lambda device: os.access(device, os.R_OK | os.W_OK),
    group: Callable[[str], str] = lambda device: Path(device).group(),
) -> str:
    """The part that is missing and what to do about it, as a sentence; empty when all of it is there."""
    if (system, machine.lower()) not in _MACHINES:
        return f"Hyperlight runs on Linux and Windows with x86-64 processors only, and this is {system} on {machine}."
    if not installed(_PACKAGE):
        return "Its package is not installed: pip install 'hyperlight-sandbox[wasm]==0.8.0'."
    if system == "win32":
        return ""
    there = [device for device in DEVICES if exists(device)]
    if not there:
        return (
            f"There is no hypervisor: {DEVICES[0]} is missing. Switch virtualization on in the firmware (on a virtual "
            f"machine: nested virtualization) and load the kvm module; start a container with --device {DEVICES[0]}."
        )
    if not any(may_use(device) for device in there):
        return f"This user may not open {there[0]}: {_advice(there[0], group)}."
    return ""


def _advice(device: str, group: Callable[[str], str]) -> str:
    try:
        name = group(device)
    except (KeyError, OSError):  # a group that has no name, as in many containers
        name = "root"
    if name == "root":
        return f"ask whoever runs this machine for access to it (chmod a+rw {device}, or --group-add for a container)"
    return f'add yourself to its group (sudo usermod -aG {name} "$USER"), then log in again'
