"""Write the request of a call: each argument at its place, encoded so that it cannot leave that place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, unquote

from ..capabilities.network.policy import Request, check_headers, parse_url
from ..limits import HttpLimits
from ..text import format_bytes
from ..tools import ToolCallError
from .openapi_operations import Argument, Operation, is_json

__all__ = ["build_request"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SEPARATORS = {"spaceDelimited": "%20", "pipeDelimited": "%7C"}
_MAX_DECODED = 3
"""How often servers and proxies in a row could decode a path."""
_MAX_NESTING = 8


def build_request(
    operation: Operation,
    server: str,
    values: Mapping[str, Any],
    headers: Mapping[str, str],
    limits: HttpLimits,
) -> Request:
    """Return the request of a call.

    Args:
        server: The URL that the path is added to.
        values: The arguments, by their own names.
        headers: The headers of the user.

    Raises:
        ToolCallError: A value cannot be sent, or the request exceeds a limit.
    """
    given = [(argument, values[argument.own_name]) for argument in operation.arguments if argument.own_name in values]
    path = _fill_path(operation.path, {item.name: (item, value) for item, value in given if item.place == "path"})
    query = [piece for item, value in given if item.place == "query" for piece in _encode_pairs(item, value)]
    target = server.rstrip("/") + path
    if query:
        target += ("&" if "?" in target else "?") + "&".join(query)
    body, body_type = _encode_body(operation, [(item, value) for item, value in given if item.place == "body"])
    if len(body) > limits.body_bytes:
        raise ToolCallError(f"the body of a request may have {format_bytes(limits.body_bytes)}: send less")
    own = {item.name: _plain_list(item, value) for item, value in given if item.place == "header"}
    cookies = "; ".join(
        piece for item, value in given if item.place == "cookie" for piece in _encode_pairs(item, value)
    )
    fixed = {"Accept": operation.accepts, "Content-Type": body_type, "Cookie": cookies}
    users_names = {name.lower() for name in headers}
    ours = {name: value for name, value in (own | fixed).items() if value and name.lower() not in users_names}
    return Request(operation.method, parse_url(target, limits), check_headers(ours | dict(headers), limits), body)


def _fill_path(template: str, values: Mapping[str, tuple[Argument, Any]]) -> str:
    segments: list[str] = []
    for segment in template.split("/"):
        names: list[str] = _PLACEHOLDER.findall(segment)
        plain = {name: _plain_list(*values[name]) for name in names}
        for name, text in plain.items():
            if not text:
                raise ToolCallError(f"{name} is empty, so the request would go to another path: pass a value")
        if names and _leaves_segment(_substitute(segment, plain)):
            raise ToolCallError(f"{', '.join(names)} would lead to another path: pass a value without '..'")
        segments.append(_substitute(segment, {name: _quote(text) for name, text in plain.items()}))
    return "/".join(segments)


def _substitute(segment: str, texts: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: texts[match[1]], segment)


def _leaves_segment(text: str) -> bool:
    """Whether a server that decodes the path before it resolves dots would read another path."""
    for _ in range(_MAX_DECODED):
        text = unquote(text)
    return not {".", ".."}.isdisjoint(re.split(r"[/\\]", text))


def _encode_body(operation: Operation, given: Sequence[tuple[Argument, Any]]) -> tuple[bytes, str]:
    if not operation.body_type or not (given or operation.is_body_required):
        return b"", ""
    if is_json(operation.body_type):
        value = given[0][1] if operation.is_whole_body else {item.name: value for item, value in given}
        return json.dumps(value).encode(), operation.body_type
    if operation.is_whole_body:
        return str(given[0][1]).encode("utf-8", "replace"), f"{operation.body_type}; charset=utf-8"
    return "&".join(
        piece for item, value in given for piece in _encode_pairs(item, value)
    ).encode(), operation.body_type


def _encode_pairs(argument: Argument, value: Any) -> Iterator[str]:
    """Yield `name=value` for an argument, encoded, several times if it explodes into several pairs."""
    name = quote(argument.name, safe="[]")
    if argument.is_json or not isinstance(value, list | dict):
        yield f"{name}={_quote(json.dumps(value) if argument.is_json else value)}"
    elif argument.style == "deepObject":
        yield from _encode_deep(name, cast("list[Any] | dict[str, Any]", value), _MAX_NESTING)
    elif isinstance(value, list) and argument.explode:
        yield from (f"{name}={_quote(item)}" for item in cast("list[Any]", value))
    elif isinstance(value, dict) and argument.explode:
        yield from (f"{_quote(key)}={_quote(item)}" for key, item in cast("dict[str, Any]", value).items())
    else:
        separator = _SEPARATORS.get(argument.style, ",")
        yield f"{name}={separator.join(map(_quote, _flatten(value)))}"


def _encode_deep(name: str, value: Any, nesting: int) -> Iterator[str]:
    """Write `filter[color]=red`, as PHP and Rails read it."""
    if isinstance(value, dict) and nesting:
        for key, item in cast("dict[str, Any]", value).items():
            yield from _encode_deep(f"{name}[{_quote(key)}]", item, nesting - 1)
    elif isinstance(value, list) and nesting:
        for item in cast("list[Any]", value):
            yield from _encode_deep(f"{name}[]", item, nesting - 1)
    else:
        yield f"{name}={_quote(value)}"


def _plain_list(argument: Argument, value: Any) -> str:
    """Write a value in the style `simple`, for a path or a header: the items with commas between them."""
    if argument.is_json:
        return json.dumps(value)
    if isinstance(value, dict) and argument.explode:
        return ",".join(f"{key}={_to_text(item)}" for key, item in cast("dict[str, Any]", value).items())
    return ",".join(map(_to_text, _flatten(value)))


def _flatten(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [part for pair in cast("dict[str, Any]", value).items() for part in pair]
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _quote(value: Any) -> str:
    return quote(_to_text(value), safe="", errors="replace")


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
