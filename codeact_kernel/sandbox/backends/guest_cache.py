"""Keep compiled guests: machine code that is compiled once on this machine for this user.

Anybody who can write the file can run code as the user. So the file is in a folder of mode 0700 that belongs to the
user, it is written under another name and then renamed, and its name depends on everything that it was compiled from.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ...paths import cache_folder, is_private
from . import guest_files, science_wheel

if sys.platform != "win32":
    import fcntl

__all__ = ["locked", "make_folder", "path", "science_path", "store", "trusted"]

_KEPT = 4
"""Compiled guests of one kind that are kept, as several environments and machines can share the folder."""
OPTIONS = "stack=1MiB"
"""The options of `wasm_engine.create_engine` that change the machine code."""


@cache
def path() -> Path:
    """Return the path of the standard guest that is compiled for this machine, which may not exist yet."""
    with guest_files.component().open("rb") as file:
        return _path("guest", hashlib.file_digest(file, "sha256").hexdigest())


def science_path() -> Path:
    """Return the path of the compiled science guest, in the same way."""
    return _path("science", science_wheel.MODULE_SHA256)  # `science_wheel.verify` has compared it before it is compiled


def _path(kind: str, guest: str) -> Path:
    parts = (version("wasmtime"), guest, OPTIONS, sys.platform, platform.machine(), _processor())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    return cache_folder() / f"{kind}-{key}.cwasm"


def _processor() -> str:
    """Return the features of this processor: machines that share a home may need different machine code."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return " ".join(sorted(found[1].split())) if found else platform.processor()


def trusted(file: Path) -> bool:
    """Say whether the file exists, belongs to this user, and cannot be written by others."""
    return is_private(file)


def make_folder(folder: Path) -> None:
    """Create the folder if it does not exist, and make it writable for this user only.

    Raises:
        OSError: if that is not possible, or the folder is a link.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink():  # anybody can put one into a folder for temporary files
        raise NotADirectoryError(f"{folder} is a link: remove it")
    folder.chmod(0o700)


@contextmanager
def locked(target: Path) -> Generator[None]:
    """Wait until no other process is in this block for the same file. On Windows, do not wait."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(target.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def store(data: bytes, target: Path) -> None:
    """Write a compiled guest under another name, then rename it. Remove the oldest ones of its kind."""
    make_folder(target.parent)
    temporary = target.with_name(f"{target.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # a crashed process with this id may have left it; a link is not followed
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.replace(temporary, target)
    kind = target.name.partition("-")[0]
    for other in sorted(target.parent.glob(f"{kind}-*.cwasm"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
        other.unlink(missing_ok=True)
