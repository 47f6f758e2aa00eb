"""Run the science guest: CPython with pandas as one WebAssembly module in wasmtime, whose library is in memory.

`python -P -m codeact_kernel.sandbox.backends.science_guest TARGET` compiles the guest, which takes much memory for
about a minute of CPU time.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wasmtime import FuncType, Linker, Module, Store, Trap, ValType, WasmtimeError

from ...bridge.strict_json import loads
from ...errors import BridgeError, SandboxError
from ...guest.kinds import SCIENCE
from ...guest.sources import Connection, bootstrap_source
from ...limits import WorkerLimits
from ...types import ProgramFailure, RunOutcome
from ..interfaces import Dispatch
from . import guest_cache, science_wheel
from .guest_memory import GuestMemory, OutOfBounds
from .library_files import LibraryFiles
from .wasi_preview1 import MODULE_NAME, define_wasi
from .wasm_engine import create_engine, explain_trap, grow_stack

__all__ = ["ScienceGuest", "compile_guest"]

# What nearly every program on tables imports, and what our own modules import while they run.
_BOOT = """
from codeact_kernel.guest.inside import data, files, local_time, prefetch, runner, show, streaming
from codeact_kernel.guest.inside.files import file_objects, hooks, os_functions
hooks.install()
import numpy, pandas, matplotlib.pyplot
import traceback, datetime, statistics, csv, decimal, textwrap, hashlib
import os
os.environ.clear()
"""
_RUN = "__import__('codeact_kernel.guest.inside.runner', fromlist=['run']).run()"
_EXPORTS = ("memory", "host_alloc", "turn")
_HOST = "host"
_ANSWERED, _NOT_ANSWERED = 0, -2
_FULL = 0.9
"""Part of its memory that a guest has used when a trap means that it had none left."""
_OUT_OF_MEMORY = ProgramFailure(kind="MemoryError", message="the program used up the memory of its sandbox (--memory)")
_SEPARATOR = b"\0"
"""Stands between an operation and the bytes that belong to it."""


def compile_guest(target: Path) -> None:
    """Compile the guest into `target`, one process of this user after the other: the work takes gigabytes.

    Raises:
        UserError: if the package is not the one that we know.
        SandboxError: if the module asks for functions that it should not need.
    """
    guest_cache.make_folder(target.parent)  # if this fails, it should fail before the long work
    with guest_cache.locked(target):
        if guest_cache.trusted(target):  # another process has compiled it meanwhile
            return
        science_wheel.verify()
        module = Module(create_engine(), science_wheel.module_file().read_bytes())
        _check(module)
        guest_cache.store(bytes(module.serialize()), target)


def _check(module: Module) -> None:
    foreign = [f"{item.module}.{item.name}" for item in module.imports if item.module not in (MODULE_NAME, _HOST)]
    missing = {*_EXPORTS} - {item.name for item in module.exports}
    if foreign or missing:
        raise SandboxError(f"The science guest has changed: it imports {foreign}, and lacks {sorted(missing)}.")


class ScienceGuest:
    """One wasmtime engine with one instance of the guest at a time, which is prepared before its run.

    Args:
        guest: the path of the compiled module.
        function: the function that the guest can call.
        library: the files that the guest can read.
    """

    hypervisor = False
    can_be_copied = True

    def __init__(self, guest: str, function: Dispatch, limits: WorkerLimits, library: Mapping[str, bytes]) -> None:
        file = Path(guest)
        if not guest_cache.trusted(file):
            raise SandboxError("The compiled guest can be written by others, so it is not loaded.")
        self._function = function
        self._limits = limits
        self._max_memory = limits.memory_bytes + SCIENCE.library_bytes
        self._library = library
        self._engine = create_engine(grow_stack())
        self._module = Module.deserialize_file(self._engine, str(file))
        self._memory = GuestMemory()
        self._store: Store | None = None
        self._allocate: Callable[[int], int] | None = None
        self._turn: Callable[[str], int] | None = None
        self.reset()

    def run(self) -> RunOutcome | None:
        assert self._turn is not None  # after a guest has died, the caller resets
        try:
            self._turn(_RUN)
        except (Trap, WasmtimeError) as error:
            is_full = self._memory.size > _FULL * self._max_memory
            failure = _OUT_OF_MEMORY if is_full else explain_trap(str(error))
            self._close()
            return RunOutcome(failure=failure, state_lost=True)
        return None

    def reset(self) -> None:
        self._close()
        store = Store(self._engine)
        store.set_limits(memory_size=self._max_memory)
        linker = Linker(self._engine)
        files = LibraryFiles(self._library, science_wheel.CHART_FOLDER)
        define_wasi(linker, self._module, self._memory, files, science_wheel.LIBRARY_FOLDER)
        number = ValType.i32()
        linker.define_func(_HOST, "call", FuncType([number] * 4, [number]), self._call)
        exports: Any = linker.instantiate(store, self._module).exports(store)
        self._memory.connect(exports["memory"], store)
        self._store = store
        self._allocate = lambda size: exports["host_alloc"](store, size)
        self._turn = lambda text: exports["turn"](store, self._put(text.encode()), len(text.encode()))
        for code in (bootstrap_source(Connection.REACTOR), _BOOT):
            if self._turn(code):
                raise SandboxError(f"The guest did not start: {self._memory.printed.decode(errors='replace')[-500:]}")

    def _close(self) -> None:
        store, self._store, self._allocate, self._turn = self._store, None, None, None
        if store is not None:
            store.close()

    def _put(self, data: bytes) -> int:
        assert self._allocate is not None
        address = self._allocate(len(data)) % (1 << 32)
        if not address:
            raise OutOfBounds
        self._memory.write(address, data)
        return address

    def _call(self, address: int, size: int, answer_address: int, answer_size: int) -> int:
        """Answer one request of the guest."""
        try:
            size %= 1 << 32
            if size > self._limits.frame_bytes:
                answer = f"!a message of over {self._limits.frame_bytes:,} characters".encode()
            else:
                answer = self._dispatch(self._memory.read(address, size))
            self._memory.write(answer_address, struct.pack("<I", self._put(answer)))
            self._memory.write(answer_size, struct.pack("<I", len(answer)))
        except OutOfBounds:
            return _NOT_ANSWERED
        return _ANSWERED

    def _dispatch(self, request: bytes) -> bytes:
        text, _, data = request.partition(_SEPARATOR)
        try:
            message = loads(text, limit=self._limits.frame_bytes, depth=self._limits.depth + 3)
        except BridgeError as error:
            return f"!{error}".encode()
        if not isinstance(message, dict):
            return b"!a message must be an object"
        if "op" not in message:
            return self._function(message).encode()
        answer, attached = self._function.whole_with_data(message, len(text), data)
        return answer.encode() + (_SEPARATOR + attached if attached else b"")


if __name__ == "__main__":
    compile_guest(Path(sys.argv[1]))
