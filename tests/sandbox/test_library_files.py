"""The science guest reads its library from memory, and nothing that it asks for becomes a path of the host."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import pytest
from hypothesis import given, strategies

from codeact_kernel.sandbox.backends.library_files import LIBRARY, LibraryFiles
from codeact_kernel.sandbox.backends.wasi_preview1 import MODULE_NAME, define_wasi

wasmtime = pytest.importorskip("wasmtime")
OK, BAD_NUMBER, FAULT, INVALID, NOT_FOUND, NOT_SUPPORTED, READ_ONLY = 0, 8, 21, 28, 44, 52, 69
SIZE = 1 << 16
CONTENT = {"python.zip": b"PK library", "python.zip/plots/data/fonts/a.ttf": b"font", "python.zip/plots/data/rc": b"x"}
FOLDER = "python.zip/plots/data"
SIGNATURES = {
    "args_get": 2, "args_sizes_get": 2, "environ_get": 2, "environ_sizes_get": 2, "clock_res_get": 2, "clock_time_get": 3,
    "fd_close": 1, "fd_fdstat_get": 2, "fd_filestat_get": 2, "fd_pread": 5, "fd_prestat_get": 2, "fd_prestat_dir_name": 3,
    "fd_read": 4, "fd_readdir": 5, "fd_seek": 4, "fd_tell": 2, "fd_write": 4, "path_filestat_get": 5, "path_open": 9,
    "random_get": 2, "sched_yield": 0, "fd_pwrite": 5, "path_unlink_file": 3, "path_create_directory": 3, "sock_send": 5,
    "path_symlink": 5, "path_rename": 6, "poll_oneoff": 4,
}  # fmt: skip


class Memory:
    """Memory that refuses what is out of its bounds, as that of a guest does."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        self.printed = b""

    def read(self, address: int, size: int) -> bytes:
        self._check(address, size)
        return bytes(self.data[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        self._check(address, len(data))
        self.data[address : address + len(data)] = data

    def keep_printed(self, pieces: list[tuple[int, int]]) -> None:
        for address, size in pieces:
            self.printed += self.read(address, min(size, 2_000))

    def _check(self, address: int, size: int) -> None:
        from codeact_kernel.sandbox.backends.guest_memory import OutOfBounds

        if not 0 <= address <= SIZE - size:
            raise OutOfBounds


class Wasi:
    """The functions that a guest could call, by their names."""

    def __init__(self) -> None:
        self.memory = Memory()
        number = wasmtime.ValType.i32()
        imports = [
            SimpleNamespace(module=MODULE_NAME, name=name, type=wasmtime.FuncType([number] * count, [number]))
            for name, count in SIGNATURES.items()
        ]
        linker = SimpleNamespace(
            define_func=lambda module, name, kind, function: self.functions.update({name: function})
        )
        self.functions: dict[str, object] = {}
        define_wasi(linker, SimpleNamespace(imports=imports), self.memory, LibraryFiles(CONTENT, FOLDER), "/lib")  # type: ignore[arg-type]

    def __getattr__(self, name: str):
        return self.functions[name]

    def open(self, path: str, how: int = 0) -> tuple[int, int]:
        """Open a path in the folder of the library, and return the error and the number."""
        self.memory.write(0, path.encode())
        error = self.path_open(LIBRARY, 0, 0, len(path.encode()), how, 0, 0, 0, 4_096)
        return error, struct.unpack("<I", self.memory.read(4_096, 4))[0]

    def read(self, number: int, size: int) -> bytes:
        self.memory.write(5_000, struct.pack("<II", 6_000, size))
        assert self.fd_read(number, 5_000, 1, 5_100) == OK
        return self.memory.read(6_000, struct.unpack("<I", self.memory.read(5_100, 4))[0])


@pytest.fixture
def wasi() -> Wasi:
    return Wasi()


def test_a_file_of_the_library_is_read_in_parts(wasi):
    error, number = wasi.open("python.zip")
    assert error == OK
    assert [wasi.read(number, 3), wasi.read(number, 100), wasi.read(number, 100)] == [b"PK ", b"library", b""]
    assert wasi.fd_seek(number, -7, 2, 5_200) == OK
    assert wasi.read(number, 3) == b"lib"
    assert wasi.fd_close(number) == OK
    assert wasi.fd_close(number) == BAD_NUMBER


def test_only_the_folder_that_is_named_exists_beside_the_library_itself(wasi):
    assert [wasi.open(path)[0] for path in (FOLDER, f"{FOLDER}/fonts", "", ".")] == [OK] * 4
    assert [wasi.open(path)[0] for path in ("python.zip/plots", "python.zip/other", "plots")] == [NOT_FOUND] * 3


def test_the_entries_of_a_folder_are_listed(wasi):
    _, number = wasi.open(FOLDER)
    assert wasi.fd_readdir(number, 8_000, 4_000, 0, 7_000) == OK
    listed = wasi.memory.read(8_000, struct.unpack("<I", wasi.memory.read(7_000, 4))[0])
    assert b"fonts" in listed and b"rc" in listed and b"a.ttf" not in listed


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../etc/passwd", "..", "../../..", "python.zip/../../etc", "/proc/self/environ", "\0", "\xff"],
)
def test_no_path_leads_out_of_the_library(wasi, path):
    assert wasi.open(path)[0] == NOT_FOUND


@pytest.mark.parametrize("how", [1, 8, 9])
def test_nothing_can_be_created_or_emptied(wasi, how):
    assert wasi.open("python.zip", how)[0] == READ_ONLY
    assert wasi.open("new", how)[0] == READ_ONLY
    assert wasi.path_unlink_file(LIBRARY, 0, 1) == NOT_SUPPORTED


def test_what_is_not_offered_is_not_supported(wasi):
    for name in ("fd_pwrite", "path_create_directory", "sock_send", "path_symlink", "path_rename", "poll_oneoff"):
        assert wasi.functions[name](*[0] * SIGNATURES[name]) == NOT_SUPPORTED


def test_random_numbers_come_from_the_system_and_are_bounded(wasi):
    assert wasi.random_get(100, 32) == OK
    assert wasi.memory.read(100, 32) != bytes(32)
    assert wasi.random_get(100, 1 << 21) == INVALID


def test_open_files_are_bounded(wasi):
    errors = {wasi.open("python.zip")[0] for _ in range(1_200)}
    assert errors == {OK, 41}


@given(strategies.data())
def test_whatever_numbers_a_guest_passes_it_gets_an_error_number_and_no_more(data):
    wasi = Wasi()
    numbers = strategies.sampled_from(
        [0, 1, 2, 3, 4, 5, 100, 4_095, SIZE - 1, SIZE, 1 << 31, -1, -(1 << 31), (1 << 63) - 1]
    )
    for _ in range(5):
        name = data.draw(strategies.sampled_from(sorted(SIGNATURES)))
        result = wasi.functions[name](*[data.draw(numbers) for _ in range(SIGNATURES[name])])
        assert result in range(77)
