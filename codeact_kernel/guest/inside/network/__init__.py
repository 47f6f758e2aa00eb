"""Requests of programs. Each is a call of the host's tool `http_request`, which decides about it."""

from .names import start_run

__all__ = ["start_run"]
