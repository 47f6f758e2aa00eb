"""Reasoning in an answer: text in tags such as `<think>`, and all before a closing tag that nothing opened. Pure.

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
    rf"</?(?:[a-z]{{1,12}}:)?(?:{_NAMES})(?:\s[^<>\n]{{0,60}})?>"
    r"|\[/?THINK\]|◁/?think▷"
    r"|<\|(?:begin|end)_of_thought\|>|<\|/?think(?:ing)?\|>"
    r"|<\|channel\|>(?:analysis|commentary|final)[^<\n]{0,40}<\|message\|>",
    re.IGNORECASE,
)
"""One tag of reasoning, opening or closing."""
_CLOSING = ("</", "[/", "◁/", "<|/", "<|end_", "<|channel|>final")
PARTIAL = re.compile(rf"(?:<\|channel\|>[^\n]{{0,60}}|`{{0,2}}[<\[◁][^<>\[\n]{{0,{TAG_CHARACTERS}}}|`{{1,2}})\Z")
"""The end of a text that may become a tag."""


def is_closing(tag: re.Match[str]) -> bool:
    """Whether a match of `TAG` ends the reasoning."""
    return tag[0].lower().startswith(_CLOSING)


def is_tag(tag: re.Match[str]) -> bool:
    """Whether a match of `TAG` is meant as a tag: not as inline code, and not empty (`<think/>`)."""
    text, start, end = tag.string, tag.start(), tag.end()
    before = text[max(start - 2, 0) : start]
    quoted = before.endswith("`") and before != "``" and text[end : end + 1] in ("`", "")
    return not quoted and not tag[0].endswith("/>")


def find_tag(text: str, start: int = 0) -> re.Match[str] | None:
    """The first tag in `text` that is meant as one."""
    return next((tag for tag in TAG.finditer(text, start) if is_tag(tag)), None)
