"""Find the program in a whole answer, by the rules in `answer_parser`."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

from .blocks import Blocks, drop_reasoning
from .fences import END_TOKENS, OPEN_STRING, Block, read_fence
from .function_calls import read_call, unwrap
from .python_text import Parsed, Parser, are_one_program, does_something, dump_statements, find_called_names, is_data
from .reasoning import TAG

__all__ = ["ONE_BLOCK", "Found", "find_program"]

ONE_BLOCK = "the answer has to be one ```python block, or words"
_PARSED = 16
"""How much of one answer is parsed, as a multiple of the maximum size of a program."""
_STARTS = 20
"""How many possible beginnings of code without a block are tried."""
_CODE_LINE = re.compile(
    r"(?:[A-Za-z_][\w.]*+(?:\(|\[|[ \t]*(?:=|[-+*/|&]=|:[^\n]{0,80}=)|,)"
    r"|(?:import|from|def|class|for|while|if|with|async|await|return|print|try|assert|raise)\b|[@#({\[]|[rbf]?['\"])"
)
_INDENTED = re.compile(r"(?:^(?: {4}|\t)[^\n]*+\n?|^\n)++", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_CODE_SIGNS = re.compile(r"\w\(|[=\[\]{}]|\w\.\w+\(")
_LINE_PREFIX = re.compile(r"(?:>>> |\.\.\. |[-*>] |\d{1,3}[.)] |In \[\d{1,4}\]: )")
_WRAPPER = re.compile(r"</?(?:answer|final|final_answer|response|output)>", re.IGNORECASE)
_LABEL_LINE = re.compile(r"(?:python3?|py|tool_code)\n++", re.IGNORECASE)
_SPAN = re.compile(r"(``?)([^`\n]+)\1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The program or the words of an answer.

    Attributes:
        prose: the words before the program, or the whole answer if there is no program.
        closed: whether the end of the block was written; false for a program without a block.
        after: the text after the block.
        problem: why the answer cannot be used, for the model and the user.
        notice: how the answer was read, for the user.
    """

    program: str | None = None
    prose: str = ""
    closed: bool = False
    after: str = ""
    problem: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """A block with its parsed program."""

    block: Block
    parsed: Parsed

    @property
    def text(self) -> str:
        return self.parsed.text


def find_program(text: str, tools: Collection[str], max_bytes: int) -> Found:
    """Find the program in a whole answer.

    Args:
        tools: the names of the offered tools.
        max_bytes: the maximum size of a program in UTF-8.
    """
    return _Finder(tools, max_bytes).find(text)


