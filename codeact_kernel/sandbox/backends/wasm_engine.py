"""Set up wasmtime in the way that all guests share: the stack, and what a trap means."""

from __future__ import annotations

import sys

from wasmtime import Config, Engine

from ...types import ProgramFailure
from .fast_host_functions import ffi

if sys.platform != "win32":
    import resource

__all__ = ["create_engine", "explain_trap", "grow_stack"]

_SMALL_STACK, _LARGE_STACK, _HOST_STACK = 1 << 20, 96 << 20, 16 << 20
"""Bytes of stack for a guest where the stack cannot grow, for a guest where it can, and for the host. Linux leaves 128
MiB free below the first stack of a process, whatever the limit of the stack is."""


def create_engine(stack: int = _SMALL_STACK) -> Engine:
    """Create the engine that compiles and runs guests. Options that change the code are also in `guest_cache`."""
    config = Config()
    ffi.wasmtime_config_async_stack_size_set(config.ptr(), stack + (1 << 20))  # unused, but it has to be the larger one
    config.max_wasm_stack = stack  # so that deep input and recursion end with an exception, and do not trap
    return Engine(config)


def grow_stack() -> int:
    """Let this thread's stack grow where possible, and return how many bytes of it the guest may use.

    The guest's Python counts its recursion to raise a RecursionError in time. In its C code each step takes more stack
    here than Python counts, so with a small stack the guest would trap first.
    """
    if sys.platform != "linux":
        return _SMALL_STACK
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    size = _LARGE_STACK + _HOST_STACK if hard == resource.RLIM_INFINITY else min(_LARGE_STACK + _HOST_STACK, hard)
    if soft != resource.RLIM_INFINITY and soft < size:
        resource.setrlimit(resource.RLIMIT_STACK, (size, hard))
    return max(_SMALL_STACK, size - _HOST_STACK)


def explain_trap(text: str) -> ProgramFailure:
    """Return the failure of a program whose guest trapped with this text."""
    # The library gives the kind of a trap only in its text. Only this function reads it.
    if "stack" in text and "exhausted" in text:
        return ProgramFailure(kind="RecursionError", message="the program recursed until its stack was used up")
    return ProgramFailure(kind="Crashed", message="the program crashed its sandbox; its variables are gone")
