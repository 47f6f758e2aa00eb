"""Hold back changes to mounted files from the approval request of a call until the call has ended.

A user may read a.py before approving `run_script(path="a.py")`. Without the hold, the program could replace a.py
meanwhile. Programs can still read files. Changes by tools, other turns and other processes are not held back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

__all__ = ["ChangeHold"]


class ChangeHold:
    """Changes wait until all holds have ended, and a hold waits until the changes that have begun are done."""

    def __init__(self) -> None:
        self._holders = 0
        self._changes = 0
        self._is_released = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._is_released.set()
        self._is_settled.set()

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[None]:
        """Enter a change as soon as no hold is active."""
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
        """Hold back new changes, and wait for the changes that have begun."""
        self._holders += 1
        self._is_released.clear()
        try:
            await self._is_settled.wait()
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._is_released.set()
