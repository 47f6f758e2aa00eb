"""The command `codeact-kernel mcp`: load the tools of the user, and serve the sandbox to an agent."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from .. import __version__
from ..session import Session
from ..settings import Settings
from .mcp_server import serve_stdio
from .tool_thread import ToolThread
from .user_tools import load_tools

__all__ = ["serve"]


def serve(sources: Sequence[str], settings: Settings) -> int:
    """Serve until the client closes stdin, and return the exit code.

    Args:
        sources: the modules with the tools, as `--tools` names them.

    Raises:
        UserError: if a tool cannot be loaded, or no sandbox is possible with these settings.
        SandboxError: if no sandbox started.
    """
    asyncio.run(_serve(sources, settings))
    return 0


async def _serve(sources: Sequence[str], settings: Settings) -> None:
    tool_thread = ToolThread()
    with _stdout_to_stderr():
        tools = await tool_thread.run(lambda: load_tools(sources))
    async with Session(tools) as session:
        await serve_stdio(session, settings, tool_thread, __version__)


@contextmanager
def _stdout_to_stderr() -> Generator[None]:
    """Send what is printed meanwhile to stderr, also by libraries that are not written in Python."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)
