"""Copies of a program's values, for what must not touch the program's own."""

import sys
from collections.abc import Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, cast

from ..tool_calls import kind_of
from .program_facts import MODULES

_VALUES = {
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    *(("decimal", "Decimal"), ("fractions", "Fraction"), ("re", "Pattern")),
}
"""Types, beside the plainest, whose values never change."""
_SETTING = frozenset({"getcontext", "localcontext", "purge", "setcontext"})
"""Functions that change how a module works for everybody."""


class Unfit(Exception):
    """A value that cannot be copied, or not any more."""


def listed(values: Any, most: int = 20_000) -> Sequence[Any]:
    """The items of what can be looked at without being used up.

    Raises Unfit.
    """
    kind = type(values)
    if kind is range:
        return values
    if kind in (list, tuple, set, frozenset, dict, str, type({}.keys()), type({}.values()), type({}.items())):
        return list(values)
    if kind_of(values) in ("table", "rows") and len(values) <= most:
        return list(values)
    raise Unfit


class Copies:
    """Makes copies until `left` values were copied. A text counts by its length, each hundred characters as one."""

    def __init__(self, left: int) -> None:
        self.left = left

    @property
    def spent(self) -> bool:
        return self.left < 0

    def copy_some(self, value: Any, most: int) -> Any:
        """A copy that takes at most so many values.

        Raises Unfit or RecursionError.
        """
        part = Copies(min(self.left, most))
        before = part.left
        try:
            return part.copy(value)
        finally:
            self.left -= before - max(part.left, 0)

    def copy(self, value: Any) -> Any:
        """A copy. What can never change is the same.

        Raises Unfit or RecursionError.
        """
        self.left -= 1 + (len(value) // 100 if isinstance(value, (str, bytes)) else 0)
        if self.left < 0:
            raise Unfit
        kind: Any = type(value)
        if value is None or kind in (bool, int, float, complex, str, bytes, range):
            return value
        if kind is dict:
            return {self.copy(key): self.copy(one) for key, one in cast("dict[Any, Any]", value).items()}
        if kind in (list, tuple, set, frozenset):
            return kind([self.copy(one) for one in value])
        if isinstance(value, ModuleType) and value.__name__ in MODULES:
            return _library(value)
        if (kind.__module__, kind.__name__) in _VALUES or _of_library(value):
            return value
        raise Unfit


def _library(module: ModuleType) -> SimpleNamespace:
    """A module as a shadow may have it: what it sets there is not set in the module."""
    public = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name not in _SETTING
    }
    return SimpleNamespace(**public)


def _of_library(value: object) -> bool:
    """Whether it is a function or class of a module that a shadow may use."""
    if not isinstance(value, (type, FunctionType, BuiltinFunctionType)) or value.__module__ not in MODULES:
        return False
    name = value.__name__
    return name not in _SETTING and getattr(sys.modules.get(value.__module__), name, None) is value
