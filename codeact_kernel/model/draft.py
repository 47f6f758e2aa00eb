"""Show an answer while it is written. This first reading can turn out to be wrong.

Only the whole answer decides what the program is. Until then the first block of Python is shown as the program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .fences import FENCE_CHARACTERS, OPENING, read_label
from .reasoning import PARTIAL, TAG, TAG_CHARACTERS, find_tag, is_closing

__all__ = ["Draft", "Piece"]

MAYBE_OPENING = re.compile(
    r"(?:[ \t]*+>)*+[ \t]*+(?:(?:[-*+]|\d{1,3}[.)]?)[ \t]*+)?+(?:`{0,2}|~{0,2}|(?:`{3,}+|~{3,}+)[^\n]*)"
)
MAYBE_SPECIAL = re.compile(rf"[ \t>]*+(?:`*|~*|(?:`{{3,}}+|~{{3,}}+)[^\n]*|[<\[◁][^\n]{{0,{TAG_CHARACTERS}}})")
_UNDECIDED = re.compile(rf"`{{1,2}}(?:{TAG.pattern})\Z", re.IGNORECASE)
"""A tag after a backtick: the next character decides whether it is inline code."""
_AT_ONCE = 1_000
_QUOTE = re.compile(r"(?:[ \t]*+>)++ ?")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text for the live display, which never contains part of a fence.

    "withdrawn" has no text: everything shown before was reasoning.
    """

    kind: Literal["prose", "program", "withdrawn"]
    text: str


