"""Give programs HTTP requests. Each is a call of the host's tool `http_request`, which decides whether to allow it."""

from .names import start_run

__all__ = ["start_run"]
