"""Make tools of what an MCP server lists, and values of what it returns.

Everything that a server says about its tools is only a claim: without the user's `trust_hints`, each call needs
approval, and each result is text that an outsider can write.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import mcp_types

from ..access import McpServer
from ..errors import ToolDefinitionError
from ..secrets import hide
from ..text import truncate
from ..tools import Tool, ToolCallError
from ..tools.definition import described_tool, hash_facts
from ..tools.options import ToolOptions
from ..tools.progress import current_report
from ..tools.questions import current_ask
from .mcp_connection import McpConnection

__all__ = ["make_tools", "origin_of"]

MAX_DESCRIPTION = 4_000
PICTURE_TYPES = ("image/png", "image/jpeg")
MAX_ERROR_CHARACTERS = 1_000
_URI = {"type": "object", "properties": {"uri": {"type": "string"}}, "required": ["uri"]}


def origin_of(server: McpServer) -> str:
    """Return the origin of the server's tools."""
    return f"mcp:{server.name}"


def make_tools(connection: McpConnection, taken: set[str]) -> tuple[list[Tool], list[str]]:
    """Make the tools of a server.

    Args:
        taken: the names of other tools; the new names are added.

    Returns:
        The tools, and sentences about those that cannot be offered.
    """
    server, tools, problems = connection.server, list[Tool](), list[str]()
    for listed in connection.tools:
        if server.tools is not None and listed.name not in server.tools:
            continue
        try:
            tool = _make_tool(connection, listed, taken)
        except ToolDefinitionError as error:
            problems.append(f"The tool {truncate(listed.name, 60)!r} of {server.name} is not offered: {error}")
        else:
            tools.append(tool)
            taken.add(tool.spec.name)
    if connection.has_resources and server.tools is None:
        tools += _resource_tools(connection, taken)
    return tools, problems


def _make_tool(connection: McpConnection, listed: mcp_types.Tool, taken: set[str]) -> Tool:
    server, name = connection.server, listed.name
    output = listed.output_schema
    # The SDK's servers wrap a result that is not an object, because an output schema describes an object.
    is_wrapped = output is not None and list(output.get("properties", ())) == ["result"]

    async def call(**arguments: Any) -> object:
        result = await connection.run(connection.call(name, arguments, current_report(), current_ask()))
        return _read_result(server, name, result, is_wrapped)

    options = _options(server, listed.annotations)
    return described_tool(
        name,
        truncate(listed.description or listed.title or "", MAX_DESCRIPTION),
        listed.input_schema,
        call,
        options,
        output_schema=cast("Any", output)["properties"]["result"] if is_wrapped else output,
        taken=taken,
        origin=origin_of(server),
        prefix=server.name,
        version=hash_facts(str(server), server.trust_hints, server.source, listed.model_dump(mode="json")),
    )


def _options(server: McpServer, hints: mcp_types.ToolAnnotations | None) -> ToolOptions:
    hints = hints if hints is not None and server.trust_hints else mcp_types.ToolAnnotations()
    only_reads = hints.read_only_hint is True and hints.destructive_hint is not True
    is_trusted = server.source == "trusted" or hints.open_world_hint is False
    return ToolOptions(
        approval_mode="never_require" if only_reads else "always_require",
        read_only=only_reads,
        source="trusted" if is_trusted else "untrusted",
    )


def _resource_tools(connection: McpConnection, taken: set[str]) -> list[Tool]:
    """Make the tools that list and read the resources. Reading is all that the protocol lets a resource do."""
    server = connection.server

    async def list_resources() -> object:
        found = await connection.run(connection.list_resources())
        return [_plain({"uri": item.uri, "name": item.name, "description": item.description}) for item in found]

    async def read_resource(uri: str) -> object:
        contents = (await connection.run(connection.read_resource(uri))).contents
        return _one_or_all([_read_contents(item) for item in contents])

    options = ToolOptions(read_only=True, source=server.source)
    tools: list[Tool] = []
    for name, description, schema, call in (
        ("list_resources", f"The resources of {server.name}.", {}, list_resources),
        ("read_resource", f"Read a resource of {server.name}.", _URI, read_resource),
    ):
        # All servers have these two, so their names always begin with that of the server.
        tool = described_tool(
            f"{server.name}_{name}",
            description,
            schema,
            cast("Callable[..., Awaitable[object]]", call),
            options,
            taken=taken,
            origin=origin_of(server),
            prefix=server.name,
            version=hash_facts(str(server), server.source, name),
        )
        tools.append(tool)
        taken.add(tool.spec.name)
    return tools


def _read_result(server: McpServer, name: str, result: mcp_types.CallToolResult, is_wrapped: bool) -> object:
    """Return the value of a result.

    Raises:
        ToolCallError: if the server says that the call failed.
    """
    if result.is_error:
        texts = [item.text for item in result.content if isinstance(item, mcp_types.TextContent)]
        said = " ".join(hide(" ".join(texts)).split()) or "it gave no reason"
        raise ToolCallError(f"{server.name}: {name} failed: {truncate(said, MAX_ERROR_CHARACTERS, '…')}")
    value = cast("object", result.structured_content)
    if value is None:
        return _one_or_all([_read_block(item) for item in result.content])
    pictures = [_read_block(item) for item in result.content if isinstance(item, mcp_types.ImageContent)]
    if is_wrapped and isinstance(value, dict):
        entries = cast("Mapping[str, object]", value)
        value = entries["result"] if list(entries) == ["result"] else entries
    return [value, *pictures] if pictures else value


def _read_block(block: mcp_types.ContentBlock) -> object:
    match block:
        case mcp_types.TextContent():
            return _read_text(block.text)
        case mcp_types.ImageContent():
            return _read_bytes(block.data, block.mime_type)
        case mcp_types.AudioContent():
            return {"mime_type": block.mime_type, "base64": block.data}
        case mcp_types.EmbeddedResource():
            return _read_contents(block.resource)
        case mcp_types.ResourceLink():
            return _plain({"uri": block.uri, "name": block.name, "description": block.description})


def _read_contents(contents: mcp_types.TextResourceContents | mcp_types.BlobResourceContents) -> object:
    if isinstance(contents, mcp_types.TextResourceContents):
        return _read_text(contents.text)
    return _read_bytes(contents.blob, contents.mime_type or "")


def _read_text(text: str) -> object:
    """Return the value of a text that is a JSON object or list; any other text stays as it is."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _read_bytes(data: str, mime_type: str) -> object:
    """Return a picture as its bytes, which the card shows, and other bytes as text."""
    try:
        content = base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        content = b""
    if content and mime_type in PICTURE_TYPES:
        return content
    return {"mime_type": mime_type, "base64": data}


def _one_or_all(values: Sequence[object]) -> object:
    return values[0] if len(values) == 1 else list(values) if values else None


def _plain(entries: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in entries.items() if value is not None}
