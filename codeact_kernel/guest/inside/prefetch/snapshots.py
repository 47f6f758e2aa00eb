"""Copy values of a program, so that slices cannot change the originals."""

import sys
from collections.abc import Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, cast

from ..tool_calls import get_kind
from .program_facts import PURE_MODULES

_IMMUTABLE_TYPES = {
    *(("datetime", name) for name in ("date", "datetime", "time", "timedelta", "timezone")),
    *(("decimal", "Decimal"), ("fractions", "Fraction"), ("re", "Pattern")),
}
"""Types, in addition to the basic ones, whose values never change."""
_SETTINGS_FUNCTIONS = frozenset({"getcontext", "localcontext", "purge", "setcontext"})
"""Functions that change the behaviour of their module for every caller."""


class NotCopyable(Exception):
    """The value cannot be copied, or the budget for copies is used up."""


def to_sequence(values: Any, max_rows: int = 20_000) -> Sequence[Any]:
    """Return the items of a container that can be read without consuming it.

    Args:
        values: the container.
        max_rows: the largest table, or result that stays on the host, that is read.

    Raises:
        NotCopyable: the value is another kind of object, or a larger table.
    """
    kind = type(values)
    if kind is range:
        return values
    if kind in (list, tuple, set, frozenset, dict, str, type({}.keys()), type({}.values()), type({}.items())):
        return list(values)
    if get_kind(values) in ("table", "rows") and len(values) <= max_rows:
        return list(values)
    raise NotCopyable


class Snapshotter:
    """Copy values until `left` values are copied. Each hundred characters of a text count as one more value."""

    def __init__(self, left: int) -> None:
        self.left = left

    @property
    def is_spent(self) -> bool:
        return self.left < 0

    def copy_within(self, value: Any, max_values: int) -> Any:
        """Return a copy that contains at most `max_values` values.

        Raises:
            NotCopyable: the value contains more values, or an object that cannot be copied.
            RecursionError: the value is nested too deeply.
        """
        part = Snapshotter(min(self.left, max_values))
        before = part.left
        try:
            return part.copy(value)
        finally:
            self.left -= before - max(part.left, 0)

    def copy(self, value: Any) -> Any:
        """Return a copy of the value. Immutable values are returned as they are.

        Raises:
            NotCopyable: the value contains an object that cannot be copied, or the budget is used up.
            RecursionError: the value is nested too deeply.
        """
        self.left -= 1 + (len(value) // 100 if isinstance(value, (str, bytes)) else 0)
        if self.left < 0:
            raise NotCopyable
        kind: Any = type(value)
        if value is None or kind in (bool, int, float, complex, str, bytes, range):
            return value
        if kind is dict:
            return {self.copy(key): self.copy(item) for key, item in cast("dict[Any, Any]", value).items()}
        if kind in (list, tuple, set, frozenset):
            return kind([self.copy(item) for item in value])
        if isinstance(value, ModuleType) and value.__name__ in PURE_MODULES:
            return _copy_module(value)
        if (kind.__module__, kind.__name__) in _IMMUTABLE_TYPES or _is_library_function(value):
            return value
        raise NotCopyable


def _copy_module(module: ModuleType) -> SimpleNamespace:
    """Return the public names of a module, so that a slice cannot set attributes in the module itself."""
    public = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name not in _SETTINGS_FUNCTIONS
    }
    return SimpleNamespace(**public)


def _is_library_function(value: object) -> bool:
    """Return whether the value is a function or class of a module that a slice may use."""
    if not isinstance(value, (type, FunctionType, BuiltinFunctionType)) or value.__module__ not in PURE_MODULES:
        return False
    name = value.__name__
    return name not in _SETTINGS_FUNCTIONS and getattr(sys.modules.get(value.__module__), name, None) is value
