"""Put the host's files behind the names that programs know: `open`, and functions of `os`.

The hooks are light: they import `file_objects` and `os_functions`, which do the work, when they are first called.
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
    def hook(*args: Any, **options: Any) -> Any:
        return getattr(import_module(module, __package__), name)(*args, **options)

    hook.__name__ = hook.__qualname__ = name
    return hook


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> Callable[[Any, bool], None]:
    """Install the hooks, and return the function that ends the run: it saves data of files that were not closed."""
    if not hasattr(os.stat, "__code__"):
        for name in [*_OS_FUNCTIONS.split(), "utime"]:
            setattr(os, name, _make_hook(".os_functions", name))
        builtins.open = io.open = _make_hook(".file_objects", "open")
    return _end_run


def _end_run(value: Any, has_observed: bool) -> None:
    if (file_objects := sys.modules.get(f"{__package__}.file_objects")) is not None:
        file_objects.flush()
