"""What preflight is told about a tool, and what it says about a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..text import replace_unprintable, truncate

__all__ = ["Problem", "Report", "Site", "ToolFacts"]

LONG = 400


class ToolFacts(Protocol):
    """What is asked of a tool: its name, and the names of its parameters in order."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> tuple[str, ...]: ...

    @property
    def required(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that cannot work. `message` is for the model, and names the line where there is one."""

    line: int | None
    message: str

    @classmethod
    def at(cls, line: int, fault: str, remedy: str) -> Problem:
        """Two sentences: what is wrong in a line, and what to write instead (with its full stop)."""
        return cls(line, truncate(replace_unprintable(f"Line {line} {fault}. {remedy}"), LONG))


@dataclass(frozen=True, slots=True)
class Site:
    """A place that names a tool; `repeated` where one place may make many calls, as in a loop."""

    name: str
    line: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to know of a program before it runs.

    Attributes:
        problems: in the order of the lines, a few at most.
        tools_named: the tools it calls or mentions, each once, in order of appearance.
        sites: every place that does so.
    """

    problems: tuple[Problem, ...]
    tools_named: tuple[str, ...]
    sites: tuple[Site, ...] = ()
