"""What lives across cells: the pool of sandboxes, the model, the tools. `async with Session() as session: ...`"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from . import import_guard
from .approval import Approver, DenyAll, Grants
from .capabilities.data import Input, load_input, parse_input_names, validate_name
from .configuration import from_environment
from .errors import UserError
from .events import Emit
from .model.base import ModelClient
from .model.discovery import choose_model
from .sandbox.backend_selector import BackendSelector
from .sandbox.pool import Pool
from .settings import Settings
from .tools import MARK, OnMain, Registry, ToolCallError, as_tool, default_registry
from .turn.turn import run_turn
from .types import TurnResult

__all__ = ["Session"]


async def _inline(function: Callable[[], object]) -> object:
    try:
        return function()
    except KeyboardInterrupt:  # the tool raised it: asyncio turns a person's interrupt into a cancellation
        raise ToolCallError("the tool raised KeyboardInterrupt") from None


class Session:
    """Asks and answers, with one warm sandbox behind them. Everything happens on the loop it is used on.

    Args:
        tools: what programs may call: functions, with `@tool` on them or without, or a `Registry`; by default all
            that `@tool` has marked so far, and will.
        model: who writes the programs: a client, or a model's name at the endpoint that the environment configures; by
            default what the environment names, found at the first ask.
        grants: what a person allowed for longer than one turn; by default nothing, and nothing is kept on disk.

    Raises:
        ToolDefinitionError: a function that cannot be offered.

    Attributes:
        tools: the registry: `session.tools.add(function)` offers another one.
        model: the client that was set; `None` lets the environment choose at each ask.
    """

    def __init__(
        self,
        tools: Registry | Iterable[Callable[..., object]] = default_registry,
        model: ModelClient | str | None = None,
        grants: Grants | None = None,
    ) -> None:
        import_guard.install()
        self.tools = tools if isinstance(tools, Registry) else _registry(tools)
        self.model = None if isinstance(model, str) else model
        self._name = model if isinstance(model, str) else None
        self.grants = grants or Grants()
        self._found: dict[int, ModelClient] = {}
        self._choices: dict[str, BackendSelector] = {}
        self._pool: Pool | None = None
        self._retired: list[Pool] = []

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def ask(
        self,
        ask: str,
        *,
        inputs: Mapping[str, object] | Sequence[Input] = (),
        outputs: Sequence[str] = (),
        model: ModelClient | None = None,
        settings: Settings | None = None,
        approver: Approver | None = None,
        emit: Emit = lambda event: None,
        on_main: OnMain = _inline,
    ) -> TurnResult:
        """One turn.

        Args:
            ask: what the person typed.
            inputs: variables that the program gets, by name: DataFrames, arrays, dicts, lists, ...; the model sees
                their shape and a few values, with `"name:schema"` as the key only their shape. Or what `taken` made.
            outputs: names that the program has to assign; the result's `outputs` has their values.
            model: by default the session's own, or the one that the environment names.
            settings: by default what the environment says.
            approver: decides calls of tools with `approval_mode="always_require"`; by default nobody, so no.
            emit: takes the events.
            on_main: runs synchronous tools; by default right here.

        Raises:
            ModelError: no model, or none that answers.
            SandboxError: no sandbox came up.
            UserError: a backend that is not there; an input that cannot go in.
        """
        if self._name is not None and (settings is None or settings.model is None):
            settings = replace(settings or from_environment(), model=self._name)
        settings = settings or from_environment()
        if isinstance(inputs, Mapping):
            inputs = [
                load_input(parse_input_names([name])[0], value, settings.limits) for name, value in inputs.items()
            ]
        for name in [*(validate_name(name, "outputs:") for name in outputs), *(one.name for one in inputs)]:
            if name in self.tools:
                raise UserError(f"{name}: there is a tool of that name, so give the variable another one.")
        pool = self.pool(settings)
        with pool.in_use():
            await pool.ensure_started()  # what is no matter of doubt comes up while the model writes
            return await run_turn(
                ask,
                inputs=inputs,
                outputs=outputs,
                model=model or await self.choose(settings),
                sandboxes=pool,
                tools=self.tools,
                approver=approver or DenyAll(),
                grants=self.grants,
                emit=emit,
                settings=settings,
                on_main=on_main,
            )

    async def choose(self, settings: Settings) -> ModelClient:
        """The model for an ask: the one set on the session, or the one that the settings and the environment name.

        Raises:
            ModelError: there is none; says how to configure one.
        """
        if self.model is not None:
            return self.model
        endpoint = sorted(item for item in os.environ.items() if item[0].startswith(("OPENAI_", "AZURE_", "OLLAMA_")))
        key = hash((settings.model, *endpoint))  # a person may set the environment in the notebook; the key is not kept
        if key not in self._found:
            self._found[key] = await choose_model(settings, os.environ)
        return self._found[key]

    def pool(self, settings: Settings) -> Pool:
        """The sandboxes for these settings; others are closed as soon as no turn uses them. Needs a running loop.

        Raises:
            UserError: a backend that is not there.
        """
        pool, limits = self._pool, settings.limits.for_worker()
        choice = self._choices.get(settings.backend) or BackendSelector(settings.backend)
        self._choices[settings.backend] = choice
        if pool is not None and (pool.selector, pool.limits) == (choice, limits):
            return pool
        self._pool = made = Pool(choice, limits)
        if pool is not None:
            pool.retire()
            self._retired = [one for one in [*self._retired, pool] if not one.closed]
        return made

    async def reset(self) -> None:
        """Throw the sandboxes away, and forget which model and which backend were found; the next ask looks again."""
        self._found.clear()
        self._choices.clear()
        await self.aclose()

    async def aclose(self) -> None:
        """Kill what runs."""
        pools, self._pool, self._retired = [self._pool, *self._retired], None, []
        for pool in pools:
            if pool is not None:
                await pool.aclose()


def _registry(tools: Iterable[Callable[..., object]]) -> Registry:
    registry = Registry()
    for function in tools:
        if not hasattr(function, MARK):
            as_tool(function)
        registry.add(function)
    return registry
