"""The code of the guest, which the host reads as text and bytes. Only `in_cells` executes modules of it in the kernel.

This module reads the standard-library pack that `pack.py` builds. The worker imports it, so it must stay light.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import UserError

__all__ = ["Module", "Pack", "modules"]

PACK = Path(__file__).with_name("stdlib.zip")
LIBRARY = "/python/lib/python3.14/"
"""The folder of the guest's own modules, according to them; `build_guest.py` compiles with the same folder."""
PYC_HEADER = 16
_ZONES = "zones/"


@dataclass(frozen=True, slots=True)
class Module:
    """One module for the guest's importer.

    Attributes:
        package: The module has submodules.
        code: The marshalled bytecode, without the header of a `.pyc`.
        filename: The name of the file in tracebacks of the guest; the host has no such file.
    """

    package: bool
    code: bytes
    filename: str


class Pack:
    """The standard-library pack in memory: once it is open, it needs no file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        # Names from the guest are looked up here and never become a path.
        self._paths: Mapping[str, str] = {
            _module_name(path): path for path in archive.namelist() if path.startswith("lib/") and path.endswith(".py")
        }
        self._zones = frozenset(path.removeprefix(_ZONES) for path in archive.namelist() if path.startswith(_ZONES))

    @classmethod
    def open(cls, path: Path = PACK) -> Pack:
        """Read the whole pack, about 7 MB.

        Raises:
            UserError: The pack at `path` is missing or damaged.
        """
        try:
            return cls(zipfile.ZipFile(io.BytesIO(path.read_bytes())))
        except OSError:
            problem = "was not built"
        except zipfile.BadZipFile:
            problem = "is damaged"
        raise UserError(
            f"The standard library for the sandbox ({path}) {problem}: run `pip install -e .` in a clone,"
            " or install codeact-kernel again."
        )

    @classmethod
    def empty(cls) -> Pack:
        """Return a pack without modules, for a guest that has its own library of another version."""
        return cls(zipfile.ZipFile(io.BytesIO(), "w"))

    def module(self, name: str) -> Module | None:
        """Return the module with the full name `name`, or `None` if the pack does not have it."""
        path = self._paths.get(name)
        if path is None:
            return None
        code = self._archive.read(f"{path}c")[PYC_HEADER:]
        return Module(package=path.endswith("/__init__.py"), code=code, filename=LIBRARY + path.removeprefix("lib/"))

    def source(self, name: str) -> str | None:
        """Return the source text of the module `name`, or `None` if the pack does not have it."""
        path = self._paths.get(name)
        return None if path is None else self._archive.read(path).decode()

    def zone(self, name: str) -> bytes | None:
        """Return the rules of the time zone `name`, or `None` if the pack does not have it."""
        return self._archive.read(f"{_ZONES}{name}") if name in self._zones else None

    def zones(self) -> list[str]:
        """Return the names of all time zones, sorted."""
        return sorted(self._zones)

    def names(self) -> frozenset[str]:
        """Return the full names of all modules in the pack, including private modules."""
        return frozenset(self._paths)

    def importable(self) -> tuple[str, ...]:
        """Return the sorted public names that a program can import, from the pack or from the guest itself."""
        return tuple(json.loads(self._archive.read("modules.json"))["importable"])


@cache
def modules() -> tuple[str, ...]:
    """Return the sorted public names of modules and submodules that the guest could import when the pack was built.

    Raises:
        UserError: The pack is missing or damaged.
    """
    return Pack.open().importable()


def _module_name(path: str) -> str:
    return path.removeprefix("lib/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")
