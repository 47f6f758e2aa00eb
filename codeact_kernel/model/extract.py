"""From a model's text to its program: one fenced block of Python, read piece by piece. Pure.

The format is Markdown's fenced code block, which small models get right where they fail at code inside JSON:
three or more backticks or tildes, indented by at most three spaces, closed by a line of at least as many.

One ambiguity is Markdown's own: a line of only backticks inside a Python string closes a block that was opened
with as few. A model that must write such a string can open the block with a longer fence.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
from dataclasses import dataclass
from typing import Literal

from ..settings import Limits

__all__ = ["Extracted", "Piece", "Reader"]

PYTHON_TAGS = frozenset({"", "python", "py", "python3", "ipython", "tool_code"})
ANSWER_CHARACTERS = 1 << 20
"""All that is read of one answer, thoughts included."""
FENCE_CHARACTERS = 200
"""A longer line is no fence: this bounds what is held back."""

LINES = re.compile(r"[^\n]*\n|[^\n]+")
OPENING = re.compile(r"( {0,3})(`{3,}+|~{3,}+)([^`\n]*)\n?")
MAYBE_OPENING = re.compile(r" {0,3}(?:`{0,2}|~{0,2}|(?:`{3,}+|~{3,}+)[^`\n]*)")
MAYBE_CLOSING = re.compile(r" {0,3}(`*|~*)[ \t]*\n?")

ONE_BLOCK = "the answer has to be one ```python block, or words"
BROKEN_OFF = "The answer broke off inside the program: it has to be written whole again."


@dataclass(frozen=True, slots=True)
class Piece:
    """Text for the live display, never half a fence. Pieces of one kind follow each other without a gap."""

    kind: Literal["prose", "program"]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Extracted:
    """What an answer came to.

    Attributes:
        program: the first Python block, or `None`.
        prose: the words before it, or the whole answer when there is no program.
        problem: one sentence for the model and the person when the answer cannot be used; else empty.
        extra_blocks: more Python blocks followed, and were ignored.
    """

    program: str | None
    prose: str
    problem: str = ""
    extra_blocks: bool = False


@dataclass(frozen=True, slots=True)
class Fence:
    marker: str
    indent: int
    python: bool

    def closed_by(self, line: str) -> bool:
        match = MAYBE_CLOSING.fullmatch(line)
        return match is not None and match[1].startswith(self.marker)


class Reader:
    """Reads one answer. How the text is cut into pieces makes no difference to what is found.

    Args:
        program_bytes: a longer program (UTF-8) is not taken.
    """

    def __init__(self, program_bytes: int = Limits().program_bytes) -> None:
        self._program_bytes = program_bytes
        # Endpoints may cut a character in two halves: they are put together, and a lone half is replaced.
        self._halves = codecs.getincrementaldecoder("utf-16-le")("replace")
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._thoughts = Thoughts()
        self._read = 0
        self._held = ""
        self._line_decided = False
        self._fence: Fence | None = None
        self._any_fence = False
        self._prose: list[str] = []
        self._program: list[str] | None = None
        self._program_size = 0
        self._closed = False
        self._chats_on = False
        self._extra_blocks = False

    @property
    def done(self) -> bool:
        """Nothing more is wanted: the program is closed and the model chats on, or a limit is reached.

        Blank text after the closing fence does not count, so that a well-behaved answer is read to its end, where
        the endpoint tells the usage.
        """
        return self._chats_on or self._too_long

    @property
    def _too_long(self) -> bool:
        return self._read > ANSWER_CHARACTERS or self._program_size > self._program_bytes

    def feed(self, text: str) -> list[Piece]:
        """Read the next characters and return what can be shown now."""
        room = ANSWER_CHARACTERS - self._read
        self._read += len(text)
        return self._take(text[: max(room, 0)])

    def finish(self, reason: str | None) -> Extracted:
        """Say what was found. `reason` is the endpoint's finish reason, `None` when it gave none or we stopped."""
        self._take("", final=True)
        self._read_line_parts(self._thoughts.rest())
        if self._held:
            self._decide()
        prose = "".join(self._prose).strip()
        if self._program is None:
            return self._finish_without_block(prose, reason)
        program = "".join(self._program).rstrip()
        problem = self._problem_of_block(program, reason)
        return Extracted(
            program=None if problem else program, prose=prose, problem=problem, extra_blocks=self._extra_blocks
        )

    def _finish_without_block(self, prose: str, reason: str | None) -> Extracted:
        problem = self._problem_of_answer(reason)
        if not problem and not prose:
            problem = f"The answer was empty: {ONE_BLOCK}."
        small = len(prose.encode()) <= self._program_bytes
        if not problem and small and not self._any_fence and is_bare_program(prose):
            if reason is not None:
                return Extracted(program=prose, prose="")
            problem = BROKEN_OFF
        return Extracted(program=None, prose=prose, problem=problem)

    def _problem_of_answer(self, reason: str | None) -> str:
        if self._read > ANSWER_CHARACTERS:
            return f"The answer was longer than {ANSWER_CHARACTERS:,} characters: {ONE_BLOCK}."
        if reason == "length":
            return "The answer was cut off at the endpoint's length limit: answer with a shorter program."
        if reason in ("content_filter", "refusal"):
            return "The endpoint's content filter withheld the answer: word the prompt differently."
        return ""

    def _problem_of_block(self, program: str, reason: str | None) -> str:
        if self._program_size > self._program_bytes:
            return f"The program was longer than {self._program_bytes:,} bytes: write a shorter one."
        if not self._closed:
            problem = self._problem_of_answer(reason)
            # Small models forget the closing fence; but without any finish reason the connection just ended.
            if not problem and reason is None:
                problem = BROKEN_OFF
            if problem:
                return problem
        return "" if program else f"The code block was empty: {ONE_BLOCK}."

    def _take(self, text: str, *, final: bool = False) -> list[Piece]:
        text = self._halves.decode(text.encode("utf-16-le", "surrogatepass"), final)
        return self._read_line_parts(self._thoughts.drop(self._newlines.decode(text, final)))

    def _read_line_parts(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        for part in LINES.findall(text):
            if self._line_decided:
                self._line_decided = not part.endswith("\n")
                pieces += self._keep(part)
                continue
            self._held += part
            if part.endswith("\n"):
                pieces += self._decide()
            elif not self._may_become_fence():
                pieces += self._decide()
                self._line_decided = True
        return pieces

    def _may_become_fence(self) -> bool:
        if len(self._held) > FENCE_CHARACTERS:
            return False
        pattern = MAYBE_OPENING if self._fence is None else MAYBE_CLOSING
        return pattern.fullmatch(self._held) is not None

    def _decide(self) -> list[Piece]:
        line, self._held = self._held, ""
        fence = self._fence
        if fence is None:
            opening = OPENING.fullmatch(line) if len(line) <= FENCE_CHARACTERS else None
            if opening is not None:
                return self._open(opening, line)
            return self._keep(line)
        if len(line) <= FENCE_CHARACTERS and fence.closed_by(line):
            self._fence = None
            if fence.python:
                self._closed = True
                return []
            return self._keep(line)
        spaces = len(line) - len(line.lstrip(" "))
        return self._keep(line[min(spaces, fence.indent) :])

    def _open(self, opening: re.Match[str], line: str) -> list[Piece]:
        tag = (opening[3].split() or [""])[0].lower()
        python = tag in PYTHON_TAGS
        self._any_fence = True
        if self._closed:
            self._chats_on = True
            self._extra_blocks |= python
            # After the program nothing is kept: a second block counts as any other block.
            python = False
        self._fence = Fence(marker=opening[2], indent=len(opening[1]), python=python)
        if not python:
            return self._keep(line)
        self._program = []
        return []

    def _keep(self, text: str) -> list[Piece]:
        if self._closed:
            self._chats_on |= bool(text.strip())
            return []
        if self._program is None:
            self._prose.append(text)
            return [Piece("prose", text)]
        self._program_size += len(text.encode())
        if self._program_size > self._program_bytes:
            return []
        self._program.append(text)
        return [Piece("program", text)]


class Thoughts:
    """Drops a leading `<think>...</think>` section: reasoning is neither prose nor program."""

    OPEN, CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["start", "thinking", "over"] = "start"

    def drop(self, text: str) -> str:
        if self._state == "over":
            return text
        self._held += text
        if self._state == "start":
            start = self._held.lstrip()
            if self.OPEN.startswith(start) and len(self._held) <= FENCE_CHARACTERS:
                return ""
            self._state = "thinking" if start.startswith(self.OPEN) else "over"
        if self._state == "thinking":
            _, closed, after = self._held.partition(self.CLOSE)
            self._held = after if closed else self._held[-len(self.CLOSE) :]
            if not closed:
                return ""
            self._state = "over"
        return self.rest()

    def rest(self) -> str:
        if self._state == "thinking":
            return ""
        held, self._held = self._held, ""
        return held


def is_bare_program(text: str) -> bool:
    """Whether a text without any fence is Python that does something: small models answer so."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(acts(node, text) for node in ast.walk(tree))


def acts(node: ast.AST, text: str) -> bool:
    if isinstance(node, ast.Call):
        # Words read as calls too, `Alice (120)`: a program puts the parenthesis right after the name.
        line = text.split("\n")[(node.func.end_lineno or 1) - 1].encode()
        return line[node.func.end_col_offset or 0 :].startswith(b"(")
    if isinstance(node, ast.AnnAssign):
        # `Total: 120` is an annotation to Python and an answer to a person.
        return node.value is not None
    return isinstance(node, ast.Assign | ast.AugAssign | ast.Import | ast.ImportFrom)
