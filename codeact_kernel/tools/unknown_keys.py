"""Find unknown keys of models, dataclasses and TypedDicts inside arguments, and suggest the right ones."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, PlainValidator, RootModel, WrapValidator
from pydantic.fields import FieldInfo

from ..types import JSONValue
from .model_keys import keys_of

__all__ = ["Place", "find_unknown_keys", "suggest"]

Place: TypeAlias = "tuple[str | int, ...]"

MAX_NAME_CHARACTERS = 64
MAX_NAMES_LISTED = 12
MIN_SIMILARITY = 0.5
"""The similarity of `quantity` and `qty`."""


def find_unknown_keys(given: JSONValue, value: object, place: Place = ()) -> Iterator[tuple[Place, list[str]]]:
    """Find the keys of `given` that pydantic ignored when it made `value`, each with the known keys.

    Models that configure the handling of extra keys, or that read the keys before pydantic does, are skipped.
    """
    if isinstance(value, RootModel):
        yield from find_unknown_keys(given, cast("RootModel[Any]", value).root, place)
    elif isinstance(given, list):
        if isinstance(value, list | tuple) and len(items := cast("Sequence[object]", value)) == len(given):
            for number, (part, item) in enumerate(zip(given, items, strict=True)):
                yield from find_unknown_keys(part, item, (*place, number))
    elif isinstance(given, dict) and (known := _parts_of(value, given)) is not None:
        for key, part in given.items():
            if key in known:
                yield from find_unknown_keys(part, known[key], (*place, key))
            elif not _takes_any_key(value):
                yield (*place, key), list(known)


def suggest(name: str, names: Iterable[str]) -> str:
    """Return a hint with the most similar of `names`, or a list of them if none is similar."""
    known = [other[:MAX_NAME_CHARACTERS] for other in names]
    if close := difflib.get_close_matches(name[:MAX_NAME_CHARACTERS], known, 1, MIN_SIMILARITY):
        return f" (did you mean {close[0]!r}?)"
    nearest = difflib.get_close_matches(name[:MAX_NAME_CHARACTERS], known, MAX_NAMES_LISTED, 0.0)
    left_out = len(known) - len(nearest)
    rest = f" and {left_out} more" if left_out else ""
    return f" (it takes {', '.join(map(repr, nearest))}{rest})" if nearest else ""


def _parts_of(value: object, given: Mapping[str, JSONValue]) -> Mapping[str, object] | None:
    """Return the value that each key became, or None if that is unknown. Keys without a value were ignored."""
    kind: type[Any] = type(value)
    if isinstance(value, BaseModel):
        decorators = kind.__pydantic_decorators__
        if any(item.info.mode in ("before", "wrap") for item in decorators.model_validators.values()):
            return None
        infos: Mapping[str, FieldInfo] = kind.model_fields
        config = cast("Mapping[str, Any]", kind.model_config)
        early = {
            name
            for item in decorators.field_validators.values()
            if item.info.mode in ("before", "wrap", "plain")
            for name in (infos if "*" in item.info.fields else item.info.fields)
        }
        return {
            key: None if name in early or _has_own_validator(info) else getattr(value, name, None)
            for name, info in infos.items()
            for key in keys_of(name, info, config)
        }
    if dataclasses.is_dataclass(value):
        infos = getattr(kind, "__pydantic_fields__", {})
        names = [field.name for field in dataclasses.fields(value)]
        keys = {name: keys_of(name, infos[name], {}) if name in infos else [name] for name in names}
        return {key: getattr(value, name, None) for name in names for key in (*keys[name], name)}
    if isinstance(value, tuple) and hasattr(cast(object, value), "_asdict"):
        return cast("Mapping[str, object]", cast(Any, value)._asdict())
    if isinstance(value, dict):
        entries = cast("Mapping[object, object]", value)
        known = {str(key.value if isinstance(key, Enum) else key): part for key, part in entries.items()}
        # With as many keys as before, none was ignored, though some may have another form or name.
        return known if len(known) < len(given) else dict.fromkeys(given) | known
    return None


def _takes_any_key(value: object) -> bool:
    return isinstance(value, BaseModel) and value.model_config.get("extra") is not None


def _has_own_validator(info: FieldInfo) -> bool:
    return any(isinstance(note, BeforeValidator | WrapValidator | PlainValidator) for note in info.metadata)
