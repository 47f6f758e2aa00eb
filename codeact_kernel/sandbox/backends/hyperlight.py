"""The Hyperlight guest in a micro-VM: booted once, taken as a snapshot after the prelude, restored for every turn.

A running micro-VM cannot be stopped from Python and holds the interpreter's lock: it has a process of its own, and the
kernel kills that. What a program can do to the micro-VM is told in docs/sandbox.md.
"""

from __future__ import annotations

import sys
from importlib import import_module

from hyperlight_sandbox import Sandbox

from ...errors import SandboxError
from ...guest.sources import prelude_source
from ...limits import WorkerLimits
from ...types import ProgramFailure, RunOutcome
from ..interfaces import Dispatch

__all__ = ["HyperlightGuest"]

import_module("hyperlight_sandbox_backend_wasm")  # Sandbox would do it, but late: when no file can be opened any more

# All of this is in the snapshot, so it costs a program nothing.
_BOOT = """
import codeact_runner, codeact_ahead, codeact_early, codeact_files, codeact_open, codeact_os, codeact_table
import codeact_data, codeact_net, codeact_http, codeact_show, codeact_showing, codeact_zone
import asyncio, base64, bisect, calendar, collections, contextlib, copy, csv, dataclasses, datetime
import decimal, difflib, enum, fractions, functools, hashlib, heapq, html, io, itertools, json, math, operator, pprint
import random, re, statistics, string, textwrap, traceback, typing, urllib.parse, uuid
"""
_RUN = "codeact_runner.run()"

# `heap_size` sizes the buffer of messages to the guest, 70 MiB of it at most; it lies in the memory that `stack_size`
# names, which is in truth all that a guest can write. With these a guest has its limit less about 5 MiB. Heaps of 4 MiB
# do not boot, of 8 MiB take half a megabyte at once. On Windows this is the library's own default.
_HEAP_MIB = 400 if sys.platform == "win32" else 16
_BUFFER_MIB = min(_HEAP_MIB, 70)
_MIB = 1 << 20
_ABORTS = 2
"""After so many in a row the process is given up rather than the micro-VM restored once more."""


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
            self._sandbox.run("None")  # the first restore, and the first run behind it, take several times as long
            self.reset()
        except RuntimeError as error:
            self._blame()
            raise SandboxError(f"the guest did not start: {error}") from None

    def run(self) -> RunOutcome | None:
        try:
            done = self._sandbox.run(_RUN)
        except RuntimeError as error:
            self._blame()
            self._aborts += 1
            return RunOutcome(failure=self._aborted(str(error)), state_lost=True)
        self._blame()
        if done.exit_code == -1:  # a panic in the library itself: it has lost this sandbox beyond restoring
            raise SandboxError("the program broke its micro-VM, which was replaced")
        self._aborts = 0
        return None

    def reset(self) -> None:
        if self._aborts >= _ABORTS:
            raise SandboxError("the micro-VM aborted twice in a row, and was replaced")
        try:
            self._sandbox.restore(self._snapshot)
        except RuntimeError as error:
            raise SandboxError(f"the micro-VM could not be restored: {error}") from None

    def _boot(self) -> object:
        try:
            self._sandbox.run("None")  # this makes the micro-VM
        except RuntimeError as error:
            raise SandboxError(f"the hypervisor refuses to run a micro-VM: {_reason(str(error))}") from None
        for code in (prelude_source(whole=False), _BOOT):
            done = self._sandbox.run(code)
            if done.exit_code:
                raise SandboxError(f"the guest did not start: {done.stderr[-500:]}")
        return self._sandbox.snapshot()  # pyright: ignore[reportUnknownVariableType]

    def _dispatch(self, /, **message: object) -> str:
        if self._fault is not None:
            raise self._fault
        try:
            return self._function(message)
        except BaseException as error:  # a fault on our side of the bridge; the library would hand it to the guest
            self._fault = error
            raise

    def _blame(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _aborted(self, text: str) -> ProgramFailure:
        # The library tells why a guest was aborted only in its text; this is the one place that reads it.
        if "Out of physical memory" in text:
            return ProgramFailure(kind="MemoryError", message=f"out of memory (limit {self._memory_mib} MiB)")
        return ProgramFailure(kind="Crashed", message="the program crashed its sandbox; its variables are gone")


def _reason(text: str) -> str:
    """The last cause in a chain that the library tells several times over."""
    return text.rsplit("Unexpected VM exit: ", 1)[-1].removesuffix(": InternalError")[:200]
