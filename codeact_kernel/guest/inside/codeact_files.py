"""Runs in the guest as `codeact_files`: the host's files by the names that programs know, `open` and those of `os`.

Before a program only doors are put up. What is behind them, `codeact_open` and `codeact_os`, is loaded by the first
that is used.
"""

import builtins
import io
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

_OF_OS = "access chdir chmod getcwd listdir lstat mkdir open readlink remove rename replace rmdir scandir stat unlink"


def _door(module: str, name: str) -> Callable[..., Any]:
    def door(*args: Any, **options: Any) -> Any:
        return getattr(import_module(module), name)(*args, **options)

    door.__name__ = door.__qualname__ = name
    return door


def begin(told: Mapping[str, Any], namespace: dict[str, Any]) -> Callable[[Any, bool], None]:
    """A run begins. What it gives ends the run: what was written and not closed is not lost."""
    if not hasattr(os.stat, "__code__"):
        for name in [*_OF_OS.split(), "utime"]:
            setattr(os, name, _door("codeact_os", name))
        builtins.open = io.open = _door("codeact_open", "open")
    return _end


def _end(value: Any, looks: bool) -> None:
    if "codeact_open" in sys.modules:
        sys.modules["codeact_open"].flush()
