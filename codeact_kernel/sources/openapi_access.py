"""The hosts that an OpenAPI description may use, and how the description itself is loaded.

Only the user decides about hosts: by the settings, and by the URLs that they typed for this description. What a
description says about its servers is checked against that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ..access import AllowedDomain
from ..access.domains import Origin
from ..capabilities.network.fetch import Fetcher
from ..capabilities.network.policy import Request, check_headers, find_rule, parse_url
from ..errors import UserError
from ..render.escaping import one_line
from ..settings import Settings
from ..text import format_bytes
from ..tools import ToolCallError
from .openapi_call import Header, Revealed, reveal_headers
from .openapi_schemas import LeftOut

__all__ = ["Access", "DescriptionSource"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DescriptionSource:
    """What a user wrote about a description.

    Attributes:
        location: A URL or the path of a file. `openapi_tools` documents this and the rest.
    """

    location: str
    name: str = ""
    server: str = ""
    headers: Mapping[str, Header] = field(default_factory=dict[str, Header], repr=False)
    only: Sequence[str] = ()
    untrusted: bool = False


class Access:
    """The hosts that a description may use.

    Attributes:
        is_url: The description is at a URL.
        typed: The origins that the user wrote into the call: where the description is, then the server.
        domains: The hosts that the settings allow, and the typed ones that the settings do not mention.
        fetcher: Sends requests to these hosts.
    """

    def __init__(self, source: DescriptionSource, settings: Settings) -> None:
        self._source = source
        self.limits = settings.limits.http
        self._check_headers()
        if re.search(r"[?#]", source.server):
            raise UserError(f"{source.server[:200]!r} cannot be a server: leave out what follows the path.")
        self.is_url = "://" in source.location
        urls = [source.location] if self.is_url else []
        self.typed = [self._origin(url) for url in [*urls, *([source.server] if source.server else [])]]
        mentioned = {domain.origin for domain in settings.allowed_domains}
        granted = [AllowedDomain(str(origin)) for origin in dict.fromkeys(self.typed) if origin not in mentioned]
        self.domains = [*settings.allowed_domains, *granted]
        self.fetcher = Fetcher(self.domains, self.limits)

    def _origin(self, url: str) -> Origin:
        try:
            return parse_url(url, self.limits).origin
        except ToolCallError as error:
            raise UserError(f"{error}.") from None

    def _check_headers(self) -> None:
        headers = self._source.headers
        for name, value in headers.items():
            if not isinstance(cast("object", value), str | Revealed):
                raise UserError(
                    f"The header {name[:60]!r} is not a text: pass a str, or an object with a method reveal()."
                )
        try:
            check_headers(dict.fromkeys(headers, ""), self.limits)
        except ToolCallError as error:
            raise UserError(f"These headers cannot be sent: {error}.") from None

    async def load(self) -> bytes:
        """Return the text of the description.

        Raises:
            UserError: There is no such file, or the server did not send it.
        """
        return await self._fetch(self._source.location) if self.is_url else self._read(Path(self._source.location))

    async def _fetch(self, url: str) -> bytes:
        headers = reveal_headers(self._source.headers) if self.gets_headers(self.typed[0]) else {}
        try:
            checked = check_headers(headers, self.limits)
            reply = await self.fetcher.fetch(Request("GET", parse_url(url, self.limits), checked))
        except ToolCallError as error:
            raise UserError(f"The description at {url[:200]} was not loaded: {one_line(str(error))}.") from None
        if reply.status != 200:
            raise UserError(f"The description at {url[:200]} was not loaded: the server answered {reply.status}.")
        return reply.body

    def _read(self, path: Path) -> bytes:
        max_bytes, shown = self.limits.reply_bytes, str(path)[:200]
        path = path.expanduser()
        try:
            if not path.is_file():
                raise UserError(f"There is no file {shown!r}: name a file, or a URL with https://.")
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise UserError(f"{shown} cannot be read: {error.strerror}.") from None
        if len(data) > max_bytes:
            raise UserError(f"{shown} has more than {format_bytes(max_bytes)}: use a smaller description.")
        return data

    def gets_headers(self, origin: Origin) -> bool:
        """Return whether the headers of the user are for this host."""
        return bool(self.typed) and origin == self.typed[-1]

    def check(self, method: str, server: str, *, has_headers: bool) -> AllowedDomain:
        """Return the entry that allows an operation.

        Raises:
            LeftOut: The user has not allowed it.
        """
        try:
            url = parse_url(server, self.limits)
        except ToolCallError as error:
            raise LeftOut(f"their server is no URL ({error}): give another with --server (server=)") from None
        if has_headers and not self.gets_headers(url.origin):
            raise LeftOut(f"headers go only to a host that you name: add --server {server[:200]} (server=)")
        try:
            return find_rule(self.domains, method, url)
        except ToolCallError:
            is_mentioned = any(domain.origin == url.origin for domain in self.domains)
            raise LeftOut(
                f"allowed_domains does not allow {method} for {url.origin}"
                if is_mentioned
                else f"they are at {url.origin}, which you have not allowed: if it is right, add --server "
                f"{server[:200]} (server=), or {url.origin} to allowed_domains"
            ) from None
