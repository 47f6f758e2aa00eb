"""Declare the capabilities of programs in one place for tools, preflight, eager runs and the guest.

To add a capability, declare it here, and write its host half in `capabilities/<name>/` and its guest half in
`guest/inside/<name>`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ACTING_NAMES",
    "CALL_NAMES",
    "CAPABILITIES",
    "CHANGING_HANDLERS",
    "DATA",
    "DISCOVERY",
    "EAGER_HANDLERS",
    "ERROR_NAMES",
    "FILES",
    "GUEST_NAMES",
    "NETWORK",
    "NEXT_STATEMENTS",
    "READ_ONLY_HANDLERS",
    "RESERVED_NAMES",
    "SHOW",
    "CapabilityDeclaration",
]

CALL_NAMES = frozenset({"call_tool", "call_tool_async"})
"""Functions that call any tool by its name."""
ERROR_NAMES = frozenset({"ToolDenied", "ToolError", "ToolFailed"})
"""Exceptions that every program has."""
NEXT_STATEMENTS = ("program", "next")
"""The capability and method with which the guest asks for the next statements of a program that is still written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityDeclaration:
    """The names and handlers that one capability offers to programs.

    Attributes:
        name: the name of its folder and its guest half.
        guest_names: functions in the namespace of programs.
        reserved_names: functions whose names no tool may have.
        acting_names: functions that change something or reach something outside. Prefetch stops at them.
        read_only: handlers that change nothing.
        eager: read-only handlers that may be used while the program is still being written.
        changing: handlers that change files or pass values to the notebook.
    """

    name: str
    guest_names: tuple[str, ...] = ()
    reserved_names: tuple[str, ...] = ()
    acting_names: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    eager: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()


DATA = CapabilityDeclaration(
    name="data",
    read_only=("buffer", "column", "frame", "result", "text"),
    eager=("buffer", "column", "frame", "result", "text"),
    changing=("put", "put_frame"),
)
FILES = CapabilityDeclaration(
    name="files",
    acting_names=("open",),
    read_only=("list", "read"),
    changing=("mkdir", "remove", "rename", "rmdir", "write"),
)
SHOW = CapabilityDeclaration(name="show", guest_names=("show",), reserved_names=("show",))
NETWORK = CapabilityDeclaration(
    name="network",
    guest_names=("http_get", "http_get_async", "http_post", "http_request"),
    reserved_names=("http_request",),
    acting_names=("http_request",),
    read_only=("body",),
)
DISCOVERY = CapabilityDeclaration(
    name="discovery",
    guest_names=("find_tools",),
    reserved_names=("find_tools",),
    read_only=("find",),
    eager=("find",),
)
CAPABILITIES = (DATA, FILES, SHOW, NETWORK, DISCOVERY)

RESERVED_NAMES = CALL_NAMES | {"execute_code", "observe"}.union(
    *(capability.reserved_names for capability in CAPABILITIES)
)
"""Names that no tool may have, because every program has them or a model gives them another meaning."""
GUEST_NAMES = frozenset(name for capability in CAPABILITIES for name in capability.guest_names)
ACTING_NAMES = frozenset({"call_tool_async", "observe", "result", "sleep"}).union(
    *(capability.acting_names for capability in CAPABILITIES)
)
"""Names whose call changes something, or lets time pass."""
# Handlers are pairs of a capability and a method.
READ_ONLY_HANDLERS = frozenset(
    {NEXT_STATEMENTS, *((capability.name, method) for capability in CAPABILITIES for method in capability.read_only)}
)
EAGER_HANDLERS = frozenset((capability.name, method) for capability in CAPABILITIES for method in capability.eager)
CHANGING_HANDLERS = frozenset(
    (capability.name, method) for capability in CAPABILITIES for method in capability.changing
)
