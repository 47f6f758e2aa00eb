"""Define the interface of the file systems behind a path, and the rules for names of files."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

__all__ = [
    "MAX_DEPTH",
    "MODES",
    "Entry",
    "FileSystem",
    "Kind",
    "OpenFile",
    "Parts",
    "check_new",
    "os_error",
    "parts_of",
]

Parts: TypeAlias = "tuple[str, ...]"
"""The parts of a path below a folder. Empty for the folder itself."""
Kind: TypeAlias = Literal["file", "folder", "link", "other"]

MODES = ("r", "r+", "w", "w+", "a", "a+", "x", "x+")
"""The modes of `open` without `t` and `b`."""
MAX_DEPTH = 64
"""Parts of a path."""
_MAX_PATH = 4_096
_MAX_NAME = 255
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
# Names of devices and streams, which Windows finds in any folder, and names that it changes.
_FORBIDDEN_ON_WINDOWS = re.compile(
    r'[<>:"|?*]|[. ]\Z|\A(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\s*(?:\.|\Z)', re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder.

    Attributes:
        modified: the time of the last change, in seconds since 1970.
        writable: whether a program may change it.
    """

    kind: Kind
    size: int = 0
    modified: float = 0.0
    writable: bool = False


class OpenFile(Protocol):
    """An open file. Its path was checked when it was opened, and is not used again."""

    def size(self) -> int: ...
    def read(self, offset: int, size: int) -> bytes: ...

    def write(self, offset: int | None, data: bytes) -> int:
        """Write at `offset`, or at the end of the file if it is `None`. Return the offset after the data."""
        ...

    def truncate(self, size: int) -> None: ...
    def close(self) -> None: ...


class FileSystem(Protocol):
    """A tree of files. Its methods raise OSErrors whose `strerror` tells the program what to do."""

    def open(self, parts: Parts, mode: str) -> OpenFile: ...
    def stat(self, parts: Parts) -> Entry: ...
    def list(self, parts: Parts) -> Mapping[str, Entry]: ...
    def mkdir(self, parts: Parts) -> None: ...
    def remove(self, parts: Parts) -> None: ...
    def rmdir(self, parts: Parts) -> None: ...
    def rename(self, parts: Parts, to: Parts) -> None: ...
    def close(self) -> None: ...


def os_error(number: int, message: str) -> OSError:
    """Return the exception for an errno. Python chooses its class, for example FileNotFoundError."""
    return OSError(number, message)


def parts_of(path: object) -> Parts:
    """Return the parts of a path that a program used. The guest half sends absolute, normalized paths.

    Raises:
        OSError: if it is not such a path, or contains a name that is not allowed.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise os_error(errno.EINVAL, "a path must be text that begins with /")
    parts = tuple(path[1:].split("/")) if path != "/" else ()
    if len(path) > _MAX_PATH or len(parts) > MAX_DEPTH:
        raise os_error(errno.ENAMETOOLONG, f"a path has at most {MAX_DEPTH} parts and {_MAX_PATH:,} characters")
    for part in parts:
        if not is_valid_name(part):
            raise os_error(errno.EINVAL, "a name may have no control characters, no backslash and at most 255 bytes")
    return parts


def is_valid_name(name: str) -> bool:
    """Return whether a program may use a file with this name."""
    if name in ("", ".", "..") or _FORBIDDEN.search(name) or len(name.encode()) > _MAX_NAME:
        return False
    return os.name != "nt" or not _FORBIDDEN_ON_WINDOWS.search(name)


def check_new(name: str) -> None:
    """Check that users can read a new name: it has no invisible characters, and none that reverse text.

    Raises:
        OSError: if it has such characters.
    """
    if not name.isprintable():
        raise os_error(errno.EINVAL, "the name of a new file may have visible characters only")
