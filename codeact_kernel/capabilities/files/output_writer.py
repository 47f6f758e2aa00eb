"""What is left of /output on the disk: a fresh folder for each turn that wrote something.

The names are the program's. They were checked when they were given and are again here, where they become real.
"""

from __future__ import annotations

import codecs
import errno
import mimetypes
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ...errors import UserError
from ...types import OutputFile
from .filesystem import Parts, check_new, parts_of, refused
from .host_folder import BY_HANDLE

__all__ = ["media_type", "save"]

_TYPES = mimetypes.MimeTypes()  # the module's own table: the same types on every machine
_PICTURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
_UNKNOWN = "application/octet-stream"
_TEXTS = frozenset({"application/json", "application/xml", "application/javascript", "image/svg+xml"})
_PREVIEW = 2_000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def save(files: Mapping[str, bytes], folder: Path) -> tuple[OutputFile, ...]:
    """Write `files` to a fresh folder in `folder`. Without files nothing is made.

    Raises:
        UserError: the folder cannot be made or written.
    """
    if not files:
        return ()
    try:
        fresh = _fresh(folder)
        for name in sorted(files):
            _write(fresh, _checked(name), files[name])
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise UserError(f"The files that the program wrote cannot be saved in {folder} ({why}).") from None
    shown = fresh
    with suppress(ValueError, OSError):
        shown = fresh.resolve().relative_to(Path.cwd())
    return tuple(
        OutputFile(
            name=name,
            path=str(shown.joinpath(*name.split("/"))),
            size=len(data),
            media_type=(kind := media_type(name, data)),
            preview=_preview(kind, data),
        )
        for name, data in sorted(files.items())
    )


def media_type(name: str, data: bytes) -> str:
    """What a file most likely is, for whoever shows it."""
    guessed, packed = _TYPES.guess_type(name)
    if packed:
        return f"application/{packed}"
    if guessed in _PICTURES:
        return guessed if data.startswith(_PICTURES[guessed]) else _UNKNOWN
    if guessed is not None:
        return guessed
    try:
        head = codecs.getincrementaldecoder("utf-8")().decode(data[:4_096])  # which may end within a character
    except UnicodeDecodeError:
        return _UNKNOWN
    return _UNKNOWN if "\0" in head else "text/plain"


def _preview(kind: str, data: bytes) -> str:
    if not kind.startswith("text/") and kind not in _TEXTS:
        return ""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(data[:_PREVIEW])  # which may end within a character
    return f"{text}…" if len(data) > _PREVIEW else text


def _fresh(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink():
        raise NotADirectoryError(0, "it is a link")
    now, number = time.strftime("%Y-%m-%d_%H-%M-%S"), 1
    while True:
        fresh = folder / (now if number == 1 else f"{now}_{number}")
        try:
            fresh.mkdir()
            return fresh
        except FileExistsError:
            number += 1


def _checked(name: str) -> Parts:
    parts = parts_of(f"/{name}")
    if not parts:
        raise refused(errno.EINVAL, "a file needs a name")
    for part in parts:
        check_new(part)
    return parts


def _write(fresh: Path, parts: Parts, data: bytes) -> None:
    """Below `fresh` only: each folder is opened relative to the one before, and no link is followed."""
    handles = [os.open(fresh, _FOLDER)] if BY_HANDLE else []
    try:
        at = fresh
        for part in parts[:-1]:
            at = at / part
            where, name = (handles[-1], part) if handles else (None, str(at))
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=where)
            if handles:
                handles.append(os.open(name, _FOLDER, dir_fd=where))
        where, name = (handles[-1], parts[-1]) if handles else (None, str(at / parts[-1]))
        with open(os.open(name, _NEW, 0o666, dir_fd=where), "wb") as file:
            file.write(data)
    finally:
        for handle in handles:
            os.close(handle)
