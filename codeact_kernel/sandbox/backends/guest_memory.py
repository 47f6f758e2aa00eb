"""Read and write the memory of a WebAssembly guest within its bounds."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from wasmtime import Memory, Store

__all__ = ["GuestMemory", "OutOfBounds"]

_MAX_PRINTED = 2_000


class OutOfBounds(Exception):
    """The guest named an address beyond its memory."""


class GuestMemory:
    """The memory of a guest, which `connect` sets when the guest exists. Addresses are 32-bit, with or without a sign.

    Attributes:
        printed: the end of what the guest's C code printed as errors.
    """

    def __init__(self) -> None:
        self.printed = b""
        self._memory: Any = None
        self._store: Any = None

    def connect(self, memory: Memory, store: Store) -> None:
        """Use this memory from now on."""
        self._memory, self._store = memory, store

    @property
    def size(self) -> int:
        """The bytes that the guest has taken so far."""
        return self._memory.data_len(self._store)

    def read(self, address: int, size: int) -> bytes:
        """Return a copy.

        Raises:
            OutOfBounds: if a byte of it is not in the memory.
        """
        return ctypes.string_at(self._locate(address, size), size)

    def write(self, address: int, data: bytes) -> None:
        """Write `data`.

        Raises:
            OutOfBounds: if it does not fit into the memory.
        """
        ctypes.memmove(self._locate(address, len(data)), data, len(data))

    def keep_printed(self, pieces: Sequence[tuple[int, int]]) -> None:
        """Keep the end of what was printed, for the error of a guest that does not start."""
        for address, size in pieces:
            self.printed = (self.printed + self.read(address, min(size, _MAX_PRINTED)))[-_MAX_PRINTED:]

    def _locate(self, address: int, size: int) -> int:
        address %= 1 << 32
        if address + size > self.size:
            raise OutOfBounds
        return ctypes.addressof(self._memory.data_ptr(self._store).contents) + address
