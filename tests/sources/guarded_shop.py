"""An MCP server that wants its users to sign in: `guarded_shop.py PORT`. Whoever opens its page is signed in."""

from __future__ import annotations

import secrets
import sys
import time

from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 0
ADDRESS = f"http://127.0.0.1:{PORT}"


class Accounts:
    """Knows its clients, codes and tokens as long as the process lives."""

    def __init__(self) -> None:
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.tokens: dict[str, AccessToken] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id is not None
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        code = secrets.token_hex(16)
        self.codes[code] = AuthorizationCode(
            code=code,
            client_id=client.client_id or "",
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            expires_at=time.time() + 60,
            scopes=[],
            code_challenge=params.code_challenge,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(self, client: object, authorization_code: str) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        token = secrets.token_hex(16)
        self.tokens[token] = AccessToken(
            token=token, client_id=client.client_id or "", scopes=[], resource=authorization_code.resource
        )
        return OAuthToken(access_token=token, expires_in=3_600)

    async def load_refresh_token(self, client: object, refresh_token: str) -> RefreshToken | None:
        return None

    async def exchange_refresh_token(self, client: object, refresh_token: object, scopes: object) -> OAuthToken:
        raise NotImplementedError

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.tokens.get(token)

    async def revoke_token(self, token: object) -> None:
        raise NotImplementedError


server = MCPServer(
    "guarded",
    auth_server_provider=Accounts(),  # type: ignore[arg-type]
    auth=AuthSettings(
        issuer_url=ADDRESS,  # type: ignore[arg-type]
        resource_server_url=f"{ADDRESS}/mcp",  # type: ignore[arg-type]
        client_registration_options=ClientRegistrationOptions(enabled=True),
    ),
)


@server.tool()
def greet() -> str:
    """Greet."""
    return "hello"


if __name__ == "__main__":
    server.run("streamable-http", port=PORT)
