"""Which text of a whole answer is its program: the rules are told in `extract`. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from .blocks import Blocks, drop_reasoning
from .fences import END_TOKENS, OPEN_STRING, Block
from .functions import unwrap
from .python_text import Parsed, Parser, are_one_program, calls_of, does_something, is_data
from .reasoning import TAG

__all__ = ["ONE_BLOCK", "Found", "find_program"]

ONE_BLOCK = "the answer has to be one ```python block, or words"
_PARSED = 16
"""Times the length of the longest program: what is parsed of one answer."""
_STARTS = 20
"""Lines at which code without a block may begin, and are tried."""
_CODE_LINE = re.compile(
    r"(?:[A-Za-z_][\w.]*+(?:\(|\[|[ \t]*(?:=|[-+*/|&]=|:[^\n]{0,80}=)|,)|(?:import|from|def|class|for|while|if|with|async"
    r"|await|return|print|try|assert|raise)\b|[@#({\[]|[rbf]?['\"])"
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_CODE_SIGNS = re.compile(r"\w\(|[=\[\]{}]|\w\.\w+\(")
_WRAPPER = re.compile(r"\s*</?(?:answer|final|final_answer|response|output)>\s*", re.IGNORECASE)
_LABEL_LINE = re.compile(r"(?:python3?|py|tool_code)\n", re.IGNORECASE)


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
        """Of an answer whose reasoning has no end: what stands in it is never run, and words in it may be the answer."""
        inner = self.find(TAG.sub("", cut, count=1))
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
        return _Part(replace(block, label="python"), self._parse(inner))

    def _whole(self, text: str) -> str | None:
        """The answer as a program without any block."""
        text = text.strip()
        parsed = self._parse(text)
        inner = unwrap(text, parsed.tree, self._tools)
        if inner is not None:
            return inner
        return text if does_something(parsed) else None

    # -- with blocks ---------------------------------------------------------------------------------------------------

    def _from_blocks(self, parts: Sequence[_Part], lines: Sequence[str]) -> Found | None:
        labelled = [part for part in parts if part.block.label == "python"]
        others = [part for part in parts if part.block.label == "plain" and self._counts(part, lines)]
        chosen = _without_repeats(_without_data(labelled)) or _without_repeats(others)
        if not chosen:
            return None
        prose = "\n".join(lines[: chosen[0].block.start]).strip()
        around = sorted([*chosen, *others], key=lambda part: part.block.start) if labelled else chosen
        around = _without_repeats(around)
        if len(around) > len(chosen) and self._are_one(around):
            chosen = around
        if len(chosen) > 1 and not self._are_one(chosen):
            said = f"The answer holds {len(chosen)} programs: write all of it in one ```python block."
            return Found(prose=prose, problem=said)
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

    def _counts(self, part: _Part, lines: Sequence[str]) -> bool:
        """Whether a block without a label is a program: it does something, or calls a tool and has a mistake in it."""
        if part.block.inline and any(lines[: part.block.start] + lines[part.block.end :]):
            return False
        if part.parsed.tree is None:
            return any(re.search(rf"\b{re.escape(name)}\(", part.text) for name in self._tools)
        return does_something(part.parsed)

    def _are_one(self, parts: Sequence[_Part]) -> bool:
        return are_one_program([part.parsed for part in parts], self._tools)

    def _notice(self, chosen: Sequence[_Part], around: Sequence[_Part]) -> str:
        if len(chosen) > 1:
            return f"The model wrote its program in {len(chosen)} blocks: they are run as one."
        left = [part for part in around if part not in chosen and self._calls(part.parsed)]
        return "The model wrote other code in a block without a label: it is not run." if left else ""

    def _calls(self, parsed: Parsed) -> bool:
        return parsed.tree is not None and bool(calls_of(parsed.tree, self._tools))

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
        for part in parts:
            is_call = unwrap(part.text, part.parsed.tree, self._tools) is not None
            if is_call or self._calls(part.parsed) or self._has_calls(part.text.split("\n")):
                return self._refused(text)
        inside = {at for part in parts for at in range(part.block.start, part.block.end)}
        outside = ["" if at in inside else line for at, line in enumerate(lines)]
        if self._has_calls(outside):
            return self._refused(text)
        return Found(prose=text.strip())

    def _refused(self, text: str) -> Found:
        return Found(prose=text.strip(), problem=f"The answer has code that is not in a ```python block: {ONE_BLOCK}.")

    def _bare(self, text: str) -> Found | None:
        """A program among words, or alone."""
        text = END_TOKENS.sub("", text).strip()
        text = _WRAPPER.sub("\n", text).strip()
        text = text[label.end() :] if (label := _LABEL_LINE.match(text)) else text
        whole = self._whole(text)
        if whole is not None:
            return Found(program=whole)
        lines = text.split("\n")
        runs = self._runs(lines)
        if len(runs) != 1:
            return None
        start, end, parsed = runs[0]
        words = [line for line in [*lines[:start], *lines[end:]] if line.strip()]
        if not (self._calls(parsed) or _is_plainly_code(parsed)) or not all(_are_words(line) for line in words):
            return None
        return Found(program=parsed.text, prose="\n".join(lines[:start]).strip())

    def _has_calls(self, lines: Sequence[str]) -> bool:
        return any(self._calls(parsed) for _, _, parsed in self._runs(lines))

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


def _without_data(parts: Sequence[_Part]) -> list[_Part]:
    """Without examples of data and empty blocks, where there is more."""
    more = [part for part in parts if not is_data(part.parsed) and part.text.strip()]
    return more or [part for part in parts if part.text.strip()] or list(parts[:1])


def _without_repeats(parts: Sequence[_Part]) -> list[_Part]:
    return list({part.text: part for part in reversed(parts)}.values())[::-1]


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
