"""Implement functions of `os` for the host's files. `files.hooks` installs them."""

import errno
import os
import posix
import stat as kinds
from collections.abc import Iterator
from typing import Any

from .file_objects import path_call, to_absolute, working_folder

_MODES = {
    "file": kinds.S_IFREG | 0o444,
    "folder": kinds.S_IFDIR | 0o555,
    "link": kinds.S_IFLNK,
    "other": kinds.S_IFIFO,
}
_inodes: dict[str, int] = {}


class Entry:
    """One entry of `os.scandir`."""

    def __init__(self, folder: Any, name: str, fields: list[Any]) -> None:
        self.name, self.path, self._fields = name, os.path.join(os.fsdecode(folder), name), fields

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._fields[0] == "folder"

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self._fields[0] == "file"

    def is_symlink(self) -> bool:
        return self._fields[0] == "link"

    def is_junction(self) -> bool:
        return False

    def inode(self) -> int:
        return self.stat(follow_symlinks=False).st_ino

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _make_status(self.path, self._fields, follow_symlinks)


class Entries:
    """The result of `os.scandir`."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries

    def __iter__(self) -> Iterator[Entry]:
        return self._entries

    def __next__(self) -> Entry:
        return next(self._entries)

    def __enter__(self) -> "Entries":
        return self

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None: ...


def _make_status(path: Any, fields: list[Any], follow: bool) -> os.stat_result:
    kind, size, modified, writable = fields
    if kind == "link" and follow:
        raise PermissionError(errno.EACCES, "it is a link, and links are not followed", path)
    mode = _MODES[kind] | (0o200 if writable else 0)
    number = _inodes.setdefault(to_absolute(path), len(_inodes) + 1)
    nanoseconds = int(modified * 1e9)
    seconds = (int(modified),) * 3
    named = {f"st_{what}time_ns": nanoseconds for what in "amc"} | {f"st_{what}time": modified for what in "amc"}
    return os.stat_result((mode, number, 1, 1, 0, 0, size, *seconds), named)


def stat(path: Any, *, dir_fd: Any = None, follow_symlinks: bool = True) -> os.stat_result:
    if isinstance(path, int):
        return posix.fstat(path)
    return _make_status(path, path_call("stat", path), follow_symlinks)


def lstat(path: Any, *, dir_fd: Any = None) -> os.stat_result:
    return stat(path, follow_symlinks=False)


def listdir(path: Any = ".") -> list[str]:
    return [name for name, *_ in path_call("list", path)]


def scandir(path: Any = ".") -> Entries:
    return Entries(Entry(path, name, fields) for name, *fields in path_call("list", path))


def access(path: Any, mode: int, **_: Any) -> bool:
    try:
        kind, _, _, writable = path_call("stat", path)
    except OSError:
        return False
    refused = (mode & os.W_OK and not writable) or (mode & os.X_OK and kind != "folder")
    return not refused and kind in ("file", "folder")


def mkdir(path: Any, mode: int = 0o777, **_: Any) -> None:
    path_call("mkdir", path)


def remove(path: Any, **_: Any) -> None:
    path_call("remove", path)


def rmdir(path: Any, **_: Any) -> None:
    path_call("rmdir", path)


def rename(src: Any, dst: Any, **_: Any) -> None:
    path_call("rename", src, to=to_absolute(dst))


unlink, replace = remove, rename


def getcwd() -> str:
    return working_folder[0]


def chdir(path: Any) -> None:
    if not kinds.S_ISDIR(stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", path)
    working_folder[0] = to_absolute(path)


def chmod(path: Any, mode: int = 0, **_: Any) -> None:
    stat(path)  # files have neither permissions nor times that a program can set


def utime(path: Any, times: Any = None, **_: Any) -> None:
    stat(path)


def open(path: Any, *_: Any, **__: Any) -> int:
    raise OSError(errno.ENOSYS, "the sandbox has no file descriptors: use open(...)", path)


def readlink(path: Any, **_: Any) -> str:
    raise OSError(errno.EINVAL, "links are not followed", path)
