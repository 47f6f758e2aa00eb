"""What stands behind the magics of one shell: the session, the thread it runs on, and what the person has chosen."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# IPython has next to no types.

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from codeact_kernel import prompt
from codeact_kernel.approval import Grants
from codeact_kernel.approval.grants import own_file
from codeact_kernel.errors import UserError
from codeact_kernel.guest import modules
from codeact_kernel.model.base import ModelClient
from codeact_kernel.model.choose import NoModel
from codeact_kernel.model.recorded import RecordedModel
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings

from .live import Live, LoopThread

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Door", "door_of"]


class Door:
    """One shell's way in.

    Attributes:
        session: the engine's; it lives on `thread`.
        live: runs turns for the cells.
        record: answers where no model is configured.
        told: sentences that are said once.
        configured: adds what the shell's configuration says to settings.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.thread = LoopThread()
        self.live = Live(self.thread, getattr(shell, "kernel", None))
        self.session = Session(grants=Grants(own_file()))
        self.record: RecordedModel | None = None
        self.told: set[str] = set()
        self.configured: Callable[[Settings], Settings] = lambda settings: settings
        self._chosen: dict[str, str] = {}

    @property
    def settings(self) -> Settings:
        """What the environment and the configuration say now, and what was chosen with `%codeact`.

        Raises:
            UserError: a value in the environment that is not of its kind.
        """
        settings = self.configured(Settings.from_environment())
        return dataclasses.replace(settings, **self._chosen)  # type: ignore[arg-type]

    @property
    def namespace(self) -> dict[str, Any]:
        """The notebook's variables."""
        return self.shell.user_ns

    def choose(self, **chosen: str) -> None:
        """Settings for the cells that follow."""
        self._chosen.update(chosen)

    async def model(self, settings: Settings) -> ModelClient:
        """The model for an ask, or the record where none is configured.

        Raises:
            ModelError: neither is there.
        """
        try:
            return await self.session.choose(settings)
        except NoModel:
            if self.record is None:
                raise
            return self.record

    def prompt(self, ask: str) -> str:
        """Exactly what would be sent for `ask`."""
        messages = prompt.first(ask, self.session.tools.specs().values(), modules())
        return "\n\n".join(f"--- {message.role} ---\n{message.content}" for message in messages)

    def warm(self) -> None:
        """Start a sandbox in the background; the first ever also compiles the guest."""
        settings = self.settings

        async def start() -> None:
            (await self.session.pool(settings)).warm()

        self.thread.submit(start())

    def close(self) -> None:
        """Kill the sandboxes and end the thread."""
        try:
            self.thread.submit(self.session.aclose()).result(timeout=5)
        finally:
            self.thread.close()


def door_of(shell: InteractiveShell | None) -> Door:
    """The door of a shell that has loaded the extension.

    Raises:
        UserError: it has not.
    """
    door: Door | None = getattr(shell, "_codeact_door", None)
    if door is None:
        raise UserError("The extension is not loaded here: run %load_ext codeact first.")
    return door
