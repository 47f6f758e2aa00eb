"""The forms in which texts quote a secret: as it is, escaped, or encoded."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

__all__ = ["escape_for_json", "forms_of"]


def forms_of(text: str) -> frozenset[str]:
    """Return the text itself, and how JSON, Python, HTML, URLs and base64 write it."""
    return frozenset(form for form in _forms(text) if form)


def escape_for_json(text: str) -> str:
    """Return the text as it stands inside the quotation marks of JSON that is not limited to ASCII."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _forms(text: str) -> Iterator[str]:
    yield from (text, repr(text)[1:-1], json.dumps(text)[1:-1], escape_for_json(text))
    yield from (html.escape(text), html.escape(text, quote=False))
    try:
        data = text.encode()
    except UnicodeEncodeError:  # it has a lone surrogate
        return
    yield repr(data)[2:-1]
    for encoded in (quote(text, safe=""), quote(text), quote_plus(text)):
        yield from (encoded, _with_small_hex(encoded))
    for offset in range(3):
        yield from _base64_cores(data, offset)


def _with_small_hex(encoded: str) -> str:
    """Write `%2F` as `%2f`, as some libraries do."""
    first, *rest = encoded.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _base64_cores(data: bytes, offset: int) -> Iterator[str]:
    """Return the characters that depend on `data` alone if it is encoded after other bytes, as in `user:password`.

    Args:
        offset: the number of these other bytes, modulo 3.
    """
    encoded = base64.b64encode(bytes(offset) + data).decode()
    start, end = -(-8 * offset // 6), 8 * (offset + len(data)) // 6
    core = encoded[start:end]
    yield from (core, core.translate(str.maketrans("+/", "-_")))
