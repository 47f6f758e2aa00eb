"""CodeAct in a notebook: `%load_ext codeact`, then mark functions with `@tool` and ask in a `%%codeact` cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeact_kernel.model.scripted import ScriptedModel
from codeact_kernel.tools import progress, tool

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from codeact_kernel.model.base import ModelClient

__all__ = ["ScriptedModel", "load_ipython_extension", "progress", "tool", "unload_ipython_extension", "use"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext codeact`: the magics, and a sandbox that warms up in the background."""
    from .magics import load  # IPython is there only when somebody loads the extension

    load(shell)


def use(model: ModelClient | None) -> None:
    """Let the cells that follow ask `model`, for example a `ScriptedModel`; `None` goes back to the configured one.

    Raises:
        UserError: the extension is not loaded.
    """
    from IPython.core.getipython import get_ipython  # as above

    from .door import door_of

    door_of(get_ipython()).session.model = model


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext codeact`: kills the sandboxes; the tools stay marked."""
    from .magics import unload

    unload(shell)
