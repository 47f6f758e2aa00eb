"""Operations and answers of any length, through a host function whose messages must be short.

A micro-VM's messages to its host have 16 KiB, and those to a guest end with its memory.

    {"op": name, ...}          an operation, where a backend takes messages of any length
    {"at": n, "part": text}    a piece of an operation, n characters of which came before
    {"at": n, "last": text}    its last piece: it is served
    {"more": true}             the next piece of an answer

Each is answered by a text: `=` and the (last piece of the) answer, `+` and a piece that is not the last, or `!` and the
reason of a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..types import JSONObject

__all__ = ["ANSWER_STEP", "SHORTEST_PART", "Chunking", "Rejected"]

SHORTEST_PART = 1_000
"""Characters of a piece that is not the last: many small ones take more memory than what they hold."""
ANSWER_STEP = 1 << 16
"""Characters of an answer that go to the guest at once, so 256 KiB at most."""


class Rejected(Exception):
    """What the guest asked for is not to be had; the text goes to the guest."""


class Chunking:
    """Gathers the pieces of operations and hands answers out in pieces. What it gets is hostile.

    Args:
        read: makes an operation of its whole text; raises `Rejected`.
        serve: its answer; raises `Rejected`.
        longest: characters of an operation.
    """

    def __init__(self, read: Callable[[str], JSONObject], serve: Callable[[JSONObject], str], longest: int) -> None:
        self._read = read
        self._serve = serve
        self._longest = longest
        self.clear()

    def clear(self) -> None:
        """Forget what is under way: the run is over."""
        self._parts: list[str] = []
        self._size = 0
        self._answer = ""
        self._given = 0

    def __call__(self, message: Mapping[str, object]) -> str:
        """One message of the guest, and its answer."""
        try:
            if message.get("more") is not True:
                last = "last" in message
                self._gather(message.get("at"), message.get("last" if last else "part"), last)
                if not last:
                    return "="
                text, self._parts, self._size = "".join(self._parts), [], 0
                return self.whole(self._read(text))
            return self._next_piece()
        except Rejected as refusal:
            return f"!{refusal}"

    def whole(self, operation: JSONObject) -> str:
        """The answer to an operation, or its first piece."""
        try:
            answer = self._serve(operation)
        except Rejected as refusal:
            return f"!{refusal}"
        if len(answer) <= ANSWER_STEP:
            return f"={answer}"
        self._answer, self._given = answer, 0
        return self._next_piece()

    def _gather(self, at: object, text: object, last: bool) -> None:
        if not isinstance(text, str) or type(at) is not int or (len(text) < SHORTEST_PART and not last):
            raise Rejected("a message needs its place and text")
        if at == 0:  # whoever began the operation before this one gave it up: it had no memory left, for example
            self._parts, self._size = [], 0
        elif at != self._size:
            raise Rejected("a piece out of place")
        if at + len(text) > self._longest:
            raise Rejected(f"a message of over {self._longest:,} characters")
        self._parts.append(text)
        self._size += len(text)

    def _next_piece(self) -> str:
        start, self._given = self._given, self._given + ANSWER_STEP
        piece = self._answer[start : self._given]
        if not piece:
            raise Rejected("there is no more")
        if self._given < len(self._answer):
            return f"+{piece}"
        self._answer = ""
        return f"={piece}"
