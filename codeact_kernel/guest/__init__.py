"""What runs inside the guest, read by the host as text and bytes and never executed there.

This module reads the standard-library pack that `pack.py` builds. The worker imports it: it stays light.
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
"""Where the guest's own modules say they come from; `build_guest.py` compiles with the same."""
PYC_HEADER = 16
_ZONES = "zones/"


@dataclass(frozen=True, slots=True)
class Module:
    """One module for the guest's importer.

    Attributes:
        package: whether it has submodules.
        code: its marshalled bytecode, without the header of a `.pyc`.
        filename: what tracebacks in the guest call it; no file of the host.
    """

    package: bool
    code: bytes
    filename: str


class Pack:
    """The standard-library pack, held in memory: once open it needs no file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        # The only names there are. One that comes from the guest is looked up here, and never becomes a path.
        self._paths: Mapping[str, str] = {
            _module_name(path): path for path in archive.namelist() if path.startswith("lib/") and path.endswith(".py")
        }
        self._zones = frozenset(path.removeprefix(_ZONES) for path in archive.namelist() if path.startswith(_ZONES))

    @classmethod
    def open(cls, path: Path = PACK) -> Pack:
        """Read the whole pack, about 7 MB.

        Raises:
            UserError: there is no pack at `path`, or it is damaged.
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

    def module(self, name: str) -> Module | None:
        """The module with the full name `name`, or `None` when the pack has none."""
        path = self._paths.get(name)
        if path is None:
            return None
        code = self._archive.read(f"{path}c")[PYC_HEADER:]
        return Module(package=path.endswith("/__init__.py"), code=code, filename=LIBRARY + path.removeprefix("lib/"))

    def source(self, name: str) -> str | None:
        """The source text of `name`, or `None` when the pack has no such module."""
        path = self._paths.get(name)
        return None if path is None else self._archive.read(path).decode()

    def zone(self, name: str) -> bytes | None:
        """The rules of the time zone `name`, or `None` when the pack has none."""
        return self._archive.read(f"{_ZONES}{name}") if name in self._zones else None

    def zones(self) -> list[str]:
        """The names of all time zones, sorted."""
        return sorted(self._zones)

    def names(self) -> frozenset[str]:
        """The full names of all modules in the pack, private ones too."""
        return frozenset(self._paths)

    def importable(self) -> tuple[str, ...]:
        """The sorted public names that a program can import, from the pack or from the guest itself."""
        return tuple(json.loads(self._archive.read("modules.json"))["importable"])


@cache
def modules() -> tuple[str, ...]:
    """The sorted public module names, dotted ones too, that were seen to import in the guest when the pack was built.

    Raises:
        UserError: the pack was not built, or it is damaged.
    """
    return Pack.open().importable()


def _module_name(path: str) -> str:
    return path.removeprefix("lib/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")
