"""The compiled guest: native code made once on this machine, for this user, and never taken from elsewhere.

Whoever can write that file runs code as the user. So it lies in a folder of mode 0700 that is the user's own, is
written aside and renamed, and is keyed by everything that went into it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ...paths import cache_folder, is_private
from . import guest_files

__all__ = ["make_folder", "path", "store", "trusted"]

_KEPT = 4
"""Compiled guests that stay, of 36 MB each: several environments and machines may share the folder."""
OPTIONS = "stack=1MiB"
"""The engine's options that change the machine code; see `embedded.engine`."""


@cache
def path() -> Path:
    """Where this machine's compiled guest lies, or will lie."""
    with guest_files.component().open("rb") as file:
        guest = hashlib.file_digest(file, "sha256").hexdigest()
    parts = (version("wasmtime"), guest, OPTIONS, sys.platform, platform.machine(), _processor())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    return cache_folder() / f"guest-{key}.cwasm"


def _processor() -> str:
    """What this processor can do. A home that several machines share must not give one the other's machine code."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return " ".join(sorted(found[1].split())) if found else platform.processor()


def trusted(file: Path) -> bool:
    """Whether the file is there, is the user's own, and nobody else can write it or its folder."""
    return is_private(file)


def make_folder(folder: Path) -> None:
    """See that the folder is there, and that nobody else can write it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink():  # in a folder for temporary files anybody can have put it there
        raise NotADirectoryError(f"{folder} is a link: remove it")
    folder.chmod(0o700)


def store(data: bytes, target: Path) -> None:
    """Write the compiled guest aside, then put it in its place."""
    make_folder(target.parent)
    aside = target.with_name(f"{target.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)  # of a process that had this number and crashed; or a link, which is not followed
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.replace(aside, target)
    for other in sorted(target.parent.glob("guest-*.cwasm"), key=lambda file: file.stat().st_mtime)[:-_KEPT]:
        other.unlink(missing_ok=True)
