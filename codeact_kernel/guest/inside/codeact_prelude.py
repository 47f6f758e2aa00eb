"""Runs first in every guest: guards, the talk with the worker, the importer. The host reads this file, never runs it.

Order matters: the guards come first because they protect the imports that follow. Nothing in the guest is policy; a
program can change all of it, so whatever counts is decided by the host.
"""

import binascii
import builtins
import importlib
import importlib.machinery  # not `from`: its __getattr__ would import warnings, which is not there yet
import json
import marshal
import select
import sys
import time
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import Any, NoReturn

from wit_world.imports import tools

# A guest-to-host message of a micro-VM has 16 KiB. Inside a part, JSON text is quoted once more: no character of it
# then takes more than four bytes, so 2,000 characters stay below 8 KiB.
PART = 2_000


def host(op: str, **fields: Any) -> Any:
    """Ask the worker; its answer, decoded. A refusal is a RuntimeError with its reason."""
    text = json.dumps({"op": op, **fields}, ensure_ascii=False, allow_nan=False)
    if len(text.encode()) > 4 * PART:  # encode() also refuses lone surrogates, on which the guest would trap
        for start in range(0, len(text), PART):
            _dispatch(json.dumps({"op": "part", "text": text[start : start + PART]}, ensure_ascii=False))
        text = '{"op": "joined"}'
    return json.loads(_dispatch(text))


def _dispatch(text: str) -> str:
    try:
        return tools.dispatch("codeact", text)
    except Exception as error:
        raise RuntimeError(str(getattr(error, "value", error))) from None


# -- guards: in a micro-VM each of these kills the sandbox, hangs it, or lies ---

before_sleep: list[Any] = []


def _sleep(seconds: float, /) -> None:
    for flush in before_sleep:
        flush()
    host("sleep", seconds=max(0.0, float(seconds)))


def _refuse(*_: object, **__: object) -> NoReturn:
    raise OSError("not available in the sandbox")


def _no_input(*_: object) -> NoReturn:
    raise EOFError("there is no input in the sandbox: take what you need from the tools")


class _NoInput:
    encoding = "utf-8"
    read = readline = readlines = __next__ = staticmethod(_no_input)

    def __iter__(self) -> "_NoInput":
        return self

    def isatty(self) -> bool:
        return False


_started = time.time()


def _clock() -> float:
    return time.time() - _started


def _clock_ns() -> int:
    return int(_clock() * 1e9)


time.sleep = _sleep
time.monotonic = time.perf_counter = time.process_time = _clock
time.monotonic_ns = time.perf_counter_ns = time.process_time_ns = _clock_ns
for _name in ("poll", "epoll"):
    if hasattr(select, _name):
        delattr(select, _name)
select.select = _refuse
builtins.input = _no_input
sys.stdin = _NoInput()  # type: ignore[assignment]


# -- the importer: what the stock guest lacks comes from the host's pack ---


class PackImporter:
    """Finder and loader of the modules that only the pack has. Last in `sys.meta_path`, so it shadows nothing."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        found = host("module", name=name)
        if found is None:
            return None
        spec = importlib.machinery.ModuleSpec(name, PackImporter, origin=found["file"], is_package=found["package"])  # type: ignore[arg-type]
        spec.loader_state = found
        return spec

    @staticmethod
    def create_module(spec: importlib.machinery.ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        found, spec.loader_state = spec.loader_state, None
        exec(_code(found), module.__dict__)
        if spec.name == "asyncio":
            importlib.import_module("codeact_aio")  # replaces the event loop: the guest has no sockets to wait on

    @staticmethod
    def get_source(name: str) -> str | None:
        return host("source", name=name)

    @staticmethod
    def is_package(name: str) -> bool:
        return bool(host("module", name=name)["package"])


def _code(found: dict[str, Any]) -> CodeType:
    if "code" in found:
        return marshal.loads(binascii.a2b_base64(found["code"]))
    return compile(found["source"], found["file"], "exec", dont_inherit=True)


sys.path.clear()  # there are no folders to search
sys.meta_path.append(PackImporter)  # type: ignore[arg-type]
_module = ModuleType("codeact_prelude")
_module.__dict__.update(host=host, before_sleep=before_sleep)
sys.modules["codeact_prelude"] = _module
