"""List the files that a program wrote for the user, with links, sizes and the beginning of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from urllib.parse import quote

from ..text import format_bytes
from ..types import OutputFile
from .escaping import escape_controls, for_html, for_markdown, one_line

__all__ = ["describe_file", "files_html", "files_markdown", "files_text"]

_MAX_FILES = 50
_PRE = "white-space:pre-wrap;word-break:break-word;margin:2px 0 6px;max-height:12em;overflow:auto;font-size:12px"


def describe_file(file: OutputFile) -> str:
    """Write the size and type of a file."""
    return f"{format_bytes(file.size)}, {one_line(file.media_type)}"


def files_html(files: Sequence[OutputFile]) -> str:
    """Write one line for each file, with a link if the file is below the working folder."""
    rows = [_html(file) for file in files[:_MAX_FILES]]
    return "".join(rows) + (f"<div>… {len(files) - _MAX_FILES:,} more files</div>" if len(files) > _MAX_FILES else "")


def files_markdown(files: Sequence[OutputFile]) -> str:
    """Write the files as a Markdown list."""
    lines = [f"- {_link_markdown(file)} ({for_markdown(describe_file(file))})" for file in files[:_MAX_FILES]]
    return "\n".join(lines + ([f"- … {len(files) - _MAX_FILES:,} more files"] if len(files) > _MAX_FILES else []))


def files_text(files: Sequence[OutputFile]) -> list[str]:
    """Write the files as lines of text with their whole paths."""
    lines = [f"file: {one_line(file.path)} ({describe_file(file)})" for file in files[:_MAX_FILES]]
    return lines + ([f"… {len(files) - _MAX_FILES:,} more files"] if len(files) > _MAX_FILES else [])


def _html(file: OutputFile) -> str:
    name, href = for_html(one_line(file.name)), _href(file)
    link = f'<a href="{href}" target="_blank" rel="noopener">{name}</a>' if href else f"<b>{name}</b>"
    line = f'{link} <span style="opacity:.75;font-size:12px">{for_html(describe_file(file))}</span>'
    if not file.preview:
        return f"<div>{line}</div>"
    preview = for_html(escape_controls(file.preview))
    return f'<details><summary>{line}</summary><pre style="{_PRE}">{preview}</pre></details>'


def _link_markdown(file: OutputFile) -> str:
    name, href = for_markdown(one_line(file.name)), _href(file)
    return f"[{name}]({href})" if href else name


def _href(file: OutputFile) -> str:
    """Return the address relative to the notebook, or nothing if the file is not below the working folder."""
    path = PurePath(file.path)
    return "" if path.is_absolute() or Path(file.path).drive else quote(path.as_posix(), errors="replace")
