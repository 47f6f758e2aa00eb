"""Pass operations and answers of any length through a host function whose messages must be short.

A message from a micro-VM to its host has at most 16 KiB, and a message to a guest has to fit into its memory.

    {"op": name, ...}          a whole operation, if the backend takes messages of any length
    {"at": n, "part": text}    a piece of an operation, n characters of which came before
    {"at": n, "last": text}    its last piece, after which it is served
    {"more": true}             the next piece of an answer

The answer to each message is a string: `=` and the answer or its last piece, `+` and another piece, or `!` and the
reason why the message was rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..types import JSONObject

__all__ = ["ANSWER_PART_LENGTH", "MIN_PART_LENGTH", "Chunking", "Rejected"]

MIN_PART_LENGTH = 1_000
"""Characters of a piece that is not the last. Many smaller pieces would take more memory than their text."""
ANSWER_PART_LENGTH = 1 << 16
"""Characters of one piece of an answer, which are 256 KiB at most."""


class Rejected(Exception):
    """A request of the guest that is not served. The guest gets the text."""


class Chunking:
    """Join the pieces of operations, and return answers in pieces. Every message is hostile.

    Args:
        read: parses the text of an operation; may raise `Rejected`.
        serve: returns the answer to an operation; may raise `Rejected`.
        max_length: the number of characters of an operation.
    """

    def __init__(self, read: Callable[[str], JSONObject], serve: Callable[[JSONObject], str], max_length: int) -> None:
        self._read = read
        self._serve = serve
        self._max_length = max_length
        self.clear()

    def clear(self) -> None:
        """Forget unfinished operations and answers, when a run is over."""
        self._parts: list[str] = []
        self._size = 0
        self._answer = ""
        self._sent = 0

    def __call__(self, message: Mapping[str, object]) -> str:
        """Handle one message of the guest and return the answer."""
        try:
            if message.get("more") is not True:
                last = "last" in message
                self._append_piece(message.get("at"), message.get("last" if last else "part"), last)
                if not last:
                    return "="
                text, self._parts, self._size = "".join(self._parts), [], 0
                return self.whole(self._read(text))
            return self._next_piece()
        except Rejected as refusal:
            return f"!{refusal}"

    def whole(self, operation: JSONObject) -> str:
        """Handle a whole operation and return its answer, or the first piece of it."""
        try:
            answer = self._serve(operation)
        except Rejected as refusal:
            return f"!{refusal}"
        if len(answer) <= ANSWER_PART_LENGTH:
            return f"={answer}"
        self._answer, self._sent = answer, 0
        return self._next_piece()

    def _append_piece(self, at: object, text: object, last: bool) -> None:
        if not isinstance(text, str) or type(at) is not int or (len(text) < MIN_PART_LENGTH and not last):
            raise Rejected("a message needs a position and a text")
        if at == 0:  # the guest gave up the operation before, for example because it had no memory left
            self._parts, self._size = [], 0
        elif at != self._size:
            raise Rejected("a piece at the wrong position")
        if at + len(text) > self._max_length:
            raise Rejected(f"a message of over {self._max_length:,} characters")
        self._parts.append(text)
        self._size += len(text)

    def _next_piece(self) -> str:
        start, self._sent = self._sent, self._sent + ANSWER_PART_LENGTH
        piece = self._answer[start : self._sent]
        if not piece:
            raise Rejected("the answer has no more pieces")
        if self._sent < len(self._answer):
            return f"+{piece}"
        self._answer = ""
        return f"={piece}"
