"""The worker starts light: import-linter sees the rules of imports, only a running process shows what really comes along."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

HEAVY = {"openai", "pydantic", "IPython", "ipykernel", "ipywidgets", "asyncio", "httpx", "numpy", "pandas", "pygments"}


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_worker_imports_neither_notebook_nor_model_nor_an_event_loop_nor_its_backends_library():
    found = imported_by("codeact_kernel.sandbox.worker_main")
    assert "codeact_kernel.bridge.protocol" in found
    assert not (HEAVY | {"wasmtime"}) & found
    ours = {"model", "tools", "turn", "session", "events", "sandbox.pool", "sandbox.worker_client", "render", "prompt"}
    assert not {f"codeact_kernel.{name}" for name in ours} & found


def test_the_backend_adds_its_own_library_and_nothing_else_that_is_heavy():
    found = imported_by("codeact_kernel.sandbox.backends.embedded_guest")
    assert "wasmtime" in found
    assert not HEAVY & found
    assert not any(name.startswith(("python_guest", "hyperlight")) for name in found)


@pytest.mark.skipif(find_spec("hyperlight_sandbox_backend_wasm") is None, reason="there is no wheel for this system")
def test_so_does_the_one_with_the_micro_vm_which_has_all_of_it_before_the_files_are_shut():
    found = imported_by("codeact_kernel.sandbox.backends.hyperlight_guest")
    assert {"hyperlight_sandbox", "hyperlight_sandbox_backend_wasm"} <= found
    assert not (HEAVY | {"wasmtime", "python_guest"}) & found


@pytest.mark.parametrize("module", ["codeact_kernel.session", "codeact_kernel.sandbox.pool", "codeact"])
def test_the_kernel_never_loads_a_sandboxs_library(module):
    assert not {name for name in imported_by(module) if name.startswith(("hyperlight", "wasmtime", "python_guest"))}


@pytest.mark.parametrize("package", ["codeact_kernel", "codeact_kernel.errors", "codeact_kernel.types"])
def test_the_package_itself_is_light(package):
    assert not (HEAVY | {"wasmtime"}) & imported_by(package)
