"""Compile a guest for this machine, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path

from ..errors import SandboxError
from ..paths import cache_folder
from ..text import collapse_whitespace, format_bytes
from .backends import Backend, guest_cache
from .child_process import isolated_popen_kwargs, python_command
from .start_advice import explain_start

__all__ = ["compile_guest", "explain_shortage"]

_NEEDED_MEMORY, _NEEDED_DISK = 3 << 30, 600 << 20
"""Bytes for the science guest: 2.3 GiB were measured, and the result has 250 MB, beside a copy while it is written."""
_LOW_PRIORITY = 19


async def compile_guest(
    backend: Backend,
    notify: Callable[[str], None],
    *,
    nice: bool = False,
    watch: Callable[[int], Coroutine[None, None, None]] | None = None,
) -> None:
    """Compile the guest of `backend` for this machine, unless that is already done.

    Args:
        backend: a backend that has a compiler.
        notify: called with a sentence before the compilation.
        nice: whether other processes go first.
        watch: runs meanwhile, with the id of the process that compiles.

    Raises:
        SandboxError: if the guest could not be compiled.
    """
    assert backend.compiler is not None
    target = backend.guest_file()
    if guest_cache.trusted(target):
        return
    notify(backend.compile_notice)
    process = await asyncio.create_subprocess_exec(
        *python_command(backend.compiler, str(target)), **isolated_popen_kwargs()
    )
    if nice and hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, process.pid, _LOW_PRIORITY)
    watching = asyncio.create_task(watch(process.pid)) if watch is not None else None
    try:
        _, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    if process.returncode or not guest_cache.trusted(target):
        detail = errors.decode(errors="replace").strip().splitlines()[-1:]
        reason = ". ".join(filter(None, [collapse_whitespace(" ".join(detail)), explain_start()]))
        raise SandboxError(f"The sandbox could not be compiled into {target.parent}: {reason}")


def explain_shortage() -> str:
    """Return a sentence if this machine has too little memory or disk to compile the science guest; else empty."""
    memory = _available_memory()
    if memory is not None and memory < _NEEDED_MEMORY:
        return (
            f"Compiling it takes {format_bytes(_NEEDED_MEMORY)} of memory for a minute, and {format_bytes(memory)} are "
            "available: close other programs, then run codeact-kernel guest install science."
        )
    folder = cache_folder()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < _NEEDED_DISK:
        return (
            f"Compiling it takes {format_bytes(_NEEDED_DISK)} of disk in {folder}, and {format_bytes(free)} are free: "
            "make room, or set CODEACT_CACHE to a folder elsewhere."
        )
    return ""


def _available_memory() -> int | None:
    """Return the bytes that processes can still get, if this system says so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    sizes = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
    available = sizes.get("MemAvailable")
    limit = _memory_of_group()
    return available if limit is None or available is None else min(available, limit)


def _memory_of_group() -> int | None:
    """Return the bytes that the control group of this process may still take, as a container limits them."""
    try:
        most = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return max(0, int(most) - used) if most.isdigit() else None
