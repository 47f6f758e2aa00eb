"""The keys under which the fields of a pydantic model are passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import AliasChoices, AliasPath
from pydantic.fields import FieldInfo

__all__ = ["key_of", "keys_of"]


def key_of(name: str, info: FieldInfo) -> str:
    """Return the key of the field that is shown to the model."""
    return keys_of(name, info, {})[0]


def keys_of(name: str, info: FieldInfo, config: Mapping[str, Any]) -> list[str]:
    """Return all keys that pydantic reads for the field, according to the configuration of its model."""
    alias: object = info.alias if info.validation_alias is None else info.validation_alias
    choices: Sequence[object] = alias.choices if isinstance(alias, AliasChoices) else [alias]
    firsts = [choice.path[0] if isinstance(choice, AliasPath) else choice for choice in choices]
    keys = [key for key in firsts if isinstance(key, str)]
    is_read_by_name = not keys or config.get("populate_by_name") or config.get("validate_by_name")
    return [*keys, name] if is_read_by_name else keys
