"""Read the text of an OpenAPI description, JSON or YAML, as plain data.

The text can be from anybody. No YAML tag is obeyed and no object is constructed: only the nodes of the text are read,
by the rules of YAML 1.2, where `no` is a text and `2024-01-31` too. What aliases stand for counts each time, so a small
text cannot become a large value.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

import yaml

from ..errors import UserError
from ..render.escaping import one_line
from ..types import JSONObject, JSONValue

__all__ = ["read_description"]

MAX_DEPTH = 100
MAX_NODES = 1_000_000
"""Values in a YAML text. GitHub's description, the largest that is well known, has 600,000."""
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,30}\.[0-9]{0,30}|\.[0-9]{1,30}|[0-9]{1,30})(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, JSONValue] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip


def read_description(data: bytes, shown: str) -> JSONObject:
    """Return the object that the text describes.

    Args:
        shown: Where the text is from, for the error.

    Raises:
        UserError: It is not the text of an OpenAPI description, or of a version that is not known.
    """
    try:
        text = data.decode("utf-8-sig")
        root = _read_json(text) if text.lstrip().startswith("{") else _read_yaml(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = one_line(" ".join(str(error).split())[:200]) or "it is nested too deeply"
        raise UserError(f"{shown} cannot be read as JSON or YAML: {reason}.") from None
    if not isinstance(root, dict) or not isinstance(root.get("paths"), dict):
        raise UserError(f"{shown} is not an OpenAPI description: it has no `paths`.")
    version = str(root.get("openapi", root.get("swagger", "")))
    if not re.match(r"3\.|2\.0\Z", version):
        raise UserError(f"{shown} has the OpenAPI version {version[:20]!r}: use a description of version 3 or 2.0.")
    return root


def _read_json(text: str) -> JSONValue:
    return json.loads(text, parse_constant=_refuse)


def _refuse(text: str) -> JSONValue:
    raise ValueError(f"{text} is not JSON")


def _read_yaml(text: str) -> JSONValue:
    compose: Any = yaml.compose  # type: ignore[reportUnknownMemberType]  # its argument has no type
    return _NodeReader().read(compose(text, Loader=_LOADER), MAX_DEPTH)


class _NodeReader:
    """Turns the nodes of one YAML text into plain data."""

    def __init__(self) -> None:
        self._left = MAX_NODES

    def read(self, node: yaml.Node | None, depth: int) -> JSONValue:
        self._left -= 1
        if depth <= 0 or self._left < 0:
            raise ValueError(f"it has more than {MAX_NODES:,} values, or is nested too deeply")
        if isinstance(node, yaml.ScalarNode):
            text = cast("str", node.value)
            return text if node.style else _read_plain(text)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, depth - 1) for item in cast("list[yaml.Node]", node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, depth)
        return None

    def _read_mapping(self, node: yaml.MappingNode, depth: int) -> JSONObject:
        mapping: JSONObject = {}
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError("a key is not a text")
            name, item = cast("str", key.value), self.read(value, depth - 1)
            if name == "<<" and not key.style:
                merged = item if isinstance(item, list) else [item]
                for part in merged:
                    mapping = {**part, **mapping} if isinstance(part, dict) else mapping
            else:
                mapping[name] = item
        return mapping


def _read_plain(text: str) -> JSONValue:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
