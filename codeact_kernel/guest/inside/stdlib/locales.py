"""Imported in the guest once `locale` is imported: the C library has one locale, and takes any name.

A program that sets another one would go on with wrong numbers and names of days, so it gets the error that Python has
for a locale that is not installed.
"""

import locale
from typing import Any

_setlocale = locale.setlocale
_AVAILABLE = frozenset({"", "C", "POSIX", "C.UTF-8", "C.utf8"})


def setlocale(category: int, locale: Any = None) -> str:
    if isinstance(locale, str) and not set(locale.split(";")) <= _AVAILABLE:
        raise _Error("unsupported locale setting: the sandbox has only 'C'. Write f'{x:,.2f}' for thousands separators")
    return _setlocale(category, locale)


_Error = locale.Error
locale.setlocale = setlocale
