"""Describe syntax errors, and recognize syntax that is newer than the host's Python.

The guest runs Python 3.14, and the host may be older. If the host cannot parse a program that shows signs of newer
syntax, the guest decides: it compiles a program before it runs any part of it.
"""

from __future__ import annotations

import ast
import keyword
import re
import sys

from ..text import quote, replace_unprintable, truncate
from .report import Problem

__all__ = ["describe", "may_be_newer", "without_spaces"]

HOST = sys.version_info[:2]
GUEST = (3, 14)

# Comments are matched as well, so that a quote in a comment does not open a string.
LITERAL = re.compile(
    r"""\#[^\n]*
      | (?:(?<!\w)(?P<prefix>[rR]?[fFtT][rR]?))?
        (?: (?P<triple>'''|\"\"\") (?:\\.|(?!(?P=triple))[^\\])* (?P=triple)?
          | (?P<single>['"]) (?:\\.|(?!(?P=single))[^\n\\])* (?P=single)? )""",
    re.DOTALL | re.VERBOSE,
)
SPACES = re.compile(rf"{LITERAL.pattern} | (?<=\S)[ \t]++", LITERAL.flags)
# Type parameters and `type X = ...` (3.12), `except A, B:` (3.14).
STATEMENT = re.compile(r"\b(?:type|def|class)\s+\w+\s*\[|\btype\s+\w+\s*=|\bexcept\b[^:\n(]{0,200},")
PROSE = re.compile(r"\s*(\w+),?(?: [\w'`]+[,.:!]?){2,}")


def may_be_newer(program: str) -> bool:
    """Whether a text that this host cannot parse may be a valid program in the guest."""
    return HOST < GUEST and bool(STATEMENT.search(program) or any(map(_is_newer, LITERAL.finditer(program))))


def _is_newer(literal: re.Match[str]) -> bool:
    prefix = (literal["prefix"] or "").lower()
    if "f" not in prefix or HOST >= (3, 12):
        return "t" in prefix
    # Before 3.12, an f-string ended at its first inner quote of the same kind, so newer f-strings do not parse.
    try:
        ast.parse(literal[0])
    except SyntaxError:
        return True
    return False


def without_spaces(program: str) -> str:
    """Return a program without comments, blank lines, and spaces outside of literals and indentation."""
    text = SPACES.sub(lambda found: "" if found[0][0] in "# \t" else found[0], program)
    return "\n".join(line for line in text.splitlines() if line.strip())


def describe(error: SyntaxError, program: str) -> Problem:
    """Report a syntax error with its line and column, and the text of the line."""
    if error.lineno is None:
        return Problem(None, truncate(replace_unprintable(f"The program cannot be parsed: {error.msg}."), 400))
    lines = re.split(r"\r\n|\r|\n", program)
    text = lines[error.lineno - 1].strip() if error.lineno <= len(lines) else ""
    reason = truncate(replace_unprintable(error.msg), 200)
    message = f"Line {error.lineno}, column {error.offset or 1}: {reason}: {quote(text)}."
    return Problem(error.lineno, message + _hint(text), message)


def _hint(text: str) -> str:
    if text.startswith(("!", "%")):
        return " There is no shell and there are no magics: write plain Python."
    words = PROSE.match(text)
    if words and not keyword.iskeyword(words[1]):
        return " Words that are not Python must be a comment: begin the line with #."
    return ""
