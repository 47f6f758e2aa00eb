"""Serve a mounted folder or file of the host.

The folder is opened once. Every part of a path is opened relative to its parent, without following links, so no path
leads out of the folder even if something is renamed or replaced meanwhile. Programs read from the handle that was
checked.

On a system without such handles (Windows), each part is checked before it is used, and the opened file is compared
with the checked one. A process that changes the mounted folder at that moment can evade this. A program cannot,
because it cannot create links.
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
from .filesystem import Entry, Kind, Parts, check_new, is_valid_name, os_error
from .quota import Quota

__all__ = ["BY_HANDLE", "ENTRIES", "HostFile", "HostFolder"]

BY_HANDLE = {os.open, os.stat, os.mkdir, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd
"""Whether this system can open files relative to the handle of a folder."""
ENTRIES = 10_000
"""Entries of a folder that can be listed."""

_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_PATH_ONLY = getattr(os, "O_PATH", 0)
_FOLDER = _COMMON | getattr(os, "O_DIRECTORY", 0) | _PATH_ONLY
_FILE = _COMMON | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_MOUNT_POINT = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003)  # a junction: Windows' older kind of link
_WHY = {
    "link": "it is a link, and links are not followed",
    "other": "it is neither a file nor a folder, and cannot be read",
    "folder": "it is a folder",
    "file": "it is not a folder",
}


@dataclass(frozen=True, slots=True)
class _Dir:
    """A folder: its handle, or only its path on a system without such handles."""

    path: str
    handle: int | None

    def path_to(self, name: str) -> str:
        return os.path.join(self.path, name) if self.handle is None else name

    def status(self, name: str) -> os.stat_result:
        return os.stat(self.path_to(name), dir_fd=self.handle, follow_symlinks=False)

    def enter(self, name: str) -> _Dir:
        kind = _kind(self.status(name))
        if kind != "folder":
            raise os_error(errno.EACCES if kind == "link" else errno.ENOTDIR, _WHY[kind])
        path = os.path.join(self.path, name)
        return _Dir(path, None if self.handle is None else os.open(name, _FOLDER, dir_fd=self.handle))

    def device(self) -> int:
        return os.stat(self.path if self.handle is None else self.handle).st_dev  # noqa: PTH116 # it may be a handle

    def names(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the entries of the folder, without entries that vanish meanwhile."""
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
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[os.write(self._handle, remaining) :]
        return start + len(data)

    def truncate(self, size: int) -> None:
        self._quota.spend(max(0, size - self.size()))
        os.ftruncate(self._handle, size)

    def close(self) -> None:
        os.close(self._handle)


