"""The texts of secrets that are known in this process, in all forms in which they are searched for.

A text stays known after its `Secret` is deleted, because a tool that revealed it may still hold the text.
"""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .forms import escape_for_json, forms_of

__all__ = ["Forms", "Known", "get_known", "is_recognizable", "remember"]

_MIN_CHARACTERS = 6
_MIN_DISTINCT_CHARACTERS = 3
_MAX_KNOWN = 1_000
"""If there are more, the one that was revealed least recently is forgotten: a tool may make a new token each minute."""
_MAX_WORD_CHARACTERS = 11
"""A longer text of letters is hardly a word."""
_MAX_DIGITS = 9


Forms: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """What is searched for.

    Attributes:
        forms: each form of a secret with the mark that takes its place, the longest first.
        in_json: these forms as they stand in JSON, in the same order: whole values are searched as one text.
        longest: the number of characters of the longest form.
    """

    forms: Forms = ()
    in_json: tuple[str, ...] = ()
    longest: int = 0


_names: dict[str, str] = {}
_warned: set[str] = set()
_lock = threading.Lock()
_known = Known()


def get_known() -> Known:
    """Return what is searched for at this moment."""
    return _known


def remember(text: str, name: str) -> None:
    """Search for this text from now on. A text that ordinary data may contain is not searched for, with a warning."""
    global _known
    with _lock:
        is_new = _names.pop(text, None) is None
        if is_new and not is_recognizable(text):
            _warn(name)
            return
        _names[text] = name
        if len(_names) > _MAX_KNOWN:
            del _names[next(iter(_names))]
        if is_new:
            _known = _collect()


def is_recognizable(text: str) -> bool:
    """Return whether a text that contains this one probably means the secret."""
    is_word = (
        text.isalpha() and text in (text.lower(), text.upper(), text.title()) and len(text) <= _MAX_WORD_CHARACTERS
    )
    is_number = text.isdigit() and len(text) <= _MAX_DIGITS
    return len(text) >= _MIN_CHARACTERS and len(set(text)) >= _MIN_DISTINCT_CHARACTERS and not is_word and not is_number


def _warn(name: str) -> None:
    if name in _warned:
        return
    _warned.add(name)
    warnings.warn(
        f"The secret {name} is shorter than {_MIN_CHARACTERS} characters, or a plain word or number. Ordinary texts "
        "may contain it, so it is not hidden in what tools return and print: use a longer secret.",
        UserWarning,
        stacklevel=_count_own_frames(),
    )


def _count_own_frames() -> int:
    """Return the stack level of the user's line."""
    frame, count = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "codeact_kernel":
        frame, count = frame.f_back, count + 1
    return count


def _collect() -> Known:
    marks = {form: f"[secret {name}]" for text, name in _names.items() for form in forms_of(text)}
    forms = sorted(marks.items(), key=lambda entry: len(entry[0]), reverse=True)
    return Known(forms, tuple(escape_for_json(form) for form, _ in forms), len(forms[0][0]))
