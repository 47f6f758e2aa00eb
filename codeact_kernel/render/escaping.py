"""Make text from the guest, the model and tools safe to show, without control codes and hidden or reordering marks."""

from __future__ import annotations

import html
import re
import unicodedata

__all__ = [
    "escape_controls",
    "escape_hidden",
    "escape_strictly",
    "for_html",
    "for_markdown",
    "has_hidden",
    "one_line",
]

# An OSC code must end on its line, so that an unclosed code does not swallow the text that follows.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
# These characters are invisible too, whatever their category. Spaces other than the ASCII space and the selector below
# are common in honest text, and are escaped only where the user decides about it.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)
_COMMON = "\ufe0f"
# The last three, because front ends turn addresses into links.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~>&$-]|:(?=//)|@|(?<=\bwww)\.)", re.IGNORECASE)


def escape_controls(text: str) -> str:
    """Remove terminal codes, and escape control, bidirectional and zero-width characters."""
    return escape_hidden(_ANSI.sub("", text))


def escape_hidden(text: str) -> str:
    """Escape hidden characters and remove nothing, so that the program that is shown is the program that runs."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape_character(character) for character in text)


def has_hidden(text: str) -> bool:
    """Return whether some character of `text` is invisible. If so, users decide about its form by `escape_strictly`."""
    return escape_strictly(text) != text


def escape_strictly(text: str) -> str:
    """Escape hidden characters as `escape_hidden` does, and also unusual spaces and every other invisible character."""
    return "".join(
        _escape_character(character)
        if character != _COMMON and (character == " " or unicodedata.category(character) != "Zs")
        else character.encode("unicode_escape").decode()
        for character in text
    )


def one_line(text: str) -> str:
    """Escape `text` as `escape_controls` does, and also its line ends and tabs."""
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def for_html(text: str) -> str:
    """Escape `text` for HTML, so that nothing is markup. `$` and `\\` are escaped too: notebooks typeset formulas."""
    return html.escape(escape_controls(text)).replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")


def for_markdown(text: str) -> str:
    """Escape `text` for one line of Markdown, so that nothing is markup, a link or an image."""
    return _MARKDOWN.sub(r"\\\1", escape_controls(text)).replace("<", "&lt;").replace("\n", " ")


def _escape_character(character: str) -> str:
    if character in "\n\t" or not (unicodedata.category(character) in _HIDDEN or _INVISIBLE.match(character)):
        return character
    return character.encode("unicode_escape").decode()
