"""Hold back changes to mounted files while a call waits for approval, and until that call is over.

A user approves `run_script(path="a.py")` after a look at a.py. Without this, the program could put another a.py there
while they decide. Reading goes on. What tools, other turns and other processes change is not held back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ["ChangeHold"]


class ChangeHold:
    """Changes and holders: while there is a holder no change begins, and no holder goes on before changes are done."""

    def __init__(self) -> None:
        self._holders = 0
        self._changes = 0
        self._is_released = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._is_released.set()
        self._is_settled.set()

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[None]:
        """Change something, as soon as nobody holds changes back."""
        while self._holders:
            await self._is_released.wait()
        self._changes += 1
        self._is_settled.clear()
        try:
            yield
        finally:
            self._changes -= 1
            if not self._changes:
                self._is_settled.set()

    @asynccontextmanager
    async def hold(self) -> AsyncGenerator[None]:
        """Hold changes back, once those that have begun are done."""
        self._holders += 1
        self._is_released.clear()
        try:
            await self._is_settled.wait()
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._is_released.set()
