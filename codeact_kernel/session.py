"""The session, which keeps sandboxes, model and tools across turns: `async with Session() as session: ...`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING

from . import import_guard
from .approval import Approver, DenyAll, Grants
from .budgets import Budget, parse_budget
from .capabilities.data import Input, load_input, parse_input_names, validate_name
from .configuration import from_environment
from .errors import ProgramError, UserError
from .events import Emit
from .guest.kinds import STANDARD, GuestKind
from .memory.recorded_turn import RecordedTurn
from .memory.reuse import Prompt, Reuse
from .memory.spending import Spending
from .memory.thread import Thread
from .model.base import ModelClient
from .model.deferred import DeferredModel
from .model.discovery import choose_model
from .model.scripted import ScriptedModel
from .sandbox.backend_selector import BackendSelector
from .sandbox.guest_selector import GuestSelector
from .sandbox.pool import Pool
from .secrets import hide
from .settings import Settings
from .sources import make_client
from .telemetry import traced
from .tools import OnMain, Registry, ToolCallError, default_registry
from .turn import TurnContext, run_turn
from .types import TurnResult

if TYPE_CHECKING:
    from .sources.mcp_client import McpClient

__all__ = ["Session"]

_SECRET_TYPED = (
    "Your prompt contained a secret, which the model does not see. Delete it from the cell, and use it in a tool."
)


async def _inline(function: Callable[[], object]) -> object:
    try:
        return function()
    except KeyboardInterrupt:  # the tool raised it: asyncio turns an interrupt by the user into a cancellation
        raise ToolCallError("the tool raised KeyboardInterrupt") from None


class Session:
    """Answer prompts, with one warm sandbox. A session belongs to the event loop that it is used on.

    Args:
        tools: the functions that programs may call, with `@tool` or without, and tools of other frameworks; or a
            `Registry`. By default every function that is marked with `@tool`, now or later.
        model: a client, or the name of a model at the endpoint that the environment configures; by default the model
            that the environment names, which is chosen at the first prompt.
        reuse: the recorded programs of a folder, which answer their prompts without the model; by default none.
        budget: what all prompts may use together, for example `"100000 tokens"` or `Budget(calls=50)`; by default what
            `session_budget` of the settings says, which also comes first if both are set.
        grants: the approvals that hold for longer than one turn; by default none, and none is stored on disk.

    Raises:
        ToolDefinitionError: if a function cannot become a tool.
        UserError: if `budget` is not a budget.

    Attributes:
        tools: the registry; `session.tools.add(function)` adds a tool.
        model: the client that was given; with `None` the environment decides at each prompt.
        spending: what all turns of the session have used; `clear()` begins again at zero.
        turn_spending: what the last turn has used so far.
        threads: the threads of prompts that follow up on each other, by name; the default thread has the name "".
    """

    def __init__(
        self,
        tools: Registry | Iterable[object] = default_registry,
        model: ModelClient | str | None = None,
        grants: Grants | None = None,
        reuse: Reuse | None = None,
        budget: Budget | str | None = None,
    ) -> None:
        import_guard.install()
        self.tools = tools if isinstance(tools, Registry) else _registry(tools)
        self.model = None if isinstance(model, str) else model
        self._name = model if isinstance(model, str) else None
        self.grants = grants or Grants()
        self.reuse = reuse
        self.spending = Spending()
        self.turn_spending = Spending()
        self._budget = Budget() if budget is None else parse_budget(budget)
        self.threads: dict[str, Thread] = {}
        self._clients: dict[int, ModelClient] = {}
        self._selectors: dict[str, BackendSelector] = {}
        self._guests = GuestSelector()
        self._mcp: McpClient | None = None
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
        model: ModelClient | Callable[[], Awaitable[ModelClient]] | None = None,
        settings: Settings | None = None,
        approver: Approver | None = None,
        thread: str = "",
        new: bool = False,
        cell: str = "",
        emit: Emit = lambda event: None,
        on_main: OnMain = _inline,
    ) -> TurnResult:
        """Run one turn.

        Args:
            ask: the prompt of the user.
            inputs: the variables that the program gets, by name: DataFrames, arrays, dicts, lists, ...; the model sees
                their shape and a few values, or only their shape if the key is `"name:schema"`. Or a sequence of
                inputs from `load_input`.
            outputs: the names that the program has to assign; their values are in `outputs` of the result.
            model: a client, or a function that chooses one when it is needed; by default that of the session.
            settings: by default the settings from the environment.
            approver: decides about calls that need approval; by default they are denied.
            thread: the name of the thread in which this prompt follows up on earlier ones; by default there is one.
            new: whether to forget the earlier prompts of the thread first.
            cell: identifies the prompt's cell: a prompt of the same cell takes the place of the earlier one.
            emit: is called with each event.
            on_main: runs synchronous tools; by default on this thread.

        Raises:
            ModelError: if there is no model, or it does not answer.
            SandboxError: if no sandbox started.
            UserError: if the backend is not available, or an input cannot be passed to a program.
        """
        settings = self._complete(settings or from_environment())
        ask, typed = hide(ask), ask
        earlier = self.threads.setdefault(thread, Thread())
        if new:
            earlier.clear()
        notices = await self.mcp.add_all(settings.mcp) if settings.mcp else []
        prompt = self._prepare(ask, inputs, outputs, settings, earlier, cell)
        pool, why_standard = await self.pool(settings)
        # The guest that was selected, so that `auto` is not among the things that a program depends on.
        prompt = replace(prompt, settings=replace(settings, guest=pool.guest.name))
        with pool.in_use():
            await pool.ensure_started()  # otherwise the sandbox starts while the model is writing
            started = datetime.now().astimezone()
            recorded = self.reuse.find(prompt) if self.reuse is not None else None
            client = await self._client(model, settings, recorded)
            notices += [why_standard, _SECRET_TYPED if ask != typed else ""]
            context = self._context(prompt, recorded, approver, emit, on_main, pool.guest, notices)
            result = await run_turn(ask, context, client, pool)
            earlier.remember(result, prompt.inputs, cell)
            if self.reuse is not None:
                self.reuse.record(prompt, result, started)
            return result

    def _complete(self, settings: Settings) -> Settings:
        """Return the settings with what was given to the session, where they say nothing else."""
        if self._name is not None and settings.model is None:
            settings = replace(settings, model=self._name)
        if self._budget and not settings.session_budget:
            settings = replace(settings, session_budget=self._budget)
        return settings

    async def execute_code(
        self,
        program: str,
        *,
        inputs: Mapping[str, object] | Sequence[Input] = (),
        settings: Settings | None = None,
        approver: Approver | None = None,
        emit: Emit = lambda event: None,
        on_main: OnMain = _inline,
    ) -> TurnResult:
        """Run a program that somebody else wrote, such as another agent, with the tools and approvals of the session.

        No model is asked, a program that fails is not corrected, and no prompt follows up on it. If it fails or is
        rejected, or observes something, `feedback` of the result says in words for its author what happened.

        Args:
            program: the program. It ends with an expression, whose value is `value` of the result.
            inputs, settings, approver, emit, on_main: as for `ask`.

        Raises:
            ProgramError: if the program is longer than the limit `program_bytes`.
            SandboxError: if no sandbox started.
            UserError: if the backend is not available, or an input cannot be passed to a program.
        """
        settings = replace(self._complete(settings or from_environment()), max_retries=0)
        if len(program.encode("utf-8", "surrogatepass")) > settings.limits.program_bytes:  # before anything parses it
            raise ProgramError(
                f"The program is longer than {settings.limits.program_bytes:,} bytes: write a shorter one."
            )
        notices = await self.mcp.add_all(settings.mcp) if settings.mcp else []
        prompt = self._prepare("", inputs, (), settings, Thread(), "")
        pool, why_standard = await self.pool(settings)
        with pool.in_use():
            await pool.ensure_started()
            given = RecordedTurn(programs=(program,), is_final=True, is_given=True)
            context = self._context(prompt, given, approver, emit, on_main, pool.guest, [*notices, why_standard])
            return await run_turn("", context, ScriptedModel((), name=""), pool)

    def _context(
        self,
        prompt: Prompt,
        recorded: RecordedTurn | None,
        approver: Approver | None,
        emit: Emit,
        on_main: OnMain,
        guest: GuestKind,
        notices: Sequence[str],
    ) -> TurnContext:
        is_given = recorded is not None and recorded.is_given
        notices = [*(self.reuse.notices if self.reuse is not None and not is_given else ()), *notices]
        self.turn_spending = Spending()
        return TurnContext.create(
            settings=prompt.settings,
            tools=self.tools,
            approver=approver or DenyAll(),
            grants=self.grants,
            emit=emit if self.reuse is not None and self.reuse.replays else traced(emit),
            on_main=on_main,
            inputs=prompt.inputs,
            outputs=prompt.outputs,
            follow_up=prompt.follow_up,
            recorded=recorded,
            notices=tuple(filter(None, notices)),
            guest=guest,
            spending=(self.spending, self.turn_spending),
        )

    def _prepare(
        self,
        ask: str,
        inputs: Mapping[str, object] | Sequence[Input],
        outputs: Sequence[str],
        settings: Settings,
        earlier: Thread,
        cell: str,
    ) -> Prompt:
        """Check what a prompt brings along, and add what it takes along from earlier prompts.

        Raises:
            UserError: if an input cannot be passed to a program, or a name is taken.
        """
        if isinstance(inputs, Mapping):
            inputs = [
                load_input(parse_input_names([name])[0], value, settings.limits) for name, value in inputs.items()
            ]
        for name in [*(validate_name(name, "outputs:") for name in outputs), *(variable.name for variable in inputs)]:
            if name in self.tools:
                raise UserError(f"{name}: this is the name of a tool. Give the variable another name.")
        given = [variable.name for variable in inputs]
        follow_up = earlier.follow_up(
            settings.limits.thread_tokens,
            [*self.tools, *outputs, *given],
            ask=ask,
            cell=cell,
        )
        return Prompt(
            ask=ask,
            tools=self.tools,
            inputs=[*inputs, *follow_up.inputs],
            given=[variable.name for variable in inputs if not variable.is_handed_on],
            outputs=outputs,
            settings=settings,
            follow_up=follow_up,
            thread=earlier,
            cell=cell,
        )

    async def _client(
        self,
        model: ModelClient | Callable[[], Awaitable[ModelClient]] | None,
        settings: Settings,
        recorded: RecordedTurn | None,
    ) -> ModelClient:
        """Return the model of a prompt. If a recorded answer comes first, the model is chosen only when it is asked."""
        if model is not None and not callable(model):
            return model
        choose = model or (lambda: self.choose(settings))
        return DeferredModel(choose) if recorded is not None else await choose()

    async def choose(self, settings: Settings) -> ModelClient:
        """Return the model of the session, or the one that the settings and the environment name.

        Raises:
            ModelError: if no model is configured; the message says how to configure one.
        """
        if self.model is not None:
            return self.model
        endpoint = sorted(item for item in os.environ.items() if item[0].startswith(("OPENAI_", "AZURE_", "OLLAMA_")))
        key = hash(
            (settings.model, *endpoint)
        )  # the environment can change in the notebook; the secret key is hashed, not stored
        if key not in self._clients:
            self._clients[key] = await choose_model(settings, os.environ)
        return self._clients[key]

    async def warm(self, settings: Settings) -> list[str]:
        """Start the MCP servers and the sandbox of these settings before the first program needs them.

        Returns:
            Sentences about servers that did not start.

        Raises:
            SandboxError, UserError: as `pool` does.
        """
        pool, _ = await self.pool(settings)
        pool.warm()
        return await self.mcp.add_all(settings.mcp) if settings.mcp else []

    async def pool(self, settings: Settings) -> tuple[Pool, str]:
        """Return the pool of sandboxes for these settings. Any other pool is closed as soon as no turn uses it.

        Returns:
            The pool, and a sentence about its guest for the user, or an empty text.

        Raises:
            UserError: if the backend or the guest is not available.
            SandboxError: if this machine has too little memory or disk to compile the guest.
        """
        limits = settings.limits.for_worker()
        selector = self._selectors.get(settings.backend) or BackendSelector(settings.backend)
        self._selectors[settings.backend] = selector
        selection = await self._guests.select(settings.guest, selector, limits)
        pool, wanted = self._pool, (selector, limits, selection.guest)
        if pool is not None and (pool.selector, pool.limits, pool.guest) == wanted:
            return pool, selection.why_standard
        self._pool = new = Pool(*wanted)
        if pool is not None:
            pool.retire()
            self._retired = [retired for retired in [*self._retired, pool] if not retired.closed]
        return new, selection.why_standard

    @property
    def mcp(self) -> McpClient:
        """The MCP servers whose tools this session offers.

        Raises:
            UserError: if the package of the protocol is not installed.
        """
        if self._mcp is None:
            self._mcp = make_client(self.tools)
        return self._mcp

    @property
    def guest(self) -> GuestKind:
        """The kind of guest of the last prompt, or of the sandbox that waits for the first one."""
        return STANDARD if self._pool is None else self._pool.guest

    async def reset(self) -> None:
        """Close the sandboxes and forget the chosen model and backend. The next prompt chooses again."""
        self._clients.clear()
        self._selectors.clear()
        await self._close_sandboxes()

    async def aclose(self) -> None:
        """Close all sandboxes, and end the MCP servers."""
        await self._close_sandboxes()
        if self._mcp is not None:
            await self._mcp.aclose()

    async def _close_sandboxes(self) -> None:
        await self._guests.aclose()
        pools, self._pool, self._retired = [self._pool, *self._retired], None, []
        for pool in pools:
            if pool is not None:
                await pool.aclose()


def _registry(tools: Iterable[object]) -> Registry:
    registry = Registry()
    for tool in tools:
        registry.add(tool)
    return registry
