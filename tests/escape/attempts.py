"""What a hostile program tries, as data; and the marks by which attempts are counted."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

__all__ = ["Attempt", "attempt", "cases", "tried"]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One program that tries to get out.

    Attributes:
        id: letter and number of the catalogue in the documentation, and a name: `"A1.system"`.
        tries: in words, for the table.
        program: leaves what it saw in `seen`. `{secret}`, `{folder}` and `{port}` stand for the path of a file that
            nobody may read, its folder, and a port on loopback that nobody may reach.
        reached: a pattern in what was seen, or in the error: it shows that the attempt came to the barrier, and did
            not end earlier, at a missing module for example.
        gets_out: what is seen where there is no barrier: the same program, run by a plain Python. Empty where a plain
            Python is no comparison.
    """

    id: str
    tries: str
    program: str
    reached: str
    gets_out: str = ""


def attempt(id: str, tries: str) -> pytest.MarkDecorator:
    """Counts a test as one attempt."""
    return pytest.mark.attempt(id, tries)


def cases(attempts: Iterable[Attempt]) -> list[object]:
    """As parameters of a test."""
    return [pytest.param(one, id=one.id, marks=attempt(one.id, one.tries)) for one in attempts]


def tried(expression: str, before: str = "") -> str:
    """A program that leaves what an expression gives, or `refused: ` and the exception that it ends in.

    Args:
        before: statements, which must go well everywhere.
    """
    return f"""{textwrap.dedent(before).strip()}
try:
    seen = {expression}
except Exception as error:
    seen = f"refused: {{type(error).__name__}}: {{error}}"
"""
