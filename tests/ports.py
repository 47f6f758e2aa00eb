"""A port for servers of tests that nobody else may reach."""

from __future__ import annotations

import secrets
import socket

__all__ = ["listen_apart"]


def listen_apart() -> socket.socket:
    """Listen on a port that the system gives to nobody: an open page of another test may look for its server for long."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", secrets.choice(range(20_000, 30_000))))
        except OSError:
            continue
