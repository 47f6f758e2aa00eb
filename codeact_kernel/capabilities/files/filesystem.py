"""What all places have in common where files are, and the rules that names of files keep."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

__all__ = ["DEPTH", "MODES", "Entry", "FileSystem", "Kind", "OpenFile", "Parts", "check_new", "parts_of", "refused"]

Parts: TypeAlias = "tuple[str, ...]"
"""A path below some folder; without parts it is that folder."""
Kind: TypeAlias = Literal["file", "folder", "link", "other"]

MODES = ("r", "r+", "w", "w+", "a", "a+", "x", "x+")
"""Python's own, without what they say of text."""
DEPTH = 64
"""Parts of a path."""
_LONGEST = 4_096
_NAME = 255
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
# Devices and streams that Windows finds in any folder, and names that it takes for others.
_NOT_ON_WINDOWS = re.compile(
    r'[<>:"|?*]|[. ]\Z|\A(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|\Z)', re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a folder.

    Attributes:
        modified: when, in seconds since 1970.
        writable: whether a program may change it.
    """

    kind: Kind
    size: int = 0
    modified: float = 0.0
    writable: bool = False


class OpenFile(Protocol):
    """A file that was checked and is open; its content comes from here and from no path."""

    def size(self) -> int: ...
    def read(self, offset: int, size: int) -> bytes: ...

    def write(self, offset: int | None, data: bytes) -> int:
        """Write at `offset`, or at the end; where the written ends."""
        ...

    def truncate(self, size: int) -> None: ...
    def close(self) -> None: ...


class FileSystem(Protocol):
    """Where files are. Each verb raises OSError, whose `strerror` tells the program what to do."""

    def open(self, parts: Parts, mode: str) -> OpenFile: ...
    def stat(self, parts: Parts) -> Entry: ...
    def list(self, parts: Parts) -> Mapping[str, Entry]: ...
    def mkdir(self, parts: Parts) -> None: ...
    def remove(self, parts: Parts) -> None: ...
    def rmdir(self, parts: Parts) -> None: ...
    def rename(self, parts: Parts, to: Parts) -> None: ...
    def close(self) -> None: ...


def refused(number: int, sentence: str) -> OSError:
    """The exception of Python's own kind (FileNotFoundError, ...) that belongs to an errno."""
    return OSError(number, sentence)


def parts_of(path: object) -> Parts:
    """The parts of a path that a program gave: absolute and normal, as the guest half sends it.

    Raises:
        OSError: it is none, or has a name that no file of ours may have.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise refused(errno.EINVAL, "a path is text that begins with /")
    parts = tuple(path[1:].split("/")) if path != "/" else ()
    if len(path) > _LONGEST or len(parts) > DEPTH:
        raise refused(errno.ENAMETOOLONG, f"a path has at most {DEPTH} parts and {_LONGEST:,} characters")
    for part in parts:
        if not is_valid_name(part):
            raise refused(errno.EINVAL, "names have no control characters and no backslash, and at most 255 bytes")
    return parts


def is_valid_name(name: str) -> bool:
    """Whether a file with this name can be asked for."""
    if name in ("", ".", "..") or _UNSPEAKABLE.search(name) or len(name.encode()) > _NAME:
        return False
    return os.name != "nt" or not _NOT_ON_WINDOWS.search(name)


def check_new(name: str) -> None:
    """A new name is one that the person can read: nothing invisible, nothing that turns text around.

    Raises:
        OSError: it is not.
    """
    if not name.isprintable():
        raise refused(errno.EINVAL, "the name of a new file has visible characters only")
