"""Parse and check the files and hosts to which the user gives programs access."""

from __future__ import annotations

from .domains import AllowedDomain, allowed_domain
from .mcp_servers import McpServer, mcp_servers
from .mounts import FileMount, file_mount, workspace_root
from .parsing import allowed_domains, file_mounts

__all__ = [
    "AllowedDomain",
    "FileMount",
    "McpServer",
    "allowed_domain",
    "allowed_domains",
    "file_mount",
    "file_mounts",
    "mcp_servers",
    "workspace_root",
]
