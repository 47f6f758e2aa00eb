"""Send HTTP requests as calls of the host's tool `http_request`, and read the responses."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from json import dumps, loads
from typing import Any
from zlib import decompressobj

from ..tool_calls import call_host, call_tool, call_tool_async, to_jsonable

_PIECE_SIZE = 786_432
_MAX_DECOMPRESSED = 32 << 20


class Response:
    """The response to a request. Its body is fetched when a program first reads it."""

    def __init__(self, reply: Mapping[str, Any]) -> None:
        self.status = self.status_code = reply["status"]
        self.reason = reply["reason"]
        self.url = reply["url"]
        self.headers = Headers(reply["headers"])
        self.ok = self.status < 400
        self._reply: Mapping[str, Any] | None = reply
        self._content = b""

    @property
    def content(self) -> bytes:
        if self._reply is not None:
            self._content = _decompress(read_body(self._reply), self.headers.get("content-encoding", ""))
            self._reply = None
        return self._content

    @property
    def text(self) -> str:
        charset = self.headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
        try:
            return self.content.decode(charset or "utf-8", "replace")
        except LookupError:
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        return loads(self.content)

    def raise_for_status(self) -> None:
        if not self.ok:
            raise OSError(f"{self.status} {self.reason} for {self.url}")

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


class Headers(dict[str, str]):
    """The headers of a response, by names in any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def request(method: str, url: str, **given: Any) -> Response:
    """Send a request, and wait for the response."""
    return Response(call_tool("http_request", **_encode_arguments(method, url, **given)))


async def request_async(method: str, url: str, **given: Any) -> Response:
    """Send a request, and return the response when it is awaited."""
    return Response(await call_tool_async("http_request", **_encode_arguments(method, url, **given)))


def _encode_arguments(
    method: str, url: str, params: Any, headers: Any, json: Any = None, data: Any = None
) -> dict[str, Any]:
    headers = {str(name): str(value) for name, value in dict(headers or {}).items()}
    kind = ""
    if json is not None:
        data, kind = dumps(to_jsonable(json), ensure_ascii=False, allow_nan=False), "application/json"
    elif isinstance(data, Mapping):
        data, kind = _encode_form(data), "application/x-www-form-urlencoded"
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = kind
    if params:
        url = url.partition("#")[0]
        url += ("&" if "?" in url else "?") + (params if isinstance(params, str) else _encode_form(params))
    return make_arguments(method, url, headers, data)


def make_arguments(method: str, url: str, headers: Mapping[str, str], body: Any) -> dict[str, Any]:
    """Return the arguments of the tool for a body of text or bytes, or without a body."""
    arguments: dict[str, Any] = {"method": method.upper(), "url": url}
    if headers:
        arguments["headers"] = headers
    if isinstance(body, (bytes, bytearray)):
        try:
            body = body.decode()  # so that the card can show it
        except UnicodeDecodeError:
            body, arguments["binary"] = b2a_base64(body, newline=False).decode(), True
    if body:
        arguments["body"] = body
    return arguments


def read_body(reply: Mapping[str, Any]) -> bytes:
    """Return the body that the reply contains or refers to."""
    if "text" in reply:
        return reply["text"].encode()
    if "base64" in reply:
        return a2b_base64(reply["base64"])
    places = range(0, reply["size"], _PIECE_SIZE)
    return b"".join([a2b_base64(call_host("network", "body", id=reply["kept"], at=at)) for at in places])


def _encode_form(fields: Any) -> str:
    from urllib.parse import urlencode

    return urlencode(fields, doseq=True)


def _decompress(body: bytes, encoding: str) -> bytes:
    """Decompress a body: the host requests plain bodies, but some servers ignore this."""
    if not body or encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    packed = decompressobj(47 if "gzip" in encoding.lower() or body[0] & 15 == 8 else -15)
    content = packed.decompress(body, _MAX_DECOMPRESSED)
    if packed.unconsumed_tail:
        raise ValueError(f"the decompressed response is larger than {_MAX_DECOMPRESSED >> 20} MiB")
    return content