class HostFolder:
    """One mount: a folder, or a single file.

    Args:
        path: an absolute path without links.
        writable: whether programs may change it.
        quota: limits what programs add to the disk.
        read_only: absolute real paths of folders that stay read-only if they lie inside this folder.
        by_handle: whether to open files relative to handles.

    Raises:
        UserError: if it no longer exists, or was replaced by a link.
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
        self._read_only = [_fold(code.relative_to(path).parts) for code in read_only if code.is_relative_to(path)]
        self._top = _Dir(path.anchor, os.open(path.anchor, _FOLDER) if by_handle else None)
        try:
            kind = self._descend(path.parts[1:])
        except OSError as error:
            self.close()
            why = error.strerror or "it cannot be opened"
            raise UserError(f"{path} cannot be mounted ({why}): name a folder that exists.") from None
        self._file_name = path.name if kind == "file" else ""

    def _descend(self, parts: Parts) -> Kind:
        """Enter the mounted folder part by part, so that a link which has appeared in its path is an error."""
        for part in parts[:-1]:
            self._enter(part)
        if _kind(self._top.status(parts[-1])) == "file":
            return "file"
        self._enter(parts[-1])
        return "folder"

    def _enter(self, part: str) -> None:
        child = self._top.enter(part)
        self._top.close()
        self._top = child

    def close(self) -> None:
        self._top.close()

    def open(self, parts: Parts, mode: str) -> HostFile:
        if mode != "r":
            self._check_writable(parts)
        if not parts and not self._file_name:
            raise os_error(errno.EISDIR, _WHY["folder"])
        with self._parent(parts) as (folder, name):
            status = _find(folder, name)
            if status is None and mode[0] == "r":
                raise os_error(errno.ENOENT, "there is no such file")
            if status is not None and mode[0] == "x":
                raise os_error(errno.EEXIST, "it already exists")
            if status is not None and (kind := _kind(status)) != "file":
                raise os_error(errno.EISDIR if kind == "folder" else errno.EACCES, _WHY[kind])
            flags = _FILE | (os.O_RDONLY if mode == "r" else os.O_RDWR if "+" in mode else os.O_WRONLY)
            if status is None:
                check_new(name)
                self._quota.spend(0, files=1)
                flags |= os.O_CREAT | os.O_EXCL
            handle = os.open(folder.path_to(name), flags, 0o666, dir_fd=folder.handle)
        file = HostFile(handle, self._quota)
        try:
            _check_opened(os.fstat(handle), status if folder.handle is None else None, writing=mode != "r")
            if mode[0] == "w":
                file.truncate(0)
        except BaseException:
            file.close()
            raise
        return file

    def stat(self, parts: Parts) -> Entry:
        if not parts and not self._file_name:
            return Entry("folder", writable=self._writable)
        with self._parent(parts) as (folder, name):
            return self._entry(folder.status(name), parts)

    def list(self, parts: Parts) -> dict[str, Entry]:
        if self._file_name:
            raise os_error(errno.ENOTDIR, _WHY["file"])
        entries: dict[str, Entry] = {}
        with self._open_folder(parts) as folder:
            for number, (name, status) in enumerate(folder.names()):
                if number >= ENTRIES:
                    raise os_error(errno.EOVERFLOW, f"over {ENTRIES:,} entries: open the files by their names")
                if is_valid_name(name):
                    entries[name] = self._entry(status, (*parts, name))
        return entries

    def mkdir(self, parts: Parts) -> None:
        with self._writable_parent(parts) as (folder, name):
            check_new(name)
            if _find(folder, name) is not None:
                raise os_error(errno.EEXIST, "it already exists")
            self._quota.spend(0, files=1)
            os.mkdir(folder.path_to(name), dir_fd=folder.handle)

    def remove(self, parts: Parts) -> None:
        self._check_removable(parts)
        with self._writable_parent(parts) as (folder, name):
            if (kind := _kind(folder.status(name))) != "file":
                raise os_error(errno.EISDIR if kind == "folder" else errno.EACCES, _WHY[kind])
            os.unlink(folder.path_to(name), dir_fd=folder.handle)

    def rmdir(self, parts: Parts) -> None:
        self._check_removable(parts)
        with self._writable_parent(parts) as (folder, name):
            os.rmdir(folder.path_to(name), dir_fd=folder.handle)

    def rename(self, parts: Parts, to: Parts) -> None:
        self._check_removable(parts)
        with self._writable_parent(parts) as (folder, name), self._writable_parent(to) as (new_folder, new_name):
            check_new(new_name)
            for status in (folder.status(name), _find(new_folder, new_name)):
                if status is not None and (kind := _kind(status)) not in ("file", "folder"):
                    raise os_error(errno.EACCES, _WHY[kind])
            old, new = folder.path_to(name), new_folder.path_to(new_name)
            os.replace(old, new, src_dir_fd=folder.handle, dst_dir_fd=new_folder.handle)

    def _entry(self, status: os.stat_result, parts: Parts) -> Entry:
        kind = _kind(status)
        size = status.st_size if kind == "file" else 0
        writable = self._writable and kind in ("file", "folder") and not self._is_code(parts)
        return Entry(kind, size, status.st_mtime, writable)

    def _check_writable(self, parts: Parts) -> None:
        if not self._writable:
            raise os_error(errno.EACCES, "read-only: write to /output, or ask the user to mount it with :rw")
        if self._is_code(parts):
            raise os_error(errno.EACCES, "read-only: it contains code that the notebook's Python runs")

    def _check_removable(self, parts: Parts) -> None:
        """Raise if the path is above code that the kernel runs, because a program could replace that code."""
        folded = _fold(parts)
        if self._writable and any(code[: len(folded)] == folded for code in self._read_only):
            raise os_error(errno.EACCES, "it cannot be moved: it contains code that the notebook's Python runs")

    def _is_code(self, parts: Parts) -> bool:
        folded = _fold(parts)
        return any(folded[: len(code)] == code for code in self._read_only)

    @contextmanager
    def _open_folder(self, parts: Parts) -> Generator[_Dir]:
        folder = self._top
        device = folder.device()
        try:
            for part in parts:
                child = folder.enter(part)
                if folder is not self._top:
                    folder.close()
                folder = child
                if folder.device() != device:  # for example files of the machine in a container's folder
                    raise os_error(errno.EACCES, "another disk is mounted there: ask the user to mount it separately")
            yield folder
        finally:
            if folder is not self._top:
                folder.close()

    @contextmanager
    def _parent(self, parts: Parts) -> Generator[tuple[_Dir, str]]:
        """Open the folder that contains the path. Yield it, and the name in it."""
        if self._file_name and parts:
            raise os_error(errno.ENOTDIR, _WHY["file"])
        with self._open_folder(parts[:-1]) as folder:
            yield folder, self._file_name or parts[-1]

    @contextmanager
    def _writable_parent(self, parts: Parts) -> Generator[tuple[_Dir, str]]:
        self._check_writable(parts)
        if not parts:
            raise os_error(errno.EBUSY, "it is a mount and cannot be changed")
        with self._parent(parts) as target:
            yield target


def _fold(parts: Sequence[str]) -> Parts:
    """Normalize a path, because some file systems ignore case and Unicode composition."""
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)


def _find(folder: _Dir, name: str) -> os.stat_result | None:
    try:
        return folder.status(name)
    except FileNotFoundError:
        return None


def _kind(status: os.stat_result) -> Kind:
    if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _MOUNT_POINT:
        return "link"
    return "folder" if stat.S_ISDIR(status.st_mode) else "file" if stat.S_ISREG(status.st_mode) else "other"


def _check_opened(status: os.stat_result, expected: os.stat_result | None, *, writing: bool) -> None:
    """Raise if the opened file is not a regular file, not the file that was checked, or has a hard link."""
    if not stat.S_ISREG(status.st_mode):
        raise os_error(errno.EACCES, _WHY["other"])
    if expected is not None and not os.path.samestat(status, expected):
        raise os_error(errno.EACCES, "it was replaced just now: try again")
    if writing and status.st_nlink > 1:
        raise os_error(errno.EACCES, "the file has a second name (a hard link) and is not written: write a new file")
