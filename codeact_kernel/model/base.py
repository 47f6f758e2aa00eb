"""The seam to a model: messages in, a stream of text out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from ..types import JSONObject, Usage

__all__ = ["Delta", "Message", "ModelClient", "RemoteModelClient", "describe_client"]


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
        usage: the tokens of this answer, once, when the endpoint tells them (usually with the last piece).
        finish: why the answer ended (`"stop"`, `"length"`, `"content_filter"`), with the last piece.
    """

    text: str = ""
    usage: Usage | None = None
    finish: str | None = None


class ModelClient(Protocol):
    """What a turn needs of a model.

    Attributes:
        name: what the cell shows, for example `"gpt-4.1-mini"`.
        note: a sentence the cell must show when the answers are not a live model's; else empty.
    """

    @property
    def name(self) -> str: ...

    @property
    def note(self) -> str: ...

    def stream(self, messages: Sequence[Message], functions: Sequence[JSONObject] = ()) -> AsyncGenerator[Delta, None]:
        """Answer `messages` piece by piece. The caller may stop reading (and close the iterator) at any time.

        Where there are `functions` (direct tools, as JSON schemas), an endpoint with function calls may be told them.
        A call is then given as a model without them writes it: a block of Python that is just the call.

        Raises:
            ModelError: one sentence saying what happened and what to do next.
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


def describe_client(model: ModelClient) -> str:
    """Name the model and its endpoint: a server may answer under any name, so the name alone does not identify it."""
    return f"{model.name}, at {model.endpoint}" if isinstance(model, RemoteModelClient) else model.name
