"""The folders and files of the host that programs may see, as a person names them.

A mount that exists is a mount that was checked: `FileMount` itself refuses what nobody should hand to a program.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from ..errors import UserError
from ..import_guard import protected_folders
from ..paths import cache_folder, data_folder, home

__all__ = ["FileMount", "FileMountInput", "Mode", "file_mount", "read_only_folders", "workspace_root"]

Mode: TypeAlias = Literal["ro", "rw"]

MOST_PARTS = 32
"""Of a mount's path: there are paths below it."""

# These as they are; a person can name a folder in them.
_SYSTEM = (
    *("/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/root", "/run", "/sbin", "/tmp", "/usr", "/var"),
    *("/Applications", "/Library", "/System", "/Users"),
)
_JUPYTER_DATA = {"darwin": ("Library", "Jupyter"), "win32": ("AppData", "Roaming", "jupyter")}
_SYSTEM_OF_WINDOWS = ("SYSTEMROOT", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMDATA")
# These with all that is in them: not what is on a disk, but the machine and its processes.
_MACHINE = ("/dev", "/proc", "/sys")


@dataclass(frozen=True, slots=True)
class FileMount:
    """A folder or file of the host, and where programs find it.

    Attributes:
        host_path: the folder or file, which must exist. Kept absolute, without links; `~` is the person's home.
        mount_path: kept as `/input/...`; `"/data"`, `"data"` and `"/input/data"` are the same.
        mode: `"ro"` to read it only, or `"rw"`.

    Raises:
        UserError: there is no such folder or file, it is one that no program should see, or the path is none.
    """

    host_path: str | Path
    mount_path: str
    mode: Mode = "ro"

    def __post_init__(self) -> None:
        if self.mode not in ("ro", "rw"):
            raise UserError(f"{self.mode!r} is no mode of a mount: give ro or rw.")
        path = _existing(self.host_path)
        if self.mode == "rw" and (ours := _ours(path)):
            raise UserError(f"{path} cannot be mounted with rw, {ours} is kept there: mount another folder.")
        object.__setattr__(self, "host_path", path)
        object.__setattr__(self, "mount_path", _mount_path(self.mount_path))

    def __str__(self) -> str:
        return f"{self.host_path}:{self.mount_path}:{self.mode}"


FileMountInput: TypeAlias = str | Path | tuple[str | Path, str] | FileMount


def file_mount(given: object) -> FileMount:
    """The mount that a person means.

    Args:
        given: a `FileMountInput`: `"/host"` (which appears at `/input/host`), `"/host:rw"`, `"/host:/guest"`,
            `"/host:/guest:rw"`, `("/host", "/guest")`, `("/host", "/guest:rw")`, or a `FileMount`. `:ro` can be said
            as well, and a list of two is as good as a tuple.

    Raises:
        UserError: it is none of these, or no such mount is possible.
    """
    match given:
        case FileMount():
            return given
        case Path():
            return FileMount(given, _same_path(str(given)))
        case str():
            text, mode = _split_mode(given)
            host, guest = _split_guest(text)
            return FileMount(host, guest or _same_path(host), mode)
        case [str() | Path() as host, str() as text]:
            guest, mode = _split_mode(text)
            return FileMount(host, guest, mode)
        case _:
            raise UserError(f"{given!r} is no mount: give /host/folder, /host/folder:/name or /host/folder:/name:rw.")


def workspace_root(given: str | Path) -> Path:
    """The folder that appears as `/input` itself, to be read only. Absolute, without links.

    Raises:
        UserError: there is no such folder, or it is one that no program should see.
    """
    path = _existing(given)
    if not path.is_dir():
        raise UserError(f"{path} is no folder: workspace_root needs one; a single file can be mounted.")
    return path


def _split_mode(text: str) -> tuple[str, Mode]:
    for mode in ("ro", "rw"):
        if text.endswith(f":{mode}"):
            return text[:-3], mode
    return text, "ro"


def _split_guest(text: str) -> tuple[str, str]:
    drive, rest = os.path.splitdrive(text)  # whose colon is none of ours
    host, _, guest = rest.rpartition(":/")  # a path of the guest, or the colon belongs to the name
    return (drive + host, f"/{guest}") if host else (text, "")


def _same_path(host: str) -> str:
    """Where a folder appears that was named without a place for it."""
    path = os.path.splitdrive(host)[1].replace("\\", "/")
    if ".." in path.split("/"):
        raise UserError(f"{host} leaves open where it appears: write {host}:/name.")
    return path.removeprefix("~")


def _mount_path(given: str) -> str:
    parts = [part for part in given.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    if parts and parts[0] == "input":
        parts = parts[1:]
    if not parts:
        raise UserError("A mount needs a path below /input, for example /data; workspace_root fills /input itself.")
    if ".." in parts:
        raise UserError(f"{given} leads out of /input: give a path without '..'.")
    if len(parts) > MOST_PARTS or not all(part.isprintable() and len(os.fsencode(part)) <= 255 for part in parts):
        raise UserError(f"{given!r} is no path for a mount: give a short one of visible characters, such as /data.")
    return str(PurePosixPath("/input", *parts))


def _existing(given: str | Path) -> Path:
    text = str(given)
    if not text.strip() or "\0" in text:
        raise UserError(f"{text!r} is no path: name a folder or file to mount.")
    try:
        path = Path(text).expanduser().resolve(strict=True)
        kind = path.is_dir() or path.is_file()
    except (OSError, RuntimeError):
        raise UserError(f"{text} cannot be mounted: there is no such folder or file.") from None
    if not kind:
        raise UserError(f"{text} cannot be mounted: it is neither a folder nor a file.")
    if path in _refused() or _resolved(home()).is_relative_to(path) or path == Path(path.anchor):
        raise UserError(f"{path} is too much for a program to see: mount a folder in it.")
    if any(path.is_relative_to(machine) for machine in _MACHINE):
        raise UserError(f"{path} belongs to the machine and not to your data: it cannot be mounted.")
    return path


def _refused() -> Iterator[Path]:
    if sys.platform == "win32":
        return (_resolved(Path(os.environ[name])) for name in _SYSTEM_OF_WINDOWS if name in os.environ)
    return (_resolved(Path(name)) for name in _SYSTEM)  # some of them are links


def _ours(path: Path) -> str:
    """Name what lies in `path` that a program could change to take over the kernel; empty if nothing does.

    A project may well have its virtual environment in it: `files` keeps that read-only inside the mount.
    """
    kept = {"what you allowed": data_folder(), "the compiled sandbox": cache_folder()}
    for what, folder in kept.items():
        folder = _resolved(folder)
        if folder.is_relative_to(path) or path.is_relative_to(folder):
            return what
    if any(path.is_relative_to(folder) for folder in read_only_folders()):
        return "code that your kernels run"
    return ""


def _startup_folders() -> Iterator[Path]:
    """Yield the folders whose files IPython and Jupyter run or obey when a kernel starts."""
    defaults = {
        "IPYTHONDIR": home() / ".ipython",
        "JUPYTER_CONFIG_DIR": home() / ".jupyter",
        "JUPYTER_DATA_DIR": home().joinpath(*_JUPYTER_DATA.get(sys.platform, (".local", "share", "jupyter"))),
    }
    for variable, folder in defaults.items():
        yield Path(os.environ.get(variable) or folder)


def read_only_folders() -> list[Path]:
    """Return the folders that stay read-only inside a folder mounted `rw`: code in them runs outside the sandbox."""
    return [*map(Path, protected_folders()), *(_resolved(folder) for folder in _startup_folders())]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path
