"""Where this user's own files lie, by each system's custom. Standard library only: the worker imports it."""

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
    """What is kept: permissions that a person gave."""
    if sys.platform == "win32":
        return _local() / _NAME
    return _chosen("XDG_DATA_HOME", ".local", "share") / _NAME


def cache_folder() -> Path:
    """What can be made again. `CODEACT_CACHE` chooses another place for it.

    Where the home cannot be written, as that of a container's random user, it is a folder for temporary files: of this
    user's own, and what others put there first is not trusted (`is_private`).
    """
    if chosen := os.environ.get("CODEACT_CACHE"):  # a folder of ours in it: the chosen one may be shared
        return Path(chosen).resolve() / _NAME
    if sys.platform == "win32":
        return _local() / _NAME
    if sys.platform == "darwin":
        usual = home() / "Library" / "Caches" / _NAME
    else:
        usual = _chosen("XDG_CACHE_HOME", ".cache") / _NAME
    if is_writable(usual) or _has_files(usual):  # a folder that was filled before it became read-only is good as it is
        return usual
    return Path(tempfile.gettempdir()) / f"{_NAME}-{os.getuid()}"


def is_writable(folder: Path) -> bool:
    """Say whether files can be put into `folder`, which is made if it does not exist."""
    with suppress(OSError):  # what cannot even be looked at cannot be written
        for place in (folder, *folder.parents):
            if os.path.lexists(place):
                return place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    return False


def is_private(file: Path) -> bool:
    """Say whether `file` is a regular file of this user's, in a folder of theirs, and nobody else can write either.

    Another user could plant what we take for this user's word, or for our own machine code.
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


def _local() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or home() / "AppData" / "Local")


def home() -> Path:
    """The person's home; where there is none, a folder that is not there, so that nothing is read from it or kept."""
    with suppress(RuntimeError):
        found = Path.home()
        if found.is_absolute():  # another one would lie in somebody's project
            return found
    return Path(os.path.abspath(os.sep), "nonexistent")


def _chosen(variable: str, *parts: str) -> Path:
    """What the XDG specification says: a relative folder is as good as none. It would lie in somebody's project."""
    chosen = Path(os.environ.get(variable, ""))
    return chosen if chosen.is_absolute() else home().joinpath(*parts)
