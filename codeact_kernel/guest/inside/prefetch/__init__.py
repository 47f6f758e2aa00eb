"""Prefetch: calls of read-only tools in a loop are made in parallel, before the loop comes to them."""

from .scheduler import start_run

__all__ = ["start_run"]
