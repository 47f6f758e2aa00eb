"""What a worker gives up, for good, before a guest runs. Linux; standard library only.

`prepare` comes before the backend is made: no new privileges, and Landlock with the few files that the backend still
has to open. It must, because both hold for one thread and those it starts later, and a micro-VM's library starts
threads. `finish` comes when a guest is ready: rlimits, Landlock with no path at all, and for every thread a seccomp
allow-list that refuses executable memory as well. A deny-list was tried and left executable memory possible; so did
Landlock alone. Everything the worker will need (library, guest, pack) is open or read by then. A layer that a host
cannot give is named, not hidden.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Sequence

if sys.platform != "win32":
    import resource  # here, because it could not be opened any more where it is used

__all__ = ["die_with", "finish", "no_core", "prepare"]

_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06  # classic BPF
_Step = tuple[int, int, int, int]

# Numbers are x86-64's. This is what a running worker was seen to need, and what wasmtime may need after a trap.
_CALLS = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "munmap": 11, "brk": 12, "rt_sigaction": 13,
    "rt_sigprocmask": 14, "rt_sigreturn": 15, "readv": 19, "writev": 20, "sched_yield": 24, "madvise": 28,
    "nanosleep": 35, "getpid": 39, "exit": 60, "getrusage": 98, "sysinfo": 99, "sigaltstack": 131, "gettid": 186,
    "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "newfstatat": 262, "ppoll": 271,
    "set_robust_list": 273, "epoll_pwait": 281, "eventfd2": 290, "epoll_create1": 291, "getrandom": 318,
    "membarrier": 324, "rseq": 334,
}  # fmt: skip
_MMAP, _FCNTL, _MPROTECT, _CLONE, _PRCTL, _CLONE3, _IOCTL = 9, 72, 10, 56, 157, 435, 16
_KVM, _MSHV = 0xAE, 0xB8  # types of ioctl commands, from Linux' ioctl-number.rst
_F_DUPFD_CLOEXEC = 1030
_READ_WRITE_IOCTL = 1 << 1 | 1 << 2 | 1 << 15  # Landlock's rights to a file or device
_ADDRESS_SPACE = 12 << 30  # wasm reserves over 4 GiB of addresses per instance; the memory it may use is capped apart


def die_with(parent: int) -> None:
    """End this process when the one that started it ends: a guest in a loop would never see its pipe close."""
    if sys.platform != "linux":
        return
    _prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    if os.getppid() != parent:
        os._exit(0)


def no_core() -> None:
    """This process leaves no core file: it would hold what was in its memory."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def prepare(*, files: Sequence[str]) -> None:
    """From now on this thread, and what it starts, can open `files` only, where the kernel has Landlock.

    Raises:
        OSError: it has, and refuses.
    """
    if sys.platform != "linux":
        return
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    if _landlock_version() > 0:
        _landlock(files)


def finish(*, cpu_seconds: int, hypervisor: bool) -> tuple[list[str], list[str]]:
    """Lock the whole process down. Returns the layers in force and the layers this host cannot give.

    Args:
        cpu_seconds: processor time that this process may use.
        hypervisor: leave it the commands to a hypervisor whose device it has open.
    """
    layers: list[str] = []
    missing: list[str] = []
    if sys.platform != "linux":
        return layers, ["seccomp", "Landlock"]
    _rlimits(cpu_seconds)
    for name, lock in (("Landlock", lambda: _landlock([])), ("seccomp", lambda: _seccomp(hypervisor))):
        try:
            lock()
        except OSError:
            missing.append(name)
        else:
            layers.append(name)
    return layers[::-1], missing


