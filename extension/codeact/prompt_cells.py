"""Recognize and parse cells that are prompts without `%%codeact`. This module works on text and needs no shell.

In the CodeAct kernel a cell whose first line begins with `>` is a prompt, since no Python code begins like that. Every
other cell is Python. With `%codeact kernel auto`, plain prose is a prompt as well: see `is_prose`.
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
    "is_like_prose",
    "is_marked",
    "is_prose",
    "parse",
]

HINT = "To ask the model, begin the cell with > and a space."
HINT_FIRST = "{} has to be the first thing in its cell: move the lines before it into another cell."
HINT_ELSEWHERE = "To ask the model here, begin the cell with %%codeact; %codeact kernel marker makes > work too."

_WORD = r"(?:\d+[.,]\d+|[^\W_]+(?:['’-][^\W_]+)*)"
_PROSE = re.compile(rf"{_WORD}(?:(?:[,.?!]\s+|\s+(?:[–—-]\s+)?){_WORD})*(?:(?<=[^\W\d_])[.!]+|[?]+[!]*)")
_OPTION = re.compile(r"\s*(--[A-Za-z][\w-]*)(?:=(\"[^\"]*\"|'[^']*'|\S*))?(?=\s|$)")
_VALUE = re.compile(r"\s+(\"[^\"]*\"|'[^']*'|\S+)")
_CONTINUATION = re.compile(r"(?<=,)\s+(?!--)\S+|\s+,\s*(?!--)\S*")
"""A comma continues a list, with or without spaces around it."""
_FLAG = re.compile(r"(?<!\S)--[A-Za-z][\w-]*(?=[=\s]|$)")
_DASHED = re.compile(r"[-\u2010-\u2015\u2212]{1,3}([A-Za-z][\w-]*)(?=[=\s]|$)")


@dataclass(frozen=True, slots=True)
class PromptCell:
    """A prompt without `%%codeact`: its options, as `%%codeact` takes them, and its text."""

    options: str
    text: str


def is_marked(cell: str) -> bool:
    """Tell whether a cell begins with the marker `>`. A doctest begins with `>>>`, and no Python code with `>`."""
    return cell.startswith(">") and not cell.startswith((">>", ">="))


def parse(cell: str, switches: Collection[str], flags: Collection[str] = ()) -> PromptCell | None:
    """Parse a cell that begins with the marker `>`.

    Options can follow the marker. If every line begins with the marker, as in a quotation, it is removed from every
    line. A backslash at the end of a line, which consoles need to continue a cell, is not part of the prompt.

    If the first line has a known option after other words, these words count as options too, and parsing the options
    will reject them. As part of the prompt, the option would be ignored and nobody would notice.

    Args:
        cell: the text of the cell.
        switches: the options that take no value.
        flags: all options.

    Returns:
        The prompt, or `None` if the cell does not begin with the marker.
    """
    cell = cell.replace("\r\n", "\n")
    if not is_marked(cell):
        return None
    lines = cell.rstrip().split("\n")
    is_quotation = all(line.startswith("> ") or line.strip() in (">", "") for line in lines)
    lines = [re.sub(r"^> ?", "", line) if is_quotation or number == 0 else line for number, line in enumerate(lines)]
    first, *others = [line[:-1].rstrip() if line.endswith("\\") else line for line in lines[:-1]] + lines[-1:]
    end = _end_of_options(first, switches)
    options = first[:end].strip()
    late_flags = [match.start() for match in _FLAG.finditer(first, end) if match[0] in {*switches, *flags}]
    if late_flags:
        words = re.sub("[\"']", "", first[end : late_flags[-1]])  # an apostrophe would be an unclosed quotation mark
        last = _end_of_options(first, switches, late_flags[-1])
        options, end = f"{options}{words}{first[late_flags[-1] : last]}".strip(), last
    return PromptCell(options, "\n".join([first[end:].strip(), *others]).strip())


def _end_of_options(line: str, switches: Collection[str], end: int = 0) -> int:
    while option := _OPTION.match(line, end):
        end = option.end()
        if option[1] in switches:
            continue
        if option[2] is None and (value := _VALUE.match(line, end)):
            end = value.end()
        while continuation := _CONTINUATION.match(line, end):
            end = continuation.end()
    return end


def find_option(text: str, flags: Collection[str]) -> str:
    """Return the option with which a prompt's text begins, correctly spelled, or "" if it begins with none.

    Such an option is in the wrong line, or has the wrong dash, for example because an editor replaced its two hyphens.
    """
    match = _DASHED.match(text)
    flag = f"--{match[1].lower()}" if match else ""
    return flag if flag in flags else ""


def find_late_prompt(cell: str) -> str:
    """Return `%%codeact` or `>` if it begins a prompt that is not at the start of the cell, else ""."""
    only_comments = True
    for number, line in enumerate(cell.strip("\n").split("\n")):
        text = line.lstrip()
        is_late = number > 0 or text != line
        if is_late and (text + " ").startswith("%%codeact "):
            return "%%codeact"
        if is_late and only_comments and is_marked(text):
            return ">"
        only_comments = only_comments and text[:1] in ("", "#")
    return ""


def is_like_prose(cell: str) -> bool:
    """Tell whether a cell that is not valid Python looks like a prompt, so that a hint can help its author."""
    words = cell.strip().removeprefix(">").split()
    are_words = all(re.fullmatch(r"\w+(?:['’-]\w+)*[.,?!]*", word) for word in words)
    return are_words and len(words) >= 2 and "\n" not in cell.strip()


def is_prose(cell: str) -> bool:
    """Tell whether a cell is a prompt with `%codeact kernel auto`. Every condition must hold:

    1. it begins with a letter in the first column, and ends with `?`; if it begins with a capital letter, it can also
       end with a letter and `.` or `!`;
    2. it has at least three words of letters and digits (`user's`, `well-known` and `3.5` are words), and between them
       only spaces, `, . ? !` and dashes: no operator, bracket, quotation mark, colon, comment, attribute or magic;
    3. without the end mark it does not compile, neither as it stands nor with a small first letter, and its first word
       is not a keyword of Python.

    No line of Python code with one wrong, missing or additional character passes: the end mark would have to be the
    mistake, and condition 3 then rejects the rest as Python. (A comment without its # is prose.) A cell that fails the
    conditions is Python, and gets Python's own error.
    """
    text = cell.strip("\n").rstrip()
    words = text.split()
    is_begun = text[:1].isalpha() and (text[0].isupper() or text.rstrip("!").endswith("?"))
    if len(words) < 3 or not is_begun or not _PROSE.fullmatch(text):
        return False
    if keyword.iskeyword(words[0]) or (not text[0].isupper() and words[0] in keyword.softkwlist):
        return False
    bare = text.rstrip(".?!")
    return not any(_compiles(code) for code in (text, bare, bare[0].lower() + bare[1:]))


def _compiles(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
