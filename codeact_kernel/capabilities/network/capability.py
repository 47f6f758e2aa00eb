"""The capability `network`: HTTP requests that are checked on the host, because a guest has no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import count

from ...access import AllowedDomain
from ...capability import NETWORK
from ...errors import ProgramError
from ...limits import HttpLimits
from ...secrets import mask
from ...types import JSONObject, JSONValue
from ..base import Handler
from .fetch import Fetcher, Resolve, resolve
from .http_tool import HttpTool
from .policy import describe_domains

__all__ = ["Network"]

_PIECE = 768 << 10
"""Bytes of a body in one answer. The guest half uses the same number."""


class Network:
    """The network for one turn. Requests are calls of a built-in tool. Large replies are stored here.

    Args:
        domains: the allowed domains.
        resolve: looks up the addresses of a host.

    Attributes:
        tools: the built-in tools, by name.
    """

    declaration = NETWORK
    name = NETWORK.name
    names = frozenset(NETWORK.guest_names)

    def __init__(
        self,
        domains: Sequence[AllowedDomain],
        limits: HttpLimits = HttpLimits(),  # noqa: B008  # it is frozen
        resolve: Resolve = resolve,
    ) -> None:
        self.handlers: Mapping[str, Handler] = {"body": self._body}
        self.guest_config: JSONObject = {}
        self.instructions = (
            f"Network ({describe_domains(domains)}): "
            "http_get(url, headers=None) and http_post(url, json=None) return .status "
            ".ok .text .json(); many at once: http_get_async(url).\n"
        )
        self._limits = limits
        self._bodies: dict[int, bytes] = {}
        self._numbers = count(1)
        http = HttpTool(domains, Fetcher(domains, limits, resolve), limits, self._store_body)
        self.tools: Mapping[str, HttpTool] = {http.spec.name: http}

    def start_run(self) -> None:
        """Keep the replies, because a program can use the replies of an earlier program of the turn."""

    def _store_body(self, body: bytes) -> int:
        number = next(self._numbers)
        self._bodies[number] = mask(body)  # it is sent in pieces
        while sum(map(len, self._bodies.values())) > self._limits.kept_bytes:
            del self._bodies[next(iter(self._bodies))]
        return number

    async def _body(self, arguments: JSONObject) -> JSONValue:
        number, start = arguments.get("id"), arguments.get("at")
        if type(number) is not int or type(start) is not int or start < 0:
            raise ProgramError("the id and the position of a reply must be whole numbers")
        body = self._bodies.get(number)
        if body is None:
            raise ProgramError("this reply is no longer stored: read each reply before you request many more")
        return base64.b64encode(body[start : start + _PIECE]).decode()
