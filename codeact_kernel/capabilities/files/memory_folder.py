"""Hold the files of /output and /tmp in memory for one turn, so that programs write nothing to the disk."""

from __future__ import annotations

import errno
import time
import unicodedata
from dataclasses import dataclass, field

from ...limits import OutputLimits
from ...text import format_bytes
from .filesystem import Entry, Parts, check_new, os_error

__all__ = ["MemoryFolder"]


@dataclass(slots=True)
class _MemoryFile:
    data: bytearray = field(default_factory=bytearray)
    modified: float = field(default_factory=time.time)
    is_removed: bool = False


class MemoryFolder:
    """A folder that programs write to: /output, which is saved for the user, or /tmp, which is not."""

    def __init__(self, limits: OutputLimits, path: str = "/output") -> None:
        self._limits = limits
        self._path = path
        self._entries: dict[Parts, _MemoryFile | None] = {}  # a folder is `None`

    @property
    def files(self) -> dict[str, bytes]:
        """A copy of every file, by its path below the folder."""
        return {"/".join(parts): bytes(file.data) for parts, file in self._entries.items() if file is not None}

    def open(self, parts: Parts, mode: str) -> OpenMemoryFile:
        if not parts or self._is_folder(parts):
            raise os_error(errno.EISDIR, "it is a folder")
        file = self._entries.get(parts)
        if file is None:
            if mode[0] == "r":
                raise os_error(errno.ENOENT, "there is no such file")
            self._check_new(parts)
            file = self._entries[parts] = _MemoryFile()
        elif mode[0] == "x":
            raise os_error(errno.EEXIST, "it already exists")
        elif mode[0] == "w":
            file.data.clear()
        return OpenMemoryFile(file, self)

    def stat(self, parts: Parts) -> Entry:
        if self._is_folder(parts):
            return Entry("folder", writable=True)
        file = self._find_file(parts)
        return Entry("file", len(file.data), file.modified, True)

    def list(self, parts: Parts) -> dict[str, Entry]:
        self._check_folder(parts)
        return {entry[-1]: self.stat(entry) for entry in self._entries if entry[:-1] == parts}

    def mkdir(self, parts: Parts) -> None:
        if not parts or parts in self._entries:
            raise os_error(errno.EEXIST, "it already exists")
        self._check_new(parts)
        self._entries[parts] = None

    def remove(self, parts: Parts) -> None:
        if self._is_folder(parts):
            raise os_error(errno.EISDIR, "it is a folder")
        self._drop(self._find_file(parts))
        del self._entries[parts]

    def rmdir(self, parts: Parts) -> None:
        self._check_folder(parts)
        if not parts:
            raise os_error(errno.EBUSY, f"{self._path} cannot be removed")
        if self.list(parts):
            raise os_error(errno.ENOTEMPTY, "the folder is not empty")
        del self._entries[parts]

    def rename(self, parts: Parts, to: Parts) -> None:
        if not parts or not to or to[: len(parts)] == parts != to:
            raise os_error(errno.EINVAL, f"a folder cannot be moved into itself, and {self._path} cannot be moved")
        if not self._is_folder(parts):
            self._find_file(parts)  # raises if it does not exist
        replaced = self._entries.get(to)
        if parts == to:
            return
        if to in self._entries and (replaced is None or self._is_folder(parts)):
            raise os_error(errno.EEXIST, "it already exists")
        moved = {entry: to + entry[len(parts) :] for entry in self._entries if entry[: len(parts)] == parts}
        before = dict(self._entries)
        self._entries = {entry: file for entry, file in before.items() if entry not in moved and entry != to}
        try:
            for entry, new in moved.items():  # folders were created before their files, so they come first
                self._check_new(new)
                self._entries[new] = before[entry]
        except OSError:
            self._entries = before
            raise
        if replaced is not None:
            self._drop(replaced)

    def close(self) -> None: ...

    def grow(self, file: _MemoryFile, end: int) -> None:
        """Extend a file to `end` if it is shorter.

        Raises:
            OSError: if it was removed, or the file or the folder would be too large.
        """
        if file.is_removed:
            raise os_error(errno.ESTALE, "the file was removed after it was opened")
        file.modified = time.time()
        added = end - len(file.data)
        if added <= 0:
            return
        if end > self._limits.file_bytes:
            raise os_error(errno.EFBIG, f"a file in {self._path} has at most {format_bytes(self._limits.file_bytes)}")
        if added + sum(len(other.data) for other in self._entries.values() if other) > self._limits.all_bytes:
            raise os_error(errno.ENOSPC, f"{self._path} holds at most {format_bytes(self._limits.all_bytes)} in all")
        file.data.extend(bytes(added))

    def _drop(self, file: _MemoryFile) -> None:
        file.is_removed = True  # it gets no more memory although it may be open
        file.data = bytearray()

    def _is_folder(self, parts: Parts) -> bool:
        return not parts or (parts in self._entries and self._entries[parts] is None)

    def _find_file(self, parts: Parts) -> _MemoryFile:
        file = self._entries.get(parts)
        if file is None:
            raise os_error(errno.ENOENT, "there is no such file")
        return file

    def _check_folder(self, parts: Parts) -> None:
        if not self._is_folder(parts):
            self._find_file(parts)
            raise os_error(errno.ENOTDIR, "it is not a folder")

    def _check_new(self, parts: Parts) -> None:
        self._check_folder(parts[:-1])
        check_new(parts[-1])
        if len(parts) > self._limits.depth:
            raise os_error(errno.ENAMETOOLONG, f"a path below {self._path} has at most {self._limits.depth} parts")
        if len(self._entries) >= self._limits.files:
            raise os_error(errno.ENOSPC, f"{self._path} holds at most {self._limits.files} files and folders")
        folded = _fold(parts)
        if any(_fold(other) == folded for other in self._entries):
            raise os_error(errno.EEXIST, "a name that differs only in case exists, and some disks treat the two as one")


class OpenMemoryFile:
    """An open file of /output or /tmp."""

    def __init__(self, file: _MemoryFile, outputs: MemoryFolder) -> None:
        self._file = file
        self._outputs = outputs

    def size(self) -> int:
        return len(self._file.data)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._file.data[offset : offset + size])

    def write(self, offset: int | None, data: bytes) -> int:
        start = self.size() if offset is None else offset
        self._outputs.grow(self._file, start + len(data))
        self._file.data[start : start + len(data)] = data
        return start + len(data)

    def truncate(self, size: int) -> None:
        self._outputs.grow(self._file, size)
        del self._file.data[size:]

    def close(self) -> None: ...


def _fold(parts: Parts) -> Parts:
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)
