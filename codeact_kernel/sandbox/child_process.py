"""A child process whose pipe is heard as it fills: no stream, no task and no turn of the loop lie between the pipe and
who waits for it.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

from ..import_guard import trusted_path

__all__ = ["Child", "isolated_popen_kwargs", "python"]

# No secret of the person's lives in these; without them a Python in an unusual place does not find its packages, and
# one on Windows not its libraries.
_ENVIRONMENT = ("HOME", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH")
if sys.platform == "win32":
    _ENVIRONMENT += ("PATH", "SYSTEMROOT")
_CHECKOUT = str(Path(__file__).resolve().parents[2])
_STDERR_KEPT = 16 << 10
_READ = 1 << 16  # what a pipe holds; a larger buffer is mapped and unmapped for each read
_STDOUT = 1


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs one of our modules in our Python."""
    return (sys.executable, "-P", "-m", module, *arguments)  # -P: a folder beside the notebook is not imported for ours


def isolated_popen_kwargs() -> Mapping[str, Any]:
    """How a child is started: with next to no environment, and in a session of its own: interrupts are not for it."""
    own: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    if "PYTHONPATH" in environment:
        # Without the working folder, unless this very package is imported from there: a checkout that is not installed.
        entries = environment["PYTHONPATH"].split(os.pathsep)
        kept = {*trusted_path(entries), *(entry for entry in entries if os.path.realpath(entry) == _CHECKOUT)}
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in entries if entry in kept)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return {"env": environment, "cwd": os.path.abspath(os.sep), **pipes, **own}


class _StdinWriter(Protocol):
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class _Pipes:
    """Our ends of a child's stdin and stdout. asyncio's own hand on what they read two turns of the loop later."""

    def __init__(self, heard: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._heard = heard
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._theirs = [0, 0]
        self._theirs[0], ours_out = os.pipe()
        ours_in, self._theirs[1] = os.pipe()
        self._in, self._out = io.FileIO(ours_in, "r"), io.FileIO(ours_out, "w")
        for end in (ours_in, ours_out):
            os.set_blocking(end, False)
        self._loop.add_reader(self._in, self._read)

    @property
    def theirs(self) -> Mapping[str, Any]:
        """The child's ends."""
        return {"stdin": self._theirs[0], "stdout": self._theirs[1]}

    def given(self) -> None:
        """The child has its ends."""
        for end in self._theirs:
            os.close(end)

    def write(self, data: bytes) -> None:
        if self._out.closed:
            return
        if not self._unsent:
            data = data[self._write(data) :]
            if data:
                self._loop.add_writer(self._out, self._write_more)
        self._unsent += data

    def close(self) -> None:
        if self._out.closed:
            return
        self._loop.remove_reader(self._in)
        self._loop.remove_writer(self._out)
        self._unsent.clear()
        self._in.close()
        self._out.close()

    def _write(self, data: bytes | bytearray) -> int:
        try:
            return self._out.write(data) or 0
        except OSError:  # the pipe has ended; who reads sees it as well, and says so
            return len(data)

    def _write_more(self) -> None:
        del self._unsent[: self._write(self._unsent)]
        if not self._unsent:
            self._loop.remove_writer(self._out)

    def _read(self) -> None:
        data = self._in.read(_READ)
        if data:
            self._heard(data)
        elif data is not None:
            self._loop.remove_reader(self._in)
            self._ended()


class Child(asyncio.SubprocessProtocol):
    """A process with three pipes.

    Args:
        heard: takes what it wrote to stdout, as it comes; raises nothing.
        ended: called when stdout has ended; raises nothing.

    Attributes:
        stderr: the end of what it wrote there.
    """

    _transport: asyncio.SubprocessTransport
    _line: _StdinWriter

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
        if sys.platform == "win32":  # its loop cannot wait for a pipe of ours
            transport, child = await loop.subprocess_exec(
                lambda: cls(heard, ended), *command, **isolated_popen_kwargs()
            )
            child._line = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
            return child
        pipes = _Pipes(heard, ended)
        try:
            _, child = await loop.subprocess_exec(
                lambda: cls(heard, ended), *command, **{**isolated_popen_kwargs(), **pipes.theirs}
            )
        except BaseException:
            pipes.close()
            raise
        finally:
            pipes.given()
        child._line = pipes
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
        self._line.write(data)

    async def wait(self) -> int | None:
        """Wait for its end, and that of stderr: its exit code."""
        await asyncio.wait([self._gone])
        await asyncio.wait([self._closed], timeout=1)  # somebody else may have inherited the pipe
        return self.returncode

    async def kill(self) -> None:
        """End it, whatever it is doing, and wait until it and its pipes are gone."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                self._transport.kill()
        await asyncio.wait([self._gone])
        self._line.close()
        self._transport.close()
        await asyncio.wait([self._closed])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

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
