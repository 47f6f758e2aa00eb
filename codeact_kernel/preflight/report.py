"""The input of preflight about tools, and its report about a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..text import replace_unprintable, truncate

__all__ = ["Problem", "Report", "Site", "ToolFacts"]

MAX_MESSAGE_CHARACTERS = 400


class ToolFacts(Protocol):
    """The facts that preflight needs about a tool: its name, and the names of its parameters in order."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> tuple[str, ...]: ...

    @property
    def required(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a program.

    Attributes:
        line: the line of the program, if there is one.
        message: for the model; it names the line and says how to write the program instead.
        fault: for the user, without that advice; empty if the message has none.
    """

    line: int | None
    message: str
    fault: str = ""

    @classmethod
    def at(cls, line: int, fault: str, remedy: str) -> Problem:
        """Make a problem from two sentences: the fault of a line (without a full stop), and the remedy (with one)."""
        sentence = replace_unprintable(f"Line {line} {fault}.")
        message = f"{sentence} {replace_unprintable(remedy)}"
        return cls(line, truncate(message, MAX_MESSAGE_CHARACTERS), truncate(sentence, MAX_MESSAGE_CHARACTERS))


@dataclass(frozen=True, slots=True)
class Site:
    """A place that names a tool; `repeated` if it may make many calls, as in a loop."""

    name: str
    line: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The findings about a program before it runs.

    Attributes:
        problems: The first problems, in the order of the lines.
        tools_named: The tools that the program calls or mentions, each once, in order of appearance.
        sites: All places that name a tool.
    """

    problems: tuple[Problem, ...]
    tools_named: tuple[str, ...]
    sites: tuple[Site, ...] = ()
