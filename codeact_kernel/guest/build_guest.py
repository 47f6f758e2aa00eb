"""The stock guest at build time: it compiles the library's modules and tries to import each of them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import wasmtime
from wasmtime import component

__all__ = [
    "MAGIC",
    "PYTHON",
    "Guest",
    "PackError",
    "Source",
    "Trial",
    "compile_all",
    "define_http",
    "folder_of",
    "import_all",
    "parts",
]

PYTHON = "3.14.0"
MAGIC = 3627
_RESOURCES_OF_IO = ("io-error", "input-stream", "output-stream", "pollable")  # aliases; `add_wasip2` defines them
LIBRARY = "/python/lib/python3.14/"  # where the guest's own modules say they come from

TALK = """\
import binascii, importlib, importlib.machinery, json, marshal, sys
from wit_world.imports import tools

def host(op, *values):
    return json.loads(tools.dispatch(op, json.dumps(values)))
"""

COMPILE = f"""{TALK}
magic = int.from_bytes(importlib._bootstrap_external.MAGIC_NUMBER[:2], "little")
host("facts", sys.version.split()[0], magic, [*sys.builtin_module_names, *sys.modules])
while todo := host("following"):
    name, filename, source = todo
    code = compile(source, filename, "exec", dont_inherit=True, optimize=0)
    host("compiled", name, binascii.b2a_base64(marshal.dumps(code)).decode())
"""

IMPORT = f"""{TALK}
class PackImporter:
    def find_spec(name, path=None, target=None):
        if found := host("module", name):
            spec = importlib.machinery.ModuleSpec(name, PackImporter, is_package=found[0])
            spec.loader_state = found[1]
            return spec

    def create_module(spec):
        return None

    def exec_module(module):
        exec(marshal.loads(binascii.a2b_base64(module.__spec__.loader_state)), module.__dict__)

sys.path.clear()
sys.meta_path.append(PackImporter)
for name in names:
    try:
        importlib.import_module(name)
    except BaseException as error:
        host("failed", name, f"{{type(error).__name__}}: {{error}}")
host("loaded", *sys.modules)
"""


class PackError(Exception):
    """The pack cannot be built. The message is one sentence that says what to do."""


@dataclass(slots=True)
class Source:
    """One module of the library: its path below `lib/`, its text, and its marshalled bytecode in base64."""

    path: str
    text: str
    code: str = ""


@dataclass(slots=True)
class Trial:
    """What came of importing every module in the guest: names that work, and reasons of those that do not."""

    importable: set[str] = field(default_factory=set[str])
    failed: dict[str, str] = field(default_factory=dict[str, str])


def folder_of(package: str) -> Path:
    """Where an installed package is, without importing it.

    Raises:
        PackError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PackError(f"The standard-library pack is made from {package}: install it, then build again.")
    return Path(spec.submodule_search_locations[0])


class Guest:
    """The stock guest in wasmtime, with neither files nor network. Making one compiles it: ten seconds of CPU."""

    def __init__(self) -> None:
        self._ops: Mapping[str, Callable[..., object]] = {}
        engine = wasmtime.Engine()
        wasm = folder_of("python_guest") / "resources" / "python-sandbox.wasm"
        try:
            guest = component.Component(engine, wasm.read_bytes())
        except (OSError, wasmtime.WasmtimeError) as error:
            raise PackError(f"{wasm} cannot be loaded ({error}): install the pinned guest and wasmtime.") from None
        linker = component.Linker(engine)
        linker.add_wasip2()
        with linker.root() as root:
            define_http(root, guest, engine, _refuse_any)
            with root.add_instance("hyperlight:sandbox/tools") as tools:
                tools.add_func("dispatch", self._dispatch)
        self._engine, self._guest, self._linker = engine, guest, linker

    def run(self, program: str, *ops: Callable[..., object]) -> None:
        """Run `program` in a fresh instance. Its `host(op, *values)` calls the one of `ops` with that name.

        Raises:
            PackError: the program failed, or the instance crashed.
        """
        self._ops = {op.__name__: op for op in ops}
        executor = self._guest.get_export_index("hyperlight:sandbox/executor")
        index: Any = self._guest.get_export_index("run", executor)
        store = wasmtime.Store(self._engine)
        store.set_wasi(wasmtime.WasiConfig())
        store.set_limits(memory_size=512 << 20)
        try:
            run: Any = self._linker.instantiate(store, self._guest).get_func(store, index)
            result: Any = run(store, program)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise PackError(f"The guest crashed: {f'{error}'.strip().splitlines()[-1]}.") from error
        finally:
            store.close()
        if getattr(result, "exit-code"):
            raise PackError(f"The guest failed: {result.stderr.strip()}.")

    def _dispatch(self, _store: object, op: str, values: str) -> component.Variant:
        return component.Variant("ok", json.dumps(self._ops[op](*json.loads(values))))