def _rlimits(cpu_seconds: int) -> None:
    if sys.platform == "win32":
        return

    def at_most(what: int, soft: int, hard: int) -> None:
        highest = resource.getrlimit(what)[1]  # a shared machine may allow less than we would
        if highest != resource.RLIM_INFINITY:
            soft, hard = min(soft, highest), min(hard, highest)
        resource.setrlimit(what, (soft, hard))

    at_most(resource.RLIMIT_AS, _ADDRESS_SPACE, _ADDRESS_SPACE)
    at_most(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    at_most(resource.RLIMIT_CORE, 0, 0)
    at_most(resource.RLIMIT_FSIZE, 0, 0)
    if os.getuid():  # root is not counted, and may share its id with everything else on a small machine
        at_most(resource.RLIMIT_NPROC, 0, 0)


def _landlock_version() -> int:
    return _libc().syscall(444, None, ctypes.c_size_t(0), 1)


def _landlock(files: Sequence[str]) -> None:
    """No file but `files`, no TCP, no signal out of this process; as much of it as the kernel knows."""
    version = _landlock_version()
    if version < 1:
        raise OSError(ctypes.get_errno(), "Landlock is not there")
    actions = (1 << 13) - 1
    actions |= (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0) | (1 << 15 if version >= 5 else 0)
    rules = struct.pack("QQQ", actions, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    rules = rules[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _checked(_libc().syscall(444, ctypes.create_string_buffer(rules, len(rules)), len(rules), 0))
    for file in files:
        opened = os.open(file, os.O_PATH | os.O_CLOEXEC)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", actions & _READ_WRITE_IOCTL, opened), 12)
        _checked(_libc().syscall(445, ruleset, 1, rule, 0))  # LANDLOCK_RULE_PATH_BENEATH
        os.close(opened)
    _checked(_libc().syscall(446, ruleset, 0))
    os.close(ruleset)


def _seccomp(hypervisor: bool) -> None:
    if platform.machine() != "x86_64":  # the numbers above are of no other machine
        raise OSError("no table of system calls for this machine")
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)
    steps: list[_Step] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, 0xC000003E), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for number in (_MMAP, _MPROTECT):  # not with PROT_EXEC in the third argument
        steps += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 32), (_ANY_BIT, 0, 1, 4), refuse, allow]
    steps += [(_EQUAL, 0, 4, _CLONE), (_LOAD, 0, 0, 16), (_ANY_BIT, 0, 1, 0x10000), allow, refuse]  # threads only
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ENOSYS)]  # the C library then falls back to clone
    steps += [(_EQUAL, 0, 4, _PRCTL), (_LOAD, 0, 0, 16), (_EQUAL, 0, 1, 15), allow, refuse]  # PR_SET_NAME
    # Not fcntl's F_SETOWN, with which a file's signal goes to any process.
    steps += [(_EQUAL, 0, 6, _FCNTL), (_LOAD, 0, 0, 24), (_AT_LEAST, 1, 0, 5), allow]
    steps += [(_EQUAL, 0, 1, _F_DUPFD_CLOEXEC), allow, refuse]
    if hypervisor:  # by the command's type, which is its second byte
        steps += [(_EQUAL, 0, 6, _IOCTL), (_LOAD, 0, 0, 24), (_AND, 0, 0, 0xFF00)]
        steps += [(_EQUAL, 1, 0, _KVM << 8), (_EQUAL, 0, 1, _MSHV << 8), allow, refuse]
    for number in sorted(_CALLS.values()):
        steps += [(_EQUAL, 0, 1, number), allow]
    program = b"".join(struct.pack("HBBI", *step) for step in [*steps, refuse])

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    buffer = ctypes.create_string_buffer(program, len(program))
    wanted = Filter(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    # SECCOMP_SET_MODE_FILTER with TSYNC, for every thread; a positive result is a thread that could not follow.
    if _checked(_libc().syscall(317, 1, 1, ctypes.byref(wanted))):
        raise OSError("a thread is not locked down")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: object, pointer: object = 0) -> None:
    _checked(_libc().prctl(option, value, pointer, 0, 0))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused by the kernel")
    return result
