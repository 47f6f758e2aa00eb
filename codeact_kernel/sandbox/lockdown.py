"""Lock a worker down before a guest runs. Most layers exist on Linux only. Standard library only.

`prepare` is called before the guest is created. It forbids new privileges, and Landlock allows only the few files that
the backend still has to open. Both hold for the calling thread and the threads it starts later, and the library of a
micro-VM starts threads, so `prepare` must come first. `finish` is called when the guest is ready. It clears the
environment, sets rlimits, forbids every path with Landlock, and gives every thread the allow-list of `seccomp`, which
also refuses executable memory; Landlock alone would allow that. The library, the guest and the pack are open or read
by then. A layer that the host does not have is reported.
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
    import resource  # at the top, because after the lockdown it could not be opened any more

__all__ = ["confine_renderer", "die_with", "disable_core_files", "finish", "prepare", "watch"]

# Landlock's rights to a file, to a folder with its content, and to a device.
_READ, _READ_FOLDER, _READ_WRITE_IOCTL = 1 << 2, 1 << 2 | 1 << 3, 1 << 1 | 1 << 2 | 1 << 15
_ADDRESS_SPACE = 12 << 30  # wasm reserves over 4 GiB of addresses per instance; its memory has a limit of its own


def die_with(parent: int) -> None:
    """End this process when its parent ends: a guest in an endless loop would never notice that its pipe is closed."""
    if sys.platform == "linux":
        _prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    else:
        threading.Thread(target=watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(0)


def watch(parent: int) -> None:
    """End this process when `parent` has ended, where no signal does that. On Windows `getppid` does not change."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def disable_core_files() -> None:
    """Make this process leave no core file, which would contain its memory."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def prepare(*, files: Sequence[str]) -> None:
    """Let this thread, and the threads and processes that it starts, open only `files`, if the kernel has Landlock.

    Raises:
        OSError: if the kernel has Landlock and refuses.
    """
    if sys.platform != "linux":
        return
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    if _landlock_version() > 0:
        _landlock(files)


def finish(*, cpu_seconds: int, hypervisor: bool) -> tuple[list[str], list[str]]:
    """Lock the whole process down.

    Args:
        cpu_seconds: the CPU time that this process may use.
        hypervisor: whether to allow commands to a hypervisor whose device is open.

    Returns:
        The layers in force, and the layers that this host does not have.
    """
    layers: list[str] = []
    missing: list[str] = []

    def add_layer(name: str, lock: Callable[[], None]) -> None:
        try:
            if sys.platform != "linux":
                raise OSError("only Linux has it")
            lock()
        except OSError:
            missing.append(name)
        else:
            layers.append(name)

    os.environ.clear()
    add_layer("Landlock", lambda: _landlock([]))
    _rlimits(cpu_seconds)
    add_layer("seccomp", lambda: _seccomp(hypervisor))
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

    def limit(resource_id: int, soft: int, hard: int) -> None:
        highest = resource.getrlimit(resource_id)[1]  # a shared machine may allow less
        if highest != resource.RLIM_INFINITY:
            soft, hard = min(soft, highest), min(hard, highest)
        resource.setrlimit(resource_id, (soft, hard))

    if sys.platform == "linux":  # macOS refuses a limit below the addresses that it has reserved for a process
        limit(resource.RLIMIT_AS, _ADDRESS_SPACE, _ADDRESS_SPACE)
    limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    limit(resource.RLIMIT_CORE, 0, 0)
    limit(resource.RLIMIT_FSIZE, 0, 0)
    if os.getuid():  # processes of root are not counted
        limit(resource.RLIMIT_NPROC, 0, 0)


def _landlock_version() -> int:
    return _libc().syscall(444, None, ctypes.c_size_t(0), 1)


def _landlock(files: Sequence[str]) -> None:
    """Allow no file except `files`, no TCP and no signal to other processes, as far as this kernel's Landlock can.

    Raises:
        OSError: if the kernel has no Landlock, or refuses.
    """
    version = _landlock_version()
    if version < 1:
        raise OSError(ctypes.get_errno(), "the kernel has no Landlock")
    actions = (1 << 13) - 1
    actions |= (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0) | (1 << 15 if version >= 5 else 0)
    rules = struct.pack("QQQ", actions, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    rules = rules[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _require_success(_libc().syscall(444, ctypes.create_string_buffer(rules, len(rules)), len(rules), 0))
    for file in files:
        opened = os.open(file, os.O_PATH | os.O_CLOEXEC)
        mode = os.fstat(opened).st_mode
        rights = _READ if stat.S_ISREG(mode) else _READ_FOLDER if stat.S_ISDIR(mode) else _READ_WRITE_IOCTL
        rule = ctypes.create_string_buffer(struct.pack("=Qi", actions & rights, opened), 12)
        _require_success(_libc().syscall(445, ruleset, 1, rule, 0))  # LANDLOCK_RULE_PATH_BENEATH
        os.close(opened)
    _require_success(_libc().syscall(446, ruleset, 0))
    os.close(ruleset)


def _seccomp(hypervisor: bool) -> None:
    _install(seccomp.filter_for(platform.machine(), hypervisor=hypervisor))


def _install(program: bytes | None) -> None:
    if program is None:
        raise OSError("the system calls of this machine are not known")

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    buffer = ctypes.create_string_buffer(program, len(program))
    structure = Filter(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    # SECCOMP_SET_MODE_FILTER with TSYNC, for every thread. A positive result is the id of a thread that has no filter.
    number = 277 if platform.machine() == "aarch64" else 317
    if _require_success(_libc().syscall(number, 1, 1, ctypes.byref(structure))):
        raise OSError("a thread is not locked down")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: object, pointer: object = 0) -> None:
    _require_success(_libc().prctl(option, value, pointer, 0, 0))


def _require_success(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused by the kernel")
    return result
