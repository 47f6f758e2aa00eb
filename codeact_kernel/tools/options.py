"""The options of `@tool`, which every module of this package may import: this module imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict

__all__ = ["ApprovalMode", "OptionKeywords", "Source", "ToolOptions"]

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


class OptionKeywords(TypedDict, total=False):
    """The options as keyword arguments."""

    approval_mode: ApprovalMode
    max_invocations: int | None
    direct: bool
    read_only: bool
    thread_safe: bool
    max_concurrency: int | None
    source: Source
