"""Give programs files through handlers, because a guest has no file system of its own."""

from .capability import Files

__all__ = ["Files"]
