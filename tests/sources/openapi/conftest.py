# pyright: basic
"""Descriptions on a real server on loopback, which answers the calls of their operations by repeating them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codeact_kernel.settings import Settings
from codeact_kernel.sources.openapi import Description, load_openapi
from codeact_kernel.sources.openapi_access import DescriptionSource
from codeact_kernel.tools import Registry

from ...network.conftest import Server, canary, new_server, server

__all__ = ["Api", "canary", "new_server", "server"]


async def on_main(function: Callable[[], object]) -> object:
    raise AssertionError("the tool is asynchronous")


class Api:
    """A description and the server that it is about.

    Attributes:
        paths, components, more: The parts of the description.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.paths: dict[str, Any] = {}
        self.components: dict[str, Any] = {}
        self.more: dict[str, Any] = {}
        self._file = folder / "shop.json"
        self._registry = Registry()

    def add(self, path: str = "/pets", method: str = "get", **operation: Any) -> None:
        self.paths.setdefault(path, {})[method] = operation

    @property
    def text(self) -> str:
        head = {"openapi": "3.0.3", "servers": [{"url": self.server.url}], "paths": self.paths}
        return json.dumps(head | {"components": self.components} | self.more)

    @property
    def file(self) -> str:
        self._file.write_text(self.text)
        return str(self._file)

    @property
    def url(self) -> str:
        """The address of the description, which the server sends from now on."""
        self.server.replies["/openapi.json"] = send(self.text)
        return f"{self.server.url}/openapi.json"

    async def load(self, location: str = "", *, allowed: Any = (), **source: Any) -> Description:
        """Load the description; by default from its URL, so that the user typed the host."""
        settings = Settings(allowed_domains=allowed)
        description = await load_openapi(DescriptionSource(location=location or self.url, **source), settings)
        self._registry.replace_origin(description.origin, description.tools)
        self.server.seen.clear()
        return description

    async def call(self, name: str, /, **arguments: Any) -> Any:
        return await self._registry.call(self._registry.validate(name, arguments), on_main=on_main)

    async def path_of(self, name: str, /, **arguments: Any) -> str:
        """The path and query that the server is asked for by a call."""
        return (await self.call(name, **arguments))["path"]


def send(body: str | bytes, media_type: str = "application/json", status: int = 200) -> Callable[[Any], None]:
    data = body.encode() if isinstance(body, str) else body
    return lambda handler: handler.send(status, data, {"Content-Type": media_type})


def parameter(name: str, place: str = "query", schema: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema or {"type": "string"}, "required": place == "path", **more}


def json_body(schema: Any, **more: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}, **more}


def stubs(description: Description) -> list[str]:
    return [tool.spec.stub.partition("\n")[0] for tool in description.tools]


def names(description: Description) -> list[str]:
    return [tool.spec.name for tool in description.tools]


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Api:
    return Api(server, tmp_path)
