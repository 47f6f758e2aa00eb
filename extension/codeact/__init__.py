"""CodeAct in a notebook: run `%load_ext codeact`, mark functions with `@tool`, and ask in a `%%codeact` cell.

Importing this package is quick, because its names import the engine only when they are used (PEP 562).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from codeact_kernel import ScriptedModel, progress, tool
    from codeact_kernel.model.base import ModelClient
    from codeact_kernel.types import TurnResult

    results: Sequence[TurnResult]
    """The results of all prompts of this notebook, the newest last."""

__all__ = ["ScriptedModel", "load_ipython_extension", "progress", "results", "tool", "unload_ipython_extension", "use"]

_CELL_NAMES = frozenset({
    "ToolDenied", "ToolError", "ToolFailed", "as_output", "as_program_sees", "call_tool", "call_tool_async", "show",
})  # fmt: skip
"""Names for cells that were kept from a prompt."""
_ENGINE_NAMES = frozenset({"ScriptedModel", "progress", "tool"})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the extension, as `%load_ext codeact` does: register the magics and the hooks for cells."""
    _guard_imports()
    from .magics import load  # needs IPython, which is not installed everywhere `tool` is used

    load(shell)


def use(model: ModelClient | None) -> None:
    """Send the prompts of the following cells to `model`, for example to a `ScriptedModel`.

    Args:
        model: the model, or `None` to go back to the configured model.

    Raises:
        UserError: if the extension is not loaded.
    """
    from IPython.core.getipython import get_ipython  # as above

    from .magics import get_extension

    get_extension(get_ipython()).frontend.session.model = model


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Unload the extension, as `%unload_ext codeact` does: kill the sandboxes. Tools stay marked."""
    from .magics import unload

    unload(shell)


def _find_results() -> Sequence[TurnResult]:
    from IPython.core.getipython import get_ipython  # as in `use`

    from .magics import get_extension

    return tuple(get_extension(get_ipython()).frontend.memory.results)


def _guard_imports() -> None:
    """Keep later imports of ours away from the working folder, which is on the path of an ordinary Python kernel."""
    path, working_folder = list(sys.path), os.path.realpath(os.curdir)
    # The guard itself must not come from the working folder, so the folder leaves the path until the guard is there.
    sys.path[:] = [entry for entry in path if os.path.isabs(entry) and os.path.realpath(entry) != working_folder]
    try:
        from codeact_kernel import import_guard
    except ModuleNotFoundError:  # the package is installed in the notebook's own folder
        sys.path[:] = path
        from codeact_kernel import import_guard
    finally:
        sys.path[:] = path
    import_guard.install()


def __getattr__(name: str) -> object:
    if name == "results":
        return _find_results()
    if name in _ENGINE_NAMES:
        import codeact_kernel

        return getattr(codeact_kernel, name)
    if name in _CELL_NAMES:
        from . import kept_cells

        return getattr(kept_cells, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
