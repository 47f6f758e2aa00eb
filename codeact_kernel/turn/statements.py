"""Which statements of a program are complete while it is still being written. Pure text, and never a wrong one: a
statement counts only when the next one has begun."""

from __future__ import annotations

import ast
import re
import warnings

__all__ = ["Statements"]

_GOES_ON = ("elif", "else", "except", "finally")
"""Words with which a line goes on with the statement above, though it is not indented."""
_LOOKED_AT = 200
"""Lines that may begin a statement and are looked at; the rest of a longer program is taken as a whole."""
_ASYNC = re.compile(r"\b(?:await|async|asyncio|call_tool_async|__future__)\b")
"""An event loop lives as long as the code that it was made for, so from here on a program is one piece."""


class Statements:
    """Takes a program piece by piece.

    Attributes:
        text: all there is.
        complete: how many characters of it are complete statements.
    """

    def __init__(self) -> None:
        self.text = ""
        self.complete = 0
        self._seen = 0
        self._looked = 0

    def feed(self, text: str) -> bool:
        """Take the next characters; whether more statements are complete than before."""
        self.text += text
        before = self.complete
        while (line := self.text.find("\n", self._seen)) >= 0:
            start = line + 1
            if not self._tells(self.text[start : start + 8]):
                break
            self._seen = start
            if self._begins(start) and self._parses(start):
                self.complete = start
        return self.complete > before

    def _tells(self, text: str) -> bool:
        """Whether the beginning of a line says yet if it begins a statement."""
        return bool(text) and not any(word.startswith(text) for word in _GOES_ON)

    def _begins(self, start: int) -> bool:
        return self.text[start] not in " \t\n\f\\#)]}" and not self.text.startswith(_GOES_ON, start)

    def _parses(self, end: int) -> bool:
        self._looked += 1
        new = self.text[self.complete : end]
        if self._looked > _LOOKED_AT or _ASYNC.search(new):
            self._looked = _LOOKED_AT
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return bool(ast.parse(new).body)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return False
