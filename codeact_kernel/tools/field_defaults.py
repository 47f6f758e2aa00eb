"""Read the default of a parameter from a `Field(...)`, which may replace the default or be part of the hint."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias, cast

from pydantic.fields import FieldInfo

__all__ = ["Factory", "default_of"]

Factory: TypeAlias = "Callable[[dict[str, Any]], object]"
"""Makes a default from the earlier arguments; their field names end in their positions."""


def default_of(default: object, hint: object, names: Sequence[str]) -> tuple[object, Factory | None]:
    """Return the default of a parameter, as far as it can be shown, and the factory that makes it for each call.

    Args:
        default: `inspect.Parameter.empty`, the default of the function, or a `Field(...)` that is also in the hint.
        hint: A `Field(...)` in it counts if the function itself has no default.
        names: The names of all parameters, for a factory that reads earlier arguments.
    """
    if default is not inspect.Parameter.empty and not isinstance(default, FieldInfo):
        return default, None
    notes: tuple[object, ...] = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    fields = [note for note in notes if isinstance(note, FieldInfo) and not note.is_required()]
    if not fields:
        return inspect.Parameter.empty, None
    make = cast("Callable[..., object] | None", fields[-1].default_factory)
    if make is None:
        return fields[-1].default, None
    takes_others = getattr(fields[-1], "default_factory_takes_validated_data", False)

    def factory(data: dict[str, Any]) -> object:
        return make({names[_position(field)]: value for field, value in data.items()}) if takes_others else make()

    shown: object = cast(object, make()) if make in (list, dict) else ...
    return shown, factory


def _position(field: str) -> int:
    return int(field.rpartition("_")[2])
