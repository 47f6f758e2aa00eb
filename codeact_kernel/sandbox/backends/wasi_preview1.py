"""Define WASI preview 1 for a guest that may read its library, and do nothing else.

wasmtime's own WASI is not linked. So a guest of this kind reaches no file, folder, socket or stream of the host: it
reaches the functions of this page, which know only memory. Each of them may be called with any numbers. The functions
and their structures are those of the module `wasi_snapshot_preview1`, as its `witx` file defines them.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Callable, Mapping

from wasmtime import FuncType, Linker, Module, WasmtimeError

from .guest_memory import GuestMemory, OutOfBounds
from .library_files import LIBRARY, LibraryFiles, OpenFile

__all__ = ["MODULE_NAME", "define_wasi"]

MODULE_NAME = "wasi_snapshot_preview1"

# Error numbers.
_OK, _BAD_NUMBER, _FAULT, _INVALID, _IS_FOLDER, _TOO_MANY = 0, 8, 21, 28, 31, 41
_NOT_FOUND, _NOT_SUPPORTED, _NOT_FOLDER, _READ_ONLY = 44, 52, 54, 69
# Kinds of files.
_DEVICE, _FOLDER, _FILE = 2, 3, 4
_ALL_RIGHTS = (1 << 30) - 1
"""The guest's C library asks for rights before it tries; what is refused is refused when it is tried."""
_CREATE, _TRUNCATE = 1, 8
_MAX_PATH, _MAX_BUFFERS, _MAX_RANDOM = 4_096, 1_024, 1 << 20
_CLOCKS: Mapping[int, Callable[[], int]] = {0: time.time_ns, 1: time.monotonic_ns}
_ENVIRONMENT = (
    b"HOME=/\0",
    b"TMPDIR=/tmp\0",
    b"PYTHONTZPATH=\0",
    b"MPLCONFIGDIR=/usr/local/lib\0",
    b"MPLBACKEND=agg\0",
)
"""matplotlib asks for a folder of its own, and gets one into which nothing can be written."""


def define_wasi(linker: Linker, module: Module, memory: GuestMemory, files: LibraryFiles, folder: str) -> None:
    """Define every function of WASI that `module` imports.

    Args:
        memory: the memory of the guest, which is connected once the guest exists.
        folder: the path under which the guest finds the library.
    """
    functions = _Functions(memory, files, folder.encode())
    for item in module.imports:
        if item.module == MODULE_NAME and isinstance(item.type, FuncType):
            name = item.name or ""
            linker.define_func(MODULE_NAME, name, item.type, _guarded(name, getattr(functions, name, None)))


def _guarded(name: str, function: Callable[..., int] | None) -> Callable[..., int | None]:
    if name == "proc_exit":
        return _exit

    def call(*arguments: int) -> int:
        if function is None:
            return _NOT_SUPPORTED
        try:
            return function(*arguments)
        except OutOfBounds:
            return _FAULT

    return call


def _exit(status: int) -> None:
    raise WasmtimeError(f"the guest ended itself with status {status}")


