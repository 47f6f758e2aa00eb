"""Bound what a model endpoint sends, by an HTTP client for the `openai` package.

The package and its HTTP library unpack, buffer and parse whatever an endpoint sends, and follow it to any address.
Here every reply is counted as it comes off the network, before anything is unpacked or buffered, and no redirect is
followed.

The bounds are set by an event hook of the client, a documented option that is called for every response. A transport
is the other way, but it has two faults: a client with a transport of its own no longer reads the proxies of the
environment, and each proxy has another transport, which would not be bounded. `httpx` (openai 2) and `httpx2`
(openai 3) have the same hooks, so neither is imported here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any

from ..errors import ModelError
from ..text import format_bytes

__all__ = ["make_client_options"]

MIB = 1 << 20
EVENT_BYTES = 1 * MIB
"""One event of a streamed answer. It is parsed as one JSON text, which takes up to 30 times its size in memory."""
EVENT_LINES = 1_000
"""Lines of one event: the SSE decoder of openai 2 copies the whole event for each line."""
ANSWER_BYTES = 64 * MIB
"""A whole streamed answer. Only its text is kept; an event takes 300 to 600 bytes for each token."""
LIST_BYTES = 3 * MIB // 2
"""The list of models, which is parsed as one JSON text. Hundreds of models with long descriptions fit in it."""
ERROR_BYTES = 64 << 10
"""How much of the body of an error is read."""

COMPRESSIONS = frozenset({"br", "compress", "deflate", "gzip", "x-gzip", "zstd"})
EVENT_ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n")


Read = Callable[[bytes], bytes]
"""Takes the next bytes of a body and returns those that may be read; no bytes end the body.

Raises ModelError if the endpoint sends too much.
"""


def make_client_options(url: str) -> dict[str, Any]:
    """Make the options of an HTTP client that bound what an endpoint sends.

    They are for `openai.DefaultAsyncHttpxClient`, and leave its transports and proxies as they are. Reading the body of
    a reply then raises ModelError if the body is compressed or too large. The body of an error is cut off instead.

    Args:
        url: the endpoint, without credentials.

    Returns:
        Keyword arguments of the client.
    """

    async def bound(response: Any) -> None:
        response.stream = wrap_body(response, choose_reader(response, url))
        # Without this header the library unpacks nothing.
        response.headers.pop("content-encoding", None)

    return {
        "event_hooks": {"response": [bound]},
        "follow_redirects": False,
        "headers": {"accept-encoding": "identity"},
    }


def choose_reader(response: Any, url: str) -> Read:
    """Choose the bound for the body of a reply."""
    encodings: list[str] = response.headers.get("content-encoding", "").lower().replace(",", " ").split()
    is_compressed = not COMPRESSIONS.isdisjoint(encodings)
    if not 200 <= response.status_code < 300:
        # The status says what happened: the beginning of the text is enough.
        return ErrorReader(0 if is_compressed else ERROR_BYTES).read
    if is_compressed:
        return CompressedReader(url).read
    return ListReader(url).read if response.request.method == "GET" else AnswerReader(url).read


class ErrorReader:
    """Cut off the body of an error."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def read(self, part: bytes) -> bytes:
        part = part[: self._left]
        self._left -= len(part)
        return part


class CompressedReader:
    """Refuse a compressed body: one megabyte can unpack to a thousand."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self, part: bytes) -> bytes:
        raise ModelError(
            f"{self._url} compressed its answer although it was asked not to: "
            f"turn compression off there, or in the proxy in front of it."
        )


class ListReader:
    """Count the bytes of the list of models."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._bytes = 0

    def read(self, part: bytes) -> bytes:
        self._bytes += len(part)
        if self._bytes > LIST_BYTES:
            raise ModelError(
                f"The list of models of {self._url} is longer than {format_bytes(int(LIST_BYTES))}: "
                f"set CODEACT_MODEL to the model that you want."
            )
        return part


class AnswerReader:
    """Count the bytes of a streamed answer, in all and since its last event ended.

    The network gives at most 64 KiB at a time, so that much can be read beyond a bound before it is noticed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._all_bytes = 0
        self._event_bytes = 0
        self._event_lines = 0
        self._last = b""

    def read(self, part: bytes) -> bytes:
        self._all_bytes += len(part)
        # The blank line that ends an event may come in two parts.
        text = self._last + part
        end = max(text.rfind(blank_line) for blank_line in EVENT_ENDS)
        if end >= 0:
            part_of_event = text[end:]
            self._event_bytes = self._event_lines = 0
        else:
            part_of_event = part
        self._event_bytes += len(part_of_event)
        self._event_lines += part_of_event.count(b"\n") + part_of_event.count(b"\r")
        self._last = text[-3:]
        if self._event_bytes > EVENT_BYTES or self._event_lines > EVENT_LINES:
            raise ModelError(
                f"{self._url} sent more than {format_bytes(EVENT_BYTES)}, or {EVENT_LINES:,} lines, as one piece of an "
                f"answer: see whether it is a Chat Completions endpoint, or try another model."
            )
        if self._all_bytes > ANSWER_BYTES:
            raise ModelError(
                f"{self._url} sent more than {format_bytes(ANSWER_BYTES)} in one answer: "
                f"ask for less at a time, or try another model."
            )
        return part


class BoundedBody:
    """The body of a reply. A reader sees each part first."""

    def __init__(self, body: Any, read: Read) -> None:
        self._body = body
        self._read = read

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            allowed = self._read(part)
            if not allowed:
                return
            yield allowed

    async def aclose(self) -> None:
        await self._body.aclose()


def wrap_body(response: Any, read: Read) -> BoundedBody:
    """Make the body of a response go through a reader."""
    # The library accepts a body only if its class is derived from this one.
    library = import_module(type(response).__module__.partition(".")[0])
    kind = type("BoundedBody", (BoundedBody, library.AsyncByteStream), {})
    return kind(response.stream, read)