def define_http(
    root: component.LinkerInstance,
    guest: component.Component,
    engine: wasmtime.Engine,
    implement: Callable[[str, Any, Mapping[str, int]], Callable[..., Any]],
) -> None:
    """Define wasi:http, without which the guest does not start.

    wasmtime's own `add_wasi_http()` opens unrestricted outbound HTTP, loopback included, and must never be called.

    Args:
        implement: returns the function to define, from its name, its type and the number of each resource.
    """
    interfaces: dict[str, dict[str, Any]] = {}
    resources: dict[str, int] = {}
    for interface in ("wasi:http/types@0.2.0", "wasi:http/outgoing-handler@0.2.0"):
        exported: Any = guest.type.imports(engine)[interface].ty
        interfaces[interface] = {name: item.ty for name, item in exported.exports(engine).items()}
        for name, kind in interfaces[interface].items():
            if isinstance(kind, component.ResourceType) and name not in _RESOURCES_OF_IO:
                resources.setdefault(name, 1_000 + len(resources))
    resources["headers"] = resources["trailers"] = resources["fields"]  # aliases
    for interface, items in interfaces.items():
        with root.add_instance(interface) as instance:
            for name, kind in items.items():
                if isinstance(kind, component.FuncType):
                    instance.add_func(name, implement(name, kind, resources))
                elif name in resources:
                    instance.add_resource(name, component.ResourceType.host(resources[name]), _drop)


def _refuse_any(*_: object) -> Callable[..., object]:
    return _refused


def _refused(*_: object) -> object:
    raise PackError("The network was used while the pack was built.")


def _drop(*_: object) -> None: ...


def compile_all(guest: Guest, sources: Mapping[str, Source]) -> set[str]:
    """Fill in the bytecode of `sources`; the names of the modules that the guest has by itself.

    Raises:
        PackError: the guest is another CPython, or cannot compile a module.
    """
    todo = iter(sources.items())
    stock: set[str] = set()

    def facts(python: str, magic: int, names: list[str]) -> None:
        if (python, magic) != (PYTHON, MAGIC):
            raise PackError(f"The guest is CPython {python} instead of {PYTHON}: install the pinned version of it.")
        stock.update(names)

    def following() -> tuple[str, str, str] | None:
        return next(((name, LIBRARY + source.path, source.text) for name, source in todo), None)

    def compiled(name: str, code: str) -> None:
        sources[name].code = code

    guest.run(COMPILE, facts, following, compiled)
    return stock


def import_all(guest: Guest, sources: Mapping[str, Source], stock: set[str]) -> Trial:
    """Import every module; those below one top-level name share a fresh instance."""
    trial = Trial()

    def module(name: str) -> tuple[bool, str] | None:
        return (sources[name].path.endswith("/__init__.py"), sources[name].code) if name in sources else None

    def failed(name: str, reason: str) -> None:
        trial.failed[name] = reason

    def loaded(*names: str) -> None:
        trial.importable.update(names)

    for _, family in groupby(sorted({*sources, *stock}, key=parts), key=lambda name: parts(name)[0]):
        names = list(family)
        try:
            guest.run(f"names = {names}\n{IMPORT}", module, failed, loaded)
        except PackError as error:
            trial.failed.update(dict.fromkeys(names, str(error)))
    trial.importable -= trial.failed.keys()
    return trial


def parts(name: str) -> list[str]:
    """The parts of a dotted name."""
    return name.split(".")
