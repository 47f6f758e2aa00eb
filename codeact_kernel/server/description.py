"""Describe `execute_code` and the tools of its programs to an agent of somebody else."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..capabilities.registry import CapabilitySet
from ..guest.kinds import GuestKind
from ..secrets import hide
from ..settings import Settings
from ..text import format_list, plural, truncate
from ..tools import Registry, ToolSpec, join_stubs
from ..turn.prompt import write_program_rules

__all__ = ["describe_execute_code", "describe_tools"]

MAX_DESCRIPTION = 2_000
"""Characters of the description of `execute_code`. Some clients cut off what is longer than 2,048."""
MAX_TOOLS = 20_000
"""Characters of the stubs that one call of `describe_tools` returns."""
_MAX_INSTRUCTIONS = 600
_MAX_NAMES = 40

_OPENING = """\
Run one Python program in a sandbox and return the value of its last expression. Prefer one program with loops and
arithmetic to many small ones: it can make hundreds of calls. Each program starts fresh.
"""
_DIRECT = "To call one of these, pass a program that is just that one call with its values written out:\n"


def describe_execute_code(tools: Registry, settings: Settings, guest: GuestKind, *, can_look_up: bool = True) -> str:
    """Return the description: how to write a program, and the tools.

    Args:
        can_look_up: whether the agent can call `describe_tools`, so that stubs which take much room are left to it.
    """
    specs = _specs(tools, guest)
    capabilities = CapabilitySet(settings, (), (), lambda event: None, guest=guest)
    instructions = truncate(capabilities.instructions, _MAX_INSTRUCTIONS)
    capabilities.close()
    beginning = f"{_OPENING}{write_program_rules(guest)}\n{instructions}"
    stubs = _write_stubs(specs.values())
    if not specs or (can_look_up and len(beginning) + len(stubs) > MAX_DESCRIPTION):
        stubs = _write_names(specs)
    return hide(f"{beginning}\n{stubs}".rstrip())


def describe_tools(tools: Registry, guest: GuestKind, names: Collection[str] = (), query: str = "") -> str:
    """Return the stubs of some tools, by default of all.

    Args:
        names: the tools to describe.
        query: words, one of which a tool has in its name or description.
    """
    specs = _specs(tools, guest)
    words = query.lower().split()
    found = {
        name: spec
        for name, spec in specs.items()
        if (not names or name in names or spec.own_name in names)
        and (not words or any(word in f"{name} {spec.description}".lower() for word in words))
    }
    stubs = _write_stubs(found.values())
    if not found:
        return f"No tool fits. {_write_names(specs)}"
    if len(stubs) <= MAX_TOOLS:
        return hide(stubs)
    return f"{plural(len(found), 'tool')} need more room than one answer has: name some of them. {_write_names(found)}"


def _specs(tools: Registry, guest: GuestKind) -> dict[str, ToolSpec]:
    """Return the tools as programs in this guest get their results."""
    return tools.specs(as_frames=guest.has_pandas)


def _write_stubs(specs: Collection[ToolSpec]) -> str:
    called = join_stubs(spec for spec in specs if not spec.direct)
    direct = join_stubs(spec for spec in specs if spec.direct)
    parts = [f"Tools:\n{called}\n" if called else "", f"{_DIRECT}{direct}\n" if direct else ""]
    return "".join(parts)


def _write_names(specs: Mapping[str, ToolSpec]) -> str:
    if not specs:
        return "No tool is offered, so programs can only compute."
    return f"Tools, which describe_tools describes: {format_list(list(specs), _MAX_NAMES)}."
