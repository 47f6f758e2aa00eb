"""Tell other processes that this one is running: by a lock on a file, which the system releases however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["Presence", "is_running", "remove_ended"]

_UNLOCKED = "."
"""Begins the name of a file that is not locked yet."""


class Presence:
    """Announces this process in `folder` under `name`, until `close` or the end of the process.

    Raises:
        OSError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / name
        self._descriptor: int | None = None
        if sys.platform == "win32":  # where these locks do not exist
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = folder / f"{_UNLOCKED}{name}"
        self._descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _lock(self._descriptor)
        new.rename(self._file)  # only now: a file without a lock counts as one of a process that has ended

    def close(self) -> None:
        """Announce that it is over."""
        if self._descriptor is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def is_running(folder: Path, name: str) -> bool:
    """Say whether the process that announced itself under this name is running. On Windows it is not known: `False`."""
    try:
        descriptor = os.open(folder / name, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def remove_ended(folder: Path) -> None:
    """Remove the files of processes that have ended."""
    with suppress(OSError):
        for file in folder.iterdir():
            if not file.name.startswith(_UNLOCKED) and not is_running(folder, file.name):
                file.unlink(missing_ok=True)


def _lock(descriptor: int) -> bool:
    """Lock the file, and return whether no other process had."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
