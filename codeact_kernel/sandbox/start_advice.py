"""Explain why no sandbox starts, if this system tells the reason."""

from __future__ import annotations

import sys

from ..paths import cache_folder, is_writable

if sys.platform != "win32":
    import resource

__all__ = ["explain_start"]

_NEEDED_ADDRESSES = 8 << 30
"""Bytes of address space that a kernel with its sandbox needs: 4 GB are too few, 8 GB are enough."""


def explain_start() -> str:
    """Return a sentence that says why a sandbox cannot start here and what to do; empty if the reason is not known."""
    if sys.platform != "win32":
        addresses = resource.getrlimit(resource.RLIMIT_AS)[0]
        if addresses != resource.RLIM_INFINITY and addresses < _NEEDED_ADDRESSES:
            return (
                f"This process may have only {addresses / (1 << 30):.1f} GiB of addresses (ulimit -v), and the sandbox "
                "needs 8: raise that limit where Jupyter is started."
            )
    if not is_writable(cache_folder()):
        return f"{cache_folder()} cannot be written: set CODEACT_CACHE to a folder that you can write."
    return ""
