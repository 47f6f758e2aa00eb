"""Which backend is used: one by its name, or by trying. `auto` never goes by the look of a host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ..errors import SandboxError, UserError
from ..settings import Limits
from . import backends
from .worker_client import Worker, prepare

__all__ = ["BackendSelector"]


class BackendSelector:
    """Starts workers of one backend.

    Args:
        wanted: its name, or `auto`: a micro-VM if the first worker really comes up in one, else the embedded guest.
            What was found out holds for the life of this object, so that no later turn has less than the first.

    Attributes:
        wanted: as given.
        name: the backend; `None` while `auto` has not tried yet.
        passed_over: why `auto` did not take a micro-VM, in words; empty if it did, or was not asked.
        in_doubt: it was asked for by name, may refuse, and has not come up yet.

    Raises:
        UserError: there is no such backend, or a part of it is missing.
    """

    def __init__(self, wanted: str) -> None:
        backends.check(wanted)
        self.wanted = wanted
        self.name = None if wanted == backends.AUTO else wanted
        self.passed_over = ""
        self.in_doubt = wanted == "hyperlight"
        self._deciding = asyncio.Lock()  # first turns that come together must not find out different things

    async def start(self, limits: Limits, say: Callable[[str], None]) -> Worker:
        """A worker that is ready. `say` is told what takes long.

        Raises:
            SandboxError: it did not come up.
        """
        async with self._deciding:
            worker = await self._decide(limits) if self.name is None else None
        if worker is not None:
            return worker
        if self.name == "embedded":
            await prepare(say)
            return await Worker.start("embedded", limits)
        try:
            worker = await Worker.start("hyperlight", limits)
        except SandboxError as error:
            advice = "%codeact reset looks again at what this host can give"
            if self.wanted != backends.AUTO:
                advice = "choose --backend embedded, or auto to take what this host can give"
            reason = str(error).rstrip(".")
            raise SandboxError(f"The hyperlight backend did not start: {reason}. To go on, {advice}.") from None
        self.in_doubt = False
        return worker

    async def _decide(self, limits: Limits) -> Worker | None:
        """Find the name out. The worker that was the proof, if there is one and it has these limits."""
        # That a host cannot give one cell's unusual memory says nothing about the next cell.
        usual = replace(limits, memory_bytes=min(limits.memory_bytes, Limits().memory_bytes))
        try:
            backends.check("hyperlight")
            proof = await Worker.start("hyperlight", usual)
        except (UserError, SandboxError) as error:
            self.name, self.passed_over = "embedded", str(error)
            return None
        self.name = "hyperlight"
        if usual == limits:
            return proof
        await proof.kill()
        return None
