"""Make the calls of one operation: send the request, and read the reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

from ..capabilities.network.fetch import Fetcher, Reply
from ..limits import HttpLimits
from ..secrets import hide
from ..text import collapse_whitespace, format_bytes, replace_unprintable, truncate
from ..tools import ToolCallError
from .openapi_operations import Operation, is_json
from .openapi_request import build_request

__all__ = ["Header", "OperationCall", "Revealed", "reveal_headers"]

MAX_ERROR_CHARACTERS = 300
"""Of the body of a reply that is an error."""
MIN_HIDDEN_CHARACTERS = 8
"""A shorter word of a header is no key, and could be anywhere in a reply."""
HIDDEN = "[hidden]"


@runtime_checkable
class Revealed(Protocol):
    """A value whose text is not shown anywhere, such as a key."""

    def reveal(self) -> str:
        """Return the text."""
        ...


Header: TypeAlias = "str | Revealed"


def reveal_headers(headers: Mapping[str, Header]) -> dict[str, str]:
    """Return the headers as they are sent. Their values are in nothing else."""
    return {name: value if isinstance(value, str) else value.reveal() for name, value in headers.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationCall:
    """Calls one operation.

    Attributes:
        server: The URL that the path of the operation is added to.
        headers: The headers of the user, which go with each call.
        fetcher: Sends the requests to the hosts that the user allowed.
    """

    operation: Operation
    server: str
    headers: Mapping[str, Header] = field(repr=False)
    fetcher: Fetcher
    limits: HttpLimits

    async def __call__(self, /, **arguments: Any) -> object:
        """Send the request of a call, and return the value of the reply.

        Raises:
            ToolCallError: The request cannot be sent, gets no reply, or the reply is an error.
        """
        headers = reveal_headers(self.headers)
        request = build_request(self.operation, self.server, arguments, headers, self.limits)
        reply = _hide(await self.fetcher.fetch(request), headers)
        if reply.status >= 300:
            raise _as_error(self.operation, reply, has_headers=bool(self.headers))
        return _read(self.operation, reply)


def _hide(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """Take the user's headers out of a reply: a server for tests, or a page about an error, repeats what it got."""
    for word in (word for value in headers.values() for word in [value, *value.split()]):
        if len(word) >= MIN_HIDDEN_CHARACTERS:
            body = reply.body.replace(word.encode(), HIDDEN.encode())
            kept = {name: value.replace(word, HIDDEN) for name, value in reply.headers.items()}
            reply = replace(reply, body=body, headers=kept, reason=reply.reason.replace(word, HIDDEN))
    return reply


def _as_error(operation: Operation, reply: Reply, *, has_headers: bool) -> ToolCallError:
    text = hide(reply.body.decode(errors="replace"))[: 4 * MAX_ERROR_CHARACTERS]  # what is cut would not be found
    text = collapse_whitespace(replace_unprintable(text))
    reason = replace_unprintable(reply.reason)[:60]
    message = f"{_name(operation)} answered {reply.status} {reason}".rstrip()
    if text:
        message += f": {truncate(text, MAX_ERROR_CHARACTERS)}"
    if reply.status == 401 and not has_headers:
        message += " (the user gives the key of an API with headers, or --header)"
    return ToolCallError(message, is_final=reply.status == 401)


def _read(operation: Operation, reply: Reply) -> object:
    if operation.method == "HEAD":
        return reply.headers
    if not reply.body:
        return None
    media_type = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if is_json(media_type):
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            raise ToolCallError(f"{_name(operation)} answered with JSON that cannot be read") from None
    try:
        return reply.body.decode()
    except UnicodeDecodeError:
        if media_type.startswith("text/"):
            return reply.body.decode("latin-1")
    size = format_bytes(len(reply.body))
    raise ToolCallError(f"{_name(operation)} answered with {size} of {media_type[:80]!r}, which is not text")


def _name(operation: Operation) -> str:
    return truncate(f"{operation.method} {replace_unprintable(operation.path)}", 120)
