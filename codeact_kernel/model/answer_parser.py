"""From a model's answer to its program, whatever form the model was trained to give it. Pure.

The answer is read to its end, since only then is it known what was meant, and then these rules hold, in this order:

1. Reasoning is never a program: what stands in `<think>` or a tag like it, and everything before a closing tag that
   nothing opened (see `reasoning`).
2. An answer that is Python as a whole, and does something, is the program.
3. A block that is labelled as Python is the program: a fence (see `fences`), `<execute>`, `<|python_tag|>`, or a call
   of `execute_code` and the like as JSON. A block that holds nothing but literals is an example of data, where another
   one does more.
4. Without one, a block without a label is, also ```` ```code ```` and `<code>`, if it is Python that does something.
   Beside a labelled one it is not run, and the user is told if it calls a tool.
5. Several blocks are one program if each one after the first reads what those before it assigned, and none
   assigns it again, repeats a statement or calls the same tool: they are joined, with a notice. Blocks that
   are the same count once. Any others are drafts, corrections or alternatives: none is run, and the
   model is asked for one block.
6. Without any block, one run of lines among words is the program if it is Python and calls an offered tool, imports,
   defines or prints.
7. Other code that calls an offered tool is sent back once more, and never shown as an answer in words.
8. Anything else is the answer in words.

An answer that goes on after its program is read for `FURTHER_CHARACTERS` more. What repeats itself has come to an end,
and the program is taken; any other text may be reasoning, in which case the program is only a draft: it is not run.
"""

from __future__ import annotations

import codecs
import io
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass

from ..settings import Limits
from .draft import Draft, Piece
from .program import ONE_BLOCK, Found, find_program

__all__ = ["AnswerParser", "Extracted", "Piece"]

ANSWER_CHARACTERS = 1 << 20
"""All that is read of one answer, thoughts included."""
FURTHER_CHARACTERS = 32_000
"""All that is read of one answer after a block of Python: reasoning with a draft in it may be long."""
LOOP_CHARACTERS = 2_000
"""So much text after the program, and each double of it, is looked at for whether it repeats itself."""
LOOP_SIZE = 0.2
"""What repeats itself is compressed to this part of its length; words and reasoning take twice as much."""

LINES = re.compile(r"[^\n]*\n|[^\n]+")

BROKEN_OFF = "The answer broke off inside the program: it has to be written whole again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Extracted:
    """What an answer came to.

    Attributes:
        program: what is to be run, or `None`.
        prose: the words before it, or the whole answer when there is no program.
        problem: one sentence for the model and the user when the answer cannot be used; else empty.
        notice: one sentence for the user when the program is not just the one block; else empty.
    """

    program: str | None
    prose: str
    problem: str = ""
    notice: str = ""


class AnswerParser:
    """Reads one answer. How the text is cut into pieces makes no difference to what is found.

    Args:
        program_bytes: a longer program (UTF-8) is not taken.
        tools: names of the tools that are offered.
    """

    def __init__(self, program_bytes: int = Limits().program_bytes, tools: Collection[str] = ()) -> None:
        self._program_bytes = program_bytes
        self._tools = frozenset(tools)
        # Endpoints may cut a character in two halves: they are put together, and a lone half is replaced.
        self._halves = codecs.getincrementaldecoder("utf-16-le")("replace")
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._draft = Draft()
        self._texts: list[str] = []
        self._read = 0
        self._length = 0
        self._closed_at = -1
        self._look_at = LOOP_CHARACTERS
        self._stopped = False

    @property
    def done(self) -> bool:
        """Nothing more is wanted: a limit is reached."""
        return self._stopped or self._read > ANSWER_CHARACTERS or self._draft.size > self._program_bytes

    def feed(self, text: str) -> list[Piece]:
        """Read the next characters and return what can be shown now."""
        room = ANSWER_CHARACTERS - self._read
        self._read += len(text)
        return self._take(text[: max(room, 0)])

    def finish(self, reason: str | None) -> Extracted:
        """Say what was found. `reason` is the endpoint's finish reason, `None` when it gave none or we stopped."""
        self._take("", final=True)
        text = "".join(self._texts)
        if self._read > ANSWER_CHARACTERS:
            too_long = f"The answer was longer than {ANSWER_CHARACTERS:,} characters: {ONE_BLOCK}."
            return Extracted(program=None, prose=text.strip(), problem=too_long)
        if self._draft.size > self._program_bytes:
            return Extracted(program=None, prose="", problem=self._too_long())
        found = find_program(text, self._tools, self._program_bytes)
        problem = self._problem(found, None if self._stopped else reason)
        return Extracted(
            program=None if problem else found.program,
            prose=found.prose,
            problem=problem,
            notice="" if problem else found.notice,
        )

    def _problem(self, found: Found, reason: str | None) -> str:
        cut = ""
        if reason == "length":
            cut = "The answer was cut off at the endpoint's length limit: answer with a shorter program."
        elif reason in ("content_filter", "refusal"):
            cut = "The endpoint's content filter withheld the answer: word the prompt differently."
        if found.program is None:
            empty = "" if found.prose else f"The answer was empty: {ONE_BLOCK}."
            return cut or found.problem or empty
        if found.closed and not found.after.strip():
            return self._problem_of(found.program)
        if not found.closed:
            return cut or (BROKEN_OFF if reason is None else self._problem_of(found.program))
        if (cut or self._stopped) and not repeats(found.after):
            return cut or f"The answer went on for {FURTHER_CHARACTERS:,} characters after its program: {ONE_BLOCK}."
        return self._problem_of(found.program)

    def _problem_of(self, program: str) -> str:
        if len(program.encode()) > self._program_bytes:
            return self._too_long()
        return "" if program else f"The code block was empty: {ONE_BLOCK}."

    def _too_long(self) -> str:
        return f"The program was longer than {self._program_bytes:,} bytes: write a shorter one."

    def _take(self, text: str, *, final: bool = False) -> list[Piece]:
        text = self._halves.decode(text.encode("utf-16-le", "surrogatepass"), final)
        pieces: list[Piece] = []
        for part in LINES.findall(self._newlines.decode(text, final)):
            if self.done:
                break
            self._texts.append(part)
            self._length += len(part)
            pieces += self._draft.feed(part)
            self._look_further()
        return pieces + self._draft.finish() if final and not self.done else pieces

    def _look_further(self) -> None:
        """Stop where the text after the program repeats itself or is too long."""
        if not self._draft.closed:
            self._closed_at, self._look_at = -1, LOOP_CHARACTERS
            return
        if self._closed_at < 0:
            self._closed_at = self._length
        further = self._length - self._closed_at
        while further >= self._look_at and not self._stopped:
            text = "".join(self._texts)
            self._stopped = self._look_at >= FURTHER_CHARACTERS or repeats(text[self._closed_at :][: self._look_at])
            if self._stopped:
                self._texts = [text[: self._closed_at + self._look_at]]
            self._look_at = min(2 * self._look_at, FURTHER_CHARACTERS)


def repeats(text: str) -> bool:
    """Whether a text says the same over and over: a model that has lost its end."""
    data = text.encode()
    return len(data) >= LOOP_CHARACTERS and len(zlib.compress(data)) < LOOP_SIZE * len(data)
