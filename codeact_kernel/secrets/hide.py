"""Replace the texts of known secrets by `[secret NAME]`, in texts, in values and in texts that come in pieces.

Without a secret nothing is searched. With some, the time is linear in the size of the text, for each secret.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, TypeVar, cast

from .known import Forms, Known, get_known

__all__ = ["AS_IS", "StreamHider", "has_secret", "hide", "hide_in", "mask"]

T = TypeVar("T")
Buffer = TypeVar("Buffer", bound="bytes | bytearray | memoryview")
AS_IS = {"hide": False}
"""Metadata of a field of a dataclass that `hide_in` does not search."""
_MASKS = ("*", "·", "•", "🞄")
"""The characters of `mask`, by the number of their bytes."""
_encode = json.JSONEncoder(ensure_ascii=False).encode


def hide(text: str) -> str:
    """Return the text with a mark in the place of each secret."""
    return _hide(text, get_known().forms)


def has_secret(text: str) -> bool:
    """Return whether the text holds a secret."""
    return any(form in text for form, _ in get_known().forms)


def hide_in(value: T) -> T:
    """Return the value without secrets in its texts, or the same object if it has none.

    JSON values, tuples, and dataclasses whose fields are such values are searched. Anything else stays as it is.
    """
    return cast("T", _hide_in(value, get_known())) if get_known().forms else value


def mask(data: Buffer) -> Buffer:
    """Return bytes in which the characters of each secret are replaced by others of the same width.

    So binary formats stay valid, which know how many characters or bytes a text has.
    """
    if not (forms := get_known().forms):
        return data
    masked = bytes(data)
    for form, _ in forms:
        encoded = form.encode(errors="replace")
        if encoded in masked:
            masked = masked.replace(encoded, _mask_for(form))
    return cast("Buffer", masked)


def _mask_for(form: str) -> bytes:
    return "".join(_MASKS[len(char.encode(errors="replace")) - 1] for char in form).encode()


class StreamHider:
    """Hides secrets in a text that comes in pieces, of which each may end in the middle of a secret."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece, and return as much of the text as can be shown."""
        current = get_known()
        text = self._held + piece
        end = _find_open_end(text, current)
        if len(text) - end > 2 * current.longest:  # secrets that overlap without end
            end = len(text)
        self._held = text[end:]
        return hide(text[:end])

    def flush(self) -> str:
        """Return the rest of the text."""
        rest, self._held = self._held, ""
        return hide(rest)


def _hide_in(value: object, current: Known) -> object:
    if type(value) not in (list, dict):
        return _rebuild(value, current.forms, current)
    forms = _find_forms(value, current)
    return _rebuild(value, forms, current) if forms else value


def _find_forms(value: object, current: Known) -> Forms:
    """Return the forms that a JSON value may contain. To search it as one text takes less time than to search each."""
    try:
        text = _encode(value)
    except (TypeError, ValueError, RecursionError):  # it is not JSON
        return current.forms
    return [form for form, in_json in zip(current.forms, current.in_json, strict=True) if in_json in text]


def _rebuild(value: object, forms: Forms, current: Known) -> object:
    """Return the value without secrets.

    Args:
        forms: the forms that JSON in the value may contain.
    """
    if isinstance(value, str):
        return _hide(value, forms)
    if isinstance(value, list):
        items = cast("list[object]", value)
        return _keep_same(items, [_rebuild(item, forms, current) for item in items])
    if type(value) is tuple:
        parts = cast("tuple[object, ...]", value)
        return _keep_same(parts, tuple(_hide_in(part, current) for part in parts))
    if isinstance(value, dict):
        entries = cast("dict[object, object]", value)
        rebuilt = {_rebuild(key, forms, current): _rebuild(item, forms, current) for key, item in entries.items()}
        is_same = rebuilt.keys() == entries.keys() and all(map(_is_same, entries.values(), rebuilt.values()))
        return entries if is_same else rebuilt
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _rebuild_dataclass(value, current)
    return value


def _keep_same(old: Any, new: Any) -> Any:
    return old if all(map(_is_same, old, new)) else new


def _is_same(old: object, new: object) -> bool:
    return old is new


def _rebuild_dataclass(value: Any, current: Known) -> object:
    changes: dict[str, object] = {}
    for field in dataclasses.fields(value):
        if field.metadata.get("hide", True):
            old = getattr(value, field.name)
            if (new := _hide_in(old, current)) is not old:
                changes[field.name] = new
    return dataclasses.replace(value, **changes) if changes else value


def _hide(text: str, forms: Forms) -> str:
    found = [(form, mark) for form, mark in forms if form in text]
    return _replace(text, found) if found else text


def _replace(text: str, found: Forms) -> str:
    """Replace all occurrences at once. Where secrets overlap, one mark stands for all of them."""
    spans = sorted(
        ((start, start + len(form), mark) for form, mark in found for start in _find_all(text, form)),
        key=lambda span: (span[0], -span[1]),
    )
    parts: list[str] = []
    at = 0
    for start, end, mark in spans:
        if start >= at:
            parts += (text[at:start], mark)
        at = max(at, end)
    return "".join([*parts, text[at:]])


def _find_all(text: str, form: str) -> Iterator[int]:
    start = text.find(form)
    while start >= 0:
        yield start
        start = text.find(form, start + len(form))


def _find_open_end(text: str, current: Known) -> int:
    """Return where the end of the text begins that may be the beginning of a secret."""
    end = len(text)
    for form, _ in current.forms:
        at = text.find(form[0], max(0, len(text) - len(form) + 1))
        while 0 <= at < end:
            if form.startswith(text[at:]):
                end = at
            else:
                at = text.find(form[0], at + 1)
    if end == len(text):
        return end
    for form, _ in current.forms:  # a whole secret that reaches into this end is held with it
        at = text.find(form, max(0, end - len(form) + 1))
        if 0 <= at < end:
            end = at
    return end
