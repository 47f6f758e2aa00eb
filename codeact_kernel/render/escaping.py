"""Text from the guest, the model and tools, made harmless to show: no control codes, no hidden or reordering marks."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Mapping

from ..text import truncate_middle
from ..types import JSONValue

__all__ = [
    "arguments_text",
    "escaped",
    "for_html",
    "for_markdown",
    "has_hidden",
    "one_line",
    "plain",
    "strictly",
    "value_text",
]

# An OSC code ends on its line, or it is none: one that is left open must not swallow the text behind it.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
# Nothing is seen of these either, whatever their category. The two spaces and the selector below them are common in
# honest text, and are escaped only where a person decides.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)
_COMMON = "\ufe0f"
# The last three, since front ends make links of what looks like an address.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~>&$-]|:(?=//)|@|(?<=\bwww)\.)", re.IGNORECASE)


def plain(text: str) -> str:
    """Without terminal codes; control, bidirectional and zero-width characters appear as their escapes."""
    return escaped(_ANSI.sub("", text))


def escaped(text: str) -> str:
    """With escapes for hidden characters and nothing removed: what is shown of a program is all that runs."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape_character(character) for character in text)


def has_hidden(text: str) -> bool:
    """Whether something in it does not show as it is: then a person decides about it as `strictly` shows it."""
    return strictly(text) != text


def strictly(text: str) -> str:
    """`escaped`, and escapes for spaces that are not the space, and for every sign of which nothing is seen."""
    return "".join(
        _escape_character(character)
        if character != _COMMON and (character == " " or unicodedata.category(character) != "Zs")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def one_line(text: str) -> str:
    """`plain`, with escapes for line ends and tabs too."""
    return plain(text).replace("\n", "\\n").replace("\t", "\\t")


def for_html(text: str) -> str:
    """As HTML text, in which nothing is markup, and nothing a formula: notebooks typeset what stands between `$`."""
    return html.escape(plain(text)).replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")


def for_markdown(text: str) -> str:
    """As Markdown text on one line, in which nothing is markup, a link or an image."""
    return _MARKDOWN.sub(r"\\\1", plain(text)).replace("<", "&lt;").replace("\n", " ")


def value_text(value: JSONValue, most: int = 200) -> str:
    """A JSON value in one line."""
    # Once what is left out was said, only escapes can make the text longer.
    return truncate_middle(plain(truncate_middle(json.dumps(value, ensure_ascii=False), most)), 4 * most + 100)


def arguments_text(arguments: Mapping[str, JSONValue], most: int = 200) -> str:
    """Arguments of a call as they stand in a program."""
    each = max(20, most // max(1, len(arguments)))  # so that each says for itself what is left out of it
    pairs = (f"{truncate_middle(one_line(name), each)}={value_text(value, each)}" for name, value in arguments.items())
    return truncate_middle(", ".join(pairs), 10 * most)


def _escape_character(character: str) -> str:
    if character in "\n\t" or not (unicodedata.category(character) in _HIDDEN or _INVISIBLE.match(character)):
        return character
    return character.encode("unicode_escape").decode()
