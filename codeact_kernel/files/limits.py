"""How much programs may write."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from .place import refused

__all__ = ["OutputLimits", "Quota", "in_mib"]

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputLimits:
    """What the programs of one turn may write. Reading has no limit of its own: it goes in pieces, in bounded steps."""

    files: int = 100
    """In /output, folders counted as well."""
    file_bytes: int = 32 * MIB
    """One file in /output, which the kernel holds in memory until the turn is over."""
    all_bytes: int = 64 * MIB
    """All files in /output."""
    depth: int = 8
    """Parts of a path below /output."""
    mounted_files: int = 10_000
    """New files and folders in what is mounted with rw."""
    mounted_bytes: int = 1024 * MIB
    """Written to what is mounted with rw, gaps counted as well: a disk is not filled by mistake."""


class Quota:
    """Counts what programs add to mounted folders."""

    def __init__(self, limits: OutputLimits) -> None:
        self._limits = limits
        self._files = self._bytes = 0

    def spend(self, size: int, *, files: int = 0) -> None:
        """Count `size` bytes and so many new files.

        Raises:
            OSError: it would be too much; nothing is counted then.
        """
        if self._files + files > self._limits.mounted_files:
            most = self._limits.mounted_files
            raise refused(errno.ENOSPC, f"a turn may make {most:,} files in mounted folders, and has")
        if self._bytes + size > self._limits.mounted_bytes:
            most = in_mib(self._limits.mounted_bytes)
            raise refused(errno.ENOSPC, f"a turn may write {most} to mounted folders: write less")
        self._files += files
        self._bytes += size


def in_mib(size: int) -> str:
    """A limit, as a sentence names it."""
    return f"{size / MIB:g} MiB"