class _Finder:
    def __init__(self, tools: Collection[str], max_bytes: int) -> None:
        self._tools = tools
        self._max_bytes = max_bytes
        self._parser = Parser(_PARSED * max_bytes)

    def find(self, text: str) -> Found:
        bare = self._whole(text)
        if bare is not None:
            return Found(program=bare)
        spoken = drop_reasoning(text, self._parser, self._max_bytes)
        blocks, lines = Blocks(self._tools, self._parser, self._max_bytes).find(spoken.text)
        parts = [self._part(block) for block in blocks]
        found = self._from_blocks(parts, lines) or self._without_block(spoken.text, parts, lines)
        if spoken.cut is None or found.program is not None or found.problem:
            return found
        return self._unfinished(found, spoken.cut, spoken.alone)

    def _unfinished(self, found: Found, cut: str, alone: bool) -> Found:
        """Read reasoning without an end. Code in it is never run, but its words can be the answer."""
        inner = self.find(TAG.sub("", cut))
        if inner.program is not None or inner.problem:
            return Found(prose=found.prose, problem=f"The answer ended inside its reasoning: {ONE_BLOCK}.")
        return found if alone else Found(prose=f"{found.prose} {cut}".strip())

    def _parse(self, text: str) -> Parsed:
        return Parsed(text) if len(text.encode()) > self._max_bytes else self._parser.parse(text)

    def _part(self, block: Block) -> _Part:
        parsed = self._parse(block.text)
        # In a block of another language the call of a tool can be an example, so only a wrapped program is used.
        inner = unwrap(block.text, parsed.tree, self._tools if block.label != "other" else ())
        if inner is None:
            return _Part(block, parsed)
        return _Part(replace(block, label="python"), self._parse(self._without_fence(inner)))

    def _without_fence(self, code: str) -> str:
        """Return the program if it was put in a fence inside a call."""
        block = read_fence(code.strip().split("\n"), 0, self._parser, self._max_bytes)
        return code if block is None else block.text

    def _whole(self, text: str) -> str | None:
        """Return the whole answer if it is a program without a block."""
        text = text.strip()
        text = text[label.end() :] if (label := _LABEL_LINE.match(text)) else text
        text = span[2].strip() if (span := _SPAN.fullmatch(text)) else text
        parsed = self._parse(text)
        inner = unwrap(text, parsed.tree, self._tools)
        if inner is not None:
            return self._without_fence(inner)
        return text if does_something(parsed) else None

    # -- with blocks ---------------------------------------------------------------------------------------------------

    def _from_blocks(self, parts: Sequence[_Part], lines: Sequence[str]) -> Found | None:
        labelled = [part for part in parts if part.block.label == "python"]
        others = [part for part in parts if part.block.label == "plain" and self._is_program(part, lines)]
        doing = [part for part in labelled if part.text.strip() and not is_data(part.parsed)]
        filled = [part for part in labelled if part.text.strip()] or labelled[:1]
        chosen = _without_repeats(doing or others or filled)
        if not chosen:
            return None
        prose = "\n".join(lines[: chosen[0].block.start]).strip()
        around = _without_repeats(sorted([*doing, *others], key=lambda part: part.block.start))
        if len(around) > len(chosen) and self._are_one(around):
            chosen = around
        if (len(chosen) > 1 and not self._are_one(chosen)) or self._goes_on_outside(chosen, parts, lines):
            return Found(
                prose=prose, problem="The answer holds more than one program: write all of it in one ```python block."
            )
        last = chosen[-1].block
        after = "\n".join([last.rest, *lines[last.end :]])
        if hint := self._broken_string(chosen, after):
            return Found(prose=prose, problem=hint)
        return Found(
            program="\n\n".join(part.text for part in chosen),
            prose=prose,
            closed=all(part.block.closed for part in chosen),
            after=after,
            notice=self._notice(chosen, around),
        )

    def _goes_on_outside(self, chosen: Sequence[_Part], parts: Sequence[_Part], lines: Sequence[str]) -> bool:
        """Return whether code among the words continues the program of the blocks."""
        blocks = [part.parsed for part in chosen]
        runs = [parsed for _, _, parsed in self._runs(_outside(parts, lines))]
        return any(are_one_program([*blocks, run], self._tools) for run in runs)

    def _is_program(self, part: _Part, lines: Sequence[str]) -> bool:
        """Return whether a block without a label is a program: it does something, or is invalid and calls a tool."""
        around = [*lines[: part.block.start], part.block.rest, *lines[part.block.end :]] if part.block.inline else []
        if any(line.strip() for line in around):
            return False  # inline code
        if part.parsed.tree is None:
            return self._names_call(part.text)
        return does_something(part.parsed)

    def _are_one(self, parts: Sequence[_Part]) -> bool:
        return are_one_program([part.parsed for part in parts], self._tools)

    def _notice(self, chosen: Sequence[_Part], around: Sequence[_Part]) -> str:
        if len(chosen) > 1:
            return f"The model wrote its program in {len(chosen)} blocks: they are run as one."
        left = [part for part in around if part not in chosen and self._calls(part.parsed)]
        return "The model wrote other code in a block without a label: it is not run." if left else ""

    def _calls(self, parsed: Parsed) -> bool:
        return parsed.tree is not None and bool(find_called_names(parsed.tree, self._tools))

    def _broken_string(self, chosen: Sequence[_Part], after: str) -> str:
        """Return a hint if a line of only backticks inside a string has closed the block."""
        parsed = chosen[-1].parsed
        if not parsed.error.startswith(OPEN_STRING) or not any(quotes in after for quotes in ('"""', "'''")):
            return ""
        return (
            "A line of only backticks inside a string closed the code block: "
            "write '`' * 3 there, or open and close the block with four backticks."
        )

    # -- without one ---------------------------------------------------------------------------------------------------

    def _without_block(self, text: str, parts: Sequence[_Part], lines: Sequence[str]) -> Found:
        if all(part.block.inline for part in parts):
            bare = self._bare(text)
            if bare is not None:
                return bare
        blocks = [part for part in parts if not (part.block.inline and part.block.label == "plain")]
        has_code = any(self._is_code(part.text) for part in blocks) or self._is_code("\n".join(_outside(parts, lines)))
        if has_code:
            said = f"The answer has code that is not in a ```python block: {ONE_BLOCK}."
            return Found(prose=text.strip(), problem=said)
        return Found(prose=text.strip())

    def _is_code(self, text: str) -> bool:
        """Return whether a text, or a run of its lines, is code that calls an offered tool."""
        parsed = self._parse(text.strip())
        if self._calls(parsed) or unwrap(text, parsed.tree, self._tools) is not None:
            return True
        lines = [_LINE_PREFIX.sub("", line) for line in text.split("\n")]
        if any(self._calls(run) for _, _, run in self._runs(lines)) or self._is_code_in_json(text):
            return True
        return self._names_call(text) and all(
            _CODE_LINE.match(line) for line in lines if line.strip() and line[0] not in " \t)]}"
        )

    def _is_code_in_json(self, text: str) -> bool:
        """Return whether a text is JSON that contains code, or a list of calls."""
        try:
            value: object = json.loads(text, strict=False) if text.lstrip().startswith(("{", "[")) else None
        except (ValueError, RecursionError):
            return False
        values = cast("dict[str, object]", value).values() if isinstance(value, dict) else ()
        items = cast("list[object]", value) if isinstance(value, list) else []
        return any(isinstance(item, str) and self._calls(self._parse(item)) for item in values) or any(
            read_call(item, self._tools) is not None for item in items
        )

    def _names_call(self, text: str) -> bool:
        return any(f"{name}(" in text for name in self._tools)

    def _bare(self, text: str) -> Found | None:
        """Find a program without a block, alone or among words."""
        text = END_TOKENS.sub("", text).strip()
        text = _WRAPPER.sub("\n", text).strip()
        whole = self._whole(text)
        if whole is not None:
            return Found(program=whole)
        lines = text.split("\n")
        runs = self._runs(lines) or self._runs(lines := _without_margins(lines))
        if len(runs) != 1:
            return None
        start, end, parsed = runs[0]
        words = [line for line in [*lines[:start], *lines[end:]] if line.strip()]
        if not (self._calls(parsed) or _is_plainly_code(parsed)) or not all(_are_words(line) for line in words):
            return None
        return Found(program=parsed.text, prose="\n".join(lines[:start]).strip())

    def _runs(self, lines: Sequence[str]) -> list[tuple[int, int, Parsed]]:
        """Return the beginning and end of each run of lines that is Python and does something."""
        runs: list[tuple[int, int, Parsed]] = []
        at = tried = 0
        while at < len(lines) and tried < _STARTS:
            if not _CODE_LINE.match(lines[at]):
                at += 1
                continue
            tried += 1
            end, parsed = self._run(lines, at)
            if does_something(parsed):
                runs.append((at, end, parsed))
            at = max(end, at + 1)
        return runs

    def _run(self, lines: Sequence[str], start: int) -> tuple[int, Parsed]:
        """Return the longest run of Python from line `start` on; the line of a syntax error ends it."""
        end = len(lines)
        parsed = Parsed("")
        for _ in range(4):
            text = "\n".join(lines[start:end]).rstrip()
            parsed = self._parse(text)
            if parsed.tree is not None or not 1 < parsed.line <= end - start:
                break
            end = start + parsed.line - 1
        if parsed.tree is None:
            return start + 1, Parsed("")
        return end, parsed


