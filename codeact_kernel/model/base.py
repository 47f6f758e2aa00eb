"""The interface of a model: it receives messages and streams text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal, Protocol, runtime_checkable

from ..types import JSONObject, Usage

__all__ = ["Delta", "Message", "ModelClient", "RemoteModelClient", "describe_client", "start_stream"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation with the model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Delta:
    """A piece of the model's answer.

    Attributes:
        text: the next characters; may be empty.
        usage: the tokens of the whole answer, in one piece only (usually the last), if the endpoint reports them.
        finish: why the answer ended (`"stop"`, `"length"`, `"content_filter"`); only in the last piece.
    """

    text: str = ""
    usage: Usage | None = None
    finish: str | None = None


class ModelClient(Protocol):
    """A model as a turn uses it.

    Attributes:
        name: the name that the cell shows, for example `"gpt-4.1-mini"`.
        note: a sentence that the cell must show if the answers are not from a live model; else empty.
    """

    @property
    def name(self) -> str: ...

    @property
    def note(self) -> str: ...

    def stream(self, messages: Sequence[Message], functions: Sequence[JSONObject] = ()) -> AsyncGenerator[Delta, None]:
        """Answer `messages` piece by piece. The caller can close the iterator at any time.

        A client that can limit its answer has one more parameter, `max_tokens: int | None = None`, which a budget sets.

        Args:
            messages: the conversation so far.
            functions: JSON schemas of the direct tools. A client can offer them to the endpoint as functions; it then
                yields a function call as a block of Python that contains only the call.

        Raises:
            ModelError: if there is no usable answer. The message says what happened and what to do next.
        """
        ...


@runtime_checkable
class RemoteModelClient(ModelClient, Protocol):
    """A model client that sends its requests over the network.

    Attributes:
        endpoint: the URL it sends them to, without credentials.
    """

    @property
    def endpoint(self) -> str: ...


def start_stream(
    model: ModelClient,
    messages: Sequence[Message],
    functions: Sequence[JSONObject] = (),
    max_tokens: int | None = None,
) -> AsyncGenerator[Delta, None]:
    """Ask the model, with those parameters that are needed and that a third-party client has."""
    options: dict[str, Any] = {"functions": functions} if functions else {}
    if max_tokens is not None and "max_tokens" in signature(model.stream).parameters:
        options["max_tokens"] = max_tokens
    return model.stream(messages, **options)


def describe_client(model: ModelClient) -> str:
    """Write the name of the model and its endpoint. The name alone does not identify it: servers choose it freely."""
    return f"{model.name}, at {model.endpoint}" if isinstance(model, RemoteModelClient) else model.name
