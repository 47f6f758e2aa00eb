"""Imported in the guest once urllib.request is imported: its requests go to the host's tool, too."""

import io
from http.client import HTTPResponse
from typing import Any
from urllib import request
from urllib.error import URLError

from ..network.http import make_arguments, read_body
from ..network.names import is_on
from ..tool_calls import ToolError, call_tool

_NETWORK_OFF = "the network is off here; the person can allow hosts (allowed_domains)"
_NOT_SENT = ("host", "connection", "content-length", "transfer-encoding")
_DROPPED = ("content-length", "transfer-encoding", "connection")


class _Received:
    """What http.client takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _open(handler: Any, wanted: request.Request) -> HTTPResponse:
    if not is_on:
        raise URLError(_NETWORK_OFF)
    headers = {**wanted.unredirected_hdrs, **wanted.headers}
    headers = {name: str(value) for name, value in headers.items() if name.lower() not in _NOT_SENT}
    data: Any = wanted.data
    if data is not None and not isinstance(data, (bytes, bytearray)):
        data = data.read() if hasattr(data, "read") else b"".join(data)
    try:
        reply = call_tool("http_request", **make_arguments(wanted.get_method(), wanted.full_url, headers, data))
        body = read_body(reply)
    except ToolError as error:
        raise URLError(str(error)) from None
    lines = [f"HTTP/1.1 {reply['status']} {reply['reason']}"]
    lines += [f"{name}: {value}" for name, value in reply["headers"].items() if name not in _DROPPED]
    head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""])
    made: Any = HTTPResponse(_Received(head.encode() + body), method=wanted.get_method())  # type: ignore[arg-type]
    made.begin()
    made.url, made.msg = reply["url"], made.reason
    return made


_handler: Any = request.HTTPHandler
_handler.http_open = _handler.https_open = _open
_handler.https_request = _handler.http_request
