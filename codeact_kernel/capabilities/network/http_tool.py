"""Define `http_request`, the built-in tool behind every request, so that requests are decided and shown like calls."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from ...access import AllowedDomain
from ...limits import HttpLimits
from ...settings import Limits
from ...tools import BoundCall, Registry, ToolCallError, as_tool
from ...types import JSONValue
from .fetch import Fetcher, Reply
from .policy import Request, check_headers, find_rule, parse_url

__all__ = ["HttpTool"]

INLINE_BYTES = 128 << 10
"""A body up to this size is part of the answer and of the card. As JSON it can take six times as many bytes."""

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class HttpTool:
    """The tool `http_request`. A remembered approval is valid for one method and one host.

    Args:
        store_body: stores a body that is too large for the answer, and returns its number.

    Attributes:
        spec: the spec of the tool. Each call has its own approval mode and version.
    """

    def __init__(
        self, domains: Sequence[AllowedDomain], fetcher: Fetcher, limits: HttpLimits, store_body: Callable[[bytes], int]
    ) -> None:
        self._domains = domains
        self._fetcher = fetcher
        self._limits = limits
        self._store_body = store_body

        async def http_request(
            method: Method, url: str, headers: dict[str, str] | None = None, body: str = "", binary: bool = False
        ) -> dict[str, Any]:
            """Send an HTTP request.

            `binary` says that `body` is base64.
            """
            request = self._request(method, url, headers, body, binary)
            return self._answer(await self._fetcher.fetch(request))

        self._tool = as_tool(http_request, reserved=True)
        self.spec = self._tool.spec
        self._registry = Registry()
        self._registry.add(http_request)

    def bind(self, arguments: Mapping[str, JSONValue], limits: Limits) -> BoundCall:
        """Validate the arguments and return the call, ready for a decision.

        Raises:
            ToolCallError: if the arguments are not valid, or no domain allows the request.
        """
        bound = self._registry.validate(self.spec.name, arguments, limits=limits)
        parameters: dict[str, Any] = self._tool.signature.bind(bound.arguments)
        request = self._request(**parameters)
        domain = find_rule(self._domains, request.method, request.url)
        identity = f"{self.spec.name} {request.method} {request.url.origin} {domain.approval_mode}"
        version = hashlib.sha256(identity.encode()).hexdigest()[:12]
        spec = replace(bound.tool.spec, approval_mode=domain.approval_mode, version=version, source=domain.source)
        return replace(bound, tool=replace(bound.tool, spec=spec))

    def _request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: str = "", binary: bool = False
    ) -> Request:
        try:
            data = base64.b64decode(body, validate=True) if binary else body.encode()
        except (binascii.Error, ValueError):
            raise ToolCallError("the body is not base64: encode it, or pass text without `binary`") from None
        if len(data) > self._limits.body_bytes:
            raise ToolCallError(f"the body of a request may have {self._limits.body_bytes:,} bytes: send less")
        return Request(method, parse_url(url, self._limits), check_headers(headers or {}, self._limits), data)

    def _answer(self, reply: Reply) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "status": reply.status,
            "reason": reply.reason,
            "url": reply.url,
            "headers": reply.headers,
        }
        if len(reply.body) > INLINE_BYTES:
            return answer | {"kept": self._store_body(reply.body), "size": len(reply.body)}
        try:
            return answer | {"text": reply.body.decode()}
        except UnicodeDecodeError:
            return answer | {"base64": base64.b64encode(reply.body).decode()}
