"""`%codeact doctor`: what the engine finds, and what this kernel and the page in front of it can do."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# IPython has next to no types.

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    from .magics import CodeAct

__all__ = ["run_checks"]


def run_checks(magics: CodeAct) -> Iterator[Finding]:
    """One finding after the other, as they come."""
    try:
        resolved = magics.resolved()
        settings = resolved.settings
        wanted = ", ".join(resolved.refused)
        advice = "%codeact config shows it, and how to give your word." if wanted else ""
        found = f"not in force, since it takes your word: {wanted} of the folder's file" if wanted else "as chosen"
        yield Finding("configuration", "warning" if wanted else "ok", found, advice)
    except UserError as error:
        settings = Settings()
        yield Finding("configuration", "problem", str(error), "Correct it; %%codeact will not ask before.")
    door = magics.door
    yield from _front_end(door)
    results: SimpleQueue[Finding | None] = SimpleQueue()
    looking = door.thread.submit(_look(settings, door, results))
    try:
        while (finding := results.get()) is not None:
            yield finding
    finally:
        looking.cancel()  # a person may have had enough of it


async def _look(settings: Settings, door: Frontend, found: SimpleQueue[Finding | None]) -> None:
    try:
        async with aclosing(examine(settings, door.model)) as findings:
            async for finding in findings:
                found.put(finding)
    finally:
        found.put(None)


def _front_end(door: Frontend) -> Iterator[Finding]:
    kernel: Any = getattr(door.shell, "kernel", None)
    if kernel is None:
        found = "a terminal: a cell is shown when it is done, questions come with input()"
        yield Finding("front end", "ok", found)
        return
    subshells = "with subshells" if getattr(kernel, "_supports_kernel_subshells", False) else "without subshells"
    yield Finding("kernel", "ok", f"{kernel.implementation} {kernel.implementation_version}, {subshells}")
    if is_append_only(door.shell):
        yield Finding("front end", "ok", "a console: a cell is shown when it is done, questions come with input()")
        return
    probe = _Probe(door)
    shown = door.live.run(probe.turn, probe)
    stdin = has_user(door.shell)
    if shown:
        yield Finding("front end", "ok", f"shows the live card, {'answers' if stdin else 'does not answer'} input()")
    elif stdin:
        advice = "Questions are asked with input(). In JupyterLab and Notebook 7 reload the page, or update them."
        yield Finding("front end", "warning", probe.reason, advice)
    else:
        advice = "Tools that need approval are denied: allow them with --allow, CODEACT_ALLOW or c.CodeAct.allow."
        yield Finding("front end", "warning", f"{probe.reason}; nobody answers input()", advice)


class _Probe:
    """A card that only asks whether a page shows it."""

    def __init__(self, door: Frontend) -> None:
        self.reason = "no page shows the live card"
        self._door = door
        self._card: Card | None = None

    async def turn(self, emit: Emit, on_main: OnMain) -> bool:
        return self._card is not None and await self._card.alive()

    def open(self, waiter: MainThreadWaiter, stop: Callable[[], None], leave: Callable[[], None]) -> None:
        if not isinstance(waiter, ShellChannelFilter):
            self.reason = "this ipykernel gives a running cell no clicks"
            return
        from .card import Card  # as the view does it

        self._card = Card(waiter, self._door.thread.loop, stop)
        self._card.show({"text/plain": ""})

    def show(self, event: Event) -> None:
        """There are no events."""

    def redraw(self) -> None:
        """The card does not change."""

    def end(self) -> None:
        """Nothing here takes time to draw."""

    def close(self) -> None:
        if self._card is not None:
            self._card.close({"text/plain": ""})
