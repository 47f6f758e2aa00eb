"""What programs write to /output and /tmp: held in memory for one turn, so that nothing is on the disk unasked."""

from __future__ import annotations

import errno
import time
import unicodedata
from dataclasses import dataclass, field

from ...limits import OutputLimits
from ...text import format_bytes
from .filesystem import Entry, Parts, check_new, refused

__all__ = ["MemoryFolder"]


@dataclass(slots=True)
class _MemoryFile:
    data: bytearray = field(default_factory=bytearray)
    modified: float = field(default_factory=time.time)
    gone: bool = False


class MemoryFolder:
    """The files of a folder that programs write to: /output, which is kept for the user, or /tmp, which is not."""

    def __init__(self, limits: OutputLimits, at: str = "/output") -> None:
        self._limits = limits
        self._at = at
        self._entries: dict[Parts, _MemoryFile | None] = {}  # a folder has nothing

    @property
    def files(self) -> dict[str, bytes]:
        """A copy of every file, by its path below the folder."""
        return {"/".join(parts): bytes(held.data) for parts, held in self._entries.items() if held is not None}

    def open(self, parts: Parts, mode: str) -> OpenMemoryFile:
        if not parts or self._is_folder(parts):
            raise refused(errno.EISDIR, "it is a folder")
        held = self._entries.get(parts)
        if held is None:
            if mode[0] == "r":
                raise refused(errno.ENOENT, "there is no such file")
            self._check_new(parts)
            held = self._entries[parts] = _MemoryFile()
        elif mode[0] == "x":
            raise refused(errno.EEXIST, "it is there already")
        elif mode[0] == "w":
            held.data.clear()
        return OpenMemoryFile(held, self)

    def stat(self, parts: Parts) -> Entry:
        if self._is_folder(parts):
            return Entry("folder", writable=True)
        held = self._held(parts)
        return Entry("file", len(held.data), held.modified, True)

    def list(self, parts: Parts) -> dict[str, Entry]:
        self._check_folder(parts)
        return {entry[-1]: self.stat(entry) for entry in self._entries if entry[:-1] == parts}

    def mkdir(self, parts: Parts) -> None:
        if not parts or parts in self._entries:
            raise refused(errno.EEXIST, "it is there already")
        self._check_new(parts)
        self._entries[parts] = None

    def remove(self, parts: Parts) -> None:
        if self._is_folder(parts):
            raise refused(errno.EISDIR, "it is a folder")
        self._drop(self._held(parts))
        del self._entries[parts]

    def rmdir(self, parts: Parts) -> None:
        self._check_folder(parts)
        if not parts:
            raise refused(errno.EBUSY, f"{self._at} stays")
        if self.list(parts):
            raise refused(errno.ENOTEMPTY, "the folder is not empty")
        del self._entries[parts]

    def rename(self, parts: Parts, to: Parts) -> None:
        if not parts or not to or to[: len(parts)] == parts != to:
            raise refused(errno.EINVAL, f"a folder cannot be moved into itself, and {self._at} stays")
        if not self._is_folder(parts):
            self._held(parts)  # or there is none
        replaced = self._entries.get(to)
        if parts == to:
            return
        if to in self._entries and (replaced is None or self._is_folder(parts)):
            raise refused(errno.EEXIST, "it is there already")
        moved = {entry: to + entry[len(parts) :] for entry in self._entries if entry[: len(parts)] == parts}
        before = dict(self._entries)
        self._entries = {entry: held for entry, held in before.items() if entry not in moved and entry != to}
        try:
            for entry, new in moved.items():  # a folder comes before what is in it, as it was made before
                self._check_new(new)
                self._entries[new] = before[entry]
        except OSError:
            self._entries = before
            raise
        if replaced is not None:
            self._drop(replaced)

    def close(self) -> None: ...

    def grow(self, held: _MemoryFile, end: int) -> None:
        """Let a file end at `end`.

        Raises:
            OSError: it, or all of them, would be too large, or it was removed.
        """
        if held.gone:
            raise refused(errno.ESTALE, "the file was removed after it was opened")
        held.modified = time.time()
        more = end - len(held.data)
        if more <= 0:
            return
        if end > self._limits.file_bytes:
            raise refused(errno.EFBIG, f"a file in {self._at} has at most {format_bytes(self._limits.file_bytes)}")
        if more + sum(len(other.data) for other in self._entries.values() if other) > self._limits.all_bytes:
            raise refused(errno.ENOSPC, f"{self._at} holds at most {format_bytes(self._limits.all_bytes)} in all")
        held.data.extend(bytes(more))

    def _drop(self, held: _MemoryFile) -> None:
        held.gone = True  # whoever has it open gets no more memory for it
        held.data = bytearray()

    def _is_folder(self, parts: Parts) -> bool:
        return not parts or (parts in self._entries and self._entries[parts] is None)

    def _held(self, parts: Parts) -> _MemoryFile:
        held = self._entries.get(parts)
        if held is None:
            raise refused(errno.ENOENT, "there is no such file")
        return held

    def _check_folder(self, parts: Parts) -> None:
        if not self._is_folder(parts):
            self._held(parts)
            raise refused(errno.ENOTDIR, "it is no folder")

    def _check_new(self, parts: Parts) -> None:
        self._check_folder(parts[:-1])
        check_new(parts[-1])
        if len(parts) > self._limits.depth:
            raise refused(errno.ENAMETOOLONG, f"a path below {self._at} has at most {self._limits.depth} parts")
        if len(self._entries) >= self._limits.files:
            raise refused(errno.ENOSPC, f"{self._at} holds at most {self._limits.files} files and folders")
        folded = _folded(parts)
        if any(_folded(other) == folded for other in self._entries):
            raise refused(errno.EEXIST, "there is one whose name differs only in case: some disks take them for one")


class OpenMemoryFile:
    """An open file of /output or /tmp."""

    def __init__(self, held: _MemoryFile, outputs: MemoryFolder) -> None:
        self._held = held
        self._outputs = outputs

    def size(self) -> int:
        return len(self._held.data)

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._held.data[offset : offset + size])

    def write(self, offset: int | None, data: bytes) -> int:
        start = self.size() if offset is None else offset
        self._outputs.grow(self._held, start + len(data))
        self._held.data[start : start + len(data)] = data
        return start + len(data)

    def truncate(self, size: int) -> None:
        self._outputs.grow(self._held, size)
        del self._held.data[size:]

    def close(self) -> None: ...


def _folded(parts: Parts) -> Parts:
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)
