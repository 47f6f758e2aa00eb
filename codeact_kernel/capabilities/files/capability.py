"""The capability `files`: handlers with which programs read mounted files and write to /output.

No guest contains a folder, on any backend. Every access of a program is a call of a handler here, which checks it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from typing import TypeAlias

from ...access.mounts import FileMount, read_only_folders
from ...capability import FILES
from ...errors import ProgramError, UserError
from ...import_guard import allow_writes_to
from ...settings import Limits
from ...types import JSONObject, JSONValue, OutputFile
from ..base import Handler
from .change_hold import ChangeHold
from .filesystem import MODES, Entry, FileSystem, OpenFile, Parts, os_error, parts_of
from .host_folder import HostFile, HostFolder
from .instructions import file_instructions
from .memory_folder import MemoryFolder
from .mount_table import MountTable
from .output_writer import save
from .quota import Quota

__all__ = ["Files"]

_MAX_WAIT = 2.0
"""Seconds to wait for an operation of a run that was stopped."""
MAX_OPEN_FILES = 64
MAX_PIECE = 1 << 20
"""Bytes in one call of a handler."""
FIRST_PIECE = 1 << 16
"""A shorter file is sent with the answer to `open`."""
_MAX_NUMBER = 1 << 53  # JSON numbers up to here are exact everywhere

_CHANGES = frozenset({"open", "mkdir", "remove", "rmdir", "rename"})
_PRINTABLE = bytes(range(32, 127)) + b"\t\n\r"

_Operation: TypeAlias = Callable[[JSONObject], JSONValue]


class Files:
    """The files of the programs of one turn. Close it at the end of the turn.

    Args:
        mounts: folders and files of the host.
        workspace_root: a folder that becomes `/input` itself, read-only.
        limits: the maximum sizes of answers and of written files.

    Attributes:
        hold: holds back changes to mounted folders.

    Raises:
        UserError: if two mounts have the same path, or a folder no longer exists.
    """

    declaration = FILES
    name = FILES.name
    names = frozenset(FILES.guest_names)

    def __init__(
        self,
        mounts: Sequence[FileMount],
        workspace_root: Path | None,
        limits: Limits,
    ) -> None:
        self.guest_config: JSONObject = {}
        self.hold = ChangeHold()
        self.handlers: Mapping[str, Handler] = {
            name: self._handler(name, operation) for name, operation in self._operations().items()
        }
        self._piece = max(1, min(MAX_PIECE, limits.answer_bytes // 3))  # JSON takes up to 2.5 times as many bytes
        self._outputs = MemoryFolder(limits.output)
        self._file_systems: dict[Parts, FileSystem] = {
            ("output",): self._outputs,
            ("tmp",): MemoryFolder(limits.output, "/tmp"),  # for `tempfile`
        }
        self._mount_modes: dict[str, bool] = {}
        self._open: dict[int, OpenFile] = {}
        self._numbers = count(1)
        # The thread of an operation continues after its run was stopped, so the next operation must wait for it.
        self._lock = threading.Lock()
        self._mount_table = MountTable(self._file_systems)
        quota = Quota(limits.output)
        try:
            if workspace_root is not None:
                self._mount("/input", workspace_root, False, quota)
            for mount in mounts:
                self._mount(mount.mount_path, Path(mount.host_path), mount.mode == "rw", quota)
        except BaseException:
            self.close()
            raise

    def _mount(self, mount_path: str, path: Path, writable: bool, quota: Quota) -> None:
        parts = parts_of(mount_path)
        if parts in self._file_systems:
            raise UserError(f"Two mounts have the path {mount_path}: give one of them another path.")
        if writable:
            allow_writes_to(path)
        self._file_systems[parts] = HostFolder(path, quota, writable=writable, read_only=read_only_folders())
        self._mount_modes[mount_path] = writable

    @property
    def instructions(self) -> str:
        """Lines for the prompt about the mounts and the names in them."""
        return file_instructions(self._mount_table, self._mount_modes)

    @property
    def outputs(self) -> Mapping[str, bytes]:
        """A copy of the written files, by their paths below /output."""
        with self._locked():
            return self._outputs.files

    def save(self, folder: Path) -> tuple[OutputFile, ...]:
        """Save the written files in a new folder inside `folder`. Without files, create no folder.

        Raises:
            UserError: if the folder cannot be created or written.
        """
        return save(self.outputs, folder)

    def start_run(self) -> None:
        """Close the files that the previous run left open."""
        with self._locked():
            self._close_files()

    def close(self) -> None:
        """Close all files and mounts. The written files stay in `outputs`."""
        with suppress(UserError), self._locked():  # files on a dead disk stay open until the process ends
            self._close_files()
            for file_system in self._file_systems.values():
                file_system.close()
            self._file_systems.clear()

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Wait for an operation of a stopped run, but only briefly, because this blocks the event loop.

        Raises:
            UserError: if the operation does not end.
        """
        if not self._lock.acquire(timeout=_MAX_WAIT):
            raise UserError("A mounted folder does not respond: check its disk, then run the cell again.")
        try:
            yield
        finally:
            self._lock.release()

    def _close_files(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _operations(self) -> dict[str, _Operation]:
        return {
            "open": self._open_file,
            "read": self._read,
            "write": self._write,
            "truncate": self._truncate,
            "close": self._close_file,
            "stat": lambda arguments: _fields(self._mount_table.stat(arguments.get("path"))),
            "list": self._list,
            "mkdir": lambda arguments: self._mount_table.mkdir(arguments.get("path")),
            "remove": lambda arguments: self._mount_table.remove(arguments.get("path")),
            "rmdir": lambda arguments: self._mount_table.rmdir(arguments.get("path")),
            "rename": lambda arguments: self._mount_table.rename(arguments.get("path"), arguments.get("to")),
        }

    def _handler(self, name: str, operation: _Operation) -> Handler:
        async def handle(arguments: JSONObject) -> JSONValue:
            async with self.hold.change() if self._changes_mount(name, arguments) else nullcontext():
                return await asyncio.to_thread(self._answer, operation, arguments)  # a network disk may be slow

        return handle

    def _changes_mount(self, name: str, arguments: JSONObject) -> bool:
        """Return whether an operation may change a mounted folder."""
        if name in ("write", "truncate"):
            handle = arguments.get("handle")
            return type(handle) is int and isinstance(self._open.get(handle), HostFile)
        if name not in _CHANGES or (name == "open" and arguments.get("mode") == "r"):
            return False
        paths = [str(arguments.get("path")), str(arguments.get("to"))]
        return any(f"{path}/".startswith(f"{mount_path}/") for path in paths for mount_path in self._mount_modes)

    def _answer(self, operation: _Operation, arguments: JSONObject) -> JSONValue:
        """Return the result of an operation, or the error that the guest half raises as an OSError."""
        with self._lock:
            try:
                return operation(arguments)
            except FileNotFoundError:
                return {"error": "ENOENT", "why": self._mount_table.explain_missing(arguments.get("path"))}
            except OSError as error:  # its text may contain paths of the host
                why = error.strerror or "the host cannot do this"
                return {"error": errno.errorcode.get(error.errno or 0, "EIO"), "why": why}

    def _open_file(self, arguments: JSONObject) -> JSONValue:
        mode = arguments.get("mode")
        if not isinstance(mode, str) or mode not in MODES:
            raise ProgramError("files cannot be opened in this mode")
        if len(self._open) >= MAX_OPEN_FILES:
            raise os_error(errno.EMFILE, f"{MAX_OPEN_FILES} files are open, which is the maximum: close some")
        file = self._mount_table.open(arguments.get("path"), mode)
        try:
            size = file.size()
            first = file.read(0, FIRST_PIECE) if mode == "r" else b""
        except BaseException:
            file.close()
            raise
        handle = None
        if mode == "r" and size <= len(first) < FIRST_PIECE:
            file.close()
        else:
            self._open[handle := next(self._numbers)] = file
        return {"handle": handle, "size": size, "data": _pack(first)}

    def _read(self, arguments: JSONObject) -> JSONValue:
        size = min(_number(arguments, "size"), self._piece)
        return _pack(self._file(arguments).read(_number(arguments, "offset"), size))

    def _write(self, arguments: JSONObject) -> JSONValue:
        offset = None if arguments.get("offset") is None else _number(arguments, "offset")
        return self._file(arguments).write(offset, _unpack(arguments.get("data")))

    def _truncate(self, arguments: JSONObject) -> JSONValue:
        return self._file(arguments).truncate(_number(arguments, "size"))

    def _close_file(self, arguments: JSONObject) -> JSONValue:
        self._file(arguments)
        self._open.pop(_number(arguments, "handle")).close()
        return None

    def _list(self, arguments: JSONObject) -> JSONValue:
        return [
            [name, *_fields(entry)] for name, entry in sorted(self._mount_table.list(arguments.get("path")).items())
        ]

    def _file(self, arguments: JSONObject) -> OpenFile:
        file = self._open.get(_number(arguments, "handle"))
        if file is None:
            raise os_error(errno.EBADF, "the file was closed when its run ended: open it again")
        return file


def _fields(entry: Entry) -> list[JSONValue]:
    return [entry.kind, entry.size, entry.modified, entry.writable]


def _number(arguments: JSONObject, name: str) -> int:
    value = arguments.get(name)
    if type(value) is not int or not 0 <= value <= _MAX_NUMBER:
        raise ProgramError(f"{name} must be a whole number from 0")
    return value


def _pack(data: bytes) -> JSONValue:
    """Encode bytes as JSON. Bytes that are mostly text are sent as text, which the guest decodes fastest."""
    if 8 * len(data.translate(None, _PRINTABLE)) < len(data):
        return {"text": data.decode("latin-1")}
    return {"base64": base64.b64encode(data).decode()}


def _unpack(packed: JSONValue) -> bytes:
    try:
        match packed:
            case {"text": str(text)}:
                return text.encode("latin-1")
            case {"base64": str(text)}:
                return binascii.a2b_base64(text, strict_mode=True)
            case _:
                pass
    except ValueError:
        pass
    raise ProgramError("data must be bytes in the encoding that reading uses")
