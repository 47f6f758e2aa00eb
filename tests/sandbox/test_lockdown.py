"""What a locked-down process can no longer do, and what the same process could do a moment before."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
import pytest

from codeact_kernel.guest.kinds import SCIENCE, STANDARD
from codeact_kernel.sandbox import seccomp
from codeact_kernel.sandbox.worker_client import Worker
from codeact_kernel.settings import Limits

from .conftest import BACKENDS, run_in, workers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lockdown is made of Linux's parts")

ATTEMPTS = """
import ctypes, fcntl, json, mmap, os, signal, socket, sys, threading, time
from codeact_kernel.sandbox import lockdown

libc = ctypes.CDLL(None, use_errno=True)
server = socket.create_server(("127.0.0.1", 0))
old = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))

def fork():
    if (child := os.fork()) == 0:
        os._exit(0)

def executable():
    if libc.mprotect(ctypes.c_void_p(address), 4096, 7):
        raise OSError(ctypes.get_errno(), "mprotect")

def own_a_signal():  # whatever happens on the pipe is then told to that process
    fcntl.fcntl(server, fcntl.F_SETOWN, os.getppid())

def ioctl(command):
    def attempt():
        if libc.ioctl(1, command, ctypes.create_string_buffer(256)) and ctypes.get_errno() == 1:
            raise PermissionError
    return attempt

def keep(descriptor):
    return lambda: os.close(descriptor())

attempts = {
    "open a file": keep(lambda: os.open(__file__ if "__file__" in globals() else sys.executable, os.O_RDONLY)),
    "list a folder": lambda: os.listdir("/"),
    "ask about a file": lambda: os.access("/", os.R_OK) or 1 / 0,
    "new socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
    "new datagram socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "connect an old socket": lambda: old.connect(server.getsockname()),
    "fork": fork,
    "run a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "have the parent signalled": own_a_signal,
    "executable memory": lambda: mmap.mmap(-1, 4096, prot=7).close(),
    "memory made executable": executable,
    "a terminal's settings": ioctl(0x5401),
    "a command to a hypervisor": ioctl(0xAE80),
    "sleep": lambda: time.sleep(0.001),
    "memory": lambda: bytearray(50_000_000),
    "random numbers": lambda: os.urandom(8),
    "read the clock": lambda: time.monotonic(),
}
how, layers, missing = sys.argv[1], [], []
has = lockdown._landlock_version() > 0
def absent(*given):
    raise OSError
if how.startswith("only") and "Landlock" not in how:
    lockdown._landlock_version, lockdown._landlock = lambda: 0, absent
if how.startswith("only") and "seccomp" not in how:
    lockdown._seccomp = absent
if how != "free":
    lockdown.prepare(files=[])
    layers, missing = lockdown.finish(cpu_seconds=10, hypervisor=how == "with a hypervisor")
result = {"layers": layers, "missing": missing, "Landlock is there": has, "environment": dict(os.environ)}
for name, attempt in attempts.items():
    try:
        attempt()
        result[name] = "allowed"
    except OSError as error:
        result[name] = "refused"
    except BaseException as error:
        result[name] = type(error).__name__
os.write(1, json.dumps(result).encode())
"""
STILL_NEEDED = ("sleep", "memory", "random numbers", "read the clock")
REFUSED = (
    "open a file",
    "list a folder",
    "new socket",
    "new datagram socket",
    "connect an old socket",
    "fork",
    "run a program",
    "signal the parent",
    "have the parent signalled",
    "executable memory",
    "memory made executable",
    "a terminal's settings",
    "a command to a hypervisor",
)
ALONE = {
    "only Landlock": {"open a file", "list a folder", "connect an old socket", "run a program"},
    "only seccomp": {*REFUSED},
    "only nothing": set[str](),
}
"""What each layer refuses when the others are switched off. (Newer kernels' Landlock refuses signals as well.)"""


@cache
def attempts(how: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", ATTEMPTS, how], capture_output=True, text=True, timeout=30, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture
def locked() -> dict[str, object]:
    result = attempts("locked")
    if not attempts("free")["Landlock is there"] or platform.machine() not in seccomp.MACHINES:
        pytest.skip(f"this machine has no {result['missing']}")
    assert result["missing"] == []
    return result


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_process_could_do_before_is_refused_after(locked, what):
    assert attempts("free")[what] == "allowed"
    assert locked[what] == "refused"


@pytest.mark.parametrize("what", STILL_NEEDED)
def test_what_a_guest_needs_still_works(locked, what):
    assert locked[what] == "allowed"


@pytest.mark.parametrize("what", [*REFUSED, *STILL_NEEDED])
def test_a_process_with_a_micro_vm_may_talk_to_the_hypervisor_and_nothing_else_more(locked, what):
    found = attempts("with a hypervisor")
    assert found[what] == ("allowed" if what == "a command to a hypervisor" else locked[what])


@pytest.mark.parametrize("how", ALONE)
def test_each_layer_refuses_its_part_with_the_others_switched_off(locked, how):
    found = attempts(how)
    refused = {what for what in REFUSED if found[what] == "refused"}
    assert refused - {"signal the parent"} == ALONE[how] - {"signal the parent"}
    assert all(found[what] == "allowed" for what in STILL_NEEDED)


def test_nothing_is_left_of_the_environment(locked):
    assert attempts("free")["environment"]
    assert locked["environment"] == {}


def test_a_system_without_a_signal_at_its_parents_end_watches_for_it():
    script = (
        "import os, subprocess, sys\n"
        "watching = 'import os\\nfrom codeact_kernel.sandbox import lockdown\\nparent = os.getppid()\\n"
        "print(os.getpid(), flush=True)\\nlockdown.watch(parent)'\n"
        "child = subprocess.Popen([sys.executable, '-P', '-c', watching], stdout=subprocess.PIPE)\n"
        "print(int(child.stdout.readline()))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(timeout=30)


def test_the_layers_in_force_and_those_that_are_missing_are_named():
    result = attempts("locked")
    assert sorted([*result["layers"], *result["missing"]]) == ["Landlock", "seccomp"]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_real_worker_is_locked_down_when_it_is_ready(locked, backend):
    before = {process.pid for process in workers()}
    name, guest = ("embedded", SCIENCE) if backend == "science" else (backend, STANDARD)
    worker = await Worker.start(name, Limits(cpu_seconds=77), guest)
    try:
        (pid,) = {process.pid for process in workers()} - before
        if copies := psutil.Process(pid).children():  # the worker itself runs no program then
            (pid,) = [copy.pid for copy in copies]
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        for thread in threads:  # a micro-VM's library has some of its own
            status = dict(line.split(":\t", 1) for line in (thread / "status").read_text().splitlines())
            assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert len(threads) >= (3 if backend == "hyperlight" else 1)
        limits = Path(f"/proc/{pid}/limits").read_text()
        for name, most in (("cpu time", "77"), ("file size", "0"), ("core file size", "0")):
            assert [line.split()[-3] for line in limits.splitlines() if line.startswith(f"Max {name} ")] == [most]
        assert worker.isolation.layers == ("seccomp", "Landlock")
        assert (await run_in(worker, "1")).value == 1
    finally:
        await worker.kill()