class _Functions:
    """The functions by their names in WASI; all others are not supported."""

    def __init__(self, memory: GuestMemory, files: LibraryFiles, folder: bytes) -> None:
        self._memory = memory
        self._files = files
        self._folder = folder

    # -- the process: no arguments, a fixed environment, two clocks, random numbers of the operating system ---

    def args_sizes_get(self, count: int, size: int) -> int:
        self._memory.write(count, struct.pack("<I", 0))
        self._memory.write(size, struct.pack("<I", 0))
        return _OK

    def args_get(self, pointers: int, texts: int) -> int:
        return _OK

    def environ_sizes_get(self, count: int, size: int) -> int:
        self._memory.write(count, struct.pack("<I", len(_ENVIRONMENT)))
        self._memory.write(size, struct.pack("<I", sum(map(len, _ENVIRONMENT))))
        return _OK

    def environ_get(self, pointers: int, texts: int) -> int:
        starts = [sum(map(len, _ENVIRONMENT[:at])) for at in range(len(_ENVIRONMENT))]
        self._memory.write(
            pointers, struct.pack(f"<{len(starts)}I", *((texts + start) % (1 << 32) for start in starts))
        )
        self._memory.write(texts, b"".join(_ENVIRONMENT))
        return _OK

    def clock_res_get(self, clock: int, out: int) -> int:
        self._memory.write(out, struct.pack("<Q", 1_000))
        return _OK if clock in _CLOCKS else _INVALID

    def clock_time_get(self, clock: int, precision: int, out: int) -> int:
        if clock not in _CLOCKS:
            return _INVALID
        self._memory.write(out, struct.pack("<Q", _CLOCKS[clock]()))
        return _OK

    def random_get(self, out: int, size: int) -> int:
        size %= 1 << 32
        if size > _MAX_RANDOM:
            return _INVALID
        self._memory.write(out, os.urandom(size))
        return _OK

    def sched_yield(self) -> int:
        return _OK

    # -- files: the library can be read ---

    def fd_prestat_get(self, number: int, out: int) -> int:
        if number != LIBRARY:
            return _BAD_NUMBER
        self._memory.write(out, struct.pack("<II", 0, len(self._folder)))
        return _OK

    def fd_prestat_dir_name(self, number: int, out: int, size: int) -> int:
        if number != LIBRARY:
            return _BAD_NUMBER
        self._memory.write(out, self._folder[: size % (1 << 32)])
        return _OK

    def fd_fdstat_get(self, number: int, out: int) -> int:
        kind = self._kind(number)
        if kind is None:
            return _BAD_NUMBER
        self._memory.write(out, struct.pack("<BxHxxxxQQ", kind, 0, _ALL_RIGHTS, _ALL_RIGHTS))
        return _OK

    def fd_filestat_get(self, number: int, out: int) -> int:
        kind = self._kind(number)
        if kind is None:
            return _BAD_NUMBER
        file = self._files.find(number)
        return self._write_state("" if file is None else file.path, kind, out)

    def path_filestat_get(self, number: int, flags: int, path: int, size: int, out: int) -> int:
        found = self._resolve(number, path, size)
        if isinstance(found, int):
            return found
        return self._write_state(found, _FOLDER if self._files.content(found) is None else _FILE, out)

    def path_open(  # the parameters are those of WASI
        self, number: int, links: int, path: int, size: int, how: int, rights: int, later: int, flags: int, out: int
    ) -> int:
        if how & (_CREATE | _TRUNCATE):
            return _READ_ONLY
        found = self._resolve(number, path, size)
        if isinstance(found, int):
            return found
        opened = self._files.open(found)
        if opened is None:
            return _TOO_MANY
        self._memory.write(out, struct.pack("<I", opened))
        return _OK

    def fd_close(self, number: int) -> int:
        return _OK if self._files.close(number) else _BAD_NUMBER

    def fd_read(self, number: int, buffers: int, count: int, out: int) -> int:
        file = self._files.find(number)
        if file is None:
            if number != 0:
                return _BAD_NUMBER
            self._memory.write(out, struct.pack("<I", 0))  # there is no input
            return _OK
        size = self._read(file, buffers, count, file.position)
        if size < 0:
            return -size
        file.position += size
        self._memory.write(out, struct.pack("<I", size))
        return _OK

    def fd_pread(self, number: int, buffers: int, count: int, start: int, out: int) -> int:
        file = self._files.find(number)
        if file is None:
            return _BAD_NUMBER
        size = self._read(file, buffers, count, start % (1 << 64))
        if size < 0:
            return -size
        self._memory.write(out, struct.pack("<I", size))
        return _OK

    def fd_seek(self, number: int, offset: int, whence: int, out: int) -> int:
        file = self._files.find(number)
        content = None if file is None else self._files.content(file.path)
        if file is None or content is None:
            return _BAD_NUMBER
        if not 0 <= whence <= 2:
            return _INVALID
        position = offset + (0, file.position, len(content))[whence]
        if not 0 <= position < 1 << 62:
            return _INVALID
        file.position = position
        self._memory.write(out, struct.pack("<Q", position))
        return _OK

    def fd_tell(self, number: int, out: int) -> int:
        file = self._files.find(number)
        if file is None:
            return _BAD_NUMBER
        self._memory.write(out, struct.pack("<Q", file.position))
        return _OK

    def fd_readdir(self, number: int, out: int, size: int, start: int, used: int) -> int:
        folder = self._files.find(number)
        entries = None if folder is None else self._files.entries(folder.path)
        if folder is None or entries is None:
            return _NOT_FOLDER
        size, data = size % (1 << 32), bytearray()
        for at, name in enumerate(entries[start % (1 << 64) :], start % (1 << 64) + 1):
            path = f"{folder.path}/{name}".lstrip("/")
            kind = _FOLDER if self._files.content(path) is None else _FILE
            encoded = name.encode()
            data += struct.pack("<QQIB3x", at, _inode(path), len(encoded), kind) + encoded
            if len(data) >= size:
                break
        self._memory.write(out, bytes(data[:size]))
        self._memory.write(used, struct.pack("<I", min(size, len(data))))
        return _OK

    def fd_write(self, number: int, buffers: int, count: int, out: int) -> int:
        """Drop what C code prints: the streams of Python go to the host as operations."""
        if number not in (1, 2):
            return _READ_ONLY if self._files.find(number) else _BAD_NUMBER
        pieces = self._buffers(buffers, count)
        if pieces is None:
            return _INVALID
        if number == 2:
            self._memory.keep_printed(pieces)
        self._memory.write(out, struct.pack("<I", sum(size for _, size in pieces) % (1 << 32)))
        return _OK

    def _read(self, file: OpenFile, buffers: int, count: int, start: int) -> int:
        """Read into the guest's buffers. Return the number of bytes, or a negative error."""
        content = self._files.content(file.path)
        if content is None:
            return -_IS_FOLDER
        pieces = self._buffers(buffers, count)
        if pieces is None:
            return -_INVALID
        at = start
        for address, size in pieces:
            part = content[at : at + size]
            self._memory.write(address, part)
            at += len(part)
            if len(part) < size:
                break
        return at - start

    def _buffers(self, address: int, count: int) -> list[tuple[int, int]] | None:
        """Read the addresses and sizes of buffers; `None` if they are too many."""
        count %= 1 << 32
        if count > _MAX_BUFFERS:
            return None
        numbers = struct.unpack(f"<{2 * count}I", self._memory.read(address, 8 * count))
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def _resolve(self, number: int, path: int, size: int) -> str | int:
        """Return the path of an existing file, or an error."""
        folder = self._files.find(number)
        if folder is None:
            return _BAD_NUMBER
        size %= 1 << 32
        if size > _MAX_PATH:
            return _INVALID
        found = self._files.resolve(folder, self._memory.read(path, size).decode(errors="replace"))
        return _NOT_FOUND if found is None else found

    def _kind(self, number: int) -> int | None:
        if number in (0, 1, 2):
            return _DEVICE
        file = self._files.find(number)
        if file is None:
            return None
        return _FOLDER if self._files.content(file.path) is None else _FILE

    def _write_state(self, path: str, kind: int, out: int) -> int:
        size = len(self._files.content(path) or b"")
        self._memory.write(out, struct.pack("<QQB7xQQQQQ", 1, _inode(path), kind, 1, size, 0, 0, 0))
        return _OK


def _inode(path: str) -> int:
    return zlib.crc32(path.encode()) + 1
