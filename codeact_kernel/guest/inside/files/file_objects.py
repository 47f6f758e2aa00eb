"""Implement `open` for the host's files. `files.hooks` installs it.

The host resolves every path and decides about every access, so everything here calls a handler of the host.
"""

import _io
import errno
import io
import os
from binascii import a2b_base64, b2a_base64
from typing import Any
from weakref import WeakSet

from ..tool_calls import ToolFailed, call_host

_READ_AHEAD, _MAX_READ = 1 << 16, 1 << 20
_MAX_WRITE = 3 << 17  # less than a megabyte of JSON for any content
_PLAIN = bytes(range(32, 127)) + b"\t\n\r"

working_folder = ["/"]
"""The working folder."""
_writers: WeakSet[Any] = WeakSet()


def flush() -> None:
    """Send the data that open files still buffer at the end of a run."""
    for file in list(_writers):
        if not file.closed:
            file.flush()


def path_call(verb: str, path: Any, **arguments: Any) -> Any:
    """Call a handler of the host for a path."""
    return _file_call(verb, path, path=to_absolute(path), **arguments)


def _file_call(verb: str, name: Any, **arguments: Any) -> Any:
    try:
        answer = call_host("files", verb, **arguments)
    except (ToolFailed, RuntimeError, ValueError) as error:
        raise OSError(errno.EIO, str(error), name) from None
    if isinstance(answer, dict) and "error" in answer:
        raise OSError(getattr(errno, answer["error"], errno.EIO), answer["why"], name)
    return answer


def to_absolute(path: Any) -> str:
    """Return a path in the form that the host takes: absolute, and without `..`."""
    text = os.fsdecode(path)
    if "\0" in text:
        raise ValueError("embedded null character in path")
    if not text or text.startswith("/python/"):  # an empty path, or the origin that modules of the library report
        raise FileNotFoundError(errno.ENOENT, "there is no such file", path)
    return "/" + os.path.normpath(os.path.join(working_folder[0], text)).lstrip("/")


def _pack(data: bytes) -> dict[str, str]:
    if data.isascii() and 8 * len(data.translate(None, _PLAIN)) < len(data):
        return {"text": data.decode()}
    return {"base64": b2a_base64(data, newline=False).decode()}


def _unpack(packed: dict[str, str]) -> bytes:
    return packed["text"].encode("latin-1") if "text" in packed else a2b_base64(packed["base64"])


class File(io.RawIOBase):
    """A file of the host, unbuffered."""

    _handle: int | None = None

    def __init__(self, path: Any, mode: str) -> None:
        opened = path_call("open", path, mode=mode)
        self.name, self.mode = path, mode
        self._handle, self._size = opened["handle"], opened["size"]
        self._position: int = self._size if mode[0] == "a" else 0
        self._cache(0, _unpack(opened["data"]))

    def readable(self) -> bool:
        return self.mode[0] == "r" or "+" in self.mode

    def writable(self) -> bool:
        return self.mode != "r"

    def seekable(self) -> bool:
        return True

    def _cache(self, start: int, data: bytes) -> None:
        self._start, self._cached = start, data

    def _read(self, size: int) -> bytes:
        """Read up to `size` bytes. Sequential reads fetch ever larger pieces ahead."""
        if not self.readable():
            raise io.UnsupportedOperation("not readable")
        skip, had = self._position - self._start, len(self._cached)
        if not 0 <= skip < had and self._handle is not None:
            size = min(size, _MAX_READ)
            ahead = max(size, min(2 * had, _MAX_READ) if skip == had else 0, _READ_AHEAD)
            packed = _file_call("read", self.name, handle=self._handle, offset=self._position, size=ahead)
            self._cache(self._position, _unpack(packed))
            skip = 0
        data = self._cached if size >= len(self._cached) and not skip else self._cached[skip : skip + size]
        self._position += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._read(_MAX_READ), b""))

    def write(self, data: Any, /) -> int:  # writes a part; the caller writes the rest again
        if not self.writable():
            raise io.UnsupportedOperation("not writable")
        part = memoryview(data).cast("B")[:_MAX_WRITE]
        offset = None if self.mode[0] == "a" else self._position
        self._position = _file_call("write", self.name, handle=self._handle, offset=offset, data=_pack(bytes(part)))
        self._size = max(self._size, self._position)
        self._cache(0, b"")
        return len(part)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        position = offset + {0: 0, 1: self._position, 2: self._size}[whence]
        if position < 0:
            raise OSError(errno.EINVAL, "the position is before the beginning of the file")
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        size = self._position if size is None else size
        _file_call("truncate", self.name, handle=self._handle, size=size)
        self._size = size
        self._cache(0, b"")
        return size

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if not self.closed:
            super().close()
        if handle is not None:
            try:
                _file_call("close", self.name, handle=handle)
            except OSError as error:
                if error.errno != errno.EBADF:  # the host has closed the files that an earlier run left open
                    raise


def open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    if isinstance(file, int):
        return _io.open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    kinds = set(mode) & set("rwax")
    if set(mode) - set("rwaxbt+") or len(kinds) != 1 or len(mode) != len(set(mode)) or {"b", "t"} <= set(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    binary = "b" in mode
    if binary and (encoding or errors or newline is not None):
        raise ValueError("binary mode takes no encoding, errors or newline argument")
    if buffering == 0 and not binary:
        raise ValueError("can't have unbuffered text I/O")
    raw = File(file, kinds.pop() + "+" * ("+" in mode))
    kind = io.BufferedRandom if "+" in mode else io.BufferedWriter if raw.writable() else io.BufferedReader
    size = buffering if buffering > 1 else _READ_AHEAD if kind is io.BufferedReader else _MAX_WRITE // 2
    result: Any = raw if buffering == 0 else kind(raw, size)
    if not binary:
        encoding = "utf-8" if encoding in (None, "locale") else encoding
        result = io.TextIOWrapper(result, encoding, errors, newline, line_buffering=buffering == 1)
        result.mode = mode
    if raw.writable():
        _writers.add(result)
    return result
