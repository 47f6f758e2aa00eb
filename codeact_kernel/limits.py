"""Caps of what a program can touch beside the tools, with their units. The engine's own are in `settings`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HttpLimits", "OutputLimits", "ShowLimits"]

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputLimits:
    """What the programs of one turn may write. Reading has no limit of its own: it goes in pieces, in bounded steps."""

    files: int = 100
    """In /output, folders counted as well."""
    file_bytes: int = 32 * MIB
    """One file in /output, which the kernel holds in memory until the turn is over."""
    all_bytes: int = 64 * MIB
    """All files in /output."""
    depth: int = 8
    """Parts of a path below /output."""
    mounted_files: int = 10_000
    """New files and folders in what is mounted with rw."""
    mounted_bytes: int = 1024 * MIB
    """Written to what is mounted with rw, gaps counted as well: a disk is not filled by mistake."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShowLimits:
    """Every cap of what is shown, with its unit. All of it stands in the notebook's file, and a page has to draw it."""

    items: int = 50
    """What a turn shows."""
    turn_bytes: int = 16 * MIB
    """Of all items of a turn, as they are sent."""
    title_characters: int = 300
    """Of a title; the rest is cut."""
    text_characters: int = 50_000
    """Of one text or Markdown. Markdown of more than 20,000 characters is shown as it is."""
    json_bytes: int = 1 * MIB
    """Of one value."""
    table_bytes: int = 4 * MIB
    """Of one table, as it is sent."""
    table_rows: int = 1_000
    """The first so many of a table are sent; how many there are is told."""
    table_columns: int = 200
    """Of one table."""
    image_bytes: int = 5 * MIB
    """Of one picture, as it is sent."""
    image_pixels: int = 25_000_000
    """Of one picture."""
    chart_bytes: int = 4 * MIB
    """Of one chart with its data, as it is sent."""
    chart_rows: int = 5_000
    """Rows of data of one chart."""
    chart_views: int = 20
    """Charts within one chart."""
    chart_entries: int = 500
    """Of an axis that has one entry for each value."""
    chart_pixels: int = 6_000_000
    """Of one chart."""
    chart_side: int = 300
    """Pixels of a chart's side that says nothing of it."""
    depth: int = 32
    """Nesting of a value or a chart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpLimits:
    """Every cap, with its unit; the seconds are of one request with all its redirects."""

    seconds: float = 30.0
    """One request with all its redirects."""
    connect_seconds: float = 10.0
    """Of one connection, with the handshake of TLS; several addresses of a host share it."""
    redirects: int = 5
    """Redirects that one request follows; each is judged as the first address was."""
    url_characters: int = 16_000
    """Of one address."""
    headers: int = 100
    """In one direction."""
    header_bytes: int = 64 << 10
    """Of the headers in one direction."""
    body_bytes: int = 1 * MIB
    """Sent with one request."""
    reply_bytes: int = 16 * MIB
    """Of a reply's body, as it comes."""
    kept_bytes: int = 64 * MIB
    """Of the larger bodies of one turn together, which wait here to be fetched; the oldest goes first."""
