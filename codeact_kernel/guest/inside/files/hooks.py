"""Put the host's files behind the names that programs know: `open`, and functions of `os`.

The hooks are light: they import `file_objects` and `os_functions`, which do the work, when they are first called.
"""

import builtins
import io
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NoReturn

from ..bootstrap import LIBRARY

_OS_FUNCTIONS = (
    "access chdir chmod getcwd listdir lstat mkdir open readlink remove rename replace rmdir scandir stat unlink"
)


def _make_hook(module: str, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def hook(*args: Any, **options: Any) -> Any:
        if LIBRARY and args and _is_in_library(args[0]):
            return original(*args, **options)
        return getattr(import_module(module, __package__), name)(*args, **options)

    hook.__name__ = hook.__qualname__ = name
    return hook


def _is_in_library(path: Any) -> bool:
    text = path if isinstance(path, str) else getattr(type(path), "__fspath__", str)(path)
    return isinstance(text, str) and (text == LIBRARY or text.startswith(f"{LIBRARY}/"))


def _refuse(*_: object, **__: object) -> NoReturn:
    raise OSError("not available in the sandbox")


def start_run(config: Mapping[str, Any], namespace: dict[str, Any]) -> Callable[[Any, bool], None]:
    """Install the hooks, and return the function that ends the run: it saves data of files that were not closed."""
    install()
    return _end_run


def install() -> None:
    """Install the hooks, unless that was done. Modules that keep functions of `os` must be imported after this."""
    if not hasattr(os.stat, "__code__"):
        for name in [*_OS_FUNCTIONS.split(), "utime"]:
            setattr(os, name, _make_hook(".os_functions", name, getattr(os, name, _refuse)))
        builtins.open = io.open = _make_hook(".file_objects", "open", io.open)


def _end_run(value: Any, has_observed: bool) -> None:
    if (file_objects := sys.modules.get(f"{__package__}.file_objects")) is not None:
        file_objects.flush()
