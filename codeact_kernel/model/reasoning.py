"""Reasoning in an answer: what stands in tags such as `<think>`, and all before a closing tag that nothing opened. Pure.

Endpoints differ in where they put a model's reasoning. Some leave it in the answer with both tags, and some with the
closing tag alone, because the prompt itself ended with the opening one.
"""

from __future__ import annotations

import re

__all__ = ["PARTIAL", "TAG", "TAG_CHARACTERS", "find_tag", "is_closing", "is_tag"]

TAG_CHARACTERS = 120
"""A longer text is no tag: this bounds what is held back."""

_NAMES = (
    "thinking|think|thoughts?|reasoning|reason|reflection|reflect|analysis|analyze|scratchpad|inner_thoughts?"
    "|(?:inner|internal)_monologue|chain_of_thought|cot|rationale|planning|plan|deliberation|brainstorm|draft"
    "|antthinking"
)
TAG = re.compile(
    rf"<(?P<close>/?)(?:[a-z]{{1,12}}:)?(?:{_NAMES})(?:\s[^<>\n]{{0,60}})?>"
    r"|\[(?P<bracket>/?)THINK\]|◁(?P<triangle>/?)think▷"
    r"|<\|(?P<named>begin|end)_of_thought\|>|<\|(?P<pipe>/?)think(?:ing)?\|>"
    r"|<\|channel\|>(?P<channel>analysis|commentary|final)[^<\n]{0,40}<\|message\|>",
    re.IGNORECASE,
)
"""One tag of reasoning, opening or closing."""
PARTIAL = re.compile(rf"(?:<\|channel\|>[^\n]{{0,60}}|`?[<\[◁][^<>\[\n]{{0,{TAG_CHARACTERS}}}|`)\Z")
"""The end of a text that may become a tag."""


def is_closing(tag: re.Match[str]) -> bool:
    """Whether a match of `TAG` ends the reasoning."""
    groups = tag.groupdict()
    if groups["named"] or groups["channel"]:
        return (groups["named"] or groups["channel"]).lower() in ("end", "final")
    return any(groups[name] for name in ("close", "bracket", "triangle", "pipe"))


def is_tag(tag: re.Match[str]) -> bool:
    """Whether a match of `TAG` is meant as a tag: not as inline code, and not empty (`<think/>`)."""
    text, start, end = tag.string, tag.start(), tag.end()
    quoted = text[start - 1 : start] == "`" and text[end : end + 1] in ("`", "")
    return not quoted and not tag[0].endswith("/>")


def find_tag(text: str, start: int = 0) -> re.Match[str] | None:
    """The first tag in `text` that is meant as one."""
    return next((tag for tag in TAG.finditer(text, start) if is_tag(tag)), None)
