"""The client of endpoints with OpenAI's Chat Completions, through the `openai` package (2.x and 3.x)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlsplit

from ..errors import ModelError
from ..settings import Limits
from ..types import JSONObject
from .base import Delta, Message
from .bounded_http import make_client_options
from .function_calls import get_field
from .http_errors import Endpoint, Failure, explain, redact_url
from .stream_accumulator import StreamAccumulator
from .usage import estimate

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI, AsyncStream

__all__ = ["OpenAIClient"]

T = TypeVar("T")

CONNECT_SECONDS = 10.0
MODELS_SECONDS = 3.0
RETRIES = 2
"""Retries by the SDK, with its own pauses, after 429, 5xx and failed connections."""
NO_KEY = "none"
"""The key that is sent if none is configured: the SDK requires a key, but local endpoints do not."""

OPTIONS = {"stream_options": {"include_usage": True}, "temperature": 0}
"""Options that not every endpoint accepts."""
OPTION_NAMES = {
    "stream_options": ("stream_options", "include_usage"),
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens",),
    "max_completion_tokens": ("max_completion_tokens",),
    "tools": ("tool", "function", "jinja"),  # optional, because the prompt names direct tools as well
}

END = object()
"""Marks the end of a stream. A chunk can be any JSON value, so the marker must be an object of its own."""


class OpenAIClient:
    """A model behind an OpenAI-compatible endpoint.

    Every answer has its own HTTP client: a connection that belongs to one event loop breaks on the next. What an
    endpoint sends is bounded, and no redirect is followed: see `bounded_http`.

    Args:
        model: the name of the model at the endpoint; for Azure OpenAI the deployment.
        base_url: for example `"http://127.0.0.1:8080/v1"`; for Azure OpenAI the resource.
        api_key: empty where the endpoint needs none.
        azure_version: the API version, which makes this an Azure OpenAI endpoint.
        name: the name that the cell shows, if it differs from the model's name.
        limits: `model_seconds` is the maximum silence of the endpoint. Comments that keep a connection open, and
            chunks without a part of the answer, count as silence.

    Raises:
        ModelError: if `base_url` is not a URL, or `api_key` has characters that are impossible in a key.
    """

    note = ""

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str = "",
        azure_version: str | None = None,
        name: str = "",
        limits: Limits | None = None,
    ) -> None:
        url_variable = "AZURE_OPENAI_ENDPOINT" if azure_version else "OPENAI_BASE_URL"
        try:
            url = redact_url(base_url)
        except ValueError:
            raise ModelError(
                f"{url_variable} is not a URL: set it to a URL like http://127.0.0.1:8080/v1, without quotation "
                "marks, or remove it."
            ) from None
        self.name = name or model
        self.endpoint = url
        self._base_url = base_url.strip()
        self._azure_version = azure_version
        self._seconds = (limits or Limits()).model_seconds
        self._refused: set[str] = set()
        self._endpoint = Endpoint(
            model=model,
            url=url,
            url_variable=url_variable,
            key=api_key.strip(),
            key_variable="AZURE_OPENAI_API_KEY" if azure_version else "OPENAI_API_KEY",
        )
        if not (self._endpoint.key.isascii() and self._endpoint.key.isprintable()):
            raise ModelError(
                f"{self._endpoint.key_variable} has characters that are impossible in a key: copy the key again."
            )

    async def stream(
        self, messages: Sequence[Message], functions: Sequence[JSONObject] = (), max_tokens: int | None = None
    ) -> AsyncGenerator[Delta, None]:
        """Answer piece by piece; the last piece has the usage and the finish reason. Closing it hangs up.

        Args:
            max_tokens: how long the answer may be. An endpoint that knows no such option ignores it.

        Raises:
            ModelError: if there is no usable answer. The message never contains the key.
        """
        answer = StreamAccumulator()
        async with self._open() as client:
            chunks = await self._guarded(self._ask(client, messages, functions, max_tokens))
            async with chunks:
                while (text := await self._guarded(read_piece(chunks, answer))) is not None:
                    if text:
                        yield Delta(text=text)
        self._check(answer)
        if called := answer.function.text():
            answer.texts.append(called)
            yield Delta(text=called)
        usage = answer.usage or estimate(messages, "".join(answer.texts))
        yield Delta(usage=usage, finish=answer.finish)

    async def models(self) -> list[str]:
        """Return the names of the models that the endpoint offers.

        Raises:
            ModelError: if the endpoint does not list its models.
        """
        async with self._open() as client:
            return await self._guarded(list_models(client), MODELS_SECONDS)

    def _open(self) -> AsyncOpenAI:
        try:
            return self._make()
        except Exception as error:
            detail = self._endpoint.redact(str(error))
            raise ModelError(
                f"The OpenAI client cannot start ({detail}): correct the proxy and OPENAI_ environment variables."
            ) from None

    def _make(self) -> AsyncOpenAI:
        # Imported on first use, because the import takes a second and most notebooks start without a model.
        import openai

        timeout = openai.Timeout(None, connect=CONNECT_SECONDS)
        # A proxy from the environment cannot reach an endpoint on this machine.
        trust_env = not is_loopback(self._base_url)
        http = openai.DefaultAsyncHttpxClient(trust_env=trust_env, **make_client_options(self._endpoint.url))
        key = self._endpoint.key or NO_KEY
        if self._azure_version:
            return openai.AsyncAzureOpenAI(
                azure_endpoint=self._base_url,
                azure_deployment=self._endpoint.model,
                api_version=self._azure_version,
                api_key=key,
                timeout=timeout,
                max_retries=RETRIES,
                http_client=http,
            )
        return openai.AsyncOpenAI(
            base_url=self._base_url, api_key=key, timeout=timeout, max_retries=RETRIES, http_client=http
        )

    async def _ask(
        self,
        client: AsyncOpenAI,
        messages: Sequence[Message],
        functions: Sequence[JSONObject],
        max_tokens: int | None,
    ) -> AsyncStream[object]:
        import openai

        body = {
            "model": self._endpoint.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": True,
        }
        while True:
            try:
                # Not `client.chat.completions.create`: it makes an object of each value in a chunk, and these take
                # hundreds of times the bytes that came. This gives the plain JSON.
                return await client.post(
                    "/chat/completions",
                    cast_to=object,
                    body={**body, **self._options_for(functions, max_tokens)},
                    options={"security": {"bearer_auth": True}},  # without this OPENAI_ADMIN_KEY would be sent
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
            except openai.NotFoundError as error:
                raise await self._explain_not_found(client, error) from None
            except (openai.BadRequestError, openai.UnprocessableEntityError, openai.InternalServerError) as error:
                # Endpoints name the option that they reject in different fields, so the text is searched.
                facts = f"{error.param} {to_failure(error).message}"
                wanted = self._options_for(functions, max_tokens)
                refused = [name for name in wanted if any(word in facts for word in OPTION_NAMES[name])]
                if not refused:
                    raise
                self._refused.update(refused)

    def _options_for(self, functions: Sequence[JSONObject], max_tokens: int | None) -> dict[str, object]:
        wanted: dict[str, object] = {**OPTIONS}
        if functions:
            wanted["tools"] = list(functions)
        if max_tokens is not None:  # by its new name only where the old one is refused: most servers know the old one
            wanted["max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"] = max_tokens
        return {name: value for name, value in wanted.items() if name not in self._refused}

    async def _explain_not_found(self, client: AsyncOpenAI, error: APIStatusError) -> ModelError:
        models: list[str] = []
        # Azure lists the models that could be deployed, not the deployed models.
        if not self._azure_version:
            with contextlib.suppress(ModelError):
                models = await self._guarded(list_models(client), MODELS_SECONDS)
        return explain(self._endpoint, to_failure(error, models))

    async def _guarded(self, answer: Awaitable[T], seconds: float | None = None) -> T:
        """Wait for the endpoint at most for the accepted silence, and translate the errors of the SDK."""
        import openai

        seconds = self._seconds if seconds is None else seconds
        url = self._endpoint.url
        # All with `from None`: the errors of the SDK hold the request, and that holds the key.
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except ModelError:
            raise
        except TimeoutError:
            raise ModelError(
                f"{url} was silent for {seconds:g} seconds: see whether it is overloaded, then run the cell again.",
                retryable=True,
            ) from None
        except openai.APIStatusError as error:
            raise explain(self._endpoint, to_failure(error)) from None
        except openai.APIConnectionError:
            raise ModelError(
                f"No connection to {url}, or it broke: "
                f"start the model server, or correct {self._endpoint.url_variable}.",
                retryable=True,
            ) from None
        except openai.APIError as error:
            detail = self._endpoint.redact(str(error.message)) or "no reason given"
            raise ModelError(
                f"{url} gave up while it answered ({detail}): run the cell again, or try another model.",
                retryable=True,
            ) from None
        except Exception as error:
            # The SDK does not wrap invalid JSON, broken connections (2.x) and unexpected shapes.
            raise ModelError(
                f"The answer of {url} cannot be read ({type(error).__name__}): "
                f"see whether it is a Chat Completions endpoint, then run the cell again.",
                retryable=True,
            ) from None

    def _check(self, answer: StreamAccumulator) -> None:
        url = self._endpoint.url
        if not answer.chunks:
            raise ModelError(
                f"{url} answered, but not with Chat Completions: correct {self._endpoint.url_variable} "
                f"(most endpoints end in /v1)."
            )
        refusal = self._endpoint.redact(answer.refusal)
        if refusal:
            raise ModelError(f"{self.name} refused ({refusal}): word the prompt differently.")
        if answer.finish == "content_filter":
            raise ModelError(f"The content filter at {url} withheld the answer: word the prompt differently.")


async def read_piece(chunks: AsyncStream[object], answer: StreamAccumulator) -> str | None:
    """Read to the next chunk that has a part of the answer.

    Returns:
        The text of that chunk, which may be empty; `None` at the end of the answer.
    """
    while (chunk := await anext(chunks, END)) is not END:
        text = answer.take(chunk)
        if text is not None:
            return text
    return None


async def list_models(client: AsyncOpenAI) -> list[str]:
    # Not `client.models.list`: its objects take hundreds of times the bytes that came. The body is read here, and not
    # by the request, because openai 2 reports any error there as a broken connection.
    async with client.models.with_streaming_response.list() as response:
        body = await response.read()
    models = get_field(json.loads(body), "data")
    names = [get_field(model, "id") for model in cast("list[object]", models)] if isinstance(models, list) else []
    return [name for name in names if isinstance(name, str) and name]


def to_failure(error: APIStatusError, models: Sequence[str] = ()) -> Failure:
    # The SDK does not check the type; some endpoints send a number.
    code = "" if error.code is None else str(error.code)
    location = error.response.headers.get("location", "") if error.status_code < 400 else ""
    return Failure(status=error.status_code, code=code, message=str(error.message), models=models, location=location)


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
