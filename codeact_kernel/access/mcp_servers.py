"""The MCP servers whose tools programs may call, and the forms in which the user can write them:

    McpServer(name="git", command="uvx", arguments=("mcp-server-git",))
    McpServer(name="search", url="https://search.example.com/mcp", headers={"Authorization": "Bearer ${TOKEN}"})
    {"servers": {"git": {"command": "uvx", "args": ["mcp-server-git"]}}}      [mcp.servers.git] in codeact.toml
    {"mcpServers": {"git": {"command": "uvx", "args": ["mcp-server-git"]}}}   the file of other programs

`${NAME}` in a value of `env` or `headers` is the environment variable NAME when the server starts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from ..errors import UserError
from ..text import truncate

__all__ = ["McpServer", "mcp_servers"]

MAX_SERVERS = 50
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]{0,99})\}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KEYS = {
    "command": "command", "args": "arguments", "arguments": "arguments", "env": "env", "cwd": "cwd", "url": "url",
    "headers": "headers", "tools": "tools", "trust_hints": "trust_hints", "source": "source",
}  # fmt: skip
_IGNORED = frozenset(
    {"type", "transport", "disabled", "enabled", "autoApprove", "alwaysAllow", "timeout", "description"}
)
"""Keys of other programs. What they allow without asking is not allowed here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class McpServer:
    """One MCP server, and what the user lets it do.

    Attributes:
        name: a short name, which stands before those of its tools that are taken already.
        command, arguments: the program that is the server, if it runs on this machine.
        env: environment variables for the program, beside a few harmless ones such as PATH.
        cwd: the folder in which the program runs; by default the home folder, and never the notebook's, where a
            stranger's files may lie that the program would load.
        url: the address of the server, if it is reached over HTTP.
        headers: headers of each request, for example for authorization.
        tools: the names of the tools that are offered; by default all.
        trust_hints: whether the server's own word counts: tools that it calls read-only then run without approval, and
            the results of tools that it calls closed are trusted. Otherwise each call needs approval, and each result
            is text that an outsider can write.
        source: `"trusted"` if no outsider can write what its tools return.

    Raises:
        UserError: if a value is not possible; the message says which.
    """

    name: str
    command: str = ""
    arguments: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str = ""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    tools: Sequence[str] | None = None
    trust_hints: bool = False
    source: Literal["trusted", "untrusted"] = "untrusted"

    def __post_init__(self) -> None:
        where = f"The MCP server {truncate(str(self.name), 60, '…')!r}"
        if not isinstance(cast("object", self.name), str) or not _NAME.fullmatch(self.name):
            raise UserError(f"{where}: use a name of at most 32 letters, digits, - and _ that begins with a letter.")
        if bool(self.command) == bool(self.url):
            raise UserError(f"{where}: give either a command that starts it, or its url.")
        for key, kind in (("command", str), ("cwd", str), ("url", str), ("trust_hints", bool)):
            if type(getattr(self, key)) is not kind:
                raise UserError(f"{where}: {key} has to be {'true or false' if kind is bool else 'text'}.")
        for key in ("arguments", "tools"):
            if (items := getattr(self, key)) is not None:
                object.__setattr__(self, key, _texts(items, f"{where}: {key}"))
        for key in ("env", "headers"):
            _check_mapping(getattr(self, key), f"{where}: {key}")
        if self.source not in ("trusted", "untrusted"):
            raise UserError(f"{where}: source has to be trusted or untrusted.")
        if self.url:
            _check_url(self.url, where)

    def __str__(self) -> str:
        """The name and what it starts or reaches, without any value that may be secret."""
        return f"{self.name}: {self.url or ' '.join((self.command, *self.arguments))}"

    def __hash__(self) -> int:
        return hash((self.name, self.command, tuple(self.arguments), self.url))

    def resolve(self, values: Mapping[str, object]) -> dict[str, str]:
        """Return `env` or `headers` with the environment variables that they name, and with the text of secrets.

        Raises:
            UserError: if a variable is not set.
        """

        def replace(match: re.Match[str]) -> str:
            if (value := os.environ.get(match[1])) is None:
                raise UserError(
                    f"The MCP server {self.name!r} needs the environment variable {match[1]}, which is not set: set it "
                    "with os.environ, or before Jupyter starts."
                )
            return value

        def resolve(value: Any) -> str:
            return _VARIABLE.sub(replace, value) if isinstance(value, str) else str(value.reveal())

        return {name: resolve(value) for name, value in values.items()}


def mcp_servers(given: object) -> tuple[McpServer, ...]:
    """Parse servers in any form of this module; a text is JSON. Of two servers with one name the last is used.

    Raises:
        UserError: if a server is not valid.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise UserError('MCP servers as text are JSON: {"mcpServers": {"git": {"command": "…"}}}.') from None
    if isinstance(given, McpServer):
        given = [given]
    if isinstance(given, Mapping):
        table = cast("Mapping[str, Any]", given)
        found = [_server(name, value) for name, value in _tables(table).items()]
    elif isinstance(given, Sequence) and all(isinstance(item, McpServer) for item in cast("Sequence[object]", given)):
        found = list(cast("Sequence[McpServer]", given))
    else:
        raise UserError("MCP servers are a table of servers by their names, or a list of McpServer.")
    if len(found) > MAX_SERVERS:
        raise UserError(f"{len(found):,} MCP servers are too many: use at most {MAX_SERVERS}.")
    return tuple({server.name: server for server in found}.values())


def _tables(given: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("servers", "mcpServers"):
        if isinstance(given.get(key), Mapping):
            if len(given) > 1:
                raise UserError(f"MCP servers: beside {key} there can be nothing else.")
            return cast("Mapping[str, Any]", given[key])
    return given


def _server(name: str, given: object) -> McpServer:
    where = f"The MCP server {truncate(str(name), 60, '…')!r}"
    if not isinstance(given, Mapping):
        raise UserError(f"{where}: write it as a table with a command or a url.")
    table = cast("Mapping[str, Any]", given)
    if table.get("type", table.get("transport")) == "sse":
        raise UserError(f"{where}: the transport sse has been replaced: use the server's streamable HTTP address.")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in _KEYS:
            values[_KEYS[key]] = value
        elif key not in _IGNORED:
            known = ", ".join(sorted({*_KEYS} - {"arguments"}))
            raise UserError(f"{where}: {truncate(str(key), 60, '…')!r} is not known: choose from {known}.")
    return McpServer(name=name, **values)


def _texts(given: object, where: str) -> tuple[str, ...]:
    items = cast("Sequence[object]", given) if isinstance(given, Sequence) and not isinstance(given, str) else [None]
    if not all(isinstance(item, str) and "\0" not in item for item in items):
        raise UserError(f"{where} has to be a list of texts.")
    return tuple(cast("Sequence[str]", items))


def _check_mapping(given: object, where: str) -> None:
    entries = cast("Mapping[object, object]", given).items() if isinstance(given, Mapping) else [(None, None)]
    for name, value in entries:
        if not isinstance(name, str) or not (isinstance(value, str) or hasattr(value, "reveal")):
            raise UserError(f"{where} has to be a table of texts.")


def _check_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise UserError(f"{where}: {truncate(url, 100, '…')!r} is not an address.") from None
    if parts.scheme not in ("https", "http") or not host:
        raise UserError(f"{where}: {truncate(url, 100, '…')!r} is not an address that begins with https://.")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise UserError(f"{where}: use https://, because others can read and change what is sent to {host} by http.")
    if parts.username or parts.password:
        raise UserError(f"{where}: leave the password out of the address, and put it into headers.")
