"""Keys that a model, a dataclass or a TypedDict inside an argument does not have, and what was probably meant."""

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

NAME_CHARACTERS = 64
NAMES_LISTED = 12
LIKENESS = 0.5
"""`quantity` is as much like `qty`."""


def find_unknown_keys(given: JSONValue, value: object, place: Place = ()) -> Iterator[tuple[Place, list[str]]]:
    """Find the keys of `given` that became no part of `value`, which pydantic made of it: each with the known ones.

    A model that says itself what happens to other keys, or that reads them before pydantic does, is left alone.
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
    """Say which of `names` was meant instead of `name`, or which there are where none is like it."""
    known = [one[:NAME_CHARACTERS] for one in names]
    if close := difflib.get_close_matches(name[:NAME_CHARACTERS], known, 1, LIKENESS):
        return f" (did you mean {close[0]!r}?)"
    nearest = difflib.get_close_matches(name[:NAME_CHARACTERS], known, NAMES_LISTED, 0.0)
    more = len(known) - len(nearest)
    return f" (it takes {', '.join(map(repr, nearest))}{f' and {more} more' if more else ''})" if nearest else ""


def _parts_of(value: object, given: Mapping[str, JSONValue]) -> Mapping[str, object] | None:
    """Give what each key became, or None where that is not known; keys of `given` that are missing became nothing."""
    kind: type[Any] = type(value)
    if isinstance(value, BaseModel):
        decorators = kind.__pydantic_decorators__
        if any(one.info.mode in ("before", "wrap") for one in decorators.model_validators.values()):
            return None
        infos: Mapping[str, FieldInfo] = kind.model_fields
        config = cast("Mapping[str, Any]", kind.model_config)
        early = {
            name
            for one in decorators.field_validators.values()
            if one.info.mode in ("before", "wrap", "plain")
            for name in (infos if "*" in one.info.fields else one.info.fields)
        }
        return {
            key: None if name in early or _reads_itself(info) else getattr(value, name, None)
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
        # As many keys as before: none was ignored, though some may have another form or name now.
        return known if len(known) < len(given) else dict.fromkeys(given) | known
    return None


def _takes_any_key(value: object) -> bool:
    return isinstance(value, BaseModel) and value.model_config.get("extra") is not None


def _reads_itself(info: FieldInfo) -> bool:
    return any(isinstance(note, BeforeValidator | WrapValidator | PlainValidator) for note in info.metadata)
