"""Find letters that a user could mistake for others, such as the two Cyrillic letters in `раypal.com`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ..text import truncate_middle

__all__ = ["find_lookalikes"]

_MAX_WORDS = 20_000
_BETWEEN_WORDS = re.compile(r"""[\s"'()\[\]{},;=<>|]+""")
"""Excludes the signs inside an address, so that an address is a single word."""
_RESEMBLING = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "DESERET", "GEORGIAN", "OSAGE")
"""Alphabets whose letters can be taken for Latin ones."""
_LIKE_LATIN = frozenset("аеорсухѕіјһԁԛԝАВЕЅІЈКМНОРСТУХԌΑΒΕΖΗΙΚΜΝΟΡΤΥΧονικρυχαՕՍօսհո")
"""Letters of Cyrillic, Greek and Armenian that look like Latin ones."""
# Variants of ASCII letters and digits (Roman numerals, letter-like symbols, full width, mathematical), and signs that
# pass for / : . ! | or the letters a, g and i.
_VARIANTS = re.compile(
    "[\u2044\u2215\u29f8\u2571\u2236\ua789\u02d0\u2024\u0589\u2043\u01c3\u01c0\u2223\u0251\u0261\u0269\u2160-\u217f"
    "\u210a-\u2115\u2119-\u211d\u2124\u2128\u212a-\u2138\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff]"
    # Chinese and Japanese use these between their own words; next to Latin letters they may be part of an address.
    "|(?<=[A-Za-z0-9])[\uff0f\uff0e\uff1a\uff20]|[\uff0f\uff0e\uff1a\uff20](?=[A-Za-z0-9])"
)


def find_lookalikes(text: str) -> str:
    """Name the words of `text` whose letters could be taken for other letters, and show those letters as escapes.

    Named are: a word that mixes Latin with an alphabet that resembles it; a word made only of letters that look like
    Latin ones, in a text that has no other letters of that alphabet; and variants of ASCII letters and signs. Japanese,
    Chinese and Korean next to Latin are common and are not named.

    Returns:
        A few words for the user, about 250 characters at most; empty if nothing was found.

    Source: Unicode Technical Standard #39, sections 4 and 5, for the alphabets that resemble Latin.
    """
    if text.isascii():
        return ""
    words = _BETWEEN_WORDS.split(text, maxsplit=_MAX_WORDS)[:_MAX_WORDS]
    alphabets = [_find_alphabets(word) for word in words]
    written = {name for word in words for name in _find_alphabets(sign for sign in word if sign not in _LIKE_LATIN)}
    found: dict[str, None] = {}
    for word, names in zip(words, alphabets, strict=True):
        is_mixed = len(names) > 1
        is_posing = len(word) > 1 and len(names) == 1 and names != {"LATIN"} and not names & written
        if is_mixed or is_posing or _VARIANTS.search(word):
            found[word] = None
    shown = ", ".join(truncate_middle("".join(map(_escape, word)), 60) for word in list(found)[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"Look-alike letters in {shown}{more}" if found else ""


def _find_alphabets(signs: Iterable[str]) -> set[str]:
    names = (unicodedata.name(sign, "").partition(" ")[0] for sign in signs if sign.isalpha())
    return {name for name in names if name in _RESEMBLING}


def _escape(sign: str) -> str:
    return sign if sign.isascii() else sign.encode("unicode_escape").decode()
