"""Builds the standard-library pack of the sandbox before a wheel or an editable install is made.

It is configured for the wheel target alone, so a source archive never holds the pack.
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
    """Makes the pack when it is missing or older than its recipe, and adds it to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling calls this before it collects files; `version` is `"standard"` or `"editable"`."""
        pack = _builder(Path(self.root, GUEST))
        target = Path(self.root, PACK)
        if not pack.is_current(target):
            self.app.display_info("Building the standard library for the sandbox: about 15 seconds.")
            pack.build(target)
        build_data["artifacts"].append(PACK)  # git ignores the pack, and hatchling leaves out what git ignores


def _builder(folder: Path) -> Any:
    # A stand-in for the package `codeact_kernel.guest`, whose import may need more than a build has installed.
    package = ModuleType("codeact_guest_builder")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    return importlib.import_module(f"{package.__name__}.pack")
