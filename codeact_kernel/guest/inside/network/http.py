"""Requests, each a call of the host's tool `http_request`, which decides."""

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from json import dumps, loads
from typing import Any
from zlib import decompressobj

from ..tool_calls import call_tool, call_tool_async, host_call, to_jsonable

_PIECE_SIZE = 786_432
_MAX_DECOMPRESSED = 32 << 20


class Response:
    """What came back. The body is fetched when somebody looks at it."""

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
    """Found by a name in any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


def request(method: str, url: str, **given: Any) -> Response:
    """Send what the program gave, and wait."""
    return Response(call_tool("http_request", **_encode_arguments(method, url, **given)))


async def request_async(method: str, url: str, **given: Any) -> Response:
    """The same for asyncio."""
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
    """What the tool takes, for a body of text or bytes, or none."""
    arguments: dict[str, Any] = {"method": method.upper(), "url": url}
    if headers:
        arguments["headers"] = headers
    if isinstance(body, (bytes, bytearray)):
        try:
            body = body.decode()  # so it can be read in the card
        except UnicodeDecodeError:
            body, arguments["binary"] = b2a_base64(body, newline=False).decode(), True
    if body:
        arguments["body"] = body
    return arguments


def read_body(reply: Mapping[str, Any]) -> bytes:
    """The body that the tool's answer has, or names."""
    if "text" in reply:
        return reply["text"].encode()
    if "base64" in reply:
        return a2b_base64(reply["base64"])
    places = range(0, reply["size"], _PIECE_SIZE)
    return b"".join([a2b_base64(host_call("network.body", id=reply["kept"], at=at)) for at in places])


def _encode_form(fields: Any) -> str:
    from urllib.parse import urlencode

    return urlencode(fields, doseq=True)


def _decompress(body: bytes, encoding: str) -> bytes:
    """The host asks for plain bodies; some servers do not care."""
    if not body or encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    packed = decompressobj(47 if "gzip" in encoding.lower() or body[0] & 15 == 8 else -15)
    made = packed.decompress(body, _MAX_DECOMPRESSED)
    if packed.unconsumed_tail:
        raise ValueError(f"the reply unpacks to more than {_MAX_DECOMPRESSED >> 20} MiB")
    return made
