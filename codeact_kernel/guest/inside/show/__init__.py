"""Give programs `show(...)`, which displays values under the cell."""

from .function import start_run

__all__ = ["start_run"]
