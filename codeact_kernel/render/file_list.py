"""List the files that a program wrote for the user, with links, sizes and the beginning of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

from ..text import format_bytes
from ..types import OutputFile
from .elements import Element, element
from .escaping import escape_controls, for_markdown, one_line

__all__ = ["FileRow", "draw_files", "files_markdown", "files_text", "list_files"]

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


def draw_files(rows: Sequence[FileRow], left_out: str) -> list[Element]:
    """Draw one line for each file, with a link if the file is below the working folder."""
    return [*map(_draw_file, rows), *([element("div", "", left_out)] if left_out else [])]


def files_markdown(rows: Sequence[FileRow], left_out: str) -> str:
    """Write the files as a Markdown list."""
    lines = [f"- {_link_markdown(row)} ({for_markdown(row.details)})" for row in rows]
    return "\n".join([*lines, f"- {left_out}"] if left_out else lines)


def files_text(rows: Sequence[FileRow], left_out: str) -> Iterator[str]:
    """Write the files as lines of text with their whole paths."""
    yield from (f"file: {row.path} ({row.details})" for row in rows)
    if left_out:
        yield left_out


def _draw_file(row: FileRow) -> Element:
    name = element("b", "", row.name)
    if row.href:
        name = element("a", "", row.name, href=row.href, target="_blank", rel="noopener")
    line = (name, element("span", "opacity:.8;font-size:12px", f" {row.details}"))
    if not row.preview:
        return element("div", "", *line)
    return element("details", "", element("summary", "", *line), element("pre", _PRE, row.preview))


def _link_markdown(row: FileRow) -> str:
    name = for_markdown(row.name)
    return f"[{name}]({row.href})" if row.href else name


def _href(file: OutputFile) -> str:
    path = PurePath(file.path)
    return "" if path.is_absolute() or Path(file.path).drive else quote(path.as_posix(), errors="replace")
