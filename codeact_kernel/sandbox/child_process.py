"""A child process whose output is passed on at once, with no stream, task or further turn of the loop in between."""

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

__all__ = ["Child", "isolated_popen_kwargs", "python_command"]

# They hold no secrets of the user. Without them a Python in an unusual place would not find its packages, and a Python
# on Windows would not find its libraries.
_ENVIRONMENT = ("HOME", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH")
if sys.platform == "win32":
    _ENVIRONMENT += ("PATH", "SYSTEMROOT")
_CHECKOUT = str(Path(__file__).resolve().parents[2])
_MAX_STDERR = 16 << 10
_READ = 1 << 16  # the size of a pipe; a larger buffer would be mapped and unmapped for each read
_STDOUT = 1


def python_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs one of our modules in this Python."""
    return (sys.executable, "-P", "-m", module, *arguments)  # -P: do not import from the working folder


def isolated_popen_kwargs() -> Mapping[str, Any]:
    """Return the keywords that start a child with almost no environment, and in its own session.

    So no interrupt of the kernel reaches the child.
    """
    own: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        own = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    if "PYTHONPATH" in environment:
        # Leave out the working folder, unless this package is imported from there, as from a checkout.
        entries = environment["PYTHONPATH"].split(os.pathsep)
        kept = {*trusted_path(entries), *(entry for entry in entries if os.path.realpath(entry) == _CHECKOUT)}
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in entries if entry in kept)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return {"env": environment, "cwd": os.path.abspath(os.sep), **pipes, **own}


class _StdinWriter(Protocol):
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class _Pipes:
    """Our ends of a child's stdin and stdout. The pipes of asyncio pass data on two turns of the loop later."""

    def __init__(self, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._on_data = on_data
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._child_ends = [0, 0]
        self._child_ends[0], ours_out = os.pipe()
        ours_in, self._child_ends[1] = os.pipe()
        self._in, self._out = io.FileIO(ours_in, "r"), io.FileIO(ours_out, "w")
        for end in (ours_in, ours_out):
            os.set_blocking(end, False)
        self._loop.add_reader(self._in, self._read)

    @property
    def popen_kwargs(self) -> Mapping[str, Any]:
        """The keywords that give the child its ends of the pipes."""
        return {"stdin": self._child_ends[0], "stdout": self._child_ends[1]}

    def close_child_ends(self) -> None:
        """Close the ends that the child has inherited."""
        for end in self._child_ends:
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
        except OSError:  # the pipe has ended, which the reading side reports
            return len(data)

    def _write_more(self) -> None:
        del self._unsent[: self._write(self._unsent)]
        if not self._unsent:
            self._loop.remove_writer(self._out)

    def _read(self) -> None:
        data = self._in.read(_READ)
        if data:
            self._on_data(data)
        elif data is not None:
            self._loop.remove_reader(self._in)
            self._on_end()


class Child(asyncio.SubprocessProtocol):
    """A process with three pipes.

    Args:
        on_data: called with data from stdout; must not raise.
        on_end: called when stdout has ended; must not raise.

    Attributes:
        stderr: the last data from stderr.
    """

    _transport: asyncio.SubprocessTransport
    _stdin: _StdinWriter

    def __init__(self, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.stderr = b""
        self._on_data = on_data
        self._on_end = on_end
        self._exited: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()

    @classmethod
    async def start(
        cls, command: tuple[str, ...], on_data: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> Child:
        """Start `command`.

        Raises:
            OSError: if the command cannot be started.
        """
        loop = asyncio.get_running_loop()
        if sys.platform == "win32":  # its loop cannot wait for our own pipes
            transport, child = await loop.subprocess_exec(
                lambda: cls(on_data, on_end), *command, **isolated_popen_kwargs()
            )
            child._stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
            return child
        pipes = _Pipes(on_data, on_end)
        try:
            _, child = await loop.subprocess_exec(
                lambda: cls(on_data, on_end), *command, **{**isolated_popen_kwargs(), **pipes.popen_kwargs}
            )
        except BaseException:
            pipes.close()
            raise
        finally:
            pipes.close_child_ends()
        child._stdin = pipes
        return child

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def returncode(self) -> int | None:
        """The exit code; `None` while the process runs."""
        return self._transport.get_returncode()

    def write(self, data: bytes) -> None:
        """Write to stdin, keeping the data that the pipe does not take at once. Do nothing if the process has ended."""
        self._stdin.write(data)

    async def wait(self) -> int | None:
        """Wait until the process and its stderr have ended, and return the exit code."""
        await asyncio.wait([self._exited])
        await asyncio.wait([self._closed], timeout=1)  # another process may have inherited the pipe
        return self.returncode

    async def kill(self) -> None:
        """Kill the process and wait until it and its pipes are closed."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                self._transport.kill()
        await asyncio.wait([self._exited])
        self._stdin.close()
        self._transport.close()
        await asyncio.wait([self._closed])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDOUT:
            self._on_data(data)
        else:
            self.stderr = (self.stderr + data)[-_MAX_STDERR:]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == _STDOUT:
            self._on_end()

    def process_exited(self) -> None:
        self._exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set_result(None)
