"""The guest that Hyperlight ships, under wasmtime in this process: for machines on which no micro-VM starts.

It takes the place of `hyperlight_sandbox.Sandbox`; all of agent-framework-hyperlight's own code runs as it is. It is kinder
than the real one: there is nothing to start, a restore takes some 5 ms, and its buffers have no limits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasmtime import Store, WasiConfig
from wasmtime import component as wasm

sys.path.append(str(Path(__file__).parents[2]))

from codeact_kernel.sandbox.backends import embedded_guest, guest_cache
from codeact_kernel.sandbox.backends.wasi_http_denied import add_denied_http


@dataclass
class Result:
    stdout: str
    stderr: str
    exit_code: int

    @property
    def success(self) -> bool:
        return self.exit_code == 0


class StandIn:
    def __init__(self, **_: Any) -> None:
        self._tools: dict[str, Callable[..., Any]] = {}
        self._engine = embedded_guest.create_engine()
        if not guest_cache.path().exists():
            embedded_guest.compile_guest(guest_cache.path())
        self._component = wasm.Component.deserialize_file(self._engine, str(guest_cache.path()))
        self._linker = wasm.Linker(self._engine)
        self._linker.add_wasip2()
        add_denied_http(self._linker, self._component, self._engine)
        with self._linker.root() as root, root.add_instance("hyperlight:sandbox/tools") as tools:
            tools.add_func("dispatch", self._dispatch)
        executor = self._component.get_export_index("hyperlight:sandbox/executor")
        assert executor is not None
        self._entry = self._component.get_export_index("run", executor) or "run"
        self._store: Store | None = None
        self.restore(None)

    def register_tool(self, name: str, callback: Callable[..., Any]) -> None:
        self._tools[name] = callback

    def run(self, code: str) -> Result:
        done = self._execute(self._store, code)
        return Result(done.stdout, done.stderr, getattr(done, "exit-code"))

    def snapshot(self) -> object:
        return None

    def restore(self, _: object) -> None:
        """A fresh guest."""
        if self._store is not None:
            self._store.close()
        self._store = Store(self._engine)
        self._store.set_wasi(WasiConfig())
        entry = self._linker.instantiate(self._store, self._component).get_func(self._store, self._entry)
        assert entry is not None
        self._execute = entry
        self._execute(self._store, "None")

    def _dispatch(self, _: Store, name: str, arguments: str) -> wasm.Variant:
        try:
            return wasm.Variant("ok", json.dumps(self._tools[name](**json.loads(arguments))))
        except Exception as error:
            return wasm.Variant("err", f"{type(error).__name__}: {error}")
