"""Find tags of reasoning, such as `<think>`, in an answer.

Endpoints differ in where they put the reasoning of a model. Some leave it in the answer with both tags. Others leave
only the closing tag, because the prompt ended with the opening tag.
"""

from __future__ import annotations

import re

__all__ = ["PARTIAL", "TAG", "TAG_CHARACTERS", "find_tag", "is_closing", "is_tag"]

TAG_CHARACTERS = 120
"""A longer text is not a tag. This bounds the text that is held back."""

_NAMES = (
    "(?:[a-z]{1,12}[_-]){0,2}(?:think|thought|reasoning|reflection)[a-z_-]{0,20}"
    "|reason|reflect|analysis|analyze|scratchpad|(?:inner|internal)_monologue|cot|rationale|planning|plan"
    "|deliberation|brainstorm|draft|antthinking"
)
_BARE_FINAL = "assistantfinal"
"""The rest of `<|start|>assistant<|channel|>final<|message|>` if an endpoint drops the special tokens."""
TAG = re.compile(
    rf"</? ?(?:[a-z]{{1,12}}:)?(?:{_NAMES})(?:\s[^<>\n]{{0,60}})?>"
    r"|\[/?THINK\]|◁/?think▷"
    r"|<\|/?[a-z_]{0,20}(?:think|thought|reasoning)[a-z_]{0,20}\|>"
    r"|<unused9[45]>|<\|channel>|<channel\|>"
    r"|<\|channel\|>(?:analysis|commentary|final)[^<\n]{0,60}(?:<\|constrain\|>[^<\n]{0,20})?<\|message\|>"
    rf"|(?-i:{_BARE_FINAL})",
    re.IGNORECASE,
)
"""One tag of reasoning, opening or closing."""
_CLOSING = re.compile(
    r"</|\[/|◁/|<\|/|<\|[a-z_]*?end|<unused95|<channel\||<\|channel\|>(?:final|commentary[^<\n]* to=)"
    rf"|{_BARE_FINAL}",
    re.IGNORECASE,
)
PARTIAL = re.compile(
    rf"(?:<\|channel\|>[^\n]{{0,{TAG_CHARACTERS}}}|`{{0,2}}[<\[◁][^<>\[\n]{{0,{TAG_CHARACTERS}}}|`{{1,2}}"
    rf"|{'(?:'.join(_BARE_FINAL)}{')?' * (len(_BARE_FINAL) - 1)})\Z"
)
"""The end of a text that can become a tag."""


def is_closing(tag: re.Match[str]) -> bool:
    """Return whether a match of `TAG` ends the reasoning."""
    return _CLOSING.match(tag[0]) is not None


def is_tag(tag: re.Match[str]) -> bool:
    """Return whether a match of `TAG` is a tag, and neither inline code nor empty (`<think/>`)."""
    text, start, end = tag.string, tag.start(), tag.end()
    before = text[max(start - 2, 0) : start]
    quoted = before.endswith("`") and before != "``" and text[end : end + 1] in ("`", "")
    return not quoted and not tag[0].endswith("/>")


def find_tag(text: str, start: int = 0) -> re.Match[str] | None:
    """Return the first match in `text` that `is_tag` accepts."""
    return next((tag for tag in TAG.finditer(text, start) if is_tag(tag)), None)
