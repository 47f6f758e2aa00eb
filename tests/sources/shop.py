"""An honest MCP server of the SDK: `shop.py [--http PORT]`."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR4nGMwSDiAFTEMLQkArqhUAWE/S98AAAAASUVORK5CYII="
)
"""A small blue PNG."""


class Order(BaseModel):
    product: str
    quantity: int = 1


class Choice(BaseModel):
    gift: bool
    note: str = "none"


server = MCPServer("shop")
stock = {"tea": 3, "cups": 5}


@server.tool(name="find-product", annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
def find_product(name: str) -> dict[str, int]:
    """Say how many there are."""
    return {"left": stock[name]}


@server.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True))
def place_order(orders: list[Order]) -> int:
    """Order several products."""
    for order in orders:
        stock[order.product] -= order.quantity
    return sum(stock.values())


@server.tool(structured_output=False)
def report() -> str:
    """The stock as a text that is JSON."""
    return json.dumps(stock)


@server.tool(structured_output=False)
def logo() -> Image:
    """A picture."""
    return Image(data=PIXEL, format="png")


@server.tool()
async def count(steps: int, context: Context) -> str:
    """Count slowly."""
    for step in range(steps):
        await context.report_progress(step + 1, steps, f"step {step + 1}")
    return "counted"


@server.tool()
async def wrap(context: Context) -> str:
    """Ask the user how."""
    answer = await context.elicit("How shall I wrap it?", schema=Choice)
    return f"{answer.action} {getattr(answer, 'data', None)}"


@server.tool()
def end() -> str:
    """End the server."""
    os._exit(3)


@server.tool()
def hang() -> str:
    """Never answer."""
    time.sleep(3_600)
    return ""


@server.tool()
def environment() -> list[str]:
    """The names of the server's environment variables."""
    return sorted(os.environ)


@server.tool()
def variable(name: str, *, fails: bool = False) -> str:
    """The value of an environment variable, or an error that says it."""
    if fails:
        raise ToolError(os.environ[name])
    return os.environ[name]


@server.tool()
def folder() -> str:
    """The folder that the server runs in."""
    return str(Path.cwd())


@server.resource("shop://hours")
def hours() -> str:
    """When it is open."""
    return '{"monday": "9 to 5"}'


@server.prompt()
def greet() -> str:
    """Greet the customer."""
    return "Hello"


if __name__ == "__main__":
    if "--http" in sys.argv:
        server.run("streamable-http", port=int(sys.argv[-1]))
    else:
        server.run("stdio")
