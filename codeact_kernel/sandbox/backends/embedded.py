"""The Hyperlight guest as a WebAssembly component in wasmtime: the same file, without a hypervisor.

`python -P -m codeact_kernel.sandbox.backends.embedded TARGET` compiles the guest; that is done in a throw-away process
because it takes a lot of memory, and files, which a locked-down worker may not have.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wasmtime import Config, Engine, Store, Trap, WasiConfig, WasmtimeError
from wasmtime import component as wasm

from ...bridge.strict_json import loads
from ...errors import BridgeError, SandboxError
from ...guest.sources import prelude_source
from ...limits import WorkerLimits
from ...types import ProgramFailure, RunOutcome
from ..interfaces import Dispatch
from . import guest_cache, guest_files
from .fast_host_functions import add_textual, ffi
from .wasi_http_denied import add_denied_http
from .wasi_random import add_randomness

if sys.platform != "win32":
    import resource

__all__ = ["EmbeddedGuest", "compile_guest"]

# What many programs import is there before they run: a guest is prepared while nobody waits for it. Not asyncio, which
# alone takes longer than all of these.
_BOOT = """
import codeact_runner, codeact_ahead, codeact_early, codeact_data, codeact_files, codeact_open, codeact_os, codeact_show
import codeact_zone
import traceback, datetime, statistics, csv, decimal, textwrap, hashlib
"""
_RUN = "codeact_runner.run()"
_SMALL_STACK, _LARGE_STACK, _FOR_US = 1 << 20, 96 << 20, 16 << 20
"""Bytes of the stack that a guest may use: where it cannot grow, and where it can; and what is left for the host. Linux
leaves 128 MiB free below the first stack of a process, whatever its limit is."""


def engine(stack: int = _SMALL_STACK) -> Engine:
    """The engine that guests are compiled and run with. What decides the machine code is in `compiled.OPTIONS`, too."""
    config = Config()
    ffi.wasmtime_config_async_stack_size_set(config.ptr(), stack + (1 << 20))  # unused, but it has to be the larger one
    config.max_wasm_stack = stack  # so that deep input and recursion end with an exception, and do not trap
    return Engine(config)


def _grown_stack() -> int:
    """Let this thread's stack grow where that is possible, and say how much of it the guest may use.

    The guest's Python ends recursion with a RecursionError by its own count. Below its C code, each step takes more of
    the stack here than it counts, so with a small one the guest would trap first.
    """
    if sys.platform != "linux":
        return _SMALL_STACK
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _LARGE_STACK + _FOR_US if hard == resource.RLIM_INFINITY else min(_LARGE_STACK + _FOR_US, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    return max(_SMALL_STACK, wanted - _FOR_US)


def compile_guest(target: Path) -> None:
    """Compile the guest into `target`: about ten seconds of processor time."""
    guest_cache.make_folder(target.parent)  # before the long work, in case it cannot be made
    guest_cache.store(bytes(wasm.Component(engine(), guest_files.component().read_bytes()).serialize()), target)


class EmbeddedGuest:
    """One wasmtime engine and, at each time, one instance of the guest, prepared ahead of its run."""

    hypervisor = False
    can_be_copied = True

    def __init__(self, guest: str, function: Dispatch, limits: WorkerLimits) -> None:
        file = Path(guest)
        if not guest_cache.trusted(file):
            raise SandboxError("The compiled guest can be written by others: it is not loaded.")
        self._function = function
        self._limits = limits
        self._engine = engine(_grown_stack())
        self._component = wasm.Component.deserialize_file(self._engine, str(file))
        self._linker = wasm.Linker(self._engine)
        self._linker.add_wasip2()
        self._random = add_randomness(self._linker)
        add_denied_http(self._linker, self._component, self._engine)
        with self._linker.root() as root, root.add_instance("hyperlight:sandbox/tools") as tools:
            self._keep = add_textual(tools, "dispatch", self._dispatch, longest=limits.frame_bytes, failed=self._failed)
        executor = self._component.get_export_index("hyperlight:sandbox/executor")
        assert executor is not None
        self._entry = self._component.get_export_index("run", executor) or "run"
        self._fault: Exception | None = None
        self._store: Store | None = None
        self._execute: Callable[[str], Any] | None = None
        self.reset()

    def run(self) -> RunOutcome | None:
        assert self._execute is not None  # whoever learns that the guest died resets
        try:
            self._execute(_RUN)
        except (Trap, WasmtimeError) as error:
            if self._fault is not None:  # ours, not the guest's
                raise self._fault from None
            self._close()
            return RunOutcome(failure=_crashed(str(error)), state_lost=True)
        return None

    def reset(self) -> None:
        self._close()
        self._prepare()

    def _prepare(self) -> None:
        store = Store(self._engine)
        store.set_wasi(WasiConfig())  # no files, no environment, no arguments, no stdio
        store.set_limits(memory_size=self._limits.memory_bytes)
        entry = self._linker.instantiate(store, self._component).get_func(store, self._entry)
        assert entry is not None
        self._store, self._execute = store, lambda code: entry(store, code)
        for code in (prelude_source(whole=True), _BOOT):
            done = self._execute(code)
            if getattr(done, "exit-code"):
                raise SandboxError(f"The guest did not start: {done.stderr[-500:]}")

    def _close(self) -> None:
        store, self._store, self._execute = self._store, None, None
        if store is not None:
            store.close()

    def _dispatch(self, name: bytes, text: bytes) -> tuple[bool, str]:
        if name != b"codeact":
            return False, "call tools with call_tool(...)"
        try:
            message = loads(text, limit=self._limits.frame_bytes, depth=self._limits.depth + 3)
        except BridgeError as error:
            return False, str(error)
        if not isinstance(message, dict):
            return False, "a message is an object"
        return True, self._function.whole(message, len(text)) if "op" in message else self._function(message)

    def _failed(self, error: Exception) -> None:
        self._fault = error


def _crashed(text: str) -> ProgramFailure:
    # The library tells a trap's kind only in its text; this is the one place that reads it.
    if "stack" in text and "exhausted" in text:
        return ProgramFailure(kind="RecursionError", message="the program recursed until its stack was used up")
    return ProgramFailure(kind="Crashed", message="the program crashed its sandbox; its variables are gone")


if __name__ == "__main__":
    compile_guest(Path(sys.argv[1]))
