"""Which boundary a program gets: the one asked for, or the strongest that really starts; and never another in silence."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from codeact_kernel.errors import SandboxError, UserError
from codeact_kernel.sandbox import backend_selector
from codeact_kernel.sandbox.backend_selector import BackendSelector
from codeact_kernel.sandbox.backends import guest_files, micro_vm_support
from codeact_kernel.sandbox.pool import Pool
from codeact_kernel.settings import Limits

from .conftest import LIMITS, run_in

HOST = {
    "system": "linux",
    "machine": "x86_64",
    "installed": lambda name: True,
    "exists": lambda device: device == "/dev/kvm",
    "can_use": lambda device: True,
}
"""A host to which nothing is missing, as far as can be seen."""


def test_a_host_with_all_parts_misses_none():
    assert micro_vm_support.missing(**HOST) == ""
    assert micro_vm_support.missing(**HOST | {"exists": lambda device: device == "/dev/mshv"}) == ""
    assert (
        micro_vm_support.missing(**HOST | {"system": "win32", "machine": "AMD64", "exists": lambda device: False}) == ""
    )


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ({"system": "darwin", "machine": "arm64"}, ["Linux and Windows with x86-64", "darwin on arm64"]),
        ({"machine": "aarch64"}, ["x86-64 processors only", "linux on aarch64"]),
        ({"installed": lambda name: None}, ["not installed", "pip install 'hyperlight-sandbox[wasm]==0.8.0'"]),
        ({"exists": lambda device: False}, ["no hypervisor", "/dev/kvm is missing", "firmware", "--device /dev/kvm"]),
        (
            {"can_use": lambda device: False, "group": lambda device: "kvm"},
            ["may not open /dev/kvm", 'sudo usermod -aG kvm "$USER"', "log in again"],
        ),
        ({"can_use": lambda device: False, "group": lambda device: "root"}, ["may not open /dev/kvm", "chmod a+rw"]),
    ],
)
def test_the_part_that_is_missing_is_named_and_what_to_do_about_it(lacks, told):
    sentence = micro_vm_support.missing(**HOST | lacks)
    assert [part for part in told if part not in sentence] == []
    assert sentence.endswith(".")


def test_asking_for_a_micro_vm_where_a_part_is_missing_is_an_error_with_that_part(monkeypatch):
    monkeypatch.setattr(micro_vm_support, "missing", lambda: "There is no hypervisor.")
    with pytest.raises(UserError, match=r"^The hyperlight backend cannot run here\. There is no hypervisor\.$"):
        BackendSelector("hyperlight")


@pytest.fixture
def refusing(monkeypatch, tmp_path):
    """A host whose parts are all there, and on which a micro-VM starts as little as on one that refuses."""
    monkeypatch.setattr(micro_vm_support, "missing", lambda: "")
    monkeypatch.setattr(guest_files, "native", lambda: tmp_path / "broken.aot")
    (tmp_path / "broken.aot").write_bytes(b"no guest")


async def test_a_hypervisor_that_refuses_is_an_error_that_says_so_and_no_other_boundary(refusing):
    wanted = BackendSelector("hyperlight")
    with pytest.raises(SandboxError) as caught:
        await wanted.start(LIMITS, print)
    said = str(caught.value)
    assert said.startswith("The hyperlight backend did not start: the hypervisor refuses to run a micro-VM: ")
    assert said.endswith(". To go on, choose --backend embedded, or auto to take what this host can give.")
    assert wanted.name == "hyperlight"


async def test_auto_takes_the_embedded_guest_where_no_micro_vm_starts_and_keeps_the_reason(monkeypatch):
    monkeypatch.setattr(micro_vm_support, "missing", lambda: "There is no hypervisor.")
    auto = BackendSelector("auto")
    assert (auto.name, auto.passed_over) == (None, "")
    worker = await auto.start(LIMITS, print)
    try:
        assert worker.isolation.backend == auto.name == "embedded"
        assert "There is no hypervisor." in auto.passed_over
    finally:
        await worker.kill()


async def test_auto_tries_for_real_even_where_all_parts_are_there(refusing):
    auto = BackendSelector("auto")
    worker = await auto.start(LIMITS, print)
    await worker.kill()
    assert auto.name == "embedded"
    assert auto.passed_over.startswith("the hypervisor refuses to run a micro-VM: ")


async def test_what_auto_found_out_holds_and_later_failures_are_errors(fake):
    fake.fails = lambda backend, number: number > 1
    auto = BackendSelector("auto")
    await auto.start(LIMITS, print)
    with pytest.raises(SandboxError, match="did not start: no memory left. To go on, %codeact reset looks again"):
        await auto.start(LIMITS, print)
    assert [backend for backend, _ in fake.started] == ["hyperlight", "hyperlight"]


class FakeWorker:
    """Stands for a worker where only the choice is looked at: comes up, or not, by what was asked of it."""

    started: list[tuple[str, int]]
    fails: Callable[[str, int], bool]
    usable = True

    @classmethod
    async def start(cls, backend: str, limits: Limits):
        cls.started.append((backend, limits.memory_bytes >> 20))
        await asyncio.sleep(0)
        if cls.fails(backend, len(cls.started)):
            raise SandboxError("no memory left")
        return cls()

    async def kill(self) -> None:
        pass


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(backend_selector, "Worker", FakeWorker)
    monkeypatch.setattr(micro_vm_support, "missing", lambda: "")
    FakeWorker.started = []
    return FakeWorker


async def test_first_turns_that_come_together_find_out_one_thing(fake):
    fake.fails = lambda backend, number: number == 2
    auto = BackendSelector("auto")
    await asyncio.gather(auto.start(LIMITS, print), auto.start(LIMITS, print), return_exceptions=True)
    assert auto.name == "hyperlight"
    assert {backend for backend, _ in fake.started} == {"hyperlight"}


async def test_one_cells_unusual_memory_does_not_decide_for_the_session(fake):
    fake.fails = lambda backend, number: number == 2
    auto = BackendSelector("auto")
    with pytest.raises(SandboxError, match="The hyperlight backend did not start"):
        await auto.start(Limits(memory_bytes=2 << 30), print)
    assert auto.name == "hyperlight"
    assert fake.started == [("hyperlight", 256), ("hyperlight", 2048)]


def test_a_backend_that_does_not_exist_is_a_sentence_that_names_those_that_do():
    with pytest.raises(UserError, match="There is no backend 'docker': choose auto, hyperlight, embedded"):
        Pool("docker", Limits())


@pytest.mark.smoke
@pytest.mark.hyperlight
async def test_auto_takes_the_micro_vm_where_one_starts():
    auto = BackendSelector("auto")
    worker = await auto.start(LIMITS, print)
    try:
        assert (auto.name, auto.passed_over) == ("hyperlight", "")
        assert worker.isolation.boundary == "Hyperlight micro-VM"
        assert (await run_in(worker, "1 + 1")).value == 2
    finally:
        await worker.kill()


@pytest.mark.parametrize(
    ("variable", "value", "code", "said"),
    [
        ("CODEACT_BACKEND", "embedded", 0, "The sandbox is ready: WebAssembly in a locked-down process"),
        ("CODEACT_BACKEND", "docker", 1, "CODEACT_BACKEND: 'docker' is not a backend: choose auto"),
        ("CODEACT_BAKCEND", "embedded", 1, "CODEACT_BAKCEND is not known: did you mean CODEACT_BACKEND?"),
    ],
)
def test_preparing_takes_the_backend_of_the_environment_as_a_prompt_does(variable, value, code, said):
    plain = {name: text for name, text in os.environ.items() if not name.startswith("CODEACT_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel.sandbox.precompile"],
        env=plain | {variable: value}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
