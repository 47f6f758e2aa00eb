"""Which backend is used: one by its name, or by trying. `auto` never goes by the look of a host."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import SandboxError, UserError
from ..settings import Limits
from . import backends
from .process import Worker, prepare

__all__ = ["Choice"]


class Choice:
    """Starts workers of one backend.

    Args:
        wanted: its name, or `auto`: a micro-VM if the first worker really comes up in one, else the embedded guest.
            What was found out holds for the life of this object, so that no later turn has less than the first.

    Attributes:
        wanted: as given.
        name: the backend; `None` while `auto` has not tried yet.
        passed_over: why `auto` did not take a micro-VM, in words; empty if it did, or was not asked.

    Raises:
        UserError: there is no such backend, or a part of it is missing.
    """

    def __init__(self, wanted: str) -> None:
        backends.check(wanted)
        self.wanted = wanted
        self.name = None if wanted == backends.AUTO else wanted
        self.passed_over = ""

    async def start(self, limits: Limits, say: Callable[[str], None]) -> Worker:
        """A worker that is ready. `say` is told what takes long.

        Raises:
            SandboxError: it did not come up.
        """
        if self.name is None:
            try:
                backends.check("hyperlight")
                worker = await Worker.start("hyperlight", limits)
            except (UserError, SandboxError) as error:
                self.name, self.passed_over = "embedded", str(error)
            else:
                self.name = "hyperlight"
                return worker
        if self.name == "embedded":
            await prepare(say)
            return await Worker.start(self.name, limits)
        try:
            return await Worker.start(self.name, limits)
        except SandboxError as error:
            advice = "Choose --backend embedded, or auto to take what this host can give."
            raise SandboxError(f"The {self.name} backend did not start: {error}. {advice}") from None
