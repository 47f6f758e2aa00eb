"""`openapi_tools`: offer the operations of an OpenAPI description as tools.

The description can be from anybody, so it decides nothing about access. Requests go to the hosts that the user allowed
or wrote into the call, through the network policy of programs. GET and HEAD are `read_only`, all other methods need
approval, whatever the description says about them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from ..access import AllowedDomain
from ..configuration import from_environment
from ..errors import UserError
from ..render.escaping import one_line
from ..settings import Settings
from ..text import format_list, plural, truncate
from ..tools import Tool, ToolOptions
from ..tools.definition import described_tool, hash_facts
from .openapi_access import Access, DescriptionSource
from .openapi_call import Header, OperationCall
from .openapi_operations import Candidate, Operation, list_candidates, read_operation
from .openapi_schemas import Document, LeftOut, as_list, as_part, text_of
from .openapi_text import read_description
from .swagger2 import upgrade

__all__ = ["Description", "load_openapi", "openapi_tools"]

MAX_OPERATIONS = 500
MAX_NAMED = 10
"""Operations that a notice names, and notices of one description."""
MAX_SERVERS = 20
"""Servers of one operation that are considered."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_VARIABLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """The tools of a description.

    Attributes:
        name: Its name in the notebook.
        servers: The URLs that the calls go to.
        notices: What is not offered, and why.
    """

    name: str
    servers: Sequence[str]
    tools: Sequence[Tool]
    notices: Sequence[str]

    @property
    def origin(self) -> str:
        """Where the tools are from, as a `ToolSpec` has it."""
        return f"openapi:{self.name}"


async def openapi_tools(
    location: str | Path,
    name: str = "",
    *,
    server: str = "",
    headers: Mapping[str, Header] | None = None,
    only: Sequence[str] = (),
    untrusted: bool = False,
    settings: Settings | None = None,
) -> list[Callable[..., object]]:
    """Make tools of the operations of an OpenAPI description, for `Session(tools=[...])`.

    GET and HEAD only read and need no approval; a call with another method does. A URL that you pass allows requests to
    its host for these tools. Any other host that the description names has to be allowed in the settings.

    Args:
        location: The URL or the file of the description, JSON or YAML, OpenAPI 3 or Swagger 2.0.
        name: Goes before the name of a tool that is taken; by default the host or the name of the file.
        server: The URL of the API, in the place of those that the description names.
        headers: Are sent with each call, and shown nowhere. A value is a text, or has a method `reveal()` that returns
            one. They are sent only to the host of `server`, or of `location` if there is no `server`.
        only: Offers only the operations whose operationId, path or tag is one of these, or begins so: `repos/*`.
        untrusted: Whether outsiders can write what the API returns; see `source` of `tool`.
        settings: By default the settings from the environment.

    Returns:
        One function for each operation, which carries the tool.

    Raises:
        UserError: The description cannot be loaded, or nothing in it can be offered.
    """
    source = DescriptionSource(
        location=str(location), name=name, server=server, headers=headers or {}, only=only, untrusted=untrusted
    )
    description = await load_openapi(source, settings or from_environment())
    for notice in description.notices:
        warnings.warn(notice, UserWarning, stacklevel=2)
    return [tool.function for tool in description.tools]


async def load_openapi(
    source: DescriptionSource, settings: Settings, names_taken: Callable[[str], Iterable[str]] = lambda origin: ()
) -> Description:
    """Load a description, and make tools of its operations.

    Args:
        names_taken: Returns the names that no tool of this origin may have.

    Raises:
        UserError: As `openapi_tools`.
    """
    access = Access(source, settings)
    data = await access.load()
    document = Document(upgrade(read_description(data, one_line(source.location)[:200])))
    name = source.name or _default_name(access, source.location)
    if not _NAME.fullmatch(name):
        raise UserError(f"{name[:60]!r} is not a name for a description: use letters, digits, '_', '-' and '.'.")
    return _Builder(source, access, document, name, names_taken).build()


def _default_name(access: Access, location: str) -> str:
    name = access.typed[0].host if access.is_url else Path(location).stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-")[:40] or "api"


class _Builder:
    """Makes the tools of one description."""

    def __init__(
        self,
        source: DescriptionSource,
        access: Access,
        document: Document,
        name: str,
        names_taken: Callable[[str], Iterable[str]],
    ) -> None:
        self._source = source
        self._access = access
        self._document = document
        self._description = Description(name=name, servers=(), tools=(), notices=())
        self._taken = {*names_taken(self._description.origin)}
        self._tools: list[Tool] = []
        self._servers: dict[str, None] = {}
        self._left_out: dict[str, list[str]] = {}

    def build(self) -> Description:
        """Return the description with its tools.

        Raises:
            UserError: No operation can be offered.
        """
        candidates = [candidate for candidate in list_candidates(self._document) if self._is_wanted(candidate)]
        for candidate in candidates[:MAX_OPERATIONS]:
            try:
                self._add(candidate)
            except LeftOut as reason:
                self._left_out.setdefault(str(reason), []).append(candidate.name)
            except UserError as error:
                self._left_out.setdefault(f"they are no tools ({error})", []).append(candidate.name)
        if beyond := [candidate.name for candidate in candidates[MAX_OPERATIONS:]]:
            reason = f"the limit is {MAX_OPERATIONS}: choose with --only NAME, or --only 'BEGINNING*' (only=)"
            self._left_out.setdefault(reason, []).extend(beyond)
        notices = _write_notices(self._left_out)
        name = self._description.name
        if not self._tools:
            which = f"that fit {', '.join(self._source.only)}" if self._source.only else "in the description"
            raise UserError(f"{name}: " + (notices[0] if notices else f"there are no operations {which}."))
        return Description(name=name, servers=list(self._servers), tools=self._tools, notices=notices)

    def _is_wanted(self, candidate: Candidate) -> bool:
        texts = (candidate.name, candidate.path, *candidate.tags)
        return not self._source.only or any(_fits(text, one) for one in self._source.only for text in texts)

    def _add(self, candidate: Candidate) -> None:
        server, rule = self._find_server(candidate)
        operation = read_operation(self._document, candidate, list(self._source.headers))
        is_reading = operation.method in ("GET", "HEAD")
        options = ToolOptions(
            approval_mode=rule.approval_mode if is_reading else "always_require",
            read_only=is_reading,
            source="untrusted" if self._source.untrusted else rule.source,
        )
        tool = described_tool(
            operation.name,
            operation.description,
            operation.schema,
            OperationCall(
                operation=operation,
                server=server,
                headers=self._source.headers,
                fetcher=self._access.fetcher,
                limits=self._access.limits,
            ),
            options,
            output_schema=operation.output_schema,
            taken=self._taken,
            origin=self._description.origin,
            prefix=self._description.name,
            version=_version(operation, server, options),
        )
        self._tools.append(tool)
        self._taken.add(tool.spec.name)
        self._servers[server] = None

    def _find_server(self, candidate: Candidate) -> tuple[str, AllowedDomain]:
        """Return the first server of an operation that the user allowed.

        Raises:
            LeftOut: The user allowed none of them.
        """
        places = (candidate.item, candidate.shared, self._document.root)
        servers = next((found for place in places if (found := as_list(place.get("servers")))), [{"url": "/"}])
        urls = [self._source.server] if self._source.server else list(map(self._absolute, servers[:MAX_SERVERS]))
        has_headers, reasons = bool(self._source.headers), list[LeftOut]()
        for url in urls:
            try:
                return url, self._access.check(candidate.method, url, has_headers=has_headers)
            except LeftOut as reason:
                reasons.append(reason)
        raise reasons[0]

    def _absolute(self, value: object) -> str:
        server = as_part(value)
        variables = as_part(server.get("variables"))
        url = _VARIABLE.sub(
            lambda match: str(as_part(variables.get(match[1])).get("default", "")), text_of(server.get("url"))[:2_000]
        )
        if self._access.is_url:
            with suppress(ValueError):  # for brackets without an IPv6 address
                url = urljoin(self._source.location, url)
        return url.partition("#")[0].partition("?")[0]


def _fits(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _version(operation: Operation, server: str, options: ToolOptions) -> str:
    places = [
        [item.own_name, item.name, item.place, item.style, item.explode, item.is_json] for item in operation.arguments
    ]
    body = [operation.body_type, operation.is_whole_body, operation.is_body_required]
    chosen = [options.approval_mode, options.read_only, options.source]
    facts = [operation.name, operation.method, server, operation.path, operation.description, operation.accepts]
    return hash_facts(*facts, dict(operation.schema), places, body, chosen)


def _write_notices(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    notices = [_write_notice(reason, names) for reason, names in list(left_out.items())[:MAX_NAMED]]
    if others := list(left_out.values())[MAX_NAMED:]:
        notices.append(_write_notice("of other reasons", [name for names in others for name in names]))
    return notices


def _write_notice(reason: str, names: Sequence[str]) -> str:
    shown = format_list([truncate(one_line(name), 60) for name in names[:MAX_NAMED]], MAX_NAMED)
    more = ", …" if len(names) > MAX_NAMED else ""
    verb = "is" if len(names) == 1 else "are"
    return f"{plural(len(names), 'operation')} {verb} not offered, because {one_line(reason)}: {shown}{more}."
