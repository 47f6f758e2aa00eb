"""`python -m codeact_kernel.sandbox.prepare`: compile the guest for this machine now, instead of in the first cell."""

from __future__ import annotations

import asyncio

from .process import prepare

__all__: list[str] = []

if __name__ == "__main__":
    asyncio.run(prepare(print))
