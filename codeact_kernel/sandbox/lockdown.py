"""What a worker gives up, for good, before a guest runs. Most of it is Linux'; standard library only.

`prepare` comes before the backend is made: no new privileges, and Landlock with the few files that the backend still
has to open. It must, because both hold for one thread and those it starts later, and a micro-VM's library starts
threads. `finish` comes when a guest is ready: no environment, rlimits, Landlock with no path at all, and for every
thread the allow-list of `seccomp`, which refuses executable memory as well; Landlock alone left that possible.
Everything the worker will need (library, guest, pack) is open or read by then. A layer that a host cannot give is
named, not hidden.
"""

from __future__ import annotations

import ctypes
import os
import platform
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence

from . import seccomp

if sys.platform != "win32":
    import resource  # here, because it could not be opened any more where it is used

__all__ = ["confine_renderer", "die_with", "finish", "no_core", "prepare", "watch"]

# Landlock's rights to a file, to a folder with all that is in it, and to a device.
_READ, _READ_FOLDER, _READ_WRITE_IOCTL = 1 << 2, 1 << 2 | 1 << 3, 1 << 1 | 1 << 2 | 1 << 15
_ADDRESS_SPACE = 12 << 30  # wasm reserves over 4 GiB of addresses per instance; the memory it may use is capped apart


def die_with(parent: int) -> None:
    """End this process when the one that started it ends: a guest in a loop would never see its pipe close."""
    if sys.platform == "linux":
        _prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    else:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(0)


def watch(parent: int) -> None:
    """What `die_with` does where the system has no such signal. (On Windows a parent that ended is still named.)"""
    while os.getppid() == parent:
        time.sleep(0.5)
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

    def locked(name: str, lock: Callable[[], None]) -> None:
        try:
            if sys.platform != "linux":
                raise OSError("only Linux has it")
            lock()
        except OSError:
            missing.append(name)
        else:
            layers.append(name)

    os.environ.clear()
    locked("Landlock", lambda: _landlock([]))
    _rlimits(cpu_seconds)
    locked("seccomp", lambda: _seccomp(hypervisor))
    return layers[::-1], missing[::-1]


def confine_renderer(readable: Sequence[str]) -> None:
    """Leave this process, which draws with a JavaScript engine, no network, no process, and files to read only.

    Call it when all code is loaded. The threads that exist by then are confined as well, except that Landlock cannot
    limit which files they read.

    Args:
        readable: the files and folders that can be read, all of which exist. Where the kernel has no Landlock, no
            file can be read at all.

    Raises:
        OSError: if the kernel refuses. On other systems nothing is done.
    """
    if sys.platform != "linux":
        return
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    if files := _landlock_version() > 0:
        _landlock(readable)
    _install(seccomp.renderer_filter_for(platform.machine(), files=files))


def _rlimits(cpu_seconds: int) -> None:
    if sys.platform == "win32":
        return

    def at_most(what: int, soft: int, hard: int) -> None:
        highest = resource.getrlimit(what)[1]  # a shared machine may allow less than we would
        if highest != resource.RLIM_INFINITY:
            soft, hard = min(soft, highest), min(hard, highest)
        resource.setrlimit(what, (soft, hard))

    if sys.platform == "linux":  # macOS refuses one below what it has reserved for a process
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
        mode = os.fstat(opened).st_mode
        rights = _READ if stat.S_ISREG(mode) else _READ_FOLDER if stat.S_ISDIR(mode) else _READ_WRITE_IOCTL
        rule = ctypes.create_string_buffer(struct.pack("=Qi", actions & rights, opened), 12)
        _checked(_libc().syscall(445, ruleset, 1, rule, 0))  # LANDLOCK_RULE_PATH_BENEATH
        os.close(opened)
    _checked(_libc().syscall(446, ruleset, 0))
    os.close(ruleset)


def _seccomp(hypervisor: bool) -> None:
    _install(seccomp.filter_for(platform.machine(), hypervisor=hypervisor))


def _install(program: bytes | None) -> None:
    if program is None:
        raise OSError("no table of system calls for this machine")

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    buffer = ctypes.create_string_buffer(program, len(program))
    wanted = Filter(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    # SECCOMP_SET_MODE_FILTER with TSYNC, for every thread; a positive result is a thread that could not follow.
    number = 277 if platform.machine() == "aarch64" else 317
    if _checked(_libc().syscall(number, 1, 1, ctypes.byref(wanted))):
        raise OSError("a thread is not locked down")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: object, pointer: object = 0) -> None:
    _checked(_libc().prctl(option, value, pointer, 0, 0))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused by the kernel")
    return result
