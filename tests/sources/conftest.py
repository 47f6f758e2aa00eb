"""Real MCP servers, each in a process of its own, and a client that offers their tools."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from codeact_kernel.access import McpServer
from codeact_kernel.sources.mcp_client import McpClient
from codeact_kernel.tools import Registry, ToolCallError

HERE = Path(__file__).parent
SHOP = (str(HERE / "shop.py"),)


def server(program: str, **more: Any) -> McpServer:
    """Describe the shop, or one of the hostile servers."""
    arguments = SHOP if program == "shop" else (str(HERE / "hostile.py"), program)
    return McpServer(name=program, command=sys.executable, arguments=arguments, **more)


class Servers:
    """A registry with the tools of servers, and calls of these without a program."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.client = McpClient(self.registry)
        self.progress: list[tuple[float, float | None, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.answer: dict[str, Any] | None = None

    async def add(self, program: str, **more: Any) -> list[str]:
        """Start a server and return the names of its tools."""
        await self.client.add(server(program, **more))
        return [name for name, spec in self.registry.specs().items() if spec.origin == f"mcp:{program}"]

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool. An error of the call is returned as its text."""

        async def on_main(function: Any) -> Any:
            return function()

        async def ask(who: str, message: str, schema: Any, /) -> Any:
            self.asked.append((who, message))
            return self.answer

        def report(done: float, total: float | None, text: str) -> None:
            self.progress.append((done, total, text))

        try:
            bound = self.registry.validate(name, arguments)
            return await self.registry.call(bound, on_main=on_main, report=report, ask=ask)
        except ToolCallError as error:
            return str(error)


@pytest_asyncio.fixture(loop_scope="module")
async def servers() -> AsyncIterator[Servers]:
    """For tests that end or change their servers."""
    found = Servers()
    yield found
    await found.client.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Servers]:
    """The shop, for tests that leave it as it is."""
    found = Servers()
    await found.add("shop")
    yield found
    await found.client.aclose()
