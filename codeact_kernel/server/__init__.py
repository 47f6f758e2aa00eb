"""Our sandbox for the agents of others: a tool `execute_code`, as an MCP server and for Microsoft Agent Framework."""
