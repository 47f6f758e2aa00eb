"""Read fenced blocks of Markdown in all forms that models write.

Three or more backticks or tildes open a block, at any indentation, in a list, behind the `>` of a quotation, or after
words on the same line if they are labelled as Python. A line of at least as many closes it.

Markdown is ambiguous here: a line of only backticks inside a Python string looks like a closing fence. It closes the
block only if the text before it is Python, or if no later such line makes it Python.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .python_text import Parsed, Parser
from .reasoning import TAG

__all__ = ["END_TOKENS", "FENCE_CHARACTERS", "OPENING", "Block", "Label", "read_fence", "read_label"]

Label = Literal["python", "plain", "other"]

FENCE_CHARACTERS = 200
"""While an answer is written, a longer line is not a fence. This bounds the text that is held back."""
_ENDINGS = 8
"""How many closing fences of one block are tried."""
_OTHER_ENDINGS = 20
"""How many possible ends of another form are tried."""

OPENING = re.compile(
    r"(?P<quote>(?:(?:[ \t]*+>)++ ?+)?+)(?P<indent>[ \t]*+(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?+)"
    r"(?P<mark>`{3,}+|~{3,}+)(?P<info>[^\n]*)"
)
END_TOKENS = re.compile(r"(?:<\|/?[a-z_]{1,30}\|>|</s>|<(?:end_of_turn|end_code|eot|eos)>)", re.IGNORECASE)
_LAST_TOKEN = re.compile(rf"{END_TOKENS.pattern}\Z", re.IGNORECASE)
_TOKEN_CHARACTERS = 40
_AFTER = re.compile(rf"[ \t]*+(?:(?:{END_TOKENS.pattern}|{TAG.pattern})[ \t]*+)?", re.IGNORECASE)
"""The text that can follow a fence at the end of a line of code."""
_QUOTE = re.compile(r"(?:[ \t]*+>)++ ?")
_SIGNS = re.compile(r"[{}\[\]()\".,:;=#|/\\'<>\s]+")
_PYTHON = re.compile(r"(?:x-)?(?:i?python|py)[-_]?(?:\d+[a-z]?)?(?:[-_](?:code|script|program|exec|run|cell|block))?")
_WRAPPERS = frozenset({"code-cell", "code-block", "code", "sourcecode", "lang", "language", "text/x-python"})
_TRAINED = frozenset({"tool_code", "tool-code", "toolcode", "execute_code", "codeact", "pyodide"})
_ATTRIBUTE = re.compile(r"[\w-]+=(?![=\s])")
OPEN_STRING = "unterminated triple-quoted"
"""The beginning of Python's error message for a string that continues to the end of the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A block of an answer.

    Attributes:
        label: its label: Python, none, or another language.
        text: its content.
        start: its first line.
        end: the line after its last line.
        closed: whether its end was written.
        inline: whether it is opened and closed on one line.
        rest: the text after its end on the same line.
    """

    label: Label
    text: str
    start: int
    end: int
    closed: bool = True
    inline: bool = False
    rest: str = ""


def read_label(info: str) -> Label:
    """Return the label that the words after a fence give."""
    words = [word.removeprefix("language-").removeprefix("lang-") for word in _SIGNS.split(info.lower()) if word]
    first = next((word for word in words if word not in _WRAPPERS), None)
    if first is None:
        return "plain"
    file = info.split()[0].lower().strip("{}")
    return "python" if _PYTHON.fullmatch(first) or first in _TRAINED or file.endswith(".py") else "other"


def read_fence(lines: Sequence[str], start: int, parser: Parser, max_bytes: int) -> Block | None:
    """Return the block that begins in line `start`, or `None` if no block does.

    Args:
        max_bytes: the maximum size of a program (UTF-8) that is parsed.
    """
    line = lines[start]
    if not parser.may_look:
        return None
    opening = OPENING.fullmatch(line)
    if opening is None:
        return _after_words(lines, start, parser, max_bytes)
    mark, info = opening["mark"], opening["info"]
    if mark in info or (mark[0] == "`" and "`" in info):
        return _one_line(info, mark, start)
    return _Body(lines, start, opening, parser, max_bytes).read(read_label(info))


def _after_words(lines: Sequence[str], start: int, parser: Parser, max_bytes: int) -> Block | None:
    """Return the block whose opening fence follows words on the same line."""
    words, mark, info = lines[start].partition("```")
    if not mark or "`" in words:
        return None
    inside, is_closed, rest = info.partition(mark)
    if is_closed:
        first, _, code = inside.partition(" ")
        if read_label(first) != "python" or not code.strip():
            return None
        is_all = words.rstrip().endswith(":") and not rest.strip()
        label: Label = "python" if is_all else "other"
        return Block(label=label, text=code.strip(), start=start, end=start + 1, inline=True, rest=rest)
    opening = OPENING.fullmatch(mark + info)
    if opening is None or read_label(opening["info"]) != "python":
        return None
    return _Body(lines, start, opening, parser, max_bytes).read("python")


def _one_line(info: str, mark: str, start: int) -> Block | None:
    """Return a block that is opened and closed on one line. It is inline code unless it is labelled as Python."""
    inside = END_TOKENS.sub("", info).rstrip()
    if not inside.endswith(mark):
        return None
    inside = inside[: -len(mark)].rstrip("`")
    if mark in inside:
        return None
    first, _, code = inside.strip().partition(" ")
    if read_label(first) == "python" and code.strip():
        return Block(label="python", text=code.strip(), start=start, end=start + 1, inline=True)
    return Block(label="plain", text=inside.strip(), start=start, end=start + 1, inline=True)


class _Body:
    """The text after an opening fence, in which the closing fence is searched."""

    def __init__(
        self, lines: Sequence[str], start: int, opening: re.Match[str], parser: Parser, max_bytes: int
    ) -> None:
        self._lines = lines
        self._start = start
        self._mark = opening["mark"]
        self._quoted = bool(opening["quote"])
        self._indent = len(opening["indent"])
        self._info = opening["info"]
        self._parser = parser
        self._max_bytes = max_bytes
        self._body: list[str] = []
        self._others: list[tuple[Parsed, Block]] = []

    def read(self, label: Label) -> Block:
        first: Block | None = None
        tried = 0
        begin = self._start + 1
        if (
            label == "plain"
            and self._lines[begin : begin + 1]
            and _PYTHON.fullmatch(self._lines[begin].strip().lower())
        ):
            label, begin = "python", begin + 1  # the label is on a line of its own
        for at in range(begin, len(self._lines)):
            self._parser.lines_left -= 1
            line = self._lines[at]
            if self._quoted:
                quote = _QUOTE.match(line)
                if quote is None:
                    return self._block(label, at, rest="")
                line = line[quote.end() :]
            text = line.strip()
            if text.startswith(self._mark) and not text.strip(self._mark[0]):
                block = self._block(label, at + 1)
                if label != "python":
                    return block
                parsed = self._parsed(block)
                first = first or block
                tried += 1
                if parsed.tree is not None:
                    return block
                if (other := self._other()) is not None:
                    return other
                if not parsed.error.startswith(OPEN_STRING) or tried == _ENDINGS:
                    return first
            elif label != "python":
                if text.startswith(self._mark) and _opens_python(text.lstrip(self._mark[0])):
                    return self._block(label, at)
            elif text.startswith(self._mark) and not any(self._body) and _opens_python(text.lstrip(self._mark[0])):
                return self._block(label, at)  # the fence is repeated
            elif len(self._others) < _OTHER_ENDINGS:
                self._maybe_end(text, line, at)
            else:
                return self._other() or self._others[0][1]
            self._body.append(line)
        return first or self._other() or self._last(label)

    def _maybe_end(self, text: str, line: str, at: int) -> None:
        """Remember a possible end that is not a fence on a line of its own."""
        if text.startswith(self._mark):
            rest = text.lstrip(self._mark[0])
            opens = _opens_python(rest)
            block = self._block("python", at if opens else at + 1, rest="" if opens else rest)
        elif END_TOKENS.fullmatch(text):
            block = self._block("python", at + 1)
        else:
            code, found, rest = line.rpartition(self._mark)
            if not found or not _AFTER.fullmatch(rest):
                return
            block = self._block("python", at + 1, last=code.rstrip(self._mark[0]), rest=rest)
        self._others.append((self._parsed(block), block))

    def _other(self) -> Block | None:
        """Return the block up to the first end of another form that makes it Python."""
        return next((block for parsed, block in self._others if parsed.tree is not None and parsed.tree.body), None)

    def _last(self, label: Label) -> Block:
        """Return the block if no line closes it."""
        if self._others:
            end = self._others[0][1]
            if end.end >= len(self._lines) or not any(line.strip() for line in self._lines[end.end :]) or end.rest:
                return end
        return self._block(label, len(self._lines), closed=False)

    def _parsed(self, block: Block) -> Parsed:
        if len(block.text.encode()) > self._max_bytes:
            return Parsed(block.text)
        return self._parser.parse(block.text)

    def _block(self, label: Label, end: int, *, last: str = "", closed: bool = True, rest: str = "") -> Block:
        body = [*self._body, last] if last else self._body
        return Block(
            label=label,
            text=self._text(label, body),
            start=self._start,
            end=end,
            closed=closed,
            rest=rest,
        )

    def _text(self, label: Label, body: list[str]) -> str:
        lines = [line[min(len(line) - len(line.lstrip()), self._indent) :] for line in body]
        text = "\n".join(lines)
        begins = self._info.strip().partition(" ")[2].strip()
        if label == "python" and "(" in begins[1:] and not _ATTRIBUTE.match(begins):
            text = f"{begins}\n{text}"
        if next((line for line in lines if line.strip()), "").startswith((" ", "\t")):
            text = textwrap.dedent(text)
        text = _without_end_tokens(text.rstrip())
        return text if label == "other" else _without_prompts(text)


def _without_end_tokens(text: str) -> str:
    while (token := _LAST_TOKEN.search(text, max(0, len(text) - _TOKEN_CHARACTERS))) is not None:
        text = text[: token.start()].rstrip()
    return text


def _without_prompts(text: str) -> str:
    """Return the program of an interactive session: the text after its prompts, without the output."""
    if not text.lstrip().startswith(">>> "):
        return text
    return "\n".join(line[4:] for line in text.lstrip().split("\n") if f"{line} ".startswith((">>> ", "... ")))


def _opens_python(info: str) -> bool:
    return "`" not in info and read_label(info) == "python"
