"""Which text of a whole answer is its program: the rules are told in `extract`. Pure."""

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
"""Times the length of the longest program: what is parsed of one answer."""
_STARTS = 20
"""Lines at which code without a block may begin, and are tried."""
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
    """What an answer holds.

    Attributes:
        prose: the words before the program, or the whole answer where there is none.
        closed: whether the end of the program was written; not so where it has no block.
        after: what follows the block.
        problem: why the answer cannot be used, for the model and the user.
        notice: what the user has to know of how it was read.
    """

    program: str | None = None
    prose: str = ""
    closed: bool = False
    after: str = ""
    problem: str = ""
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """A block with what it comes to."""

    block: Block
    parsed: Parsed

    @property
    def text(self) -> str:
        return self.parsed.text


def find_program(text: str, tools: Collection[str], longest: int) -> Found:
    """Read an answer that is all there.

    Args:
        tools: names of the tools that are offered.
        longest: a longer program (UTF-8) is not taken.
    """
    return _Finder(tools, longest).find(text)


class _Finder:
    def __init__(self, tools: Collection[str], longest: int) -> None:
        self._tools = tools
        self._longest = longest
        self._parser = Parser(_PARSED * longest)

    def find(self, text: str) -> Found:
        bare = self._whole(text)
        if bare is not None:
            return Found(program=bare)
        spoken = drop_reasoning(text, self._parser, self._longest)
        blocks, lines = Blocks(self._tools, self._parser, self._longest).find(spoken.text)
        parts = [self._part(block) for block in blocks]
        found = self._from_blocks(parts, lines) or self._without_block(spoken.text, parts, lines)
        if spoken.cut is None or found.program is not None or found.problem:
            return found
        return self._unfinished(found, spoken.cut, spoken.alone)

    def _unfinished(self, found: Found, cut: str, alone: bool) -> Found:
        """Read reasoning that has no end: nothing in it is ever run, and words in it may be the answer."""
        inner = self.find(TAG.sub("", cut))
        if inner.program is not None or inner.problem:
            return Found(prose=found.prose, problem=f"The answer ended inside its reasoning: {ONE_BLOCK}.")
        return found if alone else Found(prose=f"{found.prose} {cut}".strip())

    def _parse(self, text: str) -> Parsed:
        return Parsed(text) if len(text.encode()) > self._longest else self._parser.parse(text)

    def _part(self, block: Block) -> _Part:
        parsed = self._parse(block.text)
        # In a block of another language, the call of a tool may be an example: only a program is taken from there.
        inner = unwrap(block.text, parsed.tree, self._tools if block.label != "other" else ())
        if inner is None:
            return _Part(block, parsed)
        return _Part(replace(block, label="python"), self._parse(self._without_fence(inner)))

    def _without_fence(self, code: str) -> str:
        """The program that was put in a fence and then in a call."""
        block = read_fence(code.strip().split("\n"), 0, self._parser, self._longest)
        return code if block is None else block.text

    def _whole(self, text: str) -> str | None:
        """The answer as a program without any block."""
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
        """Whether there is code among the words that goes on with what the blocks made."""
        blocks = [part.parsed for part in chosen]
        runs = [parsed for _, _, parsed in self._runs(_outside(parts, lines))]
        return any(are_one_program([*blocks, run], self._tools) for run in runs)

    def _is_program(self, part: _Part, lines: Sequence[str]) -> bool:
        """Whether a block without a label is a program: it does something, or calls a tool and has a mistake in it."""
        around = [*lines[: part.block.start], part.block.rest, *lines[part.block.end :]] if part.block.inline else []
        if any(line.strip() for line in around):
            return False  # code in words
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
        """A line of only backticks in a string of the program has closed its block."""
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
        """Whether a text, or a run of its lines, is code that calls an offered tool."""
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
        """Whether it is JSON with code in it, or a list of calls."""
        try:
            value: object = json.loads(text, strict=False) if text.lstrip().startswith(("{", "[")) else None
        except (ValueError, RecursionError):
            return False
        values = cast("dict[str, object]", value).values() if isinstance(value, dict) else ()
        items = cast("list[object]", value) if isinstance(value, list) else []
        return any(isinstance(one, str) and self._calls(self._parse(one)) for one in values) or any(
            read_call(one, self._tools) is not None for one in items
        )

    def _names_call(self, text: str) -> bool:
        return any(f"{name}(" in text for name in self._tools)

    def _bare(self, text: str) -> Found | None:
        """A program among words, or alone."""
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
        """Runs of lines that are Python and do something: where each begins and ends."""
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
        """The longest run of Python from one line on, as far as Python's errors tell its end."""
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
    """The lines that are in no block; those that are, are empty."""
    inside = {at for part in parts for at in range(part.block.start, part.block.end)}
    return ["" if at in inside else line for at, line in enumerate(lines)]


def _without_repeats(parts: Sequence[_Part]) -> list[_Part]:
    """Without those that another one has in it, statement by statement."""
    if len(parts) < 2:
        return list(parts)
    by_statements = {dump_statements(part.parsed) or part.text: part for part in reversed(parts)}
    said = [key for key in by_statements if isinstance(key, frozenset)]
    kept = [
        part for key, part in by_statements.items() if isinstance(key, str) or not any(key < other for other in said)
    ]
    return sorted(kept, key=lambda part: part.block.start)


def _without_margins(lines: Sequence[str]) -> list[str]:
    """With every group of indented lines moved to the left: Markdown's other kind of block."""
    text = "\n".join(lines)
    return _INDENTED.sub(lambda group: textwrap.dedent(group[0]), text).split("\n")


def _is_plainly_code(parsed: Parsed) -> bool:
    """Whether nobody would write it as words: it imports, defines or prints."""
    return re.search(r"^(?:import |from \w+ import |def |for |print\()", parsed.text, re.MULTILINE) is not None


def _are_words(line: str) -> bool:
    """Whether a line is words, so that nothing is left out where it is not run."""
    line = line.strip()
    words = len(_WORD.findall(line))
    if _CODE_SIGNS.search(line):
        return words >= 4 and line[0].isupper() and line[-1] in ".:!?)"
    return bool(words)
