"""The CodeAct kernel: IPython's kernel, with the extension loaded before the first cell.

The extension does everything else: it turns cells into prompts, and provides `tool`.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportMissingTypeStubs=false
# pyright: reportUntypedBaseClass=false
# ipykernel has next to no types.

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp

from .. import __version__

__all__ = ["CodeActKernel", "launch"]

_EXTENSION = "codeact"
_PACKAGES = ("site-packages", "dist-packages")


class CodeActKernel(IPythonKernel):
    """IPython's kernel with another name and banner."""

    implementation = "codeact"
    implementation_version = __version__

    @property
    def banner(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        about = f"CodeAct {__version__}: a cell that begins with > is a prompt; all other cells are Python."
        return f"{about}\n{super().banner}"


class CodeActKernelApp(IPKernelApp):
    def init_path(self) -> None:
        """Put the notebook's folder on the path, after the standard library and before installed packages.

        IPython does the same, but not if Python runs with -P. The kernel runs with -P, so that no folder next to the
        notebook can replace this package. From here on, `import_guard` keeps that folder out of our own imports.
        """
        import_module(f"{_EXTENSION}.magics")
        super().init_path()
        if "" in sys.path or self.ignore_cwd:
            return
        places = [number for number, path in enumerate(sys.path) if path.rstrip("/\\").endswith(_PACKAGES)]
        sys.path.insert(places[0] if places else 0, "")

    def init_extensions(self) -> None:
        super().init_extensions()  # the user's extensions
        shell: Any = self.shell
        try:
            shell.extension_manager.load_extension(_EXTENSION)
        except Exception:  # the kernel must start in any case, as a Python kernel
            self.log.exception("The CodeAct extension cannot be loaded; this is a plain Python kernel.")


def launch(argv: Sequence[str]) -> None:
    """Run the kernel until the front end shuts it down.

    Args:
        argv: The arguments of ipykernel: `-f CONNECTION_FILE`, and any of its options.
    """
    app: Any = CodeActKernelApp
    app.launch_instance(list(argv), kernel_class=CodeActKernel)
