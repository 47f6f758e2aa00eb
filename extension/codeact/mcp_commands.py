"""`%codeact mcp`: list, add and remove MCP servers."""

from __future__ import annotations

import os
import shlex
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from codeact_kernel.access import McpServer, mcp_servers
from codeact_kernel.errors import UserError
from codeact_kernel.render.escaping import escape_controls
from codeact_kernel.text import plural, truncate
from codeact_kernel.tools import ToolSpec

from .frontend import Frontend

if TYPE_CHECKING:
    from codeact_kernel.sources.mcp_connection import McpConnection

__all__ = ["manage_servers"]

_USAGE = "%codeact mcp [add NAME COMMAND …|add NAME URL|add FILE|remove NAME|restart NAME]"
_TRUST = "--trust-hints"
_MAX_FILE = 1 << 20
_MAX_LINE = 200


def manage_servers(frontend: Frontend, argument: str) -> None:
    """List the MCP servers with their tools, or add, remove or restart one."""
    try:
        words = shlex.split(argument)
    except ValueError:
        raise UsageError(f"A quotation mark is not closed. Use {_USAGE}.") from None
    match words:
        case []:
            frontend.thread.submit(frontend.session.mcp.add_all(frontend.settings.mcp)).result()
            _list_servers(frontend)
        case ["add", *rest] if rest:
            is_trusted = _TRUST in rest
            for server in _read_servers(frontend, [word for word in rest if word != _TRUST]):
                _start(frontend, replace(server, trust_hints=True) if is_trusted else server)
        case ["restart", name] if name in frontend.session.mcp.connections:
            _start(frontend, frontend.session.mcp.connections[name].server)
        case ["remove" | "restart", name]:
            frontend.thread.submit(frontend.session.mcp.remove(name)).result()
            print(f"{name} has ended, and its tools are no longer offered.")
        case _:
            raise UsageError(f"Use {_USAGE}.")


def _read_servers(frontend: Frontend, words: Sequence[str]) -> Sequence[McpServer]:
    """Return the servers that the arguments of `add` describe.

    Raises:
        UsageError: if something is missing.
        UserError: if a server is not valid.
    """
    match words:
        case [file]:
            return _read_file(frontend, Path(file))
        case [name, url] if "://" in url:
            return [McpServer(name=name, url=url)]
        case [name, command, *arguments]:
            return [McpServer(name=name, command=command, arguments=[_absolute(item) for item in arguments])]
        case _:
            raise UsageError(f"Use {_USAGE}.")


def _absolute(argument: str) -> str:
    """Return a relative path as an absolute one, because a server does not run in the notebook's folder."""
    return os.path.abspath(argument) if argument in (".", "..") or argument.startswith(("./", "../")) else argument


def _read_file(frontend: Frontend, path: Path) -> Sequence[McpServer]:
    """Read a file with `mcpServers`. It starts programs, so the user sees them before the first one starts."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE)
        servers = mcp_servers(content.decode())
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): name a file with mcpServers, or use {_USAGE}."
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text: name a JSON file with mcpServers.") from None
    if frontend.shown_servers == content:
        return servers
    frontend.shown_servers = content
    for server in servers:
        print(escape_controls(truncate(str(server), _MAX_LINE)))
    print("Nothing has started yet: these programs would run on this machine. To start them, run the command again.")
    return ()


def _start(frontend: Frontend, server: McpServer) -> None:
    connection = frontend.thread.submit(frontend.session.mcp.add(server, _open_page)).result()
    specs = _specs_of(frontend, connection)
    print(f"{server.name} offers {plural(len(specs), 'tool')}: {', '.join(spec.name for spec in specs)}")
    for problem in frontend.session.mcp.problems.get(server.name, ()):
        print(escape_controls(problem))
    if any(spec.approval_mode == "always_require" for spec in specs):
        print(f"Each call asks you first. With {_TRUST}, tools that the server calls read-only do not.")


def _open_page(url: str) -> None:
    """Open a page in the user's browser, and print its address for a browser on another machine."""
    print(f"Sign in on this page: {escape_controls(url)}", flush=True)
    with suppress(webbrowser.Error):
        webbrowser.open(url)


def _list_servers(frontend: Frontend) -> None:
    connections = frontend.session.mcp.connections
    if not connections:
        print("No MCP server. Add one: %codeact mcp add NAME COMMAND …, or %codeact mcp add NAME URL.")
    for name, connection in connections.items():
        print(f"{name}  {connection.state}  {escape_controls(truncate(str(connection.server), _MAX_LINE))}")
        if connection.error:
            print(f"  {escape_controls(connection.error)}")
        for spec in _specs_of(frontend, connection):
            print(f"  {spec.name:32}  {_describe_permissions(spec)}{_own_name(spec)}")
        for problem in frontend.session.mcp.problems.get(name, ()):
            print(f"  {escape_controls(problem)}")
        if connection.prompts:
            prompts = ", ".join(prompt.name for prompt in connection.prompts)
            print(f"  prompts: {escape_controls(truncate(prompts, 1_000))}")


def _specs_of(frontend: Frontend, connection: McpConnection) -> list[ToolSpec]:
    origin = f"mcp:{connection.server.name}"
    return [spec for spec in frontend.session.tools.specs().values() if spec.origin == origin]


def _describe_permissions(spec: ToolSpec) -> str:
    asks = "asks before each call" if spec.approval_mode == "always_require" else "runs without asking"
    reads = ", only reads" if spec.read_only else ""
    return asks + reads + (", results are untrusted" if spec.source == "untrusted" else "")


def _own_name(spec: ToolSpec) -> str:
    return f"  (its own name: {escape_controls(truncate(spec.own_name, 64))})" if spec.own_name != spec.name else ""
