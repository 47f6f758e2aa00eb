"""Keep one warm worker. A turn checks it out; after the turn it is cleaned or replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakSet

from ..bridge.messages import Run
from ..errors import SandboxError
from ..guest.kinds import STANDARD, GuestKind
from ..limits import WorkerLimits
from ..types import Isolation, JSONObject, RunOutcome
from .backend_selector import BackendSelector
from .worker_client import AnswerCall, RunClock, Worker, Write

__all__ = ["Pool", "Sandbox"]

RESET_SECONDS = 5.0
"""Seconds in which a worker has to clean its guest."""


class Sandbox:
    """The sandbox of one turn. It takes a worker for the first program, and another one if that worker dies.

    Attributes:
        isolation: the boundary of the current worker; `None` before the first run.
    """

    def __init__(self, pool: Pool) -> None:
        self.isolation: Isolation | None = None
        self._pool = pool
        self._worker: Worker | None = None
        self._dirty = False

    @property
    def startup_notice(self) -> str:
        """A sentence about what a run has to wait for; empty if it need not wait long."""
        return self._pool.startup_notice

    @property
    def has_state(self) -> bool:
        """Say whether the guest holds the variables of the last program for the next one."""
        return self._dirty and self._worker is not None and self._worker.usable

    async def open(self) -> Isolation:
        """Take a worker, unless this sandbox has one that can be used.

        Raises:
            SandboxError: if no worker started.
        """
        if self._worker is None or not self._worker.usable:
            self._worker = await self._pool.take()
        elif not self._dirty:
            self._worker = await self._pool.wait_ready(self._worker)
        self.isolation = self._worker.isolation
        return self.isolation

    async def run(
        self,
        program: str,
        *,
        tools: JSONObject,
        capabilities: JSONObject | None = None,
        keep: bool,
        answer: AnswerCall,
        write: Write,
        clock: RunClock,
    ) -> RunOutcome:
        """Run `program`. With `keep`, a program that fails or observes leaves its variables for the next run.

        Raises:
            SandboxError: if no worker started.
        """
        await self.open()
        assert self._worker is not None
        try:
            request = Run(program, tools, capabilities or {}, keep)
            outcome = await self._worker.run(request, answer=answer, write=write, clock=clock)
        finally:
            if not self._worker.usable:
                self._pool.warm()  # another worker starts while the model writes the next program
        self._dirty = keep and not outcome.state_lost and (outcome.failure is not None or bool(outcome.observed))
        return outcome

    async def close(self, *, broken: bool) -> None:
        """Release the worker. It is killed if its guest still has the state of a program, or the turn is `broken`."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._pool.release(worker, clean=not self._dirty and not broken)


class Pool:
    """The workers of one backend with one kind of guest and one set of limits.

    Args:
        selector: selects the backend; a name makes a selector for this pool alone.
        limits: the limits of the workers.
        guest: the kind of guest in them.

    Attributes:
        preparing: a sentence about what takes long at the moment, such as the compilation of the guest, or empty.
    """

    def __init__(self, selector: BackendSelector | str, limits: WorkerLimits, guest: GuestKind = STANDARD) -> None:
        self.selector = BackendSelector(selector) if isinstance(selector, str) else selector
        self.limits = limits
        self.guest = guest
        self.startup_notice = ""
        self._closed = False
        self._retired: asyncio.Task[None] | None = None
        self._retiring = False
        self._users = 0
        self._spare: asyncio.Task[Worker] | None = None
        self._workers: WeakSet[Worker] = WeakSet()  # including those of a task that was cancelled before it began

    @property
    def closed(self) -> bool:
        """Say whether the pool was retired and its workers have ended."""
        return self._retired is not None and self._retired.done()

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Keep `retire` from closing the pool during the `with` block."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._close_if_idle()

    def warm(self) -> None:
        """Start a worker in the background, unless one is ready or starting."""
        if self._closed:
            return
        if self._spare is None or (self._spare.done() and _has_failed(self._spare)):
            self._spare = asyncio.create_task(self._start())

    async def ensure_started(self) -> None:
        """Start a worker. If its backend may still refuse to start, wait for it, before anything is spent on the turn.

        Raises:
            SandboxError: if the worker did not start.
        """
        self.warm()
        if self.selector.in_doubt and self._spare is not None:
            await asyncio.shield(self._spare)

    async def take(self) -> Worker:
        """Return the spare worker, or a new one.

        Raises:
            SandboxError: if the worker did not start.
        """
        while True:
            self.warm()
            spare, self._spare = self._spare, None
            if spare is None:
                raise SandboxError("The sandboxes were closed in the meantime: run the cell again.")
            try:
                worker = await asyncio.shield(spare)  # a stopped cell does not stop the first compile
            except asyncio.CancelledError:
                self._spare = self._spare or spare
                raise
            if worker.usable:
                return worker
            await worker.kill()  # it died or broke the protocol while it was the spare

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[Sandbox]:
        """Provide a sandbox for one turn. An exception kills its worker; a warm worker follows in any case."""
        sandbox = Sandbox(self)
        self.warm()
        broken = True
        with self.in_use():
            try:
                yield sandbox
                broken = False
            finally:
                await sandbox.close(broken=broken)

    async def release(self, worker: Worker, *, clean: bool) -> None:
        """Keep a clean worker as the spare. Kill any other worker and start a new one."""
        is_worn = 2 * worker.busy_seconds > self.limits.cpu_seconds  # enough CPU time for a whole run must be left
        if clean and worker.usable and self._spare is None and not is_worn and not self._closed:
            self._spare = asyncio.create_task(self.wait_ready(worker))
            return
        await worker.kill()
        self.warm()

    def retire(self) -> None:
        """Close the pool as soon as nobody uses it."""
        self._retiring = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._retiring and not self._users and self._retired is None:
            self._retired = asyncio.create_task(self.aclose())

    async def aclose(self) -> None:
        """Kill all workers."""
        self._closed = True
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.cancel()
            await asyncio.gather(spare, return_exceptions=True)
        for worker in list(self._workers):
            await worker.kill()

    async def wait_ready(self, worker: Worker) -> Worker:
        """Return the worker when its guest is clean, or a new worker if it does not get clean.

        Raises:
            SandboxError: if no worker started.
        """
        try:
            async with asyncio.timeout(RESET_SECONDS):
                await worker.wait_ready()
        except (SandboxError, TimeoutError):
            await worker.kill()
            return await self._start()
        except BaseException:
            await worker.kill()
            raise
        return worker

    async def _start(self) -> Worker:
        try:
            worker = await self.selector.start(self.limits, self._set_preparing, self.guest)
        finally:
            self.startup_notice = ""
        if self._closed:  # in the meantime
            await worker.kill()
            raise SandboxError("The sandboxes were closed in the meantime: run the cell again.")
        self._workers.add(worker)
        return worker

    def _set_preparing(self, text: str) -> None:
        self.startup_notice = text


def _has_failed(task: asyncio.Task[Worker]) -> bool:
    return task.cancelled() or task.exception() is not None
