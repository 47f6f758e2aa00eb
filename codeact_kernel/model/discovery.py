"""Choose the model: the one that the environment configures, else a local Ollama."""

from __future__ import annotations

import asyncio
import json
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import h11

from ..errors import ModelError
from ..settings import Settings
from .base import ModelClient
from .http_errors import list_models, redact_url
from .openai_client import OpenAIClient

__all__ = ["DEFAULT_MODEL", "NoModelConfigured", "choose_model"]

DEFAULT_MODEL = "gpt-4.1-mini"
OPENAI_URL = "https://api.openai.com/v1"
OLLAMA_PORT = 11434
OLLAMA_SECONDS = 0.5
OLLAMA_BYTES = 1 << 20

THREE_WAYS = (
    "No model is configured: set OPENAI_API_KEY, or OPENAI_BASE_URL for another server, or AZURE_OPENAI_ENDPOINT with "
    "its key (in a cell: %env NAME=value), or start Ollama with a model, for example `ollama pull qwen2.5-coder`."
)


class NoModelConfigured(ModelError):
    """No model is configured, and no Ollama is running."""

    def __init__(self) -> None:
        super().__init__(THREE_WAYS)


async def choose_model(settings: Settings, environ: Mapping[str, str]) -> ModelClient:
    """Choose the model that the user configured.

    The first of these is used: `AZURE_OPENAI_ENDPOINT`; `OPENAI_BASE_URL` or `OPENAI_API_KEY`; a local Ollama.

    Raises:
        NoModelConfigured: if none of them is available.
        ModelError: if the configuration is incomplete, or the endpoint does not list its models.
    """
    if environ.get("AZURE_OPENAI_ENDPOINT"):
        return make_azure_client(settings, environ)
    if environ.get("OPENAI_BASE_URL") or environ.get("OPENAI_API_KEY"):
        return await make_compatible_client(settings, environ)
    url = find_ollama_url(environ.get("OLLAMA_HOST", ""))
    pulled = await list_ollama_models(url)
    if pulled is None:
        raise NoModelConfigured
    name = pick_ollama_model(pulled, settings.model)
    return OpenAIClient(name, base_url=f"{url}/v1", name=f"{name} (Ollama)", limits=settings.limits)


def make_azure_client(settings: Settings, environ: Mapping[str, str]) -> ModelClient:
    names = ("AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION")
    missing = [name for name in names if not environ.get(name)]
    if settings.model is None:
        missing.append("CODEACT_MODEL (the name of your deployment)")
    if settings.model is None or missing:
        raise ModelError(f"AZURE_OPENAI_ENDPOINT is set: for Azure OpenAI set {' and '.join(missing)} too.")
    return OpenAIClient(
        settings.model,
        base_url=environ["AZURE_OPENAI_ENDPOINT"],
        api_key=environ["AZURE_OPENAI_API_KEY"],
        azure_version=environ["OPENAI_API_VERSION"],
        limits=settings.limits,
    )


async def make_compatible_client(settings: Settings, environ: Mapping[str, str]) -> ModelClient:
    url = environ.get("OPENAI_BASE_URL") or OPENAI_URL
    key = environ.get("OPENAI_API_KEY", "")

    def client(model: str) -> OpenAIClient:
        return OpenAIClient(model, base_url=url, api_key=key, limits=settings.limits)

    first = client(settings.model or DEFAULT_MODEL)
    if settings.model or urlsplit(url).hostname == urlsplit(OPENAI_URL).hostname:
        return first
    try:
        offered = await first.models()
    except ModelError as error:
        if error.status != 404:
            raise
        raise ModelError(
            f"{redact_url(url)} does not list its models (404): set CODEACT_MODEL, "
            f"or correct OPENAI_BASE_URL (most endpoints end in /v1)."
        ) from None
    if len(offered) == 1:
        return client(offered[0])
    if not offered:
        raise ModelError(f"{redact_url(url)} offers no model: load one there, or set CODEACT_MODEL.")
    raise ModelError(f"{redact_url(url)} offers several models: set CODEACT_MODEL to one of {list_models(offered)}.")


def find_ollama_url(host: str) -> str:
    """Return the address of the local Ollama. `host` is `OLLAMA_HOST`, in every form that Ollama accepts."""
    host = host.strip().rstrip("/")
    try:
        parts = urlsplit(host if "://" in host else f"http://{host}")
        name, port = parts.hostname or "127.0.0.1", parts.port
    except ValueError:
        return f"http://127.0.0.1:{OLLAMA_PORT}"
    if port is None:
        port = {"https": 443, "http": 80}.get(parts.scheme, OLLAMA_PORT) if "://" in host else OLLAMA_PORT
    # A server can listen on these addresses, but a client cannot connect to them.
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}"


async def list_ollama_models(url: str) -> list[str] | None:
    """Return the names of the pulled chat models, latest first; `None` if no Ollama answers."""
    try:
        async with asyncio.timeout(OLLAMA_SECONDS):
            body = await fetch_page(urlsplit(f"{url}/api/tags"))
        # A reply of another shape is not from Ollama.
        models: list[dict[str, Any]] = json.loads(body)["models"]
        return [str(model["name"]) for model in models if can_chat(model)]
    except (OSError, h11.ProtocolError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


async def fetch_page(url: SplitResult) -> bytes:
    """Read a page without following redirects, and without proxies: they cannot reach this machine.

    It uses no thread, so a timeout of the caller ends it however slowly the page arrives.

    Raises:
        OSError: if there is no connection, or the answer is not a page.
        h11.ProtocolError: if the answer is not HTTP.
    """
    host = url.hostname or ""
    tls = ssl.create_default_context() if url.scheme == "https" else None
    reader, writer = await asyncio.open_connection(host, url.port, ssl=tls)
    try:
        return await exchange(url, reader, writer)
    finally:
        writer.transport.abort()


async def exchange(url: SplitResult, reader: StreamReader, writer: StreamWriter) -> bytes:
    http = h11.Connection(h11.CLIENT)
    headers = [("Host", url.netloc), ("Accept-Encoding", "identity"), ("Connection", "close")]
    for event in (h11.Request(method="GET", target=url.path, headers=headers), h11.EndOfMessage()):
        writer.write(http.send(event) or b"")
    body = bytearray()
    while len(body) <= OLLAMA_BYTES:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(await reader.read(1 << 16))
            case h11.Response(status_code=200) | h11.InformationalResponse():
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage():
                return bytes(body)
            case _:
                break
    raise OSError("the answer is not a page, or too long")


def can_chat(model: dict[str, Any]) -> bool:
    details: dict[str, Any] = model.get("details") or {}
    return "bert" not in str(details.get("family")) and "embed" not in str(model["name"])


def pick_ollama_model(pulled: list[str], wanted: str | None) -> str:
    if not pulled:
        raise ModelError("Ollama runs but has no model: run `ollama pull qwen2.5-coder`, then the cell again.")
    if wanted is None:
        return pulled[0]
    for name in (wanted, f"{wanted}:latest"):
        if name in pulled:
            return name
    raise ModelError(
        f"Ollama has no model {wanted}: run `ollama pull {wanted}`, "
        f"or set CODEACT_MODEL to one of {list_models(pulled)}."
    )
