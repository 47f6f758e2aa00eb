"""A worker that is always warm: checked out for a turn, cleaned or replaced behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakSet

from ..bridge.messages import Run
from ..errors import SandboxError
from ..limits import WorkerLimits
from ..types import Isolation, JSONObject, RunOutcome
from .backend_selector import BackendSelector
from .worker_client import AnswerCall, RunClock, Worker, Write

__all__ = ["Pool", "Sandbox"]

RESET_SECONDS = 5.0
"""How long a worker may take to make its guest clean again."""


class Sandbox:
    """One turn's place in a worker. Takes the worker when the first program is there, and another if that one dies.

    Attributes:
        isolation: the boundary of the worker in use; `None` before the first run.
    """

    def __init__(self, pool: Pool) -> None:
        self.isolation: Isolation | None = None
        self._pool = pool
        self._worker: Worker | None = None
        self._dirty = False

    @property
    def preparing(self) -> str:
        """What a run would have to wait for, in words; empty when it need not wait long."""
        return self._pool.preparing

    @property
    def kept(self) -> bool:
        """Whether it holds what a program before has left for the next one."""
        return self._dirty and self._worker is not None and self._worker.usable

    async def open(self) -> Isolation:
        """Take a worker, if there is none that can be used.

        Raises:
            SandboxError: none came up.
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
        rooms: JSONObject | None = None,
        keep: bool,
        answer: AnswerCall,
        write: Write,
        clock: RunClock,
    ) -> RunOutcome:
        """Run `program`. With `keep` a program that fails or observes leaves its variables for the next run.

        Raises:
            SandboxError: no worker came up.
        """
        await self.open()
        assert self._worker is not None
        try:
            job = Run(program, tools, rooms or {}, keep)
            outcome = await self._worker.run(job, answer=answer, write=write, clock=clock)
        finally:
            if not self._worker.usable:
                self._pool.warm()  # another comes up while the model thinks about this
        self._dirty = keep and not outcome.state_lost and (outcome.failure is not None or bool(outcome.observed))
        return outcome

    async def close(self, *, broken: bool) -> None:
        """Give the worker back; it is killed when its guest was left as the program made it."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await self._pool.release(worker, clean=not self._dirty and not broken)


class Pool:
    """Workers of one backend with one set of limits.

    Args:
        choice: the backend; as a name, it is chosen for this pool alone.
        limits: their limits.

    Attributes:
        preparing: what takes long at this moment, in words (the first ever start compiles the guest), or empty.
    """

    def __init__(self, choice: BackendSelector | str, limits: WorkerLimits) -> None:
        self.choice = BackendSelector(choice) if isinstance(choice, str) else choice
        self.limits = limits
        self.preparing = ""
        self._closed = False
        self._retired: asyncio.Task[None] | None = None
        self._retiring = False
        self._users = 0
        self._spare: asyncio.Task[Worker] | None = None
        self._workers: WeakSet[Worker] = WeakSet()  # all that live: a task cancelled before it began kills none

    @property
    def closed(self) -> bool:
        """Whether it was retired and its workers are gone."""
        return self._retired is not None and self._retired.done()

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Keep it from being closed by `retire` for the time of the `with` block."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._close_if_idle()

    def warm(self) -> None:
        """Start a worker in the background, if none is there or on its way."""
        if self._closed:
            return
        if self._spare is None or (self._spare.done() and _failed(self._spare)):
            self._spare = asyncio.create_task(self._start())

    async def ensure_started(self) -> None:
        """See that a backend comes up that was asked for and may refuse: before anything else is spent on it.

        Raises:
            SandboxError: it did not come up.
        """
        self.warm()
        if self.choice.in_doubt and self._spare is not None:
            await asyncio.shield(self._spare)

    async def take(self) -> Worker:
        """The spare, or a new worker.

        Raises:
            SandboxError: it did not come up.
        """
        while True:
            self.warm()
            spare, self._spare = self._spare, None
            if spare is None:
                raise SandboxError("The sandboxes were closed meanwhile: run the cell again.")
            try:
                worker = await asyncio.shield(spare)  # a stopped cell does not stop the first compile
            except asyncio.CancelledError:
                self._spare = self._spare or spare
                raise
            if worker.usable:
                return worker
            await worker.kill()  # it died or broke a rule while nobody looked

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[Sandbox]:
        """A sandbox for one turn. Leaving with an exception kills its worker; either way a warm one follows."""
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
        """Keep a clean worker as the spare; kill any other, and warm another up."""
        worn = 2 * worker.busy_seconds > self.limits.cpu_seconds  # there must be time left for a whole run
        if clean and worker.usable and self._spare is None and not worn and not self._closed:
            self._spare = asyncio.create_task(self.wait_ready(worker))
            return
        await worker.kill()
        self.warm()

    def retire(self) -> None:
        """Close once nobody uses it."""
        self._retiring = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._retiring and not self._users and self._retired is None:
            self._retired = asyncio.create_task(self.aclose())

    async def aclose(self) -> None:
        """Kill what is left."""
        self._closed = True
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.cancel()
            await asyncio.gather(spare, return_exceptions=True)
        for worker in list(self._workers):
            await worker.kill()

    async def wait_ready(self, worker: Worker) -> Worker:
        """The worker once its guest is clean again, or another one.

        Raises:
            SandboxError: none came up.
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
            worker = await self.choice.start(self.limits, self._say)
        finally:
            self.preparing = ""
        if self._closed:  # meanwhile
            await worker.kill()
            raise SandboxError("The sandboxes were closed meanwhile: run the cell again.")
        self._workers.add(worker)
        return worker

    def _say(self, text: str) -> None:
        self.preparing = text


def _failed(task: asyncio.Task[Worker]) -> bool:
    return task.cancelled() or task.exception() is not None
