"""Make the read-only calls of a loop in parallel, before the loop needs them."""

from .scheduler import start_run

__all__ = ["start_run"]
