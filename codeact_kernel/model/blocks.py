"""Find the blocks of an answer: fences, elements such as `<code>`, and calls as JSON.

Reasoning is removed first and never searched for blocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from .call_text import HEAD, find_calls
from .fences import END_TOKENS, Block, Label, read_fence
from .function_calls import read_call
from .python_text import Parser
from .reasoning import TAG, find_tag, is_closing

__all__ = ["Blocks", "Spoken", "drop_reasoning"]

_MAX_BLOCKS = 100
"""Further blocks are ignored."""
_MAX_TRIES = 4
"""How many ends of an element, and how many beginnings of JSON, are tried."""
_ELEMENT = re.compile(
    r"[ \t]*+(?:<pre>)?(?:<\|(?P<special>python_tag|python_start|tool_call)\|>|\[(?P<list>TOOL_CALLS)\]"
    r"|<(?P<space>[a-z]{1,12}:)?"
    r"(?P<name>execute(?:_code|_i?python)?|code|tool_code|python|tool_calls?|function_calls?|tool_use|parameter)"
    r"(?:(?:=|[ \t]+name=)[\"']?(?P<parameter>\w{1,30})[\"']?"
    r"|[ \t]+(?:lang|language|class)=[\"']?(?:language-)?(?P<label>python)[\"']?)?>)",
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"<\|(?P<special>python_tag|python_start)\|>(?P<space>)(?P<name>)(?P<parameter>)(?P<label>)")
_STRONG = frozenset({"execute", "tool_code", "python", "parameter"})
_RUN = ("execute_", "python")
_CALLS = frozenset({"tool_call", "tool_calls", "function_call", "function_calls", "tool_use"})
_CODE = re.compile(r"<(?P<name>(?:[a-z]{1,12}:)?parameter)(?:=|[ \t]+name=)[\"']?(?:code|program|script)[\"']?>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoken:
    """An answer without its reasoning.

    Attributes:
        cut: the text from an unclosed tag on; `None` if there is no such tag.
        alone: whether the unclosed tag began its line.
    """

    text: str
    cut: str | None = None
    alone: bool = False


class Blocks:
    """Find the blocks of one answer.

    Args:
        tools: the names of the offered tools.
        max_bytes: the maximum size of a program (UTF-8) that is parsed.
    """

    def __init__(self, tools: Collection[str], parser: Parser, max_bytes: int) -> None:
        self._tools = tools
        self._parser = parser
        self._max_bytes = max_bytes
        self._json_left = self._calls_left = _MAX_TRIES

    def find(self, text: str) -> tuple[list[Block], list[str]]:
        """Return the blocks, and the lines of `text` to which their line numbers refer."""
        lines = text.split("\n")
        return list(self._walk(lines)), lines

    def _walk(self, lines: list[str]) -> Iterator[Block]:
        at = found = 0
        while at < len(lines) and found < _MAX_BLOCKS:
            if calls := self._calls(lines, at):
                yield from calls
                found += len(calls)
                at = calls[-1].end
                continue
            block = (
                read_fence(lines, at, self._parser, self._max_bytes)
                or self._element(lines, at)
                or self._json(lines, at)
            )
            if block is None:
                at += 1
                continue
            found += 1
            inner = self._inside(block)
            if inner:
                yield from inner
            else:
                yield block
            at = max(block.end, at + 1)
            is_in_words = block.inline and block.label == "plain"
            if block.rest.strip() and not is_in_words:  # another block can begin on the last line of this block
                at -= 1
                lines[at] = block.rest

    def _inside(self, block: Block) -> list[Block]:
        """Return the fence inside an element, if there is one."""
        if block.label == "other" or not block.text.startswith(("```", "~~~")):
            return []
        lines = block.text.split("\n")
        inner = read_fence(lines, 0, self._parser, self._max_bytes)
        if inner is None:
            return []
        label: Label = "python" if block.label == "python" and inner.label == "plain" else inner.label
        return [replace(inner, label=label, start=block.start, end=block.end, closed=inner.closed or block.closed)]

    def _calls(self, lines: Sequence[str], start: int) -> list[Block]:
        """Return consecutive calls in the special tokens of a model; the first begins in line `start`."""
        head = HEAD.search(lines[start])
        if head is None or not self._calls_left:
            return []
        self._calls_left -= 1
        text = "\n".join([lines[start][head.start() :], *lines[start + 1 :]])
        found = find_calls(text, self._tools)
        rest, _, _ = text[found[-1].end :].partition("\n") if found else ("", "", "")
        return [
            Block(
                label="python",
                text=call.program,
                start=start,
                end=start + text.count("\n", 0, found[-1].end) + 1,
                rest=rest if call is found[-1] else "",
            )
            for call in found
        ]

    def _element(self, lines: Sequence[str], start: int) -> Block | None:
        opening = _ELEMENT.match(lines[start]) or _SPECIAL.search(lines[start])
        if opening is None:
            return None
        name = (opening["special"] or opening["name"] or "").lower()
        if name == "parameter" and (opening["parameter"] or "").lower() not in ("code", "program", "script"):
            return None
        close = f"</{(opening['space'] or '').lower()}{name}>"
        label: Label = "python" if opening["label"] or name in _STRONG or name.startswith(_RUN) else "plain"
        body: list[str] = []
        first: Block | None = None
        tried = 0
        for at in range(start, len(lines)):
            line = lines[at][opening.end() :] if at == start else lines[at]
            ended = END_TOKENS.search(line) if opening["special"] else None
            cut = ended.start() if ended else line.lower().find(close) if close != "</>" else -1
            if cut >= 0:
                rest = line[ended.end() if ended else cut + len(close) :]
                block = self._make_block(
                    name, label, [*body, line[:cut]], start, at + 1, rest=rest.replace("</pre>", "")
                )
                first, tried = first or block, tried + 1
                if block.label == "other" or tried == _MAX_TRIES or self._parser.parse(block.text).tree is not None:
                    return block
            body.append(line)
        return first or self._make_block(name, label, body, start, len(lines), closed=False)

    def _make_block(
        self, name: str, label: Label, body: list[str], start: int, end: int, *, closed: bool = True, rest: str = ""
    ) -> Block:
        text = "\n".join(body).strip("\n").rstrip()
        text = text if "\n" in text else text.strip()
        if name in _CALLS or not name:
            found = self._call(text)
            label, text = ("python", found) if found is not None else ("plain", text)
        inline = start + 1 == end and bool(rest.strip())
        return Block(label=label, text=text, start=start, end=end, closed=closed, inline=inline, rest=rest)

    def _call(self, text: str) -> str | None:
        """Return the program of the only call in an element; `None` if there are several."""
        calls = find_calls(text, self._tools)
        if calls:
            return calls[0].program if len(calls) == 1 else None
        if (code := _CODE.search(text)) is not None:
            body, _, rest = text[code.end() :].partition(f"</{code['name']}>")
            return body.strip("\n").rstrip() if _CODE.search(rest) is None else None
        try:
            return read_call(json.loads(text, strict=False), self._tools)
        except (ValueError, RecursionError):
            return None

    def _json(self, lines: Sequence[str], start: int) -> Block | None:
        """Return a call as JSON that begins in line `start`."""
        line = lines[start].lstrip()
        if not line.startswith(("{", "[{")) or not self._json_left:
            return None
        self._json_left -= 1
        text = "\n".join(lines[start:]).lstrip()
        try:
            value, end = json.JSONDecoder(strict=False).raw_decode(text)
        except (ValueError, RecursionError):
            return None
        found = read_call(value, self._tools)
        if found is None:
            return None
        rest, _, _ = text[end:].partition("\n")
        return Block(label="python", text=found, start=start, end=start + text.count("\n", 0, end) + 1, rest=rest)


def drop_reasoning(text: str, parser: Parser, max_bytes: int) -> Spoken:
    """Remove the text in tags of reasoning, and all text before a closing tag without an opening tag.

    A tag is ordinary text in inline code, in a block of another language, and in a block that is Python including it.
    """
    if TAG.search(text) is None:
        return Spoken(text=text)
    reasoning = _Reasoning(text.split("\n"))
    has_fences = True
    while not reasoning.over:
        line = reasoning.lines[reasoning.at]
        tag, fence = find_tag(line), min((at for at in map(line.find, ("```", "~~~")) if at >= 0), default=-1)
        is_fence = has_fences and fence >= 0 and not (tag is not None and tag.start() < fence)
        block = read_fence(reasoning.lines, reasoning.at, parser, max_bytes) if is_fence else None
        if block is None or block.inline:
            reasoning.take_line()
            continue
        is_other = block.label == "other"
        has_fences = block.closed or not is_other
        if (is_other and block.closed) or parser.parse(block.text).tree is not None:
            reasoning.keep(block.end - bool(block.rest))
        while reasoning.at < block.end and not reasoning.take_line():
            pass
    return reasoning.spoken


class _Reasoning:
    """Read lines, and keep the lines that are not reasoning."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0
        self._kept: list[str] = []
        self._cut: str | None = None
        self._alone = False

    @property
    def over(self) -> bool:
        return self.at >= len(self.lines)

    @property
    def spoken(self) -> Spoken:
        return Spoken(text="\n".join(self._kept), cut=self._cut, alone=self._alone)

    def keep(self, end: int) -> None:
        """Keep all lines up to `end`, whatever they contain."""
        self._kept += self.lines[self.at : end]
        self.at = end

    def take_line(self) -> bool:
        """Keep the next line, or remove its reasoning, which can continue on the following lines.

        Returns:
            Whether there was reasoning. The rest of the line must be read again, because it can begin a block.
        """
        line, kept, start, found = self.lines[self.at], "", 0, False
        while (tag := find_tag(line, start)) is not None:
            found = True
            if is_closing(tag):
                self._kept.clear()
                kept, start = "", tag.end()
                continue
            kept += line[start : tag.start()]
            end = self._end_of_reasoning(tag.end())
            if end is None:
                self._cut, self._alone = "\n".join([line[tag.start() :], *self.lines[self.at + 1 :]]), not kept.strip()
                self._kept.append(kept)
                self.at = len(self.lines)
                return True
            line, start = self.lines[self.at], end
        self.lines[self.at] = kept + line[start:]
        if not found:
            self.keep(self.at + 1)
        return found

    def _end_of_reasoning(self, start: int) -> int | None:
        """Go to the line with the closing tag, and return the end of the tag; `None` if no tag closes the reasoning."""
        for at in range(self.at, len(self.lines)):
            here = start if at == self.at else 0
            end = next((tag for tag in TAG.finditer(self.lines[at], here) if is_closing(tag)), None)
            if end is not None:
                self.at = at
                return end.end()
        return None
