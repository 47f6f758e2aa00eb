"""Find the complete statements of a program that is still being written.

A statement counts as complete only when the next one has begun, so a complete statement never changes later.
"""

from __future__ import annotations

import ast
import re
import warnings

__all__ = ["Statements"]

_CONTINUATIONS = ("elif", "else", "except", "finally")
"""Words with which an unindented line continues the statement above it."""
_MAX_CANDIDATES = 200
"""Lines that are tried as the beginning of a statement. The rest of a longer program counts as one piece."""
_ASYNC = re.compile(r"\b(?:await|async|asyncio|call_tool_async|__future__)\b")
"""Names that need an event loop, which lives as long as one piece of code: the rest of the program is one piece."""


class Statements:
    """The statements of one program.

    Attributes:
        text: the text so far.
        complete: the number of characters of `text` that are complete statements.
    """

    def __init__(self) -> None:
        self.text = ""
        self.complete = 0
        self._seen = 0
        self._candidates = 0

    def feed(self, text: str) -> bool:
        """Add the next characters, and return whether more statements are complete than before."""
        self.text += text
        before = self.complete
        while (line := self.text.find("\n", self._seen)) >= 0:
            start = line + 1
            if not self._is_decided(self.text[start : start + 8]):
                break
            self._seen = start
            if self._may_begin(start) and self._parses(start):
                self.complete = start
        return self.complete > before

    def _is_decided(self, text: str) -> bool:
        """Return whether the text of a line is long enough to rule out a word that continues a statement."""
        return bool(text) and not any(word.startswith(text) for word in _CONTINUATIONS)

    def _may_begin(self, start: int) -> bool:
        return self.text[start] not in " \t\n\f\\#)]}" and not self.text.startswith(_CONTINUATIONS, start)

    def _parses(self, end: int) -> bool:
        self._candidates += 1
        new = self.text[self.complete : end]
        if self._candidates > _MAX_CANDIDATES or _ASYNC.search(new):
            self._candidates = _MAX_CANDIDATES
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return bool(ast.parse(new).body)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return False
