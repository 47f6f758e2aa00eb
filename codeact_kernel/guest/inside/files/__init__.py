"""Give programs the mounted files through `open` and the functions of `os`."""

from .hooks import start_run

__all__ = ["start_run"]
