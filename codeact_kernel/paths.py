"""The folders for this user's files, by the conventions of each system. Standard library only, for the worker."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["cache_folder", "data_folder", "home", "is_private", "is_writable"]

_NAME = "codeact-kernel"


def data_folder() -> Path:
    """Return the folder of files that must be kept, such as stored approvals."""
    if sys.platform == "win32":
        return _local_app_data() / _NAME
    return _xdg_folder("XDG_DATA_HOME", ".local", "share") / _NAME


def cache_folder() -> Path:
    """Return the folder of files that can be created again. `CODEACT_CACHE` sets another parent folder.

    If the home is not writable, as that of a random user in a container, the folder is one for temporary files with the
    user's id in its name. Files that other users put there first are not trusted (`is_private`).
    """
    if chosen := os.environ.get("CODEACT_CACHE"):  # use a subfolder: the given folder may be shared
        return Path(chosen).resolve() / _NAME
    if sys.platform == "win32":
        return _local_app_data() / _NAME
    if sys.platform == "darwin":
        usual = home() / "Library" / "Caches" / _NAME
    else:
        usual = _xdg_folder("XDG_CACHE_HOME", ".cache") / _NAME
    if is_writable(usual) or _has_files(usual):  # a folder that was filled before it became read-only can be used
        return usual
    return Path(tempfile.gettempdir()) / f"{_NAME}-{os.getuid()}"


def is_writable(folder: Path) -> bool:
    """Say whether files can be written to `folder`, which may not exist yet."""
    with suppress(OSError):  # a folder that cannot be examined cannot be written
        for parent in (folder, *folder.parents):
            if os.path.lexists(parent):
                return parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
    return False


def is_private(file: Path) -> bool:
    """Say whether `file` is a regular file of this user in a folder of this user, and nobody else can write to either.

    Otherwise another user could plant a file that counts as this user's approval, or as our own machine code.
    """
    try:
        states = [os.lstat(file), os.lstat(file.parent)]
    except OSError:
        return False
    if not stat.S_ISREG(states[0].st_mode):
        return False
    if os.name != "posix":
        return True
    return all(state.st_uid == os.getuid() and not state.st_mode & 0o022 for state in states)


def _has_files(folder: Path) -> bool:
    with suppress(OSError):
        return any(folder.iterdir())
    return False


def _local_app_data() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or home() / "AppData" / "Local")


def home() -> Path:
    """Return the home of the user; without one, a folder that does not exist, so that nothing is read or stored."""
    with suppress(RuntimeError):
        path = Path.home()
        if path.is_absolute():  # a relative path would be inside a project
            return path
    return Path(os.path.abspath(os.sep), "nonexistent")


def _xdg_folder(variable: str, *parts: str) -> Path:
    """Return the folder of an XDG variable. By the specification a relative path does not count."""
    chosen = Path(os.environ.get(variable, ""))
    return chosen if chosen.is_absolute() else home().joinpath(*parts)
