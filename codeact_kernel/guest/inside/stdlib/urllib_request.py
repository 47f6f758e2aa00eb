"""Send requests of urllib through the host's tool. The importer loads this module after `urllib.request`."""

import io
from http.client import HTTPResponse
from typing import Any
from urllib import request
from urllib.error import URLError

from ..network.http import make_arguments, read_body
from ..network.names import is_on
from ..tool_calls import ToolError, call_tool

_NETWORK_OFF = "the network is off; the user can allow hosts with the option allowed_domains"
_NOT_SENT = ("host", "connection", "content-length", "transfer-encoding")
_DROPPED = ("content-length", "transfer-encoding", "connection")


class _Received:
    """Stand in for a socket, from which http.client reads the response."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _open(handler: Any, sent: request.Request) -> HTTPResponse:
    if not is_on:
        raise URLError(_NETWORK_OFF)
    headers = {**sent.unredirected_hdrs, **sent.headers}
    headers = {name: str(value) for name, value in headers.items() if name.lower() not in _NOT_SENT}
    data: Any = sent.data
    if data is not None and not isinstance(data, (bytes, bytearray)):
        data = data.read() if hasattr(data, "read") else b"".join(data)
    try:
        reply = call_tool("http_request", **make_arguments(sent.get_method(), sent.full_url, headers, data))
        body = read_body(reply)
    except ToolError as error:
        raise URLError(str(error)) from None
    lines = [f"HTTP/1.1 {reply['status']} {reply['reason']}"]
    lines += [f"{name}: {value}" for name, value in reply["headers"].items() if name not in _DROPPED]
    head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""])
    response: Any = HTTPResponse(_Received(head.encode() + body), method=sent.get_method())  # type: ignore[arg-type]
    response.begin()
    response.url, response.msg = reply["url"], response.reason
    return response


_handler: Any = request.HTTPHandler
_handler.http_open = _handler.https_open = _open
_handler.https_request = _handler.http_request
