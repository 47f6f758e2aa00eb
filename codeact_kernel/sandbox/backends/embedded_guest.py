"""Run the guest as a WebAssembly component in wasmtime: the same guest as in a micro-VM, without a hypervisor.

`python -P -m codeact_kernel.sandbox.backends.embedded_guest TARGET` compiles the guest. It is a process of its own
because a compilation takes much memory and opens files, which a locked-down worker may not do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wasmtime import Store, Trap, WasiConfig, WasmtimeError
from wasmtime import component as wasm

from ...bridge.strict_json import loads
from ...errors import BridgeError, SandboxError
from ...guest.sources import Connection, bootstrap_source
from ...limits import WorkerLimits
from ...types import RunOutcome
from ..interfaces import Dispatch
from . import guest_cache, guest_files
from .fast_host_functions import add_string_function
from .wasi_http_denied import add_denied_http
from .wasi_random import add_system_random
from .wasm_engine import create_engine, explain_trap, grow_stack

__all__ = ["EmbeddedGuest", "compile_guest"]

# Modules that many programs import are loaded before a program runs, while nobody waits for the guest. asyncio is not
# among them: it takes longer than all the others together.
_BOOT = """
from codeact_kernel.guest.inside import data, files, local_time, prefetch, runner, show, streaming
from codeact_kernel.guest.inside.files import file_objects, os_functions
import traceback, datetime, statistics, csv, decimal, textwrap, hashlib
"""
_RUN = "runner.run()"


def compile_guest(target: Path) -> None:
    """Compile the guest into `target`. It takes about ten seconds of CPU time."""
    guest_cache.make_folder(target.parent)  # if this fails, it should fail before the long work
    guest_cache.store(bytes(wasm.Component(create_engine(), guest_files.component().read_bytes()).serialize()), target)


class EmbeddedGuest:
    """One wasmtime engine with one instance of the guest at a time, which is prepared before its run."""

    hypervisor = False
    can_be_copied = True

    def __init__(self, guest: str, function: Dispatch, limits: WorkerLimits) -> None:
        file = Path(guest)
        if not guest_cache.trusted(file):
            raise SandboxError("The compiled guest can be written by others, so it is not loaded.")
        self._function = function
        self._limits = limits
        self._engine = create_engine(grow_stack())
        self._component = wasm.Component.deserialize_file(self._engine, str(file))
        self._linker = wasm.Linker(self._engine)
        self._linker.add_wasip2()
        self._random = add_system_random(self._linker)
        add_denied_http(self._linker, self._component, self._engine)
        with self._linker.root() as root, root.add_instance("hyperlight:sandbox/tools") as tools:
            self._callback = add_string_function(
                tools, "dispatch", self._dispatch, max_bytes=limits.frame_bytes, on_error=self._on_error
            )
        executor = self._component.get_export_index("hyperlight:sandbox/executor")
        assert executor is not None
        self._entry = self._component.get_export_index("run", executor) or "run"
        self._fault: Exception | None = None
        self._store: Store | None = None
        self._execute: Callable[[str], Any] | None = None
        self.reset()

    def run(self) -> RunOutcome | None:
        assert self._execute is not None  # after a guest has died, the caller resets
        try:
            self._execute(_RUN)
        except (Trap, WasmtimeError) as error:
            if self._fault is not None:  # an error of the host, not of the guest
                raise self._fault from None
            self._close()
            return RunOutcome(failure=explain_trap(str(error)), state_lost=True)
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
        for code in (bootstrap_source(Connection.COMPONENT), _BOOT):
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
            return False, "a message must be an object"
        return True, self._function.whole(message, len(text)) if "op" in message else self._function(message)

    def _on_error(self, error: Exception) -> None:
        self._fault = error


if __name__ == "__main__":
    compile_guest(Path(sys.argv[1]))
