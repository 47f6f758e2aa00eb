"""Limit what programs write to mounted folders."""

from __future__ import annotations

import errno

from ...limits import OutputLimits
from ...text import format_bytes
from .filesystem import os_error

__all__ = ["Quota"]


class Quota:
    """Counts the files and bytes that programs add to mounted folders."""

    def __init__(self, limits: OutputLimits) -> None:
        self._limits = limits
        self._files = self._bytes = 0

    def spend(self, size: int, *, files: int = 0) -> None:
        """Count `size` bytes and `files` new files.

        Raises:
            OSError: if that exceeds a limit. Then nothing is counted.
        """
        if self._files + files > self._limits.mounted_files:
            max_files = self._limits.mounted_files
            raise os_error(errno.ENOSPC, f"a turn may make {max_files:,} files in mounted folders, and has made them")
        if self._bytes + size > self._limits.mounted_bytes:
            max_size = format_bytes(self._limits.mounted_bytes)
            raise os_error(errno.ENOSPC, f"a turn may write {max_size} to mounted folders: write less")
        self._files += files
        self._bytes += size
