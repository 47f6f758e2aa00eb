"""Builds `stdlib.zip`, the library that the stock guest lacks: run at build time, never at run time.

The wheel of componentize-py carries the library of the very CPython the guest was made from, as a zstd-compressed tar
inside its native file. That is a layout and no API, so its version is pinned and what is found is checked. Bytecode is
compiled inside the guest: importing it is several times faster than importing source, and the CPython that builds
speaks another one.

    LICENSE.txt, THIRD_PARTY_NOTICES.txt     of the sources
    recipe.json                              what the pack was made from
    modules.json                             what the guest can import; what it cannot, and why
    lib/<path>.py, lib/<path>.pyc            a pair for each module
    zones/<name>                             the rules of a time zone, as `zoneinfo` reads them

The build hook uses this file before the package is installed: beside `build_guest.py` it imports nothing of ours.
"""

from __future__ import annotations

import binascii
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from .build_guest import MAGIC, PYTHON, Guest, PackError, Source, Trial, compile_all, folder_of, import_all, parts

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd  # pyright: ignore[reportMissingTypeStubs]  # as other backports are there or not

__all__ = ["PackError", "build", "find_library", "is_current", "recipe"]

INGREDIENTS = ("componentize-py", "hyperlight-sandbox-python-guest", "tzdata", "wasmtime")
NEEDED = ("asyncio", "csv", "datetime", "decimal", "hashlib", "json", "math", "re", "statistics", "traceback")
GUESTS_OWN = ("componentize_py", "sandbox_executor", "wit_world")
ZSTD_FRAME = b"\x28\xb5\x2f\xfd"

# What imports in the guest but is of no use there. What does not import is found out by trying.
LEFT_OUT = {
    **dict.fromkeys(("__hello__", "__phello__", "antigravity", "idlelib", "this", "turtledemo"), "not for programs"),
    **dict.fromkeys(("ensurepip", "venv"), "nothing can be installed in the sandbox"),
    **dict.fromkeys(("_aix_support", "_android_support", "_apple_support", "_ios_support", "_osx_support"), "not WASI"),
    **dict.fromkeys(("_py_abc", "_pydatetime", "_pyio"), "the guest has the C version"),
    "multiprocessing": "the sandbox has no processes",
    "pydoc_data": "large, and only for help('topic')",
}

NOTICES = f"""\
This archive holds modules of the standard library of CPython {PYTHON}: their source, unchanged, and the bytecode
compiled from it. They were taken from the wheel of componentize-py.
Copyright (c) 2001 Python Software Foundation; All Rights Reserved. The licence is LICENSE.txt beside this file.
The folder zones holds the time zone database of IANA, which is in the public domain, from the package tzdata.
"""


def build(target: Path) -> None:
    """Build the pack and put it at `target`, whole or not at all.

    Raises:
        PackError: a part is missing, or is not what this recipe was written for.
    """
    library = find_library(_native_file().read_bytes())
    sources = _sources(library)
    guest = Guest()
    stock = compile_all(guest, sources)
    trial = import_all(guest, sources, stock)
    for name in NEEDED:
        if name not in trial.importable:
            raise PackError(f"The guest cannot import {name} ({trial.failed.get(name)}): install the pinned versions.")
    _write(target, library["LICENSE.txt"], sources, trial)


def is_current(target: Path) -> bool:
    """Whether the pack at `target` was made by this very recipe from the installed versions."""
    try:
        with zipfile.ZipFile(target) as pack:
            return json.loads(pack.read("recipe.json")) == recipe()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False


def recipe() -> dict[str, str]:
    """What decides the contents of a pack: the versions of its ingredients, and the code that makes it."""
    versions = {name: importlib.metadata.version(name) for name in INGREDIENTS}
    code = b"".join(Path(__file__).with_name(name).read_bytes() for name in ("pack.py", "build_guest.py"))
    return {**versions, "recipe": hashlib.sha256(code).hexdigest()}


def _native_file() -> Path:
    folder = folder_of("componentize_py")
    files = [file for file in folder.iterdir() if file.suffix in (".so", ".pyd")]
    if len(files) != 1:
        raise PackError(f"{folder} has {len(files)} native files instead of one: install the pinned componentize-py.")
    return files[0]


def find_library(native: bytes) -> dict[str, bytes]:
    """The files of the tar that is CPython's library, found among other compressed data.

    Raises:
        PackError: it is not there, is of another CPython, or has no licence.
    """
    start = native.find(ZSTD_FRAME)
    while start >= 0:
        try:
            data = zstd.ZstdDecompressor().decompress(memoryview(native)[start:])
        except zstd.ZstdError:
            data = b""  # four bytes that only looked like a frame
        if data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                files = {item.name: file.read() for item in tar if (file := tar.extractfile(item))}
            if "build-details.json" in files:
                return _checked(files)
        start = native.find(ZSTD_FRAME, start + 1)
    raise PackError("componentize-py carries no CPython library where it used to: install the pinned version of it.")


def _checked(files: dict[str, bytes]) -> dict[str, bytes]:
    details = json.loads(files["build-details.json"])
    found = "{major}.{minor}.{micro}".format(**details["language"]["version_info"])
    if (found, details["platform"]) != (PYTHON, "wasi-wasm32"):
        raise PackError(
            f"componentize-py carries CPython {found} instead of {PYTHON}: install the pinned version of it."
        )
    if b"PYTHON SOFTWARE FOUNDATION LICENSE" not in files.get("LICENSE.txt", b""):
        raise PackError("componentize-py carries CPython without its licence: install the pinned version of it.")
    return files


def _sources(library: Mapping[str, bytes]) -> dict[str, Source]:
    """The modules worth having, by name."""
    sources: dict[str, Source] = {}
    for path, data in sorted(library.items()):
        name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        if path.endswith(".py") and not name.endswith("__main__") and name.split(".")[0] not in LEFT_OUT:
            sources[name] = Source(path, importlib.util.decode_source(data))
    return sources


def _zones() -> dict[str, bytes]:
    """The time zones, by name."""
    folder = folder_of("tzdata")
    names = folder.joinpath("zones").read_text(encoding="utf-8").split()
    return {name: folder.joinpath("zoneinfo", *name.split("/")).read_bytes() for name in names}


def _public(name: str) -> bool:
    private = any(part.startswith("_") for part in parts(name)) and name != "__future__"
    return not private and not name.startswith(GUESTS_OWN)


def _write(target: Path, licence: bytes, sources: Mapping[str, Source], trial: Trial) -> None:
    failed = {name: reason for name, reason in {**LEFT_OUT, **trial.failed}.items() if _public(name)}
    importable = sorted(name for name in trial.importable if _public(name))
    files = {
        "LICENSE.txt": licence,
        "THIRD_PARTY_NOTICES.txt": NOTICES.encode(),
        "recipe.json": _json(recipe()),
        "modules.json": _json({"python": PYTHON, "importable": importable, "failed": failed}),
    }
    # A .pyc begins with its magic, the flag "by hash, never checked", and no hash.
    header = MAGIC.to_bytes(2, "little") + b"\r\n" + (1).to_bytes(4, "little") + bytes(8)
    for name, source in sources.items():
        if name not in trial.failed:
            files[f"lib/{source.path}"] = source.text.encode()
            files[f"lib/{source.path}c"] = header + binascii.a2b_base64(source.code)
    files.update({f"zones/{name}": data for name, data in _zones().items()})
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(beside, "w") as pack:
            for path, data in files.items():
                pack.writestr(zipfile.ZipInfo(path), data, zipfile.ZIP_DEFLATED, 9)  # ZipInfo: without today's date
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()
