"""Where this user's own files lie, by each system's custom. Standard library only: the worker imports it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_folder", "data_folder"]

_NAME = "codeact-kernel"


def data_folder() -> Path:
    """What is kept: permissions that a person gave."""
    if sys.platform == "win32":
        return _local() / _NAME
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / _NAME


def cache_folder() -> Path:
    """What can be made again. `CODEACT_CACHE` chooses another place for it."""
    if chosen := os.environ.get("CODEACT_CACHE"):  # a folder of ours in it: the chosen one may be shared
        return Path(chosen).resolve() / _NAME
    if sys.platform == "win32":
        return _local() / _NAME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / _NAME
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _NAME


def _local() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
