"""Build the seccomp filters that allow system calls to a locked-down process. No I/O; Linux only.

The filters are allow-lists, because a deny-list was tried and left executable memory possible. No library is used:
libraries for seccomp need the C library libseccomp on the machine, and its file before the worker is locked down.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

__all__ = ["MACHINES", "NUMBERS", "filter_for", "renderer_filter_for"]

MACHINES: Mapping[str, tuple[int, int]] = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The kernel's number of each machine (AUDIT_ARCH_... of linux/audit.h), and its column in the tables below."""

# From asm/unistd_64.h and asm-generic/unistd.h: the number of each system call on x86-64 and on aarch64, which lacks
# some. A running worker was seen to make these calls; wasmtime may make others of them after a trap.
_ALWAYS: Mapping[str, tuple[int, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "poll": (7, None), "lseek": (8, 62),
    "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "readv": (19, 65), "writev": (20, 66), "sched_yield": (24, 124), "madvise": (28, 233),
    "nanosleep": (35, 101), "getpid": (39, 172), "exit": (60, 93), "getrusage": (98, 165), "sysinfo": (99, 179),
    "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98), "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "epoll_wait": (232, None), "epoll_ctl": (233, 21),
    "newfstatat": (262, 79), "ppoll": (271, 73), "set_robust_list": (273, 99), "epoll_pwait": (281, 22),
    "eventfd2": (290, 19), "epoll_create1": (291, 20), "getrandom": (318, 278), "membarrier": (324, 283),
    "rseq": (334, 293),
}  # fmt: skip
# Calls that are allowed only with some arguments.
_CONDITIONAL: Mapping[str, tuple[int, int]] = {
    "mmap": (9, 222), "mprotect": (10, 226), "clone": (56, 220), "clone3": (435, 435), "prctl": (157, 167),
    "fcntl": (72, 25), "ioctl": (16, 29), "openat": (257, 56), "socketpair": (53, 199),
}  # fmt: skip
# Further calls of vl-convert, which finds and reads fonts and starts threads.
_RENDERER: Mapping[str, tuple[int, int | None]] = {
    "mremap": (25, 216), "uname": (63, 160), "readlink": (89, None), "readlinkat": (267, 78),
    "sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "getdents64": (217, 61), "statx": (332, 291),
}  # fmt: skip
NUMBERS: Mapping[str, tuple[int, int | None]] = {**_ALWAYS, **_CONDITIONAL, **_RENDERER}

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06  # classic BPF
_Step = tuple[int, int, int, int]
_ALLOW: _Step = (_RETURN, 0, 0, 0x7FFF0000)
_REFUSE: _Step = (_RETURN, 0, 0, 0x00050001)  # EPERM
_ABSENT: _Step = (_RETURN, 0, 0, 0x00050026)  # ENOSYS
_KILL: _Step = (_RETURN, 0, 0, 0x80000000)

_PROT_EXEC, _CLONE_THREAD, _PR_SET_NAME, _F_SETOWN_AND_MORE, _F_DUPFD_CLOEXEC = 4, 0x10000, 15, 5, 1030
_AF_UNIX, _O_CHANGES_FILES = 1, 0o1103  # O_WRONLY, O_RDWR, O_CREAT and O_TRUNC, the same on both machines
_KVM, _MSHV = 0xAE, 0xB8  # types of ioctl commands, from ioctl-number.rst of Linux


def filter_for(machine: str, *, hypervisor: bool) -> bytes | None:
    """Build the filter for a worker. The result is `None` for a machine whose numbers are not known.

    Args:
        machine: the machine's name from `platform.machine()`.
        hypervisor: whether to allow commands to a hypervisor whose device is open.
    """
    if machine not in MACHINES:
        return None
    _, column = MACHINES[machine]
    steps: list[_Step] = []
    for name in ("mmap", "mprotect"):
        steps += _call(name, column, _argument(2), (_ANY_BIT, 0, 1, _PROT_EXEC), _REFUSE, _ALLOW)
    if hypervisor:  # the second byte of a command is its type
        known = ((_EQUAL, 1, 0, _KVM << 8), (_EQUAL, 0, 1, _MSHV << 8))
        steps += _call("ioctl", column, _argument(1), (_AND, 0, 0, 0xFF00), *known, _ALLOW, _REFUSE)
    return _filter(machine, steps, _ALWAYS)


def renderer_filter_for(machine: str, *, files: bool) -> bytes | None:
    """Build the filter for a process that draws with a JavaScript engine: threads, executable memory, no network.

    Args:
        machine: the machine's name from `platform.machine()`. The result is `None` if its numbers are not known.
        files: allow files to be opened for reading. Which ones must be limited by Landlock.
    """
    if machine not in MACHINES:
        return None
    _, column = MACHINES[machine]
    # The two sockets are connected only to each other, and no other call that takes a socket is allowed.
    steps = _call("socketpair", column, _argument(0), (_EQUAL, 0, 1, _AF_UNIX), _ALLOW, _REFUSE)
    if files:
        steps += _call("openat", column, _argument(2), (_ANY_BIT, 0, 1, _O_CHANGES_FILES), _REFUSE, _ALLOW)
    for name in ("mmap", "mprotect"):
        steps += _call(name, column, _ALLOW)
    return _filter(machine, steps, {**_ALWAYS, **_RENDERER})


def _filter(machine: str, own: Sequence[_Step], plain: Mapping[str, tuple[int, int | None]]) -> bytes:
    """Assemble a filter: the check of the machine, its own steps, the conditional calls, and the plain calls."""
    audit, column = MACHINES[machine]
    steps: list[_Step] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), _KILL, (_LOAD, 0, 0, 0), *own]
    steps += _call("clone", column, _argument(0), (_ANY_BIT, 0, 1, _CLONE_THREAD), _ALLOW, _REFUSE)
    steps += _call("clone3", column, _ABSENT)  # a filter cannot read its flags; the C library then uses clone
    steps += _call("prctl", column, _argument(0), (_EQUAL, 0, 1, _PR_SET_NAME), _ALLOW, _REFUSE)
    # Not F_SETOWN, which can send the signal of a file to any process.
    allowed = ((_AT_LEAST, 1, 0, _F_SETOWN_AND_MORE), _ALLOW, (_EQUAL, 0, 1, _F_DUPFD_CLOEXEC), _ALLOW)
    steps += _call("fcntl", column, _argument(1), *allowed, _REFUSE)
    for number in sorted(number for both in plain.values() if (number := both[column]) is not None):
        steps += _when(number, _ALLOW)
    return _pack([*steps, _REFUSE])


def _call(name: str, column: int, *steps: _Step) -> list[_Step]:
    return _when(_CONDITIONAL[name][column], *steps)


def _when(number: int, *steps: _Step) -> list[_Step]:
    """Return the steps for one system call. The last of `steps` must return."""
    return [(_EQUAL, 0, len(steps), number), *steps]


def _argument(index: int) -> _Step:
    """Return the step that loads the lower half of an argument, which is all of a flag or a command."""
    return (_LOAD, 0, 0, 16 + 8 * index)


def _pack(steps: Sequence[_Step]) -> bytes:
    return b"".join(struct.pack("HBBI", *step) for step in steps)
