"""A model that is chosen when it is asked for the first time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from ..types import JSONObject
from .base import Delta, Message, ModelClient, RemoteModelClient, start_stream

__all__ = ["DeferredModel"]


class DeferredModel:
    """Choose the model only when it is needed: a turn with a recorded program needs none.

    Args:
        choose: chooses the model. It raises ModelError if there is none.
    """

    def __init__(self, choose: Callable[[], Awaitable[ModelClient]]) -> None:
        self._choose = choose
        self._model: ModelClient | None = None

    @property
    def name(self) -> str:
        return "" if self._model is None else self._model.name

    @property
    def note(self) -> str:
        return "" if self._model is None else self._model.note

    @property
    def endpoint(self) -> str:
        return self._model.endpoint if isinstance(self._model, RemoteModelClient) else ""

    async def choose(self) -> ModelClient:
        """Choose the model, unless it is chosen already.

        Raises:
            ModelError: if no model can be chosen.
        """
        if self._model is None:
            self._model = await self._choose()
        return self._model

    async def stream(
        self, messages: Sequence[Message], functions: Sequence[JSONObject] = (), max_tokens: int | None = None
    ) -> AsyncGenerator[Delta, None]:
        """Answer as the chosen model does.

        Raises:
            ModelError: if no model can be chosen, or it gives no usable answer.
        """
        async for delta in start_stream(await self.choose(), messages, functions, max_tokens):
            yield delta
