"""Save the files of /output on the disk, in a new folder for each turn that wrote files.

Programs choose the names, so these are checked again here, before they are used on the disk.
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
from .filesystem import Parts, check_new, os_error, parts_of
from .host_folder import BY_HANDLE

__all__ = ["media_type", "save"]

_TYPES = mimetypes.MimeTypes()  # without the tables of the system, which differ between machines
_IMAGE_SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
_UNKNOWN = "application/octet-stream"
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript", "image/svg+xml"})
_MAX_PREVIEW = 2_000
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


def save(files: Mapping[str, bytes], folder: Path) -> tuple[OutputFile, ...]:
    """Write `files` to a new folder inside `folder`. Without files, create no folder.

    Raises:
        UserError: if the folder cannot be created or written.
    """
    if not files:
        return ()
    try:
        new_folder = _create_folder(folder)
        for name in sorted(files):
            _write(new_folder, _checked_parts(name), files[name])
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise UserError(f"The files that the program wrote cannot be saved in {folder} ({why}).") from None
    shown = new_folder
    with suppress(ValueError, OSError):
        shown = new_folder.resolve().relative_to(Path.cwd())
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
    """Guess the media type of a file from its name and content."""
    guessed, encoding = _TYPES.guess_type(name)
    if encoding:
        return f"application/{encoding}"
    if guessed in _IMAGE_SIGNATURES:
        return guessed if data.startswith(_IMAGE_SIGNATURES[guessed]) else _UNKNOWN
    if guessed is not None:
        return guessed
    try:
        head = codecs.getincrementaldecoder("utf-8")().decode(data[:4_096])  # the head may end within a character
    except UnicodeDecodeError:
        return _UNKNOWN
    return _UNKNOWN if "\0" in head else "text/plain"


def _preview(kind: str, data: bytes) -> str:
    if not kind.startswith("text/") and kind not in _TEXT_TYPES:
        return ""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # the preview may end within a character
    text = decoder.decode(data[:_MAX_PREVIEW])
    return f"{text}…" if len(data) > _MAX_PREVIEW else text


def _create_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink():
        raise NotADirectoryError(0, "it is a link")
    now, number = time.strftime("%Y-%m-%d_%H-%M-%S"), 1
    while True:
        new_folder = folder / (now if number == 1 else f"{now}_{number}")
        try:
            new_folder.mkdir()
            return new_folder
        except FileExistsError:
            number += 1


def _checked_parts(name: str) -> Parts:
    parts = parts_of(f"/{name}")
    if not parts:
        raise os_error(errno.EINVAL, "a file needs a name")
    for part in parts:
        check_new(part)
    return parts


def _write(folder: Path, parts: Parts, data: bytes) -> None:
    """Write a file below `folder`. Each folder is opened relative to its parent, and links are not followed."""
    handles = [os.open(folder, _FOLDER)] if BY_HANDLE else []
    try:
        path = folder
        for part in parts[:-1]:
            path = path / part
            parent, name = (handles[-1], part) if handles else (None, str(path))
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=parent)
            if handles:
                handles.append(os.open(name, _FOLDER, dir_fd=parent))
        parent, name = (handles[-1], parts[-1]) if handles else (None, str(path / parts[-1]))
        with open(os.open(name, _NEW_FILE, 0o666, dir_fd=parent), "wb") as file:
            file.write(data)
    finally:
        for handle in handles:
            os.close(handle)
