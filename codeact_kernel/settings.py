"""One frozen `Settings`, made once (`configuration`) and passed whole; each object takes its part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .access import AllowedDomain, FileMount, allowed_domains, file_mounts, workspace_root
from .errors import UserError
from .limits import MIB, Limits

__all__ = ["Limits", "Settings", "parse_memory"]

_UNITS = {"Mi": MIB, "Gi": 1 << 30}
_LEAST_MEMORY, _MOST_MEMORY = 64 * MIB, 2048 * MIB  # less does not hold the library, more was not tried


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a person can choose.

    Attributes:
        model: the model's name at the endpoint; `None` lets the client choose.
        backend: what isolates the guest; `auto` is a micro-VM where one starts.
        max_retries: how often the model may repair a program that failed.
        allow: names of tools that run without a question although they ask for approval.
        review: whether a person sees each program before it runs.
        wait: whether nothing of a program runs before the model has written all of it.
        file_mounts: folders and files that programs see below `/input`; each may be given as `file_mount` takes it.
        workspace_root: a folder that they see as `/input` itself, to be read only.
        allowed_domains: hosts that they may send requests to; each may be given as `allowed_domain` takes it.

    Raises:
        UserError: `allow` is one text, not a set of them; a mount or a host that there cannot be.
    """

    model: str | None = None
    backend: str = "auto"
    max_retries: int = 2
    allow: frozenset[str] = frozenset()
    review: bool = False
    wait: bool = False
    file_mounts: Sequence[FileMount] = ()
    workspace_root: Path | None = None
    allowed_domains: Sequence[AllowedDomain] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if isinstance(self.allow, str):  # of which every letter, and every part, would be a name
            raise UserError(f"allow={self.allow!r}: give a set of names, frozenset({{{self.allow!r}}}).")
        object.__setattr__(self, "file_mounts", file_mounts(self.file_mounts))
        object.__setattr__(self, "allowed_domains", allowed_domains(self.allowed_domains))
        if self.workspace_root is not None:
            object.__setattr__(self, "workspace_root", workspace_root(self.workspace_root))


def parse_memory(text: str) -> int:
    """The bytes of a size such as `"256Mi"` or `"1Gi"`, the way Kubernetes writes them.

    Raises:
        UserError: it is no such size, or one that no guest can have.
    """
    number, unit = text.strip()[:-2], text.strip()[-2:]
    size = int(number) * _UNITS[unit] if unit in _UNITS and number.isdecimal() and len(number) < 6 else 0
    if not _LEAST_MEMORY <= size <= _MOST_MEMORY:
        raise UserError(f"{text!r} is no memory for a sandbox: give a size from 64Mi to 2Gi, for example 256Mi.")
    return size
