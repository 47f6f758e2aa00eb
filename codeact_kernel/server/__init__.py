"""Our sandbox for the agents of others: a tool `execute_code`, as an MCP server and for Microsoft Agent Framework."""

from __future__ import annotations

__all__: list[str] = []
