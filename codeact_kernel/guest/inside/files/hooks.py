"""Put the host's files behind the names that programs know: `open`, and functions of `os`.

The hooks are light. `file_objects` and `os_functions`, which do the work, are imported when a hook is first used.
"""

import builtins
import io
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

_OS_FUNCTIONS = (
    "access chdir chmod getcwd listdir lstat mkdir open readlink remove rename replace rmdir scandir stat unlink"
)


def _make_hook(module: str, name: str) -> Callable[..., Any]:
    def door(*args: Any, **options: Any) -> Any:
        return getattr(import_module(module, __package__), name)(*args, **options)

    door.__name__ = door.__qualname__ = name
    return door


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> Callable[[Any, bool], None]:
    """A run begins. What it gives ends the run: what was written and not closed is not lost."""
    if not hasattr(os.stat, "__code__"):
        for name in [*_OS_FUNCTIONS.split(), "utime"]:
            setattr(os, name, _make_hook(".os_functions", name))
        builtins.open = io.open = _make_hook(".file_objects", "open")
    return _end_run


def _end_run(value: Any, looks: bool) -> None:
    if (file_objects := sys.modules.get(f"{__package__}.file_objects")) is not None:
        file_objects.flush()
