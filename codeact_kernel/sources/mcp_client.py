"""The MCP servers of one registry: start them, offer their tools, and keep both the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..access import McpServer
from ..errors import UserError
from ..tools import Registry
from .mcp_connection import McpConnection
from .mcp_sign_in import OpenPage
from .mcp_tools import make_tools, origin_of

__all__ = ["McpClient"]


class McpClient:
    """Runs the user's servers. All its methods run on one event loop.

    Args:
        registry: where the tools are offered.

    Attributes:
        connections: the servers by name, also those that failed.
        problems: sentences about tools that are not offered, by the name of the server.
    """

    def __init__(self, registry: Registry) -> None:
        self.connections: dict[str, McpConnection] = {}
        self.problems: dict[str, list[str]] = {}
        self._registry = registry

    async def add(self, server: McpServer, open_page: OpenPage | None = None) -> McpConnection:
        """Start a server and offer its tools. It takes the place of a server with the same name.

        Args:
            open_page: shows the user the page for signing in, if the server wants that; by default that is an error.

        Raises:
            UserError: if it does not start; it stays in `connections`, and the next call of `add` tries again.
        """
        if server.name in self.connections:
            await self.remove(server.name)
        connection = self.connections[server.name] = McpConnection(server, self._offer, open_page)
        await connection.open()
        return connection

    async def add_all(self, servers: Iterable[McpServer]) -> list[str]:
        """Start the servers that are not there yet, all at the same time.

        Returns:
            A sentence about each server that did not start. It is not tried again, unless it is configured otherwise.
        """
        new = [server for server in servers if not self._has(server)]
        results = await asyncio.gather(*(self.add(server) for server in new), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, UserError):
                raise result
        return [str(result) for result in results if isinstance(result, UserError)]

    async def remove(self, name: str) -> None:
        """End a server, and stop offering its tools.

        Raises:
            UserError: if no server has that name.
        """
        connection = self.connections.pop(name, None)
        if connection is None:
            known = ", ".join(self.connections) or "none"
            raise UserError(f"No MCP server is called {name!r}. The servers are: {known}.")
        self.problems.pop(name, None)
        await connection.aclose()
        self._registry.replace_origin(origin_of(connection.server), ())

    async def aclose(self) -> None:
        """End all servers, and stop offering their tools."""
        for name in list(self.connections):
            await self.remove(name)

    def _has(self, server: McpServer) -> bool:
        known = self.connections.get(server.name)
        return known is not None and known.server == server

    def _offer(self, connection: McpConnection) -> None:
        origin = origin_of(connection.server)
        tools, self.problems[connection.server.name] = make_tools(connection, self._registry.names_taken(origin))
        self._registry.replace_origin(origin, tools)
