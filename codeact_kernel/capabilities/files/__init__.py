"""The files that a program can read and write, behind services: a guest has no file system of its own."""

from .capability import Files

__all__ = ["Files"]
