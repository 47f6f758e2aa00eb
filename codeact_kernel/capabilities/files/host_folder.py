"""A mounted folder or file of the host.

The folder is opened once, and every part of a path is opened relative to the one before, following no link: whatever
is renamed or replaced meanwhile, no path leads out. What a program reads comes from the handle that was checked.

Where a system has no such handles (Windows), each part is looked at before it is used, and what was opened is compared
with what was looked at. Whoever can change the mounted folder at that moment can win against this, a program cannot:
it makes no links.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...errors import UserError
from .filesystem import Entry, Kind, Parts, check_new, is_valid_name, refused
from .quota import Quota

__all__ = ["BY_HANDLE", "ENTRIES", "HostFile", "HostFolder"]

BY_HANDLE = {os.open, os.stat, os.mkdir, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd
"""Whether this system opens relative to a folder's handle."""
ENTRIES = 10_000
"""Of one folder, when it is listed."""

_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_PATH_ONLY = getattr(os, "O_PATH", 0)
_FOLDER = _COMMON | getattr(os, "O_DIRECTORY", 0) | _PATH_ONLY
_FILE = _COMMON | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_MOUNT_POINT = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003)  # a junction: Windows' older kind of link
_WHY = {
    "link": "it is a link, and links are not followed",
    "other": "it is neither a file nor a folder, and cannot be read",
    "folder": "it is a folder",
    "file": "it is no folder",
}


@dataclass(frozen=True, slots=True)
class _Dir:
    """A folder that is open, or no more than looked at where there are no handles."""

    path: str
    handle: int | None

    def at(self, name: str) -> str:
        return os.path.join(self.path, name) if self.handle is None else name

    def look(self, name: str) -> os.stat_result:
        return os.stat(self.at(name), dir_fd=self.handle, follow_symlinks=False)

    def enter(self, name: str) -> _Dir:
        kind = _kind(self.look(name))
        if kind != "folder":
            raise refused(errno.EACCES if kind == "link" else errno.ENOTDIR, _WHY[kind])
        path = os.path.join(self.path, name)
        return _Dir(path, None if self.handle is None else os.open(name, _FOLDER, dir_fd=self.handle))

    def device(self) -> int:
        return os.stat(self.path if self.handle is None else self.handle).st_dev  # noqa: PTH116 # or of a handle

    def names(self) -> Iterator[tuple[str, os.stat_result]]:
        """What is in the folder. What vanishes meanwhile is left out."""
        handle = None if self.handle is None else os.open(".", _FOLDER & ~_PATH_ONLY, dir_fd=self.handle)
        try:
            with os.scandir(self.path if handle is None else handle) as entries:
                for entry in entries:
                    try:
                        yield entry.name, entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
        finally:
            if handle is not None:
                os.close(handle)

    def close(self) -> None:
        if self.handle is not None:
            os.close(self.handle)


class HostFile:
    """An open file of the host."""

    def __init__(self, handle: int, quota: Quota) -> None:
        self._handle = handle
        self._quota = quota

    def size(self) -> int:
        return os.fstat(self._handle).st_size

    def read(self, offset: int, size: int) -> bytes:
        os.lseek(self._handle, offset, os.SEEK_SET)
        return os.read(self._handle, size)

    def write(self, offset: int | None, data: bytes) -> int:
        size = self.size()
        start = size if offset is None else offset
        self._quota.spend(max(len(data), start + len(data) - size))
        os.lseek(self._handle, start, os.SEEK_SET)
        left = memoryview(data)
        while left:
            left = left[os.write(self._handle, left) :]
        return start + len(data)

    def truncate(self, size: int) -> None:
        self._quota.spend(max(0, size - self.size()))
        os.ftruncate(self._handle, size)

    def close(self) -> None:
        os.close(self._handle)


