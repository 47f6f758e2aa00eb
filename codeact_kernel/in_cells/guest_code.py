"""Load the guest's own modules in this process, with another `host` behind them.

So a table, a chart or the error of a call is in a cell exactly what it is in a program.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import guest
from ..capability import ERROR_NAMES

__all__ = ["GuestCode"]

_PACKAGE = f"{__package__}.guest"


class GuestCode:
    """The modules of the guest.

    Args:
        host: does the operations of the guest.
    """

    def __init__(self, host: Callable[..., Any]) -> None:
        for name in [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]:
            del sys.modules[name]  # those of another host
        package, bootstrap = ModuleType(_PACKAGE), ModuleType(f"{_PACKAGE}.bootstrap")
        package.__path__ = [str(Path(guest.__file__).parent / "inside")]
        # A cell passes no bytes to a host and has no library of its own: these are never used.
        vars(bootstrap).update(host=host, sleep_hooks=[], exchange=None, HAS_LIBRARY=False, LIBRARY="")
        sys.modules.update({_PACKAGE: package, bootstrap.__name__: bootstrap})
        before = {name: getattr(builtins, name) for name in ERROR_NAMES if hasattr(builtins, name)}
        self.calls: Any = self.module("tool_calls")
        for name in ERROR_NAMES:  # only programs have them without an import
            delattr(builtins, name)
        for name, value in before.items():
            setattr(builtins, name, value)

    def module(self, name: str) -> Any:
        """Return a module by its name in `guest/inside`."""
        return import_module(f"{_PACKAGE}.{name}")
