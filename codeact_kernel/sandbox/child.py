"""A child process whose pipe is heard as it fills: no stream and no task lie between the pipe and who waits for it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

__all__ = ["Child", "apart", "python"]

# No secret of the person's lives in these; without them a Python in an unusual place does not find its packages.
_ENVIRONMENT = ("PATH", "HOME", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "CODEACT_CACHE")
_STDERR_KEPT = 16 << 10
_STDOUT, _STDERR = 1, 2


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs one of our modules in our Python."""
    return (sys.executable, "-P", "-m", module, *arguments)  # -P: a folder beside the notebook is not imported for ours


def apart() -> Mapping[str, Any]:
    """How a child is started: with next to no environment, and in a session of its own: interrupts are not for it."""
    own: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return {"env": environment, "cwd": os.path.abspath(os.sep), **pipes, **own}


class Child(asyncio.SubprocessProtocol):
    """A process with three pipes.

    Args:
        heard: takes what it wrote to stdout, as it comes; raises nothing.
        ended: called when stdout has ended; raises nothing.

    Attributes:
        stderr: the end of what it wrote there.
    """

    _transport: asyncio.SubprocessTransport
    _stdin: asyncio.WriteTransport

    def __init__(self, heard: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.stderr = b""
        self._heard = heard
        self._ended = ended
        self._gone: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()

    @classmethod
    async def start(cls, command: tuple[str, ...], heard: Callable[[bytes], None], ended: Callable[[], None]) -> Child:
        """Start `command`.

        Raises:
            OSError: it cannot be started.
        """
        loop = asyncio.get_running_loop()
        _, child = await loop.subprocess_exec(lambda: cls(heard, ended), *command, **apart())
        return child

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def returncode(self) -> int | None:
        """`None` while it runs."""
        return self._transport.get_returncode()

    def write(self, data: bytes) -> None:
        """Write to its stdin; what it does not take at once is kept. Nothing happens when it has ended."""
        self._stdin.write(data)

    async def wait(self) -> int | None:
        """Wait for its end: its exit code."""
        await asyncio.wait([self._gone])
        return self.returncode

    async def drained(self) -> None:
        """Wait until it has ended and its pipes as well."""
        await asyncio.wait([self._closed])

    async def kill(self) -> None:
        """End it, whatever it is doing, and wait until it and its pipes are gone."""
        if self.returncode is None:
            self._transport.kill()
        await self.wait()
        self._transport.close()
        await self.drained()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDOUT:
            self._heard(data)
        else:
            self.stderr = (self.stderr + data)[-_STDERR_KEPT:]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == _STDOUT:
            self._ended()

    def process_exited(self) -> None:
        self._gone.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set_result(None)
