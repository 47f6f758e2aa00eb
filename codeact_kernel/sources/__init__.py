"""Tools from outside: of MCP servers, and of API descriptions.

The packages that these need are imported when the user names the first server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import UserError
from ..tools import Registry

if TYPE_CHECKING:
    from .mcp_client import McpClient

__all__ = ["make_client"]


def make_client(registry: Registry) -> McpClient:
    """Make the client that offers the tools of MCP servers in a registry.

    Raises:
        UserError: if the package of the protocol is not installed.
    """
    try:
        module = import_module(".mcp_client", __name__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "httpx2"):
            raise
        raise UserError("MCP servers need one more package: pip install 'codeact-kernel[mcp]'.") from None
    return module.McpClient(registry)
