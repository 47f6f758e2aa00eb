"""Keep the working folder, and every folder a program may write to, out of the imports that our code makes.

Jupyter puts the working folder on `sys.path`, before the installed packages. A folder may come from a stranger, and a
program may write to it where the user mounts it `rw`. So an import that our code makes, however late and however deep
inside a library, must never find a module there. An import that the user's code makes must find it, exactly as in
IPython's own kernel.

`GuardedPathFinder` replaces `PathFinder`, the finder that reads `sys.path`. It looks at the call stack to see who
imports: the nearest frame that belongs to us or to the user decides. Frames of libraries and of the interpreter decide
nothing. Light: the kernel's start and the command line import this file first.
"""

# pyright: reportPrivateUsage=false
# sys._getframe is how a program looks at its call stack; `inspect` has the same, and many imports of its own.

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder

__all__ = [
    "GuardedPathFinder",
    "allow_writes_to",
    "find_importer",
    "import_for_user",
    "install",
    "protected_folders",
    "trusted_path",
]

_OUR_PACKAGES = ("codeact_kernel", "codeact")
_LAUNCHERS = frozenset({"codeact_kernel.__main__", "codeact_kernel.jupyter.kernel"})
"""They start the kernel: their frames are below everything that the user runs in it, and decide nothing."""
_INSTALLED = ("site-packages", "dist-packages")

_written: set[str] = set()
"""Real paths of the folders that a program of this process was allowed to write to."""


class GuardedPathFinder(PathFinder):
    """Search like `PathFinder`, but for an import that our code makes look only in `trusted_path()`."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # The path of a regular package is a list, fixed when the package was imported. That of a namespace package is
        # computed from sys.path again and again. And a module that is being reloaded stays where it is.
        if (isinstance(path, list) and path is not sys.path) or fullname in sys.modules:
            return PathFinder.find_spec(fullname, path, target)
        importer = find_importer(sys._getframe(1))
        if importer == "user":
            return PathFinder.find_spec(fullname, path, target)
        found = PathFinder.find_spec(fullname, trusted_path(sys.path if path is None else path), target)
        if found is None and importer == "library":  # in a thread, or called by the kernel: for whom is not known
            return PathFinder.find_spec(fullname, path, target)
        return found

    @classmethod
    def find_distributions(cls, context: DistributionFinder.Context | None = None) -> Iterable[Distribution]:  # type: ignore[override]
        """Find installed distributions: their entry points name modules to import, so the same rule holds."""
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        given: dict[str, Any] = {} if context is None else dict(vars(context))
        if "path" not in given and find_importer(sys._getframe(1)) == "ours":
            given["path"] = trusted_path()
        # PathFinder has this method, too, until importlib_metadata removes it. Before 3.12, keyring brings that along.
        return MetadataPathFinder.find_distributions(DistributionFinder.Context(**given))


def install() -> None:
    """Put `GuardedPathFinder` in the place of `PathFinder`. A second call changes nothing."""
    if GuardedPathFinder not in sys.meta_path:
        place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
        sys.meta_path[place : place + 1] = [GuardedPathFinder]


def allow_writes_to(folder: str | os.PathLike[str]) -> None:
    """Note that programs may write to `folder`: for the rest of this process our code imports nothing from it."""
    _written.add(os.path.realpath(folder))


def import_for_user(name: str) -> ModuleType:
    """Import a module that the user named on a command line, also from the working folder, as `python -m` would."""
    return import_module(name)


def trusted_path(path: Iterable[str] | None = None) -> list[str]:
    """Return the entries of `path` (by default `sys.path`) from which our code may import.

    Left out are relative entries, the working folder, and folders that programs may write to. Folders in which Python
    itself or installed packages lie stay: there programs may not write (`protected_folders`).
    """
    try:
        working = os.path.realpath(os.getcwd())
    except OSError:  # it was removed
        working = ""
    return list(_filter_path(tuple(sys.path if path is None else path), working, frozenset(_written)))


@cache
def _filter_path(path: tuple[str, ...], working: str, written: frozenset[str]) -> tuple[str, ...]:
    def is_trusted(entry: str) -> bool:
        if not os.path.isabs(entry):
            return False
        real = os.path.realpath(entry)
        if any(_is_inside(real, folder) for folder in protected_folders()):
            return True
        return not (_is_same(real, working) or any(_is_inside(real, folder) for folder in written))

    return tuple(entry for entry in path if is_trusted(entry))


@cache
def protected_folders() -> tuple[str, ...]:
    """Return the real paths of the folders from which this Python imports installed code, and of our own packages.

    A program never gets write access to what is in them, wherever they lie.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    folders = [os.path.dirname(os.__file__), os.path.dirname(sys.executable or ""), here]
    if sys.prefix != sys.base_prefix:  # a virtual environment is only Python; another prefix may be all of /usr
        folders.append(sys.prefix)
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    folders += [entry for entry in sys.path if os.path.basename(entry.rstrip("/\\")) in _INSTALLED]
    extension = os.path.join(os.path.dirname(here), "extension", "codeact")
    folders.append(extension if os.path.isdir(extension) else os.path.join(os.path.dirname(here), "codeact"))
    return tuple(dict.fromkeys(os.path.realpath(folder) for folder in folders if os.path.isabs(folder)))


def find_importer(frame: FrameType | None) -> Literal["ours", "user", "library"]:
    """Say for whom an import is made whose innermost frame is `frame`.

    Returns:
        `"ours"` or `"user"` for the nearest frame that is one of them; `"library"` when no frame is.
    """
    while frame is not None:
        if frame.f_code is import_for_user.__code__:
            return "user"
        name, file = frame.f_globals.get("__name__"), frame.f_globals.get("__file__")
        if isinstance(name, str) and name.partition(".")[0] in _OUR_PACKAGES:
            if name not in _LAUNCHERS:
                return "ours"
        elif (name == "__main__" or isinstance(file, str)) and not _is_library(file):
            return "user"
        frame = frame.f_back
    return "library"


@cache
def _is_library(file: object) -> bool:
    """Whether a module's file is the interpreter's or an installed package's. A cell has no file."""
    if not isinstance(file, str):
        return False
    if file.startswith("<frozen "):
        return True
    real = os.path.realpath(file) if os.path.isabs(file) else ""
    return any(_is_inside(real, folder) for folder in protected_folders())


def _is_same(path: str, other: str) -> bool:
    try:
        return path == other or os.path.samefile(path, other)  # in a file system that takes A for a, for example
    except OSError:
        return False


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
