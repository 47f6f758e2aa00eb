"""wasi:random from the system's own random numbers.

wasmtime's lie in the memory of the process: in a copy of it, which each turn runs in, every guest would draw the same.
"""

from __future__ import annotations

import os
from typing import Any

from wasmtime import component as wasm

from .fast_host_functions import add_bytes

__all__ = ["add_randomness"]

_MOST = 4_096
"""Bytes that a guest gets at once. CPython asks for 256."""


def add_randomness(linker: wasm.Linker) -> list[object]:
    """Define wasi:random in `linker`, in place of what is there. What is returned has to live as long."""
    linker.allow_shadowing = True
    with linker.root() as root:
        with root.add_instance("wasi:random/random@0.2.0") as instance:
            made = [add_bytes(instance, "get-random-bytes", os.urandom, most=_MOST)]
            instance.add_func("get-random-u64", _number)
        with root.add_instance("wasi:random/insecure@0.2.0") as instance:
            made.append(add_bytes(instance, "get-insecure-random-bytes", os.urandom, most=_MOST))
            instance.add_func("get-insecure-random-u64", _number)
        with root.add_instance("wasi:random/insecure-seed@0.2.0") as instance:
            instance.add_func("insecure-seed", _two_numbers)
    linker.allow_shadowing = False
    return made


def _number(_: Any = None) -> int:
    return int.from_bytes(os.urandom(8))


def _two_numbers(_: Any) -> tuple[int, int]:
    return _number(), _number()
