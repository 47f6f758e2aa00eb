"""Find the program in a model's answer, in every form that models are trained to write.

The answer is read to its end, because only then is its meaning known. Then these rules apply in this order:

1. Reasoning is never a program. Reasoning is text in `<think>` or a similar tag, and all text before a closing tag
   without an opening tag (see `reasoning`).
2. An answer that is Python as a whole, and does something, is the program.
3. A block that is labelled as Python is the program: a fence (see `fences`), `<execute>`, `<|python_tag|>`, or a call
   of `execute_code` or a similar function as JSON. A block of literals only is an example of data if another block does
   more.
4. Otherwise a block without a label (also ```` ```code ```` and `<code>`) is the program, if it is Python that does
   something. Next to a labelled block it is not run, and the user gets a notice if it calls a tool.
5. Several blocks are joined to one program, with a notice, if each block after the first reads names that earlier
   blocks assigned, and does not assign them again, repeat a statement or call the same tool. Equal blocks count once.
   Other blocks are drafts, corrections or alternatives: none is run, and the model is asked for one block.
6. Without a block, a single run of lines among words is the program if it is Python and calls an offered tool,
   imports, defines or prints.
7. Other code that calls an offered tool is sent back to the model, and never shown as an answer in words.
8. Any other answer is an answer in words.

After a program, up to `FURTHER_CHARACTERS` more are read. If that text repeats itself, the model has lost its end, and
the program is used. Any other text can be reasoning about a draft, so the program is not run.
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
"""How much of one answer is read, its reasoning included."""
FURTHER_CHARACTERS = 32_000
"""How much is read after a block of Python. The block can be a draft in a long reasoning."""
LOOP_CHARACTERS = 2_000
"""The text after the program is checked for repetition at this length, and at each doubling of it."""
LOOP_SIZE = 0.2
"""Repetitive text compresses to less than this share of its length; words and reasoning take twice as much."""

LINES = re.compile(r"[^\n]*\n|[^\n]+")

BROKEN_OFF = "The answer broke off inside the program: it has to be written whole again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Extracted:
    """The program or the words of an answer.

    Attributes:
        program: the program to run, or `None`.
        prose: the words before the program, or the whole answer if there is no program.
        problem: one sentence for the model and the user if the answer cannot be used; else empty.
        notice: one sentence for the user if the program is not simply the only block; else empty.
    """

    program: str | None
    prose: str
    problem: str = ""
    notice: str = ""


class AnswerParser:
    """Parse one answer. The result does not depend on how the text is cut into pieces.

    Args:
        program_bytes: the maximum size of a program in UTF-8.
        tools: the names of the offered tools.
    """

    def __init__(self, program_bytes: int = Limits().program_bytes, tools: Collection[str] = ()) -> None:
        self._program_bytes = program_bytes
        self._tools = frozenset(tools)
        # Endpoints can split a surrogate pair over two pieces: the halves are joined, and a single half is replaced.
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
        """Whether a limit is reached, so that no more text is needed."""
        return self._stopped or self._read > ANSWER_CHARACTERS or self._draft.size > self._program_bytes

    def feed(self, text: str) -> list[Piece]:
        """Parse the next characters, and return the pieces that can be shown now."""
        room = ANSWER_CHARACTERS - self._read
        self._read += len(text)
        return self._take(text[: max(room, 0)])

    def finish(self, reason: str | None) -> Extracted:
        """Return the result. `reason` is the finish reason of the endpoint, or `None` if it gave none."""
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
        """Stop reading if the text after the program repeats itself or is too long."""
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
    """Return whether a text repeats itself, which means that the model has lost its end."""
    data = text.encode()
    return len(data) >= LOOP_CHARACTERS and len(zlib.compress(data)) < LOOP_SIZE * len(data)
