"""Run the guest in a micro-VM. It boots once; a snapshot taken after the prelude is restored for every turn.

A running micro-VM cannot be stopped from Python and holds the interpreter's lock, so it runs in a worker process that
the kernel can kill. docs/sandbox.md says what a program can do to the micro-VM.
"""

from __future__ import annotations

import sys
from importlib import import_module

from hyperlight_sandbox import Sandbox

from ...errors import SandboxError
from ...guest.sources import Connection, bootstrap_source
from ...limits import WorkerLimits
from ...types import ProgramFailure, RunOutcome
from ..interfaces import Dispatch

__all__ = ["HyperlightGuest"]

import_module("hyperlight_sandbox_backend_wasm")  # Sandbox imports it too, but only when no file can be opened any more

# These modules are in the snapshot, so a program pays nothing for them.
_BOOT = """
from codeact_kernel.guest.inside import data, files, local_time, network, prefetch, runner, show, streaming
from codeact_kernel.guest.inside.data import references
from codeact_kernel.guest.inside.files import file_objects, os_functions
from codeact_kernel.guest.inside.network import http
from codeact_kernel.guest.inside.show import items
import asyncio, base64, bisect, calendar, collections, contextlib, copy, csv, dataclasses, datetime
import decimal, difflib, enum, fractions, functools, hashlib, heapq, html, io, itertools, json, math, operator, pprint
import random, re, statistics, string, textwrap, traceback, typing, urllib.parse, uuid
"""
_RUN = "runner.run()"

# `heap_size` sets the buffer for messages to the guest, at most 70 MiB. The buffer is part of the memory that
# `stack_size` sets, which is in fact all the memory that a guest can write. With these values a guest has its limit
# minus about 5 MiB. A heap of 4 MiB does not boot; one of 8 MiB takes half a megabyte per message. On Windows the heap
# has the library's default size.
_HEAP_MIB = 400 if sys.platform == "win32" else 16
_BUFFER_MIB = min(_HEAP_MIB, 70)
_MIB = 1 << 20
_MAX_ABORTS = 2
"""Aborts in a row after which the process is replaced instead of restoring the micro-VM again."""


class HyperlightGuest:
    """One micro-VM and its clean snapshot."""

    hypervisor = True
    can_be_copied = False

    def __init__(self, guest: str, function: Dispatch, limits: WorkerLimits) -> None:
        self._function = function
        self._memory_mib = limits.memory_bytes // _MIB
        self._fault: BaseException | None = None
        self._aborts = 0
        try:
            self._sandbox = Sandbox(
                backend="wasm",
                module_path=guest,
                heap_size=f"{_HEAP_MIB}Mi",
                stack_size=f"{self._memory_mib + _BUFFER_MIB}Mi",
            )
            self._sandbox.register_tool("codeact", self._dispatch)
            self._snapshot = self._boot()
            self.reset()
            self._sandbox.run("None")  # the first restore and the run after it take several times as long
            self.reset()
        except RuntimeError as error:
            self._raise_fault()
            raise SandboxError(f"the guest did not start: {error}") from None

    def run(self) -> RunOutcome | None:
        try:
            done = self._sandbox.run(_RUN)
        except RuntimeError as error:
            self._raise_fault()
            self._aborts += 1
            return RunOutcome(failure=self._abort_failure(str(error)), state_lost=True)
        self._raise_fault()
        if done.exit_code == -1:  # the library itself panicked, and cannot restore this sandbox
            raise SandboxError("the program broke its micro-VM, which was replaced")
        self._aborts = 0
        return None

    def reset(self) -> None:
        if self._aborts >= _MAX_ABORTS:
            raise SandboxError("the micro-VM aborted twice in a row, and was replaced")
        try:
            self._sandbox.restore(self._snapshot)
        except RuntimeError as error:
            raise SandboxError(f"the micro-VM could not be restored: {error}") from None

    def _boot(self) -> object:
        try:
            self._sandbox.run("None")  # creates the micro-VM
        except RuntimeError as error:
            raise SandboxError(f"the hypervisor refuses to run a micro-VM: {_last_cause(str(error))}") from None
        for code in (bootstrap_source(Connection.MICRO_VM), _BOOT):
            done = self._sandbox.run(code)
            if done.exit_code:
                raise SandboxError(f"the guest did not start: {done.stderr[-500:]}")
        return self._sandbox.snapshot()  # pyright: ignore[reportUnknownVariableType]

    def _dispatch(self, /, **message: object) -> str:
        if self._fault is not None:
            raise self._fault
        try:
            return self._function(message)
        except BaseException as error:  # an error of the host, which the library would pass to the guest
            self._fault = error
            raise

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _abort_failure(self, text: str) -> ProgramFailure:
        # The library gives the reason of an abort only in its text. Only this method reads it.
        if "Out of physical memory" in text:
            return ProgramFailure(kind="MemoryError", message=f"out of memory (limit {self._memory_mib} MiB)")
        return ProgramFailure(kind="Crashed", message="the program crashed its sandbox; its variables are gone")


def _last_cause(text: str) -> str:
    """Return the last cause from a text in which the library repeats a chain of causes."""
    return text.rsplit("Unexpected VM exit: ", 1)[-1].removesuffix(": InternalError")[:200]
