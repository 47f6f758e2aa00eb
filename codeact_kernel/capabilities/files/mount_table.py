"""All that a program sees as files: which place a path belongs to, and the folders that only lead to one."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextlib import suppress

from .filesystem import Entry, FileSystem, OpenFile, Parts, parts_of, refused

__all__ = ["Tree"]

NEAR = 12
"""Names that are told when one was not found."""
_READ_ONLY = "read-only: write to /output, or ask the person to mount a folder with :rw"


class Tree:
    """Places, by their paths. Each verb takes a path as the program gave it and raises OSError."""

    def __init__(self, places: Mapping[Parts, FileSystem]) -> None:
        self._places = places

    def open(self, path: object, mode: str) -> OpenFile:
        whole = parts_of(path)
        if self._leads(whole):
            raise refused(errno.EISDIR, "it is a folder")
        place, parts = self._place(whole)
        return place.open(parts, mode)

    def stat(self, path: object) -> Entry:
        whole = parts_of(path)
        try:
            place, parts = self._place(whole)
            return place.stat(parts)
        except FileNotFoundError:
            if self._leads(whole):
                return Entry("folder")
            raise

    def list(self, path: object) -> dict[str, Entry]:
        whole = parts_of(path)
        found: dict[str, Entry] = {}
        try:
            place, parts = self._place(whole)
            found.update(place.list(parts))
        except FileNotFoundError:
            if not self._leads(whole):
                raise
        for other in self._places:
            if other[: len(whole)] == whole != other:
                found[other[len(whole)]] = self.stat("/" + "/".join(other[: len(whole) + 1]))
        return found

    def mkdir(self, path: object) -> None:
        with suppress(FileNotFoundError):
            self.stat(path)
            raise refused(errno.EEXIST, "it is there already")
        place, parts = self._changed(path)
        place.mkdir(parts)

    def remove(self, path: object) -> None:
        place, parts = self._changed(path)
        place.remove(parts)

    def rmdir(self, path: object) -> None:
        place, parts = self._changed(path)
        place.rmdir(parts)

    def rename(self, path: object, to: object) -> None:
        place, parts = self._changed(path)
        other, new = self._changed(to)
        if other is not place:
            raise refused(errno.EXDEV, "it can only be moved within its mount: copy it (shutil.move does)")
        place.rename(parts, new)

    def missing(self, path: object) -> str:
        """Why there is nothing at `path`, and what there is instead."""
        parts = parts_of(path)
        if parts[:1] not in (("input",), ("output",), ("tmp",)):
            return "there is no such file in the sandbox: programs read below /input and write to /output"
        for end in range(len(parts) - 1, 0, -1):
            folder = "/" + "/".join(parts[:end])
            with suppress(OSError):
                names = sorted(self.list(folder))
                more = f" and {len(names) - NEAR} more" if len(names) > NEAR else ""
                there = f"has {', '.join(map(repr, names[:NEAR]))}{more}" if names else "is empty"
                return f"there is no such file; {folder} {there}"
        return "there is no such file: nothing is mounted below /input"

    def _place(self, whole: Parts) -> tuple[FileSystem, Parts]:
        for end in range(len(whole), 0, -1):
            if place := self._places.get(whole[:end]):
                return place, whole[end:]
        raise refused(errno.ENOENT, "there is no such file")

    def _leads(self, whole: Parts) -> bool:
        """Whether there is something mounted below."""
        return any(other[: len(whole)] == whole != other for other in self._places)

    def _changed(self, path: object) -> tuple[FileSystem, Parts]:
        try:
            return self._place(parts_of(path))
        except FileNotFoundError:
            raise refused(errno.EACCES, _READ_ONLY) from None