class Draft:
    """Read an answer as it arrives.

    Attributes:
        size: the bytes of the program so far.
        closed: whether the end of a program was read, and the program has not turned out to be reasoning.
    """

    def __init__(self) -> None:
        self.size = 0
        self.closed = False
        self._held = ""
        self._line = ""
        self._in_line = False
        self._thinking = False
        self._shown = False
        self._fence: re.Match[str] | None = None
        self._is_program = False

    def feed(self, text: str) -> list[Piece]:
        """Read the next characters, with all line ends as `\\n`, and return the pieces that can be shown now."""
        pieces: list[Piece] = []
        for start in range(0, len(text), _AT_ONCE):  # short pieces, because each tag on a line copies the held text
            self._held += text[start : start + _AT_ONCE]
            pieces += self._read(final=False)
        return pieces

    def finish(self) -> list[Piece]:
        """Read the text that was held back."""
        return self._read(final=True)

    def _read(self, *, final: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while self._held:
            before = len(self._held), self._fence  # the end of a quoted block takes no text
            if self._thinking:
                self._skip_reasoning()
            else:
                pieces += self._read_line(final)
            if (len(self._held), self._fence) == before:
                break
        return pieces

    def _skip_reasoning(self) -> None:
        opened = 0
        for tag in TAG.finditer(self._held):
            if is_closing(tag):
                self._held, self._thinking = self._held[tag.end() :], False
                self._in_line, self._line = False, ""
                return
            opened = tag.end()
        self._held = self._held[max(opened, len(self._held) - TAG_CHARACTERS) :]

    def _read_line(self, final: bool) -> list[Piece]:
        end = self._held.find("\n") + 1
        part = self._held[:end] if end else self._held
        whole = bool(end) or final
        if not self._in_line and not whole and len(part) <= FENCE_CHARACTERS:
            pattern = MAYBE_OPENING if self._fence is None else MAYBE_SPECIAL
            if pattern.fullmatch(part):
                return []
        if self._fence is not None:
            return self._read_in_block(part, whole)
        return self._read_words(part, whole)

    def _take(self, part: str) -> None:
        self._held = self._held[len(part) :]
        self._in_line = not part.endswith("\n")
        self._line = (self._line + part)[: FENCE_CHARACTERS + 1] if self._in_line else ""

    def _read_words(self, part: str, whole: bool) -> list[Piece]:
        if not self._in_line and whole and len(part) <= FENCE_CHARACTERS:
            opening = OPENING.fullmatch(part.rstrip("\n"))
            if opening is not None and not self._is_one_line(opening):
                self._take(part)
                return self._open(opening, part)
        undecided = None if whole else _UNDECIDED.search(part)
        tag = find_tag(part[: undecided.start()] if undecided else part)
        if tag is not None:
            return self._handle_tag(tag, part)
        if not whole:
            partial = undecided or PARTIAL.search(part)
            part = part[: partial.start()] if partial else part
            if not part:
                return []
        line = self._line + part
        self._take(part)
        pieces = self._show("prose", part)
        if whole and len(line) <= FENCE_CHARACTERS and "```" in line:
            words, mark, info = line.rstrip("\n").partition("```")
            opening = OPENING.fullmatch(mark + info)
            is_open = words.strip() and "`" not in words and opening is not None and "`" not in opening["info"]
            if is_open and opening is not None and read_label(opening["info"]) == "python":
                self._open(opening, "")
        return pieces

    @staticmethod
    def _is_one_line(opening: re.Match[str]) -> bool:
        return opening["mark"] in opening["info"] or "`" in opening["info"]

    def _handle_tag(self, tag: re.Match[str], part: str) -> list[Piece]:
        """Skip the reasoning that a tag among words begins, or withdraw the reasoning that it ends."""
        pieces: list[Piece] = []
        if is_closing(tag):
            self._take(part[: tag.end()])
            self._in_line, self._line = False, ""
            pieces = self._withdraw()
        else:
            pieces = self._show("prose", part[: tag.start()])
            self._take(part[: tag.end()])
            self._thinking = True
        return pieces

    def _withdraw(self) -> list[Piece]:
        self._fence, self._is_program, self.closed, self.size = None, False, False, 0
        shown, self._shown = self._shown, False
        return [Piece("withdrawn", "")] if shown else []

    def _open(self, opening: re.Match[str], line: str) -> list[Piece]:
        self._fence = opening
        self._is_program = read_label(opening["info"]) == "python" and not self.closed
        return [] if self._is_program else self._show("prose", line)

    def _read_in_block(self, part: str, whole: bool) -> list[Piece]:
        assert self._fence is not None
        mark = self._fence["mark"]
        if self._in_line:
            self._take(part)
            return self._show_in_block(part)
        line = part
        if self._fence["quote"]:
            quote = _QUOTE.match(part)
            if quote is None:
                return self._close("", whole)
            line = part[quote.end() :]
        text = line.strip()
        if whole and len(part) <= FENCE_CHARACTERS:
            if text.startswith(mark):
                rest = text.lstrip(mark[0])
                if read_label(rest) == "python" and self._is_program:
                    return self._close("", whole)
                self._take(part)
                tag = find_tag(rest)
                shown = self._close(part, whole)
                return shown + self._withdraw() if tag is not None and is_closing(tag) else shown
            tag = TAG.fullmatch(text)
            if tag is not None:
                self._take(part)
                if is_closing(tag):
                    return self._withdraw()
                self._thinking = True
                return []
        self._take(part)
        if not self._is_program:
            return self._show("prose", part)
        indent = len(self._fence["indent"])
        return self._show_in_block(line[min(len(line) - len(line.lstrip(" \t")), indent) :])

    def _close(self, line: str, whole: bool) -> list[Piece]:
        was_program, self._fence, self._is_program = self._is_program, None, False
        self.closed = self.closed or was_program
        return [] if was_program else self._show("prose", line)

    def _show_in_block(self, text: str) -> list[Piece]:
        if not self._is_program:
            return self._show("prose", text)
        self.size += len(text.encode())
        return self._show("program", text)

    def _show(self, kind: Literal["prose", "program"], text: str) -> list[Piece]:
        if not text or (kind == "prose" and self.closed):
            return []
        self._shown = True
        return [Piece(kind, text)]
