"""The options of `@tool`, which every module of this package may import: this module imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["ApprovalMode", "Source", "ToolOptions"]

ApprovalMode: TypeAlias = Literal["never_require", "always_require"]
Source: TypeAlias = Literal["trusted", "untrusted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolOptions:
    """The options of `tool` that decide how calls are handled; `tool` documents each of them."""

    approval_mode: ApprovalMode = "never_require"
    max_invocations: int | None = None
    direct: bool = False
    read_only: bool = False
    thread_safe: bool = False
    max_concurrency: int | None = None
    source: Source = "trusted"
