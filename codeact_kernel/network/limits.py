"""What requests may cost."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HttpLimits"]

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpLimits:
    """Every cap, with its unit; the seconds are of one request with all its redirects."""

    seconds: float = 30.0
    connect_seconds: float = 10.0
    """Of one connection, with the handshake of TLS; several addresses of a host share it."""
    redirects: int = 5
    url_characters: int = 16_000
    headers: int = 100
    header_bytes: int = 64 << 10
    """Of the headers in one direction."""
    body_bytes: int = 1 * MIB
    reply_bytes: int = 16 * MIB
    """Of a reply's body, as it comes."""
    kept_bytes: int = 64 * MIB
    """Of the larger bodies of one turn together, which wait here to be fetched; the oldest goes first."""
