"""The hyperlight backend: the guest runs in a micro-VM, behind a hypervisor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from . import guest_files, micro_vm_support
from .base import Backend, GuestFactory

__all__ = ["HyperlightBackend"]


class HyperlightBackend(Backend):
    """Needs a hypervisor that lets this user start micro-VMs. `hyperlight.py` runs the guest."""

    name = "hyperlight"
    boundary = "Hyperlight micro-VM"
    packages: ClassVar[Mapping[str, str]] = {"python_guest": "hyperlight-sandbox-python-guest"}
    may_refuse = True

    def why_unavailable(self) -> str:
        if missing := super().why_unavailable():
            return missing
        missing = micro_vm_support.missing()
        return missing and f"The hyperlight backend cannot run here. {missing}"

    def devices(self) -> Sequence[str]:
        return [device for device in micro_vm_support.DEVICES if Path(device).exists()]

    def guest_file(self) -> Path:
        return guest_files.native()

    def load(self) -> GuestFactory:
        from .hyperlight_guest import HyperlightGuest

        return HyperlightGuest
