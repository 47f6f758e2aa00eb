"""List the files that a program wrote for the user, with links, sizes and the beginning of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

from ..text import format_bytes
from ..types import OutputFile
from .escaping import escape_controls, for_html, for_markdown, one_line

__all__ = ["FileRow", "files_html", "files_markdown", "files_text", "list_files"]

_MAX_FILES = 50
_PRE = "white-space:pre-wrap;word-break:break-word;margin:2px 0 6px;max-height:12em;overflow:auto;font-size:12px"


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file as it is shown.

    Attributes:
        href: the address relative to the notebook; empty if the file is not below the working folder.
        details: the size and the type.
        preview: the beginning of a text; empty for other files.
    """

    name: str
    path: str
    href: str
    details: str
    preview: str


def list_files(files: Sequence[OutputFile]) -> tuple[list[FileRow], str]:
    """Return the first files, and a few words about the others; empty if there are no others."""
    rows = [
        FileRow(
            one_line(file.name),
            one_line(file.path),
            _href(file),
            f"{format_bytes(file.size)}, {one_line(file.media_type)}",
            escape_controls(file.preview),
        )
        for file in files[:_MAX_FILES]
    ]
    return rows, f"… {len(files) - _MAX_FILES:,} more files" if len(files) > _MAX_FILES else ""


def files_html(rows: Sequence[FileRow], left_out: str) -> str:
    """Write one line for each file, with a link if the file is below the working folder."""
    return "".join(map(_html, rows)) + (f"<div>{left_out}</div>" if left_out else "")


def files_markdown(rows: Sequence[FileRow], left_out: str) -> str:
    """Write the files as a Markdown list."""
    lines = [f"- {_link_markdown(row)} ({for_markdown(row.details)})" for row in rows]
    return "\n".join([*lines, f"- {left_out}"] if left_out else lines)


def files_text(rows: Sequence[FileRow], left_out: str) -> Iterator[str]:
    """Write the files as lines of text with their whole paths."""
    yield from (f"file: {row.path} ({row.details})" for row in rows)
    if left_out:
        yield left_out


def _html(row: FileRow) -> str:
    name = for_html(row.name)
    link = f'<a href="{row.href}" target="_blank" rel="noopener">{name}</a>' if row.href else f"<b>{name}</b>"
    line = f'{link} <span style="opacity:.75;font-size:12px">{for_html(row.details)}</span>'
    if not row.preview:
        return f"<div>{line}</div>"
    return f'<details><summary>{line}</summary><pre style="{_PRE}">{for_html(row.preview)}</pre></details>'


def _link_markdown(row: FileRow) -> str:
    name = for_markdown(row.name)
    return f"[{name}]({row.href})" if row.href else name


def _href(file: OutputFile) -> str:
    path = PurePath(file.path)
    return "" if path.is_absolute() or Path(file.path).drive else quote(path.as_posix(), errors="replace")
