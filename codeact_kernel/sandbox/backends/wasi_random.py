"""Define wasi:random with the random numbers of the operating system.

wasmtime keeps the state of its generator in the memory of the process. Each turn runs in a copy of the process, so
every guest would draw the same numbers.
"""

from __future__ import annotations

import os
from typing import Any

from wasmtime import component as wasm

from .fast_host_functions import add_bytes_function

__all__ = ["add_system_random"]

_MAX_BYTES = 4_096
"""Bytes that a guest gets in one call. CPython asks for 256."""


def add_system_random(linker: wasm.Linker) -> list[object]:
    """Replace wasi:random in `linker`. The objects that are returned must live as long as the linker."""
    linker.allow_shadowing = True
    with linker.root() as root:
        with root.add_instance("wasi:random/random@0.2.0") as instance:
            secure = add_bytes_function(instance, "get-random-bytes", os.urandom, max_bytes=_MAX_BYTES)
            instance.add_func("get-random-u64", _random_number)
        with root.add_instance("wasi:random/insecure@0.2.0") as instance:
            insecure = add_bytes_function(instance, "get-insecure-random-bytes", os.urandom, max_bytes=_MAX_BYTES)
            instance.add_func("get-insecure-random-u64", _random_number)
        with root.add_instance("wasi:random/insecure-seed@0.2.0") as instance:
            instance.add_func("insecure-seed", _two_random_numbers)
    linker.allow_shadowing = False
    return [secure, insecure]


def _random_number(_: Any = None) -> int:
    return int.from_bytes(os.urandom(8))


def _two_random_numbers(_: Any) -> tuple[int, int]:
    return _random_number(), _random_number()
