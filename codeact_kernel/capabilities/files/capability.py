"""The room `files`: the services by which programs read what is mounted and write to /output.

There is no folder in any guest, whatever the backend: every access is a step to here and is judged here.
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
from ...types import Handler, JSONObject, JSONValue, OutputFile
from .change_hold import ChangeHold
from .filesystem import MODES, Entry, FileSystem, OpenFile, Parts, parts_of, refused
from .host_folder import HostFile, HostFolder
from .instructions import file_instructions
from .memory_folder import MemoryFolder
from .mount_table import Tree
from .output_writer import save
from .quota import Quota

__all__ = ["Files"]

_PATIENCE = 2.0
HANDLES = 64
"""Files that are open at once."""
PIECE = 1 << 20
"""Bytes that go in one step, at most."""
FIRST = 1 << 16
"""A file shorter than this comes with the step that opens it."""
_FARTHEST = 1 << 53  # what JSON carries exactly everywhere

_CHANGES = frozenset({"open", "mkdir", "remove", "rmdir", "rename"})
_PLAIN = bytes(range(32, 127)) + b"\t\n\r"

_Operation: TypeAlias = Callable[[JSONObject], JSONValue]


class Files:
    """What programs of one turn can read and write. Close it when the turn is over.

    Args:
        mounts: folders and files of the host.
        workspace_root: a folder that is `/input` itself, to be read only, as `access` gives it.
        limits: how large an answer may be.
        output: how much may be written.

    Attributes:
        name, told, services: of the room.
        hold: holds back what programs change in mounted folders.

    Raises:
        UserError: two mounts are at one path, or a folder is not there any more.
    """

    declaration = FILES
    name = FILES.name

    def __init__(
        self,
        mounts: Sequence[FileMount],
        workspace_root: Path | None,
        limits: Limits,
    ) -> None:
        self.guest_config: JSONObject = {}
        self.hold = ChangeHold()
        self.handlers: Mapping[str, Handler] = {
            name: self._service(name, serve) for name, serve in self._operations().items()
        }
        self._piece = max(1, min(PIECE, limits.answer_bytes // 3))  # as JSON it takes up to 2.5 times as much
        self._outputs = MemoryFolder(limits.output)
        self._places: dict[Parts, FileSystem] = {
            ("output",): self._outputs,
            ("tmp",): MemoryFolder(limits.output, "/tmp"),  # no folder of the host: for `tempfile`
        }
        self._mounted: dict[str, bool] = {}
        self._open: dict[int, OpenFile] = {}
        self._numbers = count(1)
        # The thread of a service goes on when its run is stopped: whoever comes next waits until it is done.
        self._lock = threading.Lock()
        self._tree = Tree(self._places)
        quota = Quota(limits.output)
        try:
            if workspace_root is not None:
                self._mount("/input", workspace_root, False, quota)
            for mount in mounts:
                self._mount(mount.mount_path, Path(mount.host_path), mount.mode == "rw", quota)
        except BaseException:
            self.close()
            raise

    def _mount(self, at: str, path: Path, writable: bool, quota: Quota) -> None:
        parts = parts_of(at)
        if parts in self._places:
            raise UserError(f"Two mounts are at {at}: give one of them another path.")
        if writable:
            allow_writes_to(path)
        self._places[parts] = HostFolder(path, quota, writable=writable, read_only=read_only_folders())
        self._mounted[at] = writable

    @property
    def instructions(self) -> str:
        """What the model has to know: where files are, and what there is at the top."""
        return file_instructions(self._tree, self._mounted)

    @property
    def outputs(self) -> Mapping[str, bytes]:
        """A copy of what was written, by the paths below /output."""
        with self._locked():
            return self._outputs.files

    def save(self, folder: Path) -> tuple[OutputFile, ...]:
        """Put what was written into a fresh folder in `folder`. Where nothing was written nothing is made.

        Raises:
            UserError: the folder cannot be made or written.
        """
        return save(self.outputs, folder)

    def start_run(self) -> None:
        """A run begins; files that the run before has left open are closed."""
        with self._locked():
            self._close_files()

    def close(self) -> None:
        """The turn is over: nothing is mounted any more. What was written stays."""
        with suppress(UserError), self._locked():  # what a dead disk holds open ends with the process
            self._close_files()
            for place in self._places.values():
                place.close()
            self._places.clear()

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Wait for a step that goes on although its run was stopped, but not for ever: this is the event loop.

        Raises:
            UserError: it does not end.
        """
        if not self._lock.acquire(timeout=_PATIENCE):
            raise UserError("A mounted folder does not answer: see whether its disk is there, then run the cell again.")
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
            "stat": lambda arguments: _fields(self._tree.stat(arguments.get("path"))),
            "list": self._list,
            "mkdir": lambda arguments: self._tree.mkdir(arguments.get("path")),
            "remove": lambda arguments: self._tree.remove(arguments.get("path")),
            "rmdir": lambda arguments: self._tree.rmdir(arguments.get("path")),
            "rename": lambda arguments: self._tree.rename(arguments.get("path"), arguments.get("to")),
        }

    def _service(self, name: str, operation: _Operation) -> Handler:
        async def serve(arguments: JSONObject) -> JSONValue:
            async with self.hold.change() if self._changes_mount(name, arguments) else nullcontext():
                return await asyncio.to_thread(self._answer, operation, arguments)  # a disk may be far away

        return serve

    def _changes_mount(self, name: str, arguments: JSONObject) -> bool:
        """Whether an operation may change something in a mounted folder."""
        if name in ("write", "truncate"):
            handle = arguments.get("handle")
            return type(handle) is int and isinstance(self._open.get(handle), HostFile)
        if name not in _CHANGES or (name == "open" and arguments.get("mode") == "r"):
            return False
        paths = [str(arguments.get("path")), str(arguments.get("to"))]
        return any(f"{path}/".startswith(f"{at}/") for path in paths for at in self._mounted)

    def _answer(self, operation: _Operation, arguments: JSONObject) -> JSONValue:
        """What an operation gives, or an error that the guest half raises as Python would."""
        with self._lock:
            try:
                return operation(arguments)
            except FileNotFoundError:
                return {"error": "ENOENT", "why": self._tree.missing(arguments.get("path"))}
            except OSError as error:  # its text would tell paths of the host
                why = error.strerror or "the host could not do it"
                return {"error": errno.errorcode.get(error.errno or 0, "EIO"), "why": why}

    def _open_file(self, arguments: JSONObject) -> JSONValue:
        mode = arguments.get("mode")
        if not isinstance(mode, str) or mode not in MODES:
            raise ProgramError("there is no such mode to open a file in")
        if len(self._open) >= HANDLES:
            raise refused(errno.EMFILE, f"{HANDLES} files are open, which is the most: close some")
        file = self._tree.open(arguments.get("path"), mode)
        try:
            size = file.size()
            first = file.read(0, FIRST) if mode == "r" else b""
        except BaseException:
            file.close()
            raise
        handle = None
        if mode == "r" and size <= len(first) < FIRST:
            file.close()
        else:
            self._open[handle := next(self._numbers)] = file
        return {"handle": handle, "size": size, "data": _packed(first)}

    def _read(self, arguments: JSONObject) -> JSONValue:
        size = min(_number(arguments, "size"), self._piece)
        return _packed(self._file(arguments).read(_number(arguments, "offset"), size))

    def _write(self, arguments: JSONObject) -> JSONValue:
        offset = None if arguments.get("offset") is None else _number(arguments, "offset")
        return self._file(arguments).write(offset, _unpacked(arguments.get("data")))

    def _truncate(self, arguments: JSONObject) -> JSONValue:
        return self._file(arguments).truncate(_number(arguments, "size"))

    def _close_file(self, arguments: JSONObject) -> JSONValue:
        self._file(arguments)
        self._open.pop(_number(arguments, "handle")).close()
        return None

    def _list(self, arguments: JSONObject) -> JSONValue:
        return [[name, *_fields(entry)] for name, entry in sorted(self._tree.list(arguments.get("path")).items())]

    def _file(self, arguments: JSONObject) -> OpenFile:
        file = self._open.get(_number(arguments, "handle"))
        if file is None:
            raise refused(errno.EBADF, "the file was closed when its run ended: open it again")
        return file


def _fields(entry: Entry) -> list[JSONValue]:
    return [entry.kind, entry.size, entry.modified, entry.writable]


def _number(arguments: JSONObject, name: str) -> int:
    value = arguments.get(name)
    if type(value) is not int or not 0 <= value <= _FARTHEST:
        raise ProgramError(f"{name} is a number from 0 up")
    return value


def _packed(data: bytes) -> JSONValue:
    """Bytes as JSON. What is text to the most part goes as it is: the guest unpacks that in no time."""
    if 8 * len(data.translate(None, _PLAIN)) < len(data):
        return {"text": data.decode("latin-1")}
    return {"base64": base64.b64encode(data).decode()}


def _unpacked(packed: JSONValue) -> bytes:
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
    raise ProgramError("what is written is bytes, packed as they are read")
