"""Sign in to an MCP server with the user's browser, by OAuth as the SDK implements it.

The browser returns to a page on loopback that waits for it. The tokens are in a file of the user that nobody else can
read, one for each address. Only the user's own command opens a browser: a server that asks for it during a prompt gets
an error.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from ..access import McpServer
from ..errors import UserError
from ..paths import data_folder, is_private

__all__ = ["OpenPage", "sign_in"]

OpenPage = Callable[[str], None]
"""Shows the user the page of a server for signing in."""
SECONDS = 300.0
"""The time that the user has for signing in."""
MAX_REQUEST = 16 << 10
_DONE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"You can close this page and return to the notebook."
)


class _TokenFile:
    """Stores the tokens for one address."""

    def __init__(self, url: str) -> None:
        self._path = data_folder() / "mcp" / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    async def get_tokens(self) -> OAuthToken | None:
        return OAuthToken.model_validate(found) if (found := self._read().get("tokens")) else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._write("tokens", tokens.model_dump(mode="json"))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return OAuthClientInformationFull.model_validate(found) if (found := self._read().get("client")) else None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._write("client", client_info.model_dump(mode="json"))

    def _read(self) -> dict[str, Any]:
        if is_private(self._path):
            with suppress(OSError, ValueError):
                found: object = json.loads(self._path.read_bytes())
                return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        return {}

    def _write(self, key: str, value: object) -> None:
        content = json.dumps({**self._read(), key: value}).encode()
        temporary = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                file.write(content)
            temporary.replace(self._path)
        except OSError as error:
            raise UserError(
                f"{self._path.parent} cannot be written ({error.strerror}): make yourself its owner."
            ) from None


@asynccontextmanager
async def sign_in(server: McpServer, open_page: OpenPage | None) -> AsyncGenerator[OAuthClientProvider]:
    """Yield what adds the user's token to each request, and gets a new one if the server asks for it.

    Args:
        open_page: shows the user the page for signing in; without it, the user cannot sign in now.
    """
    answer: asyncio.Future[AuthorizationCodeResult] = asyncio.get_running_loop().create_future()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            line = (await reader.readuntil(b"\r\n")).decode("ascii", "replace").split(" ")
            fields = {name: values[0] for name, values in parse_qs(urlsplit(line[1]).query).items()}
            if line[0] == "GET" and "code" in fields and not answer.done():
                known = ("code", "state", "iss")
                answer.set_result(AuthorizationCodeResult(**{name: fields[name] for name in known if name in fields}))
            writer.write(_DONE)
            await writer.drain()
        writer.close()

    async def show_page(url: str) -> None:
        if open_page is None:
            raise UserError(
                f"The MCP server {server.name!r} wants you to sign in: run %codeact mcp restart {server.name} in a "
                "cell."
            )
        if urlsplit(url).scheme not in ("https", "http"):
            raise UserError(
                f"The MCP server {server.name!r} names a sign-in page that is not a web address: check its url."
            )
        open_page(url)

    async def wait_for_answer() -> AuthorizationCodeResult:
        async with asyncio.timeout(SECONDS):
            return await answer

    # The same port each time, because the server knows this client with the address of its page.
    usual = 20_000 + int(hashlib.sha256(server.url.encode()).hexdigest(), 16) % 20_000
    try:
        page = await asyncio.start_server(receive, "127.0.0.1", usual, limit=MAX_REQUEST)
    except OSError:
        page = await asyncio.start_server(receive, "127.0.0.1", 0, limit=MAX_REQUEST)
    async with page:
        port = page.sockets[0].getsockname()[1]
        yield OAuthClientProvider(
            server_url=server.url,
            client_metadata=OAuthClientMetadata(
                client_name="CodeAct kernel",
                redirect_uris=[f"http://127.0.0.1:{port}/callback"],  # type: ignore[list-item]
            ),
            storage=_TokenFile(server.url),
            redirect_handler=show_page,
            callback_handler=wait_for_answer,
        )
