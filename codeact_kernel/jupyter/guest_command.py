"""`codeact-kernel guest`: compile the science guest ahead of time, remove it, and list the guests."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from ..errors import SandboxError, UserError
from ..guest.kinds import SCIENCE, STANDARD
from ..sandbox.backends import BACKENDS, SCIENCE_BACKEND, guest_cache
from ..sandbox.guest_compiler import compile_guest, explain_shortage
from ..text import format_bytes

__all__ = ["install", "list_guests", "remove"]

_PROCESSOR_SECONDS = 57.0
"""Processor time of the compilation where `_measure_speed` returns 1."""
_LOOPS, _LOOP_SECONDS = 2_000_000, 0.022
_WIDTH = 30


def install() -> int:
    """Compile the science guest, and show how far that is.

    Raises:
        UserError: if the package is not installed.
        SandboxError: if memory or disk are short, or the compilation failed.
    """
    if missing := SCIENCE_BACKEND.why_unavailable():
        raise UserError(missing)
    file = SCIENCE_BACKEND.guest_file()
    if guest_cache.trusted(file):
        print(f"The science guest is ready: {file} ({format_bytes(file.stat().st_size)}).")
        return 0
    if shortage := explain_shortage():
        raise SandboxError(shortage)
    asyncio.run(compile_guest(SCIENCE_BACKEND, print, watch=_show_progress))
    print(f"The science guest is ready: {file} ({format_bytes(file.stat().st_size)}).")
    return 0


def remove() -> int:
    """Remove the compiled science guest."""
    removed = list(SCIENCE_BACKEND.guest_file().parent.glob(f"{SCIENCE.name}-*"))
    for file in removed:
        file.unlink(missing_ok=True)
    print(f"Removed {', '.join(map(str, removed))}." if removed else "No science guest was compiled.")
    return 0


def list_guests() -> int:
    """Print each guest, and whether it is ready."""
    for backend in (BACKENDS[-1], SCIENCE_BACKEND):
        missing = backend.why_unavailable()
        file = backend.guest_file()
        ready = f"ready, {format_bytes(file.stat().st_size)}" if guest_cache.trusted(file) else "not compiled yet"
        print(f"{backend.guest.name:10}{missing or ready}")
        if backend.guest is STANDARD:
            continue
        print(f"{'':10}choose it with --guest {SCIENCE.name}; auto takes it where programs run as {backend.boundary}")
    return 0


async def _show_progress(process: int) -> None:
    """Show a bar and the time left until this is cancelled. The compiler tells nothing, so both are estimates."""
    expected = _PROCESSOR_SECONDS * _measure_speed()
    begun, processors = time.monotonic(), max(1, len(os.sched_getaffinity(0)) if sys.platform == "linux" else 2)
    if not sys.stderr.isatty():
        print(f"about {expected / processors:.0f} s …", file=sys.stderr, flush=True)
        return
    try:
        while True:
            elapsed = time.monotonic() - begun
            used = _processor_seconds(process) or elapsed * processors
            done = min(0.99, used / expected)
            left = max(0.0, elapsed / done - elapsed) if done > 0.02 else expected / processors
            told = f"about {left:.0f} s left" if done < 0.99 else "nearly done"
            bar = "█" * int(done * _WIDTH)
            print(f"\r{bar:·<{_WIDTH}} {done:4.0%}  {told:20}", end="", file=sys.stderr, flush=True)
            await asyncio.sleep(0.5)
    finally:
        print(f"\r{'':{_WIDTH + 30}}\r", end="", file=sys.stderr, flush=True)


def _measure_speed() -> float:
    """Return how many times longer this machine takes for a simple loop than the one where the time was measured."""
    begun = time.process_time()
    for _ in range(_LOOPS):
        pass
    return max(0.2, (time.process_time() - begun) / _LOOP_SECONDS)


def _processor_seconds(process: int) -> float:
    """Return the processor time that a process has used so far; 0 where this system does not tell it."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError, IndexError):
        return 0.0