class HostFolder:
    """What one mount gives to programs: a folder, or a single file, which then is all there is.

    Args:
        path: absolute and without links, as `access` gives it.
        writable: whether programs may change it.
        quota: what they may add to the disk.
        read_only: absolute real paths of folders that stay read-only where they lie inside this one.
        by_handle: whether to open relative to handles.

    Raises:
        UserError: it is not there any more, or was replaced by a link.
    """

    def __init__(
        self,
        path: Path,
        quota: Quota,
        *,
        writable: bool,
        read_only: Sequence[Path] = (),
        by_handle: bool = BY_HANDLE,
    ) -> None:
        self._writable = writable
        self._quota = quota
        self._read_only = [_fold(one.relative_to(path).parts) for one in read_only if one.is_relative_to(path)]
        self._top = _Dir(path.anchor, os.open(path.anchor, _FOLDER) if by_handle else None)
        try:
            kind = self._descend(path.parts[1:])
        except OSError as error:
            self.close()
            why = error.strerror or "it cannot be opened"
            raise UserError(f"{path} cannot be mounted ({why}): name a folder that is there.") from None
        self._only = path.name if kind == "file" else ""

    def _descend(self, parts: Parts) -> Kind:
        """Enter the mounted folder, which was found to be without links when it was named; so it is still."""
        for part in parts[:-1]:
            self._step(part)
        if _kind(self._top.look(parts[-1])) == "file":
            return "file"
        self._step(parts[-1])
        return "folder"

    def _step(self, part: str) -> None:
        below = self._top.enter(part)
        self._top.close()
        self._top = below

    def close(self) -> None:
        self._top.close()

    def open(self, parts: Parts, mode: str) -> HostFile:
        if mode != "r":
            self._check_writable(parts)
        if not parts and not self._only:
            raise refused(errno.EISDIR, _WHY["folder"])
        with self._parent(parts) as (here, name):
            found = _find(here, name)
            if found is None and mode[0] == "r":
                raise refused(errno.ENOENT, "there is no such file")
            if found is not None and mode[0] == "x":
                raise refused(errno.EEXIST, "it is there already")
            if found is not None and (kind := _kind(found)) != "file":
                raise refused(errno.EISDIR if kind == "folder" else errno.EACCES, _WHY[kind])
            flags = _FILE | (os.O_RDONLY if mode == "r" else os.O_RDWR if "+" in mode else os.O_WRONLY)
            if found is None:
                check_new(name)
                self._quota.spend(0, files=1)
                flags |= os.O_CREAT | os.O_EXCL
            handle = os.open(here.at(name), flags, 0o666, dir_fd=here.handle)
        file = HostFile(handle, self._quota)
        try:
            _check_opened(os.fstat(handle), found if here.handle is None else None, writing=mode != "r")
            if mode[0] == "w":
                file.truncate(0)
        except BaseException:
            file.close()
            raise
        return file

    def stat(self, parts: Parts) -> Entry:
        if not parts and not self._only:
            return Entry("folder", writable=self._writable)
        with self._parent(parts) as (here, name):
            return self._entry(here.look(name), parts)

    def list(self, parts: Parts) -> dict[str, Entry]:
        if self._only:
            raise refused(errno.ENOTDIR, _WHY["file"])
        found: dict[str, Entry] = {}
        with self._inside(parts) as here:
            for number, (name, status) in enumerate(here.names()):
                if number >= ENTRIES:
                    raise refused(errno.EOVERFLOW, f"over {ENTRIES:,} entries: open the files by their names")
                if is_valid_name(name):
                    found[name] = self._entry(status, (*parts, name))
        return found

    def mkdir(self, parts: Parts) -> None:
        with self._changed(parts) as (here, name):
            check_new(name)
            if _find(here, name) is not None:
                raise refused(errno.EEXIST, "it is there already")
            self._quota.spend(0, files=1)
            os.mkdir(here.at(name), dir_fd=here.handle)

    def remove(self, parts: Parts) -> None:
        self._check_removable(parts)
        with self._changed(parts) as (here, name):
            if (kind := _kind(here.look(name))) != "file":
                raise refused(errno.EISDIR if kind == "folder" else errno.EACCES, _WHY[kind])
            os.unlink(here.at(name), dir_fd=here.handle)

    def rmdir(self, parts: Parts) -> None:
        self._check_removable(parts)
        with self._changed(parts) as (here, name):
            os.rmdir(here.at(name), dir_fd=here.handle)

    def rename(self, parts: Parts, to: Parts) -> None:
        self._check_removable(parts)
        with self._changed(parts) as (here, name), self._changed(to) as (there, new):
            check_new(new)
            for found in (here.look(name), _find(there, new)):
                if found is not None and (kind := _kind(found)) not in ("file", "folder"):
                    raise refused(errno.EACCES, _WHY[kind])
            os.replace(here.at(name), there.at(new), src_dir_fd=here.handle, dst_dir_fd=there.handle)

    def _entry(self, status: os.stat_result, parts: Parts) -> Entry:
        kind = _kind(status)
        size = status.st_size if kind == "file" else 0
        writable = self._writable and kind in ("file", "folder") and not self._is_code(parts)
        return Entry(kind, size, status.st_mtime, writable)

    def _check_writable(self, parts: Parts) -> None:
        if not self._writable:
            raise refused(errno.EACCES, "read-only: write to /output, or ask the person to mount it with :rw")
        if self._is_code(parts):
            raise refused(errno.EACCES, "read-only: code that the notebook's Python runs lies there")

    def _check_removable(self, parts: Parts) -> None:
        """A folder above code that the kernel runs cannot be moved away: another could be put in its place."""
        folded = _fold(parts)
        if self._writable and any(code[: len(folded)] == folded for code in self._read_only):
            raise refused(errno.EACCES, "it stays in its place: code that the notebook's Python runs lies there")

    def _is_code(self, parts: Parts) -> bool:
        folded = _fold(parts)
        return any(folded[: len(code)] == code for code in self._read_only)

    @contextmanager
    def _inside(self, parts: Parts) -> Generator[_Dir]:
        here = self._top
        device = here.device()
        try:
            for part in parts:
                below = here.enter(part)
                if here is not self._top:
                    here.close()
                here = below
                if here.device() != device:  # the machine's own files, for example, which a container has in a folder
                    raise refused(errno.EACCES, "another disk begins there: ask the person to mount it by itself")
            yield here
        finally:
            if here is not self._top:
                here.close()

    @contextmanager
    def _parent(self, parts: Parts) -> Generator[tuple[_Dir, str]]:
        """The folder that holds the last of `parts`, and its name there."""
        if self._only and parts:
            raise refused(errno.ENOTDIR, _WHY["file"])
        with self._inside(parts[:-1]) as here:
            yield here, self._only or parts[-1]

    @contextmanager
    def _changed(self, parts: Parts) -> Generator[tuple[_Dir, str]]:
        self._check_writable(parts)
        if not parts:
            raise refused(errno.EBUSY, "it is mounted, and stays as it is")
        with self._parent(parts) as target:
            yield target


def _fold(parts: Sequence[str]) -> Parts:
    """Spell a path in one way: some file systems take other cases and compositions for the same name."""
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)


def _find(here: _Dir, name: str) -> os.stat_result | None:
    try:
        return here.look(name)
    except FileNotFoundError:
        return None


def _kind(status: os.stat_result) -> Kind:
    if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _MOUNT_POINT:
        return "link"
    return "folder" if stat.S_ISDIR(status.st_mode) else "file" if stat.S_ISREG(status.st_mode) else "other"


def _check_opened(status: os.stat_result, found: os.stat_result | None, *, writing: bool) -> None:
    """What was opened may be another than what was looked at."""
    if not stat.S_ISREG(status.st_mode):
        raise refused(errno.EACCES, _WHY["other"])
    if found is not None and not os.path.samestat(status, found):
        raise refused(errno.EACCES, "it was replaced at this moment: try again")
    if writing and status.st_nlink > 1:
        raise refused(errno.EACCES, "the file has a second name (a hard link) and is not written: write a new file")
