"""CodeAct in a notebook: `%load_ext codeact`, then mark functions with `@tool` and ask in a `%%codeact` cell.

Loading the extension is light: what is heavy comes when it is asked for (PEP 562).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from codeact_kernel import ScriptedModel, progress, tool
    from codeact_kernel.model.base import ModelClient

__all__ = ["ScriptedModel", "load_ipython_extension", "progress", "tool", "unload_ipython_extension", "use"]

_OF_THE_ENGINE = frozenset({"ScriptedModel", "progress", "tool"})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext codeact`: the magics, and a sandbox that warms up in the background."""
    _guard_imports()
    from .magics import load  # IPython is there only when somebody loads the extension

    load(shell)


def use(model: ModelClient | None) -> None:
    """Let the cells that follow ask `model`, for example a `ScriptedModel`; `None` goes back to the configured one.

    Raises:
        UserError: the extension is not loaded.
    """
    from IPython.core.getipython import get_ipython  # as above

    from .magics import of

    of(get_ipython()).door.session.model = model


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext codeact`: kills the sandboxes; the tools stay marked."""
    from .magics import unload

    unload(shell)


def _guard_imports() -> None:
    """Keep the working folder out of what we import from here on. It is on the path of an ordinary Python kernel."""
    path, working = list(sys.path), os.path.realpath(os.curdir)
    # The guard itself must not come from there: until it is in place the working folder is not on the path at all.
    sys.path[:] = [entry for entry in path if os.path.isabs(entry) and os.path.realpath(entry) != working]
    try:
        from codeact_kernel import import_guard
    except ModuleNotFoundError:  # installed in the very folder in which the notebook is
        sys.path[:] = path
        from codeact_kernel import import_guard
    finally:
        sys.path[:] = path
    import_guard.install()


def __getattr__(name: str) -> object:
    if name in _OF_THE_ENGINE:
        import codeact_kernel

        return getattr(codeact_kernel, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
