"""The arms of Microsoft Agent Framework, wired as its documentation and its published sample wire them.

Direct tool calling gives the agent the five tools. CodeAct gives it the `HyperlightCodeActProvider`, which offers the model
one tool, `execute_code`. Both have the answer's schema, as in the sample: the rows come back as objects.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from agent_framework import Agent, ChatContext, FunctionInvocationContext, chat_middleware, function_middleware
from agent_framework_openai import OpenAIChatCompletionClient
from pydantic import BaseModel
from spans import Spans, together
from workload import TASK, Kind, Tools, world

INSTRUCTIONS = "You are a careful assistant. Use the tools for every lookup and every computation."


class Row(BaseModel):
    user_id: int
    name: str
    grand_total: float


class Answer(BaseModel):
    results: list[Row]


class Reference:
    """An agent, kept from run to run with its sandbox; each run is a conversation of its own.

    Args:
        how: "direct", "codeact" (real micro-VM), or "stand-in" (CodeAct with the guest in wasmtime).
        url, model: the endpoint; the key is the environment's.
    """

    def __init__(self, how: str, url: str, model: str) -> None:
        if how == "stand-in":
            import hyperlight_sandbox
            from stand_in import StandIn

            hyperlight_sandbox.Sandbox = StandIn  # type: ignore[misc, assignment]
        self.facts: dict[str, Any] = {}
        self._direct = how == "direct"
        self._client = OpenAIChatCompletionClient(model, base_url=url, api_key=os.environ["OPENAI_API_KEY"])
        self._tools = Tools()
        self._agents: dict[str, Agent] = {}
        self._model, self._executing, self._turns = Spans(), Spans(), 0

    def _agent(self, kind: Kind) -> Agent:
        @chat_middleware
        async def timed(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
            self._turns += 1
            with self._model.one():
                await call_next()

        @function_middleware
        async def executing(context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]) -> None:
            with self._executing.one():
                await call_next()

        functions: list[Any] = self._tools.functions(kind)
        if self._direct:
            wiring: dict[str, Any] = {"tools": functions}
        else:
            from agent_framework_hyperlight import HyperlightCodeActProvider

            provider = HyperlightCodeActProvider(tools=functions, approval_mode="never_require")
            wiring = {"context_providers": [provider]}
        return Agent(
            client=self._client,
            instructions=INSTRUCTIONS,
            default_options={"response_format": Answer, "temperature": 0},
            middleware=[timed, *([] if self._direct else [executing])],
            **wiring,
        )

    async def run(self, *, users: int, latency: float, kind: Kind, marked: bool) -> dict[str, Any]:
        """One run of the task; nothing here can be marked as read-only."""
        if kind not in self._agents:
            self._agents[kind] = self._agent(kind)
        agent = self._agents[kind]
        self._tools.reset(world(users), latency)
        self._model, self._executing, self._turns = Spans(), Spans(), 0
        start = time.perf_counter()
        result = await agent.run(TASK)
        rows = [row.model_dump() for row in result.value.results] if result.value else result.text
        wall = time.perf_counter() - start
        usage = result.usage_details or {}
        tools = self._tools
        return {
            "wall": wall,
            "answer": rows,
            "calls": tools.calls,
            "turns": self._turns,
            "model": self._model.seconds,
            "tools": tools.busy.seconds,
            "both": together(self._model, tools.busy),
            "sandbox": None if self._direct else self._executing.seconds - tools.busy.seconds,
            "prompt": usage.get("input_token_count") or 0,
            "completion": usage.get("output_token_count") or 0,
        }
