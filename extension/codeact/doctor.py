"""The checks of `%codeact doctor`: those of the engine, and those of this kernel and the page in front of it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from codeact_kernel.doctor import Finding, examine
from codeact_kernel.errors import UserError
from codeact_kernel.events import Emit, Event
from codeact_kernel.settings import Settings
from codeact_kernel.tools import OnMain

from .approvers import has_user, is_append_only
from .frontend import Frontend
from .shell_channel import MainThreadWaiter, ShellChannelFilter

if TYPE_CHECKING:
    from .card import Card

__all__ = ["run_checks"]


def run_checks(frontend: Frontend) -> Iterator[Finding]:
    """Run every check, and yield each finding as soon as it is known."""
    try:
        resolved = frontend.resolved()
        settings = resolved.settings
        yield _check_project_file(resolved.refused)
    except UserError as error:
        settings = Settings()
        yield Finding("configuration", "problem", str(error), "Correct it: until then %%codeact does not run.")
    yield from _check_front_end(frontend)
    findings: SimpleQueue[Finding | None] = SimpleQueue()
    checks = frontend.thread.submit(_run_engine_checks(settings, frontend, findings))
    try:
        while (finding := findings.get()) is not None:
            yield finding
    finally:
        checks.cancel()  # the user can interrupt the cell before the last check


def _check_project_file(refused: Sequence[str]) -> Finding:
    if not refused:
        return Finding("configuration", "ok", "as chosen")
    return Finding(
        "configuration",
        "warning",
        f"not in force, because the project file is not trusted: {', '.join(refused)}",
        "Run %codeact config to see the settings, and %codeact config trust to allow them.",
    )


async def _run_engine_checks(settings: Settings, frontend: Frontend, findings: SimpleQueue[Finding | None]) -> None:
    try:
        async with aclosing(examine(settings, frontend.model)) as results:
            async for finding in results:
                findings.put(finding)
    finally:
        findings.put(None)


def _check_front_end(frontend: Frontend) -> Iterator[Finding]:
    kernel: Any = getattr(frontend.shell, "kernel", None)
    if kernel is None:
        yield Finding("front end", "ok", "a terminal: a cell is shown when it is done, questions come with input()")
        return
    subshells = "with subshells" if getattr(kernel, "_supports_kernel_subshells", False) else "without subshells"
    yield Finding("kernel", "ok", f"{kernel.implementation} {kernel.implementation_version}, {subshells}")
    if is_append_only(frontend.shell):
        yield Finding("front end", "ok", "a console: a cell is shown when it is done, questions come with input()")
        return
    probe = _CardProbe(frontend)
    shows_card = frontend.turns.run(probe.wait_for_page, probe)
    answers_input = has_user(frontend.shell)
    if shows_card:
        description = f"shows the live card, {'answers' if answers_input else 'does not answer'} input()"
        yield Finding("front end", "ok", description)
    elif answers_input:
        advice = "Questions are asked with input(). In JupyterLab and Notebook 7, reload the page or update them."
        yield Finding("front end", "warning", probe.reason, advice)
    else:
        advice = "Tools that need approval are denied: allow them with --allow, CODEACT_ALLOW or c.CodeAct.allow."
        yield Finding("front end", "warning", f"{probe.reason}; nobody answers input()", advice)


class _CardProbe:
    """An empty card that finds out whether a page shows cards. It is both the turn and its display."""

    def __init__(self, frontend: Frontend) -> None:
        self.reason = "no page shows the live card"
        self._frontend = frontend
        self._card: Card | None = None

    async def wait_for_page(self, emit: Emit, on_main: OnMain) -> bool:
        """The turn: wait until a page shows the card."""
        return self._card is not None and await self._card.is_alive()

    def open(self, waiter: MainThreadWaiter, stop: Callable[[], None], leave: Callable[[], None]) -> None:
        """Show the empty card, if this ipykernel delivers its messages."""
        if not isinstance(waiter, ShellChannelFilter):
            self.reason = "this ipykernel delivers no clicks to a running cell"
            return
        from .card import Card  # slow to import, because widgets are

        self._card = Card(waiter, self._frontend.thread.loop, stop)
        self._card.show({"text/plain": ""})

    def show(self, event: Event) -> None:
        """Do nothing, because this turn has no events."""

    def redraw(self) -> None:
        """Do nothing, because the card does not change."""

    def end(self) -> None:
        """Do nothing, because nothing takes time to draw."""

    def close(self) -> None:
        """Remove the card."""
        if self._card is not None:
            self._card.close({"text/plain": ""}, {})
