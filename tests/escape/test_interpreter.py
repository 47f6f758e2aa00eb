"""A. Getting out of the interpreter."""

from __future__ import annotations

import pytest

from .attempts import Attempt, cases

pytestmark = pytest.mark.asyncio(loop_scope="session")

ATTEMPTS = [
    Attempt(
        id="A1.system",
        tries="runs a shell command with os.system",
        program="""
import os
try:
    seen = os.system("touch {folder}/left && echo owned > {folder}/left")
except (OSError, AttributeError, NotImplementedError) as error:
    seen = f"refused: {type(error).__name__}"
""",
        reached="refused",
        gets_out="0",
    ),
]


@pytest.mark.parametrize("one", cases(ATTEMPTS))
async def test_no_program_gets_out_of_its_interpreter(kernel, one):
    await kernel.holds(one)
