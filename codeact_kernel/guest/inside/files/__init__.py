"""The mounted files, behind the names that programs know: `open` and the functions of `os`."""

from .hooks import start_run

__all__ = ["start_run"]
