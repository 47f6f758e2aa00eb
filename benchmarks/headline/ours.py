"""Our arms: a session, kept from ask to ask as in a notebook, with the sandbox that its backend names."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import cache
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

from spans import Spans, together
from workload import TASK, Kind, Tools, world

from codeact_kernel import Session, Settings, tool
from codeact_kernel.model.base import Delta, Message
from codeact_kernel.model.openai_client import OpenAIClient
from codeact_kernel.types import Usage


@cache
def can_mark() -> bool:
    """Whether tools can be marked, so that calls of them may be in flight together."""
    try:
        tool(read_only=True, thread_safe=True)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True


class Timed:
    """A client, when it was answering, and the tokens that the endpoint counted.

    A turn hangs up when it has its program. An endpoint tells its tokens at the very end, so here the rest is read.
    """

    def __init__(self, client: OpenAIClient) -> None:
        self._client = client
        self.name, self.note = client.name, client.note
        self.begin()

    def begin(self) -> None:
        self.busy, self.usage = Spans(), Usage()

    async def stream(self, messages: Sequence[Message], *functions: Any) -> AsyncGenerator[Delta, None]:
        with self.busy.one():
            async with aclosing(self._client.stream(messages, *functions)) as stream:
                try:
                    async for delta in stream:
                        self.usage += delta.usage or Usage()
                        yield delta
                finally:
                    async for delta in stream:
                        self.usage += delta.usage or Usage()


class Ours:
    """A session for each kind of tools."""

    def __init__(self, backend: str, url: str, model: str) -> None:
        self.facts = {"can mark": can_mark()}
        self._settings = Settings(backend=backend)
        self._client = Timed(OpenAIClient(model, base_url=url, api_key=os.environ["OPENAI_API_KEY"]))
        self._tools = Tools()
        self._sessions: dict[tuple[str, bool], Session] = {}

    def _session(self, kind: Kind, marked: bool) -> Session:
        functions = self._tools.functions(kind)
        if marked:
            options = {"read_only": True} if kind == "async" else {"read_only": True, "thread_safe": True}
            functions = [tool(**options)(function) for function in functions]
        return Session(tools=functions, model=self._client)

    async def run(self, *, users: int, latency: float, kind: Kind, marked: bool) -> dict[str, Any]:
        """One ask. `marked`: the tools say that they only read, and the synchronous ones that any thread may run them."""
        if (kind, marked) not in self._sessions:
            self._sessions[kind, marked] = self._session(kind, marked)
        session = self._sessions[kind, marked]
        self._tools.reset(world(users), latency)
        model = self._client
        model.begin()
        start = time.perf_counter()
        result = await session.ask(TASK, settings=self._settings)
        wall = time.perf_counter() - start
        tools = self._tools
        return {
            "wall": wall,
            "answer": result.value if result.error is None else str(result.error),
            "calls": tools.calls,
            "turns": result.model_turns,
            "model": model.busy.seconds,
            "tools": tools.busy.seconds,
            "both": together(model.busy, tools.busy),
            "sandbox": result.timings.sandbox,
            "prompt": model.usage.prompt_tokens,
            "completion": model.usage.completion_tokens,
            "bare": "\n".join([*(spec.stub for spec in session.tools.specs().values()), TASK]),
        }
