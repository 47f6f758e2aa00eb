"""The CodeAct kernel: IPython's own, with the extension loaded before the first cell. It adds nothing else.

That a cell is a prompt, and all that follows, is the extension's; so is `tool`.
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
    """What `kernel_info` says; everything else is as in IPython's kernel."""

    implementation = "codeact"
    implementation_version = __version__

    @property
    def banner(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return f"CodeAct {__version__}: a cell that begins with > is a prompt; all else is Python.\n{super().banner}"


class CodeActKernelApp(IPKernelApp):
    def init_path(self) -> None:
        """Put the notebook's folder on the path as IPython does: after the standard library, before what is installed.

        IPython leaves it out for a Python that was started with -P. We were, so that no folder beside the notebook is
        taken for this package. From here on `import_guard` keeps that folder out of our imports.
        """
        import_module(f"{_EXTENSION}.magics")
        super().init_path()
        if "" in sys.path or self.ignore_cwd:
            return
        places = [number for number, path in enumerate(sys.path) if path.rstrip("/\\").endswith(_PACKAGES)]
        sys.path.insert(places[0] if places else 0, "")

    def init_extensions(self) -> None:
        super().init_extensions()  # the person's own
        shell: Any = self.shell
        try:
            shell.extension_manager.load_extension(_EXTENSION)
        except Exception:  # the kernel must start all the same: it is a Python kernel
            self.log.exception("The CodeAct extension cannot be loaded; this is a plain Python kernel.")


def launch(argv: Sequence[str]) -> None:
    """Serve a front end until it says goodbye.

    Args:
        argv: of ipykernel: `-f CONNECTION_FILE`, and any of its options.
    """
    app: Any = CodeActKernelApp
    app.launch_instance(list(argv), kernel_class=CodeActKernel)
