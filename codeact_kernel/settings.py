"""The settings of a turn. `configuration` creates them; they never change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .access import AllowedDomain, FileMount, McpServer, allowed_domains, file_mounts, mcp_servers, workspace_root
from .budgets import Budget, parse_budget
from .errors import UserError
from .limits import MIB, Limits

__all__ = ["Limits", "Settings", "parse_memory"]

_UNITS = {"Mi": MIB, "Gi": 1 << 30}
_MIN_MEMORY, _MAX_MEMORY = 64 * MIB, 2048 * MIB  # less memory does not hold the library; more was not tried


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The choices of the user.

    Attributes:
        model: the model's name at the endpoint; `None` lets the client choose.
        backend: the name of the backend that isolates the guest; `auto` is a micro-VM if one starts.
        guest: the kind of guest: `standard`, `science`, which has pandas, or `auto` for science where it is installed,
            compiled, and possible with the backend.
        max_retries: how many times the model may fix a failed program.
        allow: the names of tools that require approval but run without it.
        review: whether the user sees each program before it runs.
        wait: whether a program starts only when the model has written all of it.
        reuse: when a recorded program answers a prompt instead of the model: the first time in a kernel (`auto`),
            never, or always, so that a prompt without one fails.
        file_mounts: the folders and files that programs see below `/input`, in any form that `file_mount` takes.
        workspace_root: the folder that programs see as `/input` itself, read-only.
        allowed_domains: the hosts that programs may send requests to, in any form that `allowed_domain` takes.
        budget: what one turn may use, in any form that `parse_budget` takes.
        session_budget: what all turns of a session may use together.
        mcp: the MCP servers whose tools programs may call, in any form that `mcp_servers` takes.

    Raises:
        UserError: if `allow` is a string instead of a set, or a budget, mount or host is not possible.
    """

    model: str | None = None
    backend: str = "auto"
    guest: str = "auto"
    max_retries: int = 2
    allow: frozenset[str] = frozenset()
    review: bool = False
    wait: bool = False
    reuse: Literal["auto", "never", "always"] = "auto"
    file_mounts: Sequence[FileMount] = ()
    workspace_root: Path | None = None
    allowed_domains: Sequence[AllowedDomain] = ()
    budget: Budget = field(default_factory=Budget)
    session_budget: Budget = field(default_factory=Budget)
    mcp: Sequence[McpServer] = ()
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if isinstance(self.allow, str):  # each of its letters would be a name
            raise UserError(f"allow={self.allow!r}: give a set of names, frozenset({{{self.allow!r}}}).")
        object.__setattr__(self, "budget", parse_budget(self.budget))
        object.__setattr__(self, "session_budget", parse_budget(self.session_budget))
        object.__setattr__(self, "file_mounts", file_mounts(self.file_mounts))
        object.__setattr__(self, "allowed_domains", allowed_domains(self.allowed_domains))
        object.__setattr__(self, "mcp", mcp_servers(self.mcp))
        if self.workspace_root is not None:
            object.__setattr__(self, "workspace_root", workspace_root(self.workspace_root))


def parse_memory(text: str) -> int:
    """Return the bytes of a size such as `"256Mi"` or `"1Gi"`, which Kubernetes writes in the same way.

    Raises:
        UserError: if the text is not such a size, or no guest can have that size.
    """
    number, unit = text.strip()[:-2], text.strip()[-2:]
    size = int(number) * _UNITS[unit] if unit in _UNITS and number.isdecimal() and len(number) < 6 else 0
    if not _MIN_MEMORY <= size <= _MAX_MEMORY:
        raise UserError(f"{text!r} is not a memory size for a sandbox: use 64Mi to 2Gi, for example 256Mi.")
    return size
