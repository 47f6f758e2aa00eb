"""The requests that a program can make, each through our own policy. A guest has no network of its own."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from itertools import count

from ...access import AllowedDomain
from ...capability import NETWORK
from ...errors import ProgramError
from ...limits import HttpLimits
from ...types import Handler, JSONObject, JSONValue
from .fetch import Fetcher, Resolve, resolve
from .http_tool import HttpTool
from .policy import listed

__all__ = ["Network"]

_PIECE = 768 << 10
"""Bytes of a body that are fetched at once; the guest's half counts in the same."""


class Network:
    """The network. The requests themselves are calls of a tool; this has the tool, and the larger replies.

    Args:
        domains: all that can be reached.
        resolve: where names are looked up.

    Attributes:
        tools: those that are not the person's, by name; `bind` stands for `Registry.validate` and `Registry.edited`.
    """

    declaration = NETWORK
    name = NETWORK.name

    def __init__(
        self,
        domains: Sequence[AllowedDomain],
        limits: HttpLimits = HttpLimits(),  # noqa: B008  # it is frozen
        resolve: Resolve = resolve,
    ) -> None:
        self.handlers: Mapping[str, Handler] = {"body": self._body}
        self.guest_config: JSONObject = {}
        self.instructions = (
            f"Network ({listed(domains)}): http_get(url, headers=None) and http_post(url, json=None) return .status "
            ".ok .text .json(); many at once: http_get_async(url).\n"
        )
        self._limits = limits
        self._kept: dict[int, bytes] = {}
        self._numbers = count(1)
        http = HttpTool(domains, Fetcher(domains, limits, resolve), limits, self._keep)
        self.tools: Mapping[str, HttpTool] = {http.spec.name: http}

    def start_run(self) -> None:
        """Replies stay for the whole turn: a program may look at one that a program before it got."""

    def _keep(self, body: bytes) -> int:
        number = next(self._numbers)
        self._kept[number] = body
        while sum(map(len, self._kept.values())) > self._limits.kept_bytes:
            del self._kept[next(iter(self._kept))]
        return number

    async def _body(self, arguments: JSONObject) -> JSONValue:
        number, start = arguments.get("id"), arguments.get("at")
        if type(number) is not int or type(start) is not int or start < 0:
            raise ProgramError("a piece of a reply has an id and a place")
        body = self._kept.get(number)
        if body is None:
            raise ProgramError("this reply is no longer there: read each before you ask for many more")
        return base64.b64encode(body[start : start + _PIECE]).decode()
