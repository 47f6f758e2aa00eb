"""`show(...)`: what a program shows under the cell."""

from .function import start_run

__all__ = ["start_run"]
