"""How much programs may write to mounted folders."""

from __future__ import annotations

import errno

from ...limits import OutputLimits
from ...text import format_bytes
from .filesystem import refused

__all__ = ["Quota"]


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
            most = format_bytes(self._limits.mounted_bytes)
            raise refused(errno.ENOSPC, f"a turn may write {most} to mounted folders: write less")
        self._files += files
        self._bytes += size
