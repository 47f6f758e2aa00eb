"""Files in memory that a guest can read: folders and files by their paths, and those that are open. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["LIBRARY", "LibraryFiles", "OpenFile"]

LIBRARY = 3
"""The number under which the guest has the folder of the library open. 0 to 2 are the streams."""
_MAX_OPEN = 1_000


@dataclass(slots=True)
class OpenFile:
    """A file or folder that the guest has open.

    Attributes:
        path: its path below the folder of the library; empty for that folder itself.
        position: where the next read begins, in bytes.
    """

    path: str
    position: int = 0


class LibraryFiles:
    """Find and open files in memory. A path is a text from the guest, and only looked up in a table.

    Args:
        files: the content of each file, by its path.
        folder: the only folder that exists beside that of the library. Other parts of a path may lie within a zip, and
            Python looks for a zip only where no folder is.
    """

    def __init__(self, files: Mapping[str, bytes], folder: str) -> None:
        self._files = files
        self._folders: dict[str, list[str]] = {"": [path for path in files if "/" not in path], folder: []}
        for path in sorted(files):
            name, above = path.rpartition("/")[2], path.rpartition("/")[0]
            while above == folder or above.startswith(f"{folder}/"):
                entries = self._folders.setdefault(above, [])
                if name not in entries:
                    entries.append(name)
                name, above = above.rpartition("/")[2], above.rpartition("/")[0]
        self._open: dict[int, OpenFile] = {LIBRARY: OpenFile("")}

    def resolve(self, folder: OpenFile, path: str) -> str | None:
        """Return the path of an existing file or folder, given relative to an open folder; else `None`."""
        parts = [part for part in f"{folder.path}/{path}".split("/") if part not in ("", ".")]
        found = "/".join(parts)
        return found if found in self._files or found in self._folders else None

    def open(self, path: str) -> int | None:
        """Open a path that `resolve` returned, and return its number; `None` if too many files are open."""
        if len(self._open) >= _MAX_OPEN:
            return None
        number = next(number for number in range(LIBRARY + 1, LIBRARY + 1 + _MAX_OPEN) if number not in self._open)
        self._open[number] = OpenFile(path)
        return number

    def find(self, number: int) -> OpenFile | None:
        """Return what is open under a number, or `None`."""
        return self._open.get(number)

    def close(self, number: int) -> bool:
        """Close a file. Return whether it was open."""
        return number != LIBRARY and self._open.pop(number, None) is not None

    def content(self, path: str) -> bytes | None:
        """Return the content of a file, or `None` for a folder."""
        return self._files.get(path)

    def entries(self, path: str) -> Sequence[str] | None:
        """Return the names in a folder, or `None` for a file."""
        return self._folders.get(path)
