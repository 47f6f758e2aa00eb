"""Build the standard-library pack of the sandbox before a wheel or an editable install is made.

The hook is configured only for the wheel target, so a source archive never contains the pack.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

GUEST = "codeact_kernel/guest"
PACK = f"{GUEST}/stdlib.zip"


class PackHook(BuildHookInterface[Any]):
    """Builds the pack if it is missing or its recipe has changed, and adds it to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pack; hatchling calls this before it collects files.

        Args:
            version: `"standard"` or `"editable"`.
        """
        pack = _builder(Path(self.root, GUEST))
        target = Path(self.root, PACK)
        if not pack.is_current(target):
            self.app.display_info("Building the standard library for the sandbox: about 15 seconds.")
            pack.build(target)
        build_data["artifacts"].append(PACK)  # hatchling leaves out files that git ignores


def _builder(folder: Path) -> Any:
    # This replaces the package `codeact_kernel.guest`, whose import needs packages that a build may not have.
    package = ModuleType("codeact_guest_builder")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.pack")
