"""The folders and files of the host that programs may see, and the forms in which the user can write them.

`FileMount` checks itself, so that no object exists for a folder that no program should see.
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

MAX_PARTS = 32
"""Parts of a mount's path, below which there are further paths."""

# Folders that cannot be mounted themselves, but whose subfolders can.
_SYSTEM = (
    *("/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/root", "/run", "/sbin", "/tmp", "/usr", "/var"),
    *("/Applications", "/Library", "/System", "/Users"),
)
_JUPYTER_DATA = {"darwin": ("Library", "Jupyter"), "win32": ("AppData", "Roaming", "jupyter")}
_SYSTEM_OF_WINDOWS = ("SYSTEMROOT", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMDATA")
# Folders that cannot be mounted with anything in them: they show the machine and its processes, not a disk.
_MACHINE = ("/dev", "/proc", "/sys")


@dataclass(frozen=True, slots=True)
class FileMount:
    """A folder or file of the host, and its path for programs.

    Attributes:
        host_path: the folder or file, which must exist. It is stored as an absolute path without links; `~` is the home
            of the user.
        mount_path: stored as `/input/...`; `"/data"`, `"data"` and `"/input/data"` are the same.
        mode: `"ro"` for read-only, or `"rw"`.

    Raises:
        UserError: if the folder or file does not exist or should not be seen by programs, or a path is not valid.
    """

    host_path: str | Path
    mount_path: str
    mode: Mode = "ro"

    def __post_init__(self) -> None:
        if self.mode not in ("ro", "rw"):
            raise UserError(f"{self.mode!r} is not a mode of a mount: use ro or rw.")
        path = _existing(self.host_path)
        if self.mode == "rw" and (ours := _describe_own_files(path)):
            raise UserError(f"{path} cannot be mounted with rw, {ours} is kept there: mount another folder.")
        object.__setattr__(self, "host_path", path)
        object.__setattr__(self, "mount_path", _mount_path(self.mount_path))

    def __str__(self) -> str:
        return f"{self.host_path}:{self.mount_path}:{self.mode}"


FileMountInput: TypeAlias = str | Path | tuple[str | Path, str] | FileMount


def file_mount(given: object) -> FileMount:
    """Parse a mount.

    Args:
        given: a `FileMountInput`: `"/host"` (which appears at `/input/host`), `"/host:rw"`, `"/host:/guest"`,
            `"/host:/guest:rw"`, `("/host", "/guest")`, `("/host", "/guest:rw")`, or a `FileMount`. `:ro` is allowed
            too, and so is a list of two instead of a tuple.

    Raises:
        UserError: if the value has another form, or the mount is not possible.
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
            raise UserError(f"{given!r} is not a mount: use /host/folder, /host/folder:/name or /host/folder:/name:rw.")


def workspace_root(given: str | Path) -> Path:
    """Check the folder that appears as `/input` itself, read-only; return its absolute path without links.

    Raises:
        UserError: if the folder does not exist or should not be seen by programs.
    """
    path = _existing(given)
    if not path.is_dir():
        raise UserError(f"{path} is not a folder: workspace_root needs a folder; mount a single file instead.")
    return path


def _split_mode(text: str) -> tuple[str, Mode]:
    for mode in ("ro", "rw"):
        if text.endswith(f":{mode}"):
            return text[:-3], mode
    return text, "ro"


def _split_guest(text: str) -> tuple[str, str]:
    drive, rest = os.path.splitdrive(text)  # its colon does not separate paths
    host, _, guest = rest.rpartition(":/")  # other colons belong to the name
    return (drive + host, f"/{guest}") if host else (text, "")


def _same_path(host: str) -> str:
    """Return the mount path of a folder that was given without one."""
    path = os.path.splitdrive(host)[1].replace("\\", "/")
    if ".." in path.split("/"):
        raise UserError(f"{host} has no clear path for programs: write {host}:/name.")
    return path.removeprefix("~")


def _mount_path(given: str) -> str:
    parts = [part for part in given.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    if parts and parts[0] == "input":
        parts = parts[1:]
    if not parts:
        raise UserError("A mount needs a path below /input, for example /data; workspace_root fills /input itself.")
    if ".." in parts:
        raise UserError(f"{given} leads out of /input: use a path without '..'.")
    if len(parts) > MAX_PARTS or not all(part.isprintable() and len(os.fsencode(part)) <= 255 for part in parts):
        raise UserError(f"{given!r} is not a path for a mount: use a short printable path, such as /data.")
    return str(PurePosixPath("/input", *parts))


def _existing(given: str | Path) -> Path:
    text = str(given)
    if not text.strip() or "\0" in text:
        raise UserError(f"{text!r} is not a path: name a folder or file to mount.")
    try:
        path = Path(text).expanduser().resolve(strict=True)
        kind = path.is_dir() or path.is_file()
    except (OSError, RuntimeError):
        raise UserError(f"{text} cannot be mounted: there is no such folder or file.") from None
    if not kind:
        raise UserError(f"{text} cannot be mounted: it is neither a folder nor a file.")
    if path in _system_folders() or _resolved(home()).is_relative_to(path) or path == Path(path.anchor):
        raise UserError(f"{path} is too much for a program to see: mount a folder in it.")
    if any(path.is_relative_to(machine) for machine in _MACHINE):
        raise UserError(f"{path} belongs to the machine and not to your data: mount another folder.")
    return path


def _system_folders() -> Iterator[Path]:
    if sys.platform == "win32":
        return (_resolved(Path(os.environ[name])) for name in _SYSTEM_OF_WINDOWS if name in os.environ)
    return (_resolved(Path(name)) for name in _SYSTEM)  # some of these folders are links


def _describe_own_files(path: Path) -> str:
    """Say what in `path` a program could change to take over the kernel; return an empty string if there is nothing.

    A project can have its virtual environment in it, which `files` keeps read-only inside the mount.
    """
    folders = {"what you allowed": data_folder(), "the compiled sandbox": cache_folder()}
    for description, folder in folders.items():
        folder = _resolved(folder)
        if folder.is_relative_to(path) or path.is_relative_to(folder):
            return description
    if any(path.is_relative_to(folder) for folder in read_only_folders()):
        return "code that your kernels run"
    return ""


def _startup_folders() -> Iterator[Path]:
    """Yield the folders whose files IPython and Jupyter run or read as configuration when a kernel starts."""
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
