"""Find the part of a JSON schema for one argument, or for a field inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..types import JSONObject

__all__ = ["describe", "names_at", "values_at"]

MAX_NODES = 200
"""Parts of a schema that are examined for one step."""


def names_at(schema: JSONObject, place: Sequence[str | int]) -> list[str]:
    """Return the keys that the object at `place` may have."""
    properties = [cast("dict[str, Any]", node.get("properties", {})) for node in _nodes_at(schema, place)]
    return list(dict.fromkeys(name for names in properties for name in names))


def values_at(schema: JSONObject, place: Sequence[str | int]) -> list[str]:
    """Return the texts that the argument at `place` may be, if the schema lists them."""
    nodes = _nodes_at(schema, place)
    values = [value for node in nodes for value in cast("list[object]", node.get("enum", [node.get("const")]))]
    return [value for value in values if isinstance(value, str)]


def describe(schema: JSONObject, place: Sequence[str], text: str) -> None:
    """Add a description to the field at `place`, unless it has one."""
    *outer, name = place
    for node in _nodes_at(schema, outer, through_items=True):
        field: object = cast("dict[str, Any]", node.get("properties", {})).get(name)
        if isinstance(field, dict):
            cast("dict[str, Any]", field).setdefault("description", text)


def _nodes_at(schema: JSONObject, place: Sequence[str | int], through_items: bool = False) -> list[dict[str, Any]]:
    nodes = _resolved(schema, [cast("dict[str, Any]", schema)], through_items)
    for step in place:
        inner = [part for node in nodes for part in _step(node, step)]
        nodes = (
            _resolved(schema, inner, through_items) if inner else nodes
        )  # pydantic also names the parts of a union here
    return nodes


def _step(node: Mapping[str, Any], step: str | int) -> list[dict[str, Any]]:
    if isinstance(step, int):
        first: list[Any] = node.get("prefixItems", [])
        part = first[step] if step < len(first) else node.get("items")
    else:
        part = node.get("properties", {}).get(step, node.get("additionalProperties"))
    return [cast("dict[str, Any]", part)] if isinstance(part, dict) else []


def _resolved(schema: JSONObject, nodes: list[dict[str, Any]], through_items: bool) -> list[dict[str, Any]]:
    """Follow references and unions."""
    resolved: dict[int, dict[str, Any]] = {}
    waiting = list(nodes)
    while waiting and len(resolved) < MAX_NODES:
        node = waiting.pop(0)
        if id(node) in resolved:
            continue
        resolved[id(node)] = node
        if isinstance(name := node.get("$ref"), str):
            definitions = cast("dict[str, Any]", schema.get("$defs", {}))
            waiting += [part for part in [definitions.get(name.rpartition("/")[2])] if part is not None]
        waiting += [part for kind in ("anyOf", "oneOf", "allOf") for part in node.get(kind, [])]
        if through_items:
            items = [node.get("items"), node.get("additionalProperties"), *node.get("prefixItems", [])]
            waiting += [item for item in items if isinstance(item, dict)]
    return list(resolved.values())
