"""Limit `locale` to the C locale. The importer loads this module after `locale`.

The guest's C library has one locale but accepts any name. A program that sets another locale would get wrong numbers
and names of days, so it gets Python's error for a locale that is not installed.
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