def _outside(parts: Sequence[_Part], lines: Sequence[str]) -> list[str]:
    """Return the lines with those inside blocks made empty."""
    inside = {at for part in parts for at in range(part.block.start, part.block.end)}
    return ["" if at in inside else line for at, line in enumerate(lines)]


def _without_repeats(parts: Sequence[_Part]) -> list[_Part]:
    """Drop each part whose statements are all in another part."""
    if len(parts) < 2:
        return list(parts)
    by_statements = {dump_statements(part.parsed) or part.text: part for part in reversed(parts)}
    said = [key for key in by_statements if isinstance(key, frozenset)]
    kept = [
        part for key, part in by_statements.items() if isinstance(key, str) or not any(key < other for other in said)
    ]
    return sorted(kept, key=lambda part: part.block.start)


def _without_margins(lines: Sequence[str]) -> list[str]:
    """Dedent every group of indented lines, which is the other kind of code block in Markdown."""
    text = "\n".join(lines)
    return _INDENTED.sub(lambda group: textwrap.dedent(group[0]), text).split("\n")


def _is_plainly_code(parsed: Parsed) -> bool:
    """Return whether a text is clearly code, because it imports, defines or prints."""
    return re.search(r"^(?:import |from \w+ import |def |for |print\()", parsed.text, re.MULTILINE) is not None


def _are_words(line: str) -> bool:
    """Return whether a line is words and not code that would be left out of the program."""
    line = line.strip()
    words = len(_WORD.findall(line))
    if _CODE_SIGNS.search(line):
        return words >= 4 and line[0].isupper() and line[-1] in ".:!?)"
    return bool(words)
