"""Find the file system of a path, and serve the folders above the mounts."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextlib import suppress

from .filesystem import Entry, FileSystem, OpenFile, Parts, os_error, parts_of

__all__ = ["MountTable"]

MAX_NAMES = 12
"""Names in the error for a file that does not exist."""
_READ_ONLY = "read-only: write to /output, or ask the user to mount a folder with :rw"


class MountTable:
    """The file systems by their paths. The methods take paths of programs and raise OSErrors."""

    def __init__(self, file_systems: Mapping[Parts, FileSystem]) -> None:
        self._file_systems = file_systems

    def open(self, path: object, mode: str) -> OpenFile:
        whole = parts_of(path)
        if self._is_above_mount(whole):
            raise os_error(errno.EISDIR, "it is a folder")
        file_system, parts = self._find(whole)
        return file_system.open(parts, mode)

    def stat(self, path: object) -> Entry:
        whole = parts_of(path)
        try:
            file_system, parts = self._find(whole)
            return file_system.stat(parts)
        except FileNotFoundError:
            if self._is_above_mount(whole):
                return Entry("folder")
            raise

    def list(self, path: object) -> dict[str, Entry]:
        whole = parts_of(path)
        entries: dict[str, Entry] = {}
        try:
            file_system, parts = self._find(whole)
            entries.update(file_system.list(parts))
        except FileNotFoundError:
            if not self._is_above_mount(whole):
                raise
        for other in self._file_systems:
            if other[: len(whole)] == whole != other:
                entries[other[len(whole)]] = self.stat("/" + "/".join(other[: len(whole) + 1]))
        return entries

    def mkdir(self, path: object) -> None:
        with suppress(FileNotFoundError):
            self.stat(path)
            raise os_error(errno.EEXIST, "it already exists")
        file_system, parts = self._find_writable(path)
        file_system.mkdir(parts)

    def remove(self, path: object) -> None:
        file_system, parts = self._find_writable(path)
        file_system.remove(parts)

    def rmdir(self, path: object) -> None:
        file_system, parts = self._find_writable(path)
        file_system.rmdir(parts)

    def rename(self, path: object, to: object) -> None:
        file_system, parts = self._find_writable(path)
        other, new = self._find_writable(to)
        if other is not file_system:
            raise os_error(errno.EXDEV, "it can only be moved within its mount: copy it (shutil.move does)")
        file_system.rename(parts, new)

    def explain_missing(self, path: object) -> str:
        """Explain that there is nothing at `path`, and list the names that do exist."""
        parts = parts_of(path)
        if parts[:1] not in (("input",), ("output",), ("tmp",)):
            return "there is no such file in the sandbox: programs read below /input and write to /output"
        for end in range(len(parts) - 1, 0, -1):
            folder = "/" + "/".join(parts[:end])
            with suppress(OSError):
                names = sorted(self.list(folder))
                more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
                content = f"has {', '.join(map(repr, names[:MAX_NAMES]))}{more}" if names else "is empty"
                return f"there is no such file; {folder} {content}"
        return "there is no such file: nothing is mounted below /input"

    def _find(self, whole: Parts) -> tuple[FileSystem, Parts]:
        for end in range(len(whole), 0, -1):
            if file_system := self._file_systems.get(whole[:end]):
                return file_system, whole[end:]
        raise os_error(errno.ENOENT, "there is no such file")

    def _is_above_mount(self, whole: Parts) -> bool:
        """Return whether a mount lies below this path."""
        return any(other[: len(whole)] == whole != other for other in self._file_systems)

    def _find_writable(self, path: object) -> tuple[FileSystem, Parts]:
        try:
            return self._find(parts_of(path))
        except FileNotFoundError:
            raise os_error(errno.EACCES, _READ_ONLY) from None
