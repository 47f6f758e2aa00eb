"""Which cells are prompts without `%%codeact`, and what is in them. Text alone; nothing here knows a shell.

In the CodeAct kernel a cell whose first line begins with `> ` is a prompt: no Python begins like that. Everything else
is Python. With `%codeact kernel auto` plain prose is a prompt as well, by the rule of `is_prose`.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Collection
from dataclasses import dataclass

__all__ = [
    "HINT",
    "HINT_ELSEWHERE",
    "HINT_FIRST",
    "PromptCell",
    "find_late_prompt",
    "find_option",
    "is_prose",
    "read",
    "words_of_prose",
]

HINT = "To ask the model, begin the cell with > and a space."
HINT_FIRST = "What asks the model has to be the first thing in its cell: move what stands before {} into another cell."
HINT_ELSEWHERE = "To ask the model here, begin the cell with %%codeact; %codeact kernel marker makes > do it, too."

_WORD = r"(?:\d+[.,]\d+|[^\W_]+(?:['’-][^\W_]+)*)"
_PROSE = re.compile(rf"{_WORD}(?:(?:[,.?!]\s+|\s+(?:[–—-]\s+)?){_WORD})*(?<=[^\W\d_])[.?!]+")
_OPTION = re.compile(r"\s*(--[A-Za-z][\w-]*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?(?=\s|$)")
_VALUE = re.compile(r"\s+(\"[^\"]*\"|'[^']*'|\S+)")
_MORE = re.compile(r"(?<=,)\s+(?!--)\S+|\s+,\s*(?!--)\S*")
"""A list goes on after a comma, whatever blanks stand around it."""
_FLAG = re.compile(r"(?<!\S)--[A-Za-z][\w-]*(?=[=\s]|$)")
_DASHED = re.compile(r"[-\u2010-\u2015\u2212]{1,3}([A-Za-z][\w-]*)(?=[=\s]|$)")


@dataclass(frozen=True, slots=True)
class PromptCell:
    """A prompt: the options as `%%codeact` takes them, and the text."""

    options: str
    text: str


def read(cell: str, switches: Collection[str], flags: Collection[str] = ()) -> PromptCell | None:
    """The prompt in a cell that begins with the marker; `None` if it does not.

    Options may follow the marker. If every line begins with it, it is taken off every line, as from a quotation; a
    backslash before another line is how a console goes on, and is no part of the prompt.

    A known option further on in the first line makes options of all that stands before it, so that the words between
    are an error: as a part of the prompt the option would be lost, and nobody would notice.

    Args:
        switches: the options that take no value.
        flags: all options.
    """
    cell = cell.replace("\r\n", "\n")
    if not cell.startswith(("> ", ">\n")) and cell.strip() != ">":
        return None
    lines = cell.rstrip().split("\n")
    quoted = all(line.startswith("> ") or line.strip() in (">", "") for line in lines)
    lines = [re.sub(r"^>(?: |$)", "", line) if quoted or number == 0 else line for number, line in enumerate(lines)]
    first, *others = [line[:-1].rstrip() if line.endswith("\\") else line for line in lines[:-1]] + lines[-1:]
    end = _end_of_options(first, switches)
    options = first[:end].strip()
    late = [found.start() for found in _FLAG.finditer(first, end) if found[0] in {*switches, *flags}]
    if late:
        words = re.sub("[\"']", "", first[end : late[-1]])  # an apostrophe is no quotation mark here
        last = _end_of_options(first, switches, late[-1])
        options, end = f"{options}{words}{first[late[-1] : last]}".strip(), last
    return PromptCell(options, "\n".join([first[end:].strip(), *others]).strip())


def _end_of_options(line: str, switches: Collection[str], end: int = 0) -> int:
    while option := _OPTION.match(line, end):
        end = option.end()
        if option[1] in switches:
            continue
        if option[2] is None and (value := _VALUE.match(line, end)):
            end = value.end()
        while more := _MORE.match(line, end):
            end = more.end()
    return end


def find_option(text: str, flags: Collection[str]) -> str:
    """The option with which a prompt's text begins, in its right spelling, or nothing.

    It stands in the wrong line, or has a wrong dash: a dash that an editor has made of two hyphens, for example.
    """
    found = _DASHED.match(text)
    flag = f"--{found[1].lower()}" if found else ""
    return flag if flag in flags else ""


def find_late_prompt(cell: str) -> str:
    """What begins a prompt further down in the cell, or further right: `%%codeact` or `>`; nothing if neither does."""
    only_comments = True
    for number, line in enumerate(cell.strip("\n").split("\n")):
        text = line.lstrip()
        is_late = number > 0 or text != line
        if is_late and (text + " ").startswith("%%codeact "):
            return "%%codeact"
        if is_late and only_comments and text.startswith("> "):
            return ">"
        only_comments = only_comments and text[:1] in ("", "#")
    return ""


def words_of_prose(cell: str) -> bool:
    """Whether a line that IPython makes nothing of reads like a question or an order, so that a hint may help."""
    words = cell.strip().removeprefix(">").split()
    plain = all(re.fullmatch(r"\w+(?:['’-]\w+)*[.,?!]*", word) for word in words)
    return plain and len(words) >= 2 and "\n" not in cell.strip()


def is_prose(cell: str) -> bool:
    """The rule of `%codeact kernel auto`. All of it must hold:

    1. it begins with a capital letter, in the first column, and ends with a letter and `.`, `?` or `!`;
    2. it has at least three words of letters and digits (`user's`, `well-known` and `3.5` are words), and between them
       only spaces, `, . ? !` and dashes: no operator, bracket, quotation mark, colon, comment, attribute or magic;
    3. without the end mark it does not compile, neither as it stands nor with a small first letter, and its first word
       is not `True`, `False` or `None`.

    No line of Python code with one wrong, missing or additional character passes: the end mark would have to be the
    mistake, and then 3 finds the rest to be Python. (A cell that is nothing but a comment has no code: without its #
    it is prose.) What the rule does not take is Python, and gets Python's own error.
    """
    text = cell.strip("\n").rstrip()
    words = text.split()
    if len(words) < 3 or not text[0].isupper() or not _PROSE.fullmatch(text) or keyword.iskeyword(words[0]):
        return False
    bare = text.rstrip(".?!")
    return not any(_compiles(one) for one in (text, bare, bare[0].lower() + bare[1:]))


def _compiles(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
