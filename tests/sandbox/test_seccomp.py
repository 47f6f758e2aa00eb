"""The filter of system calls, run step by step as the kernel would, for machines that this one is not too."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from codeact_kernel.sandbox.seccomp import MACHINES, NUMBERS, filter_for

ALLOW, REFUSE, ABSENT, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+)\s+(\d+)"),
    "aarch64": ("/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+)\s+(\d+)"),
}


def judged(machine: str, name: str | int, *arguments: int, hypervisor: bool = False, of: str = "") -> int:
    """What the filter returns for a call with these arguments."""
    program = filter_for(machine, hypervisor=hypervisor)
    assert program is not None
    number = NUMBERS[name][MACHINES[machine][1]] if isinstance(name, str) else name
    assert number is not None
    data = struct.pack("IIQ6Q", number, MACHINES[of or machine][0], 0, *arguments, *[0] * (6 - len(arguments)))
    steps, place, held = list(struct.iter_unpack("HBBI", program)), 0, 0
    while True:
        operation, yes, no, value = steps[place]
        place += 1
        match operation:
            case 0x20:
                (held,) = struct.unpack_from("I", data, value)
            case 0x54:
                held &= value
            case 0x15:
                place += yes if held == value else no
            case 0x35:
                place += yes if held >= value else no
            case 0x45:
                place += yes if held & value else no
            case 0x06:
                return value
            case _:
                raise AssertionError(f"an operation of no filter: {operation:#x}")


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def test_what_a_worker_needs_is_allowed_and_every_other_number_is_refused(machine):
    known = {numbers[MACHINES[machine][1]] for numbers in NUMBERS.values()}
    for name in ("read", "write", "futex", "munmap", "exit_group", "clock_gettime", "rt_sigreturn"):
        assert judged(machine, name) == ALLOW
    for number in (*range(600), 0x40000000, 0xFFFFFFFF):
        if number not in known:
            assert judged(machine, number) == REFUSE


def test_a_call_in_the_numbers_of_another_machine_ends_the_process(machine):
    (other,) = set(MACHINES) - {machine}
    assert judged(machine, "read", of=other) == KILL


@pytest.mark.parametrize("name", ["mmap", "mprotect"])
def test_memory_is_not_executable(machine, name):
    assert judged(machine, name, 0, 4096, 3) == ALLOW
    assert judged(machine, name, 0, 4096, 7) == REFUSE
    assert judged(machine, name, 0, 4096, 4) == REFUSE


def test_there_are_threads_and_no_processes(machine):
    assert judged(machine, "clone", 0x3D0F00) == ALLOW  # what a C library gives for a thread
    assert judged(machine, "clone", 0x1200011) == REFUSE  # and for fork
    assert judged(machine, "clone3") == ABSENT


def test_a_descriptors_signals_stay_with_it(machine):
    for command, result in ((1, ALLOW), (3, ALLOW), (1030, ALLOW), (8, REFUSE), (15, REFUSE), (1034, REFUSE)):
        assert judged(machine, "fcntl", 0, command) == result


def test_a_device_takes_commands_only_where_it_is_a_hypervisors(machine):
    assert judged(machine, "ioctl", 3, 0xAE80) == REFUSE
    assert judged(machine, "ioctl", 3, 0xAE80, hypervisor=True) == ALLOW
    assert judged(machine, "ioctl", 3, 0xB800, hypervisor=True) == ALLOW
    assert judged(machine, "ioctl", 0, 0x5401, hypervisor=True) == REFUSE


def test_a_process_keeps_its_name_and_nothing_else_of_prctl(machine):
    assert judged(machine, "prctl", 15) == ALLOW
    assert judged(machine, "prctl", 22) == REFUSE


def test_the_numbers_are_those_of_the_systems_headers(machine):
    file, pattern = HEADERS[machine]
    if not Path(file).exists():
        pytest.skip(f"there is no {file}: install linux-libc-dev")
    column = MACHINES[machine][1]
    found = {name: int(number) for name, number in re.findall(pattern, Path(file).read_text())}
    found |= {"newfstatat": found["fstatat"]} if "fstatat" in found else {}
    for name, numbers in NUMBERS.items():
        assert numbers[column] == found.get(name), name


def test_a_machine_whose_numbers_are_not_known_has_no_filter():
    assert filter_for("riscv64", hypervisor=False) is None
