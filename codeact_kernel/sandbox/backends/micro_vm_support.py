"""Find out whether this host has all that a micro-VM needs, without starting one.

That does not prove that a micro-VM starts: a device that can be opened may belong to a hypervisor that then refuses.
Only a worker that has started proves it.
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
    can_use: Callable[[str], bool] = lambda device: os.access(device, os.R_OK | os.W_OK),
    group: Callable[[str], str] = lambda device: Path(device).group(),
) -> str:
    """Return a sentence that names the missing part and what to do about it; empty if nothing is missing."""
    if (system, machine.lower()) not in _MACHINES:
        return f"Hyperlight runs on Linux and Windows with x86-64 processors only, and this is {system} on {machine}."
    if not installed(_PACKAGE):
        return "Its package is not installed: pip install 'hyperlight-sandbox[wasm]==0.8.0'."
    if system == "win32":
        return ""
    devices = [device for device in DEVICES if exists(device)]
    if not devices:
        return (
            f"There is no hypervisor: {DEVICES[0]} is missing. Switch virtualization on in the firmware (on a virtual "
            f"machine: nested virtualization) and load the kvm module; start a container with --device {DEVICES[0]}."
        )
    if not any(can_use(device) for device in devices):
        return f"This user may not open {devices[0]}: {_advice(devices[0], group)}."
    return ""


def _advice(device: str, group: Callable[[str], str]) -> str:
    try:
        name = group(device)
    except (KeyError, OSError):  # the group has no name, as in many containers
        name = "root"
    if name == "root":
        return f"ask the administrator for access to it (chmod a+rw {device}, or --group-add for a container)"
    return f'add yourself to its group (sudo usermod -aG {name} "$USER"), then log in again'
