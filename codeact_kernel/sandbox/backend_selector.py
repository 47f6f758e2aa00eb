"""Select the backend: by its name, or for `auto` by starting each one, since a host's looks prove nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ..errors import SandboxError, UserError
from ..guest.kinds import STANDARD, GuestKind
from ..limits import WorkerLimits
from .backends import AUTO, BACKENDS, Backend, find_backend
from .guest_compiler import compile_guest
from .worker_client import Worker

__all__ = ["BackendSelector"]


class BackendSelector:
    """Start workers of one backend.

    Args:
        wanted: the name of a backend; or `auto` for the strongest one that starts a worker. What `auto` selects holds
            for the life of this object, so that no later turn has a weaker boundary than the first.

    Attributes:
        wanted: the name that was given.
        name: the name of the backend; `None` until `auto` has selected one.
        passed_over: why `auto` did not select a stronger backend; empty if it did, or if a backend was named.
        in_doubt: whether the backend was named, may refuse to start, and has not started yet.

    Raises:
        UserError: if there is no such backend, or a part that it needs is missing.
    """

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.passed_over = ""
        self._backend: Backend | None = None
        if wanted == AUTO:
            _require_available(BACKENDS[-1])
        else:
            self._backend = find_backend(wanted)
            _require_available(self._backend)
        self.in_doubt = self._backend is not None and self._backend.may_refuse
        self._proof: tuple[Worker, WorkerLimits] | None = None
        self._selection = asyncio.Lock()  # turns that start together must not select different backends

    @property
    def name(self) -> str | None:
        return self._backend and self._backend.name

    async def select(self, limits: WorkerLimits) -> Backend:
        """Return the backend. If `auto` has selected none yet, start each one until one starts."""
        async with self._selection:
            if self._backend is None:
                self._backend, self._proof = await self._select(limits)
        return self._backend

    async def start(self, limits: WorkerLimits, notify: Callable[[str], None], guest: GuestKind = STANDARD) -> Worker:
        """Start a worker with the given kind of guest, and wait until it is ready.

        Args:
            notify: called with a sentence before something that takes long.

        Raises:
            SandboxError: if the worker did not start.
            UserError: if the backend does not have the guest.
        """
        selected = await self.select(limits)
        proof, self._proof = self._proof, None
        if proof is not None:
            worker, its_limits = proof
            if worker.usable and its_limits == limits and selected.guest is guest:
                return worker
            await worker.kill()
        backend = find_backend(selected.name, guest)
        if backend.compiler:
            await compile_guest(backend, notify)
        if not backend.may_refuse:
            return await Worker.start(backend.name, limits, guest)
        try:
            worker = await Worker.start(backend.name, limits)
        except SandboxError as error:
            advice = "%codeact reset looks again at what this host can give"
            if self.wanted != AUTO:
                advice = f"choose --backend {BACKENDS[-1].name}, or auto to take what this host can give"
            reason = str(error).rstrip(".")
            raise SandboxError(f"The {backend.name} backend did not start: {reason}. To go on, {advice}.") from None
        self.in_doubt = False
        return worker

    async def _select(self, limits: WorkerLimits) -> tuple[Backend, tuple[Worker, WorkerLimits] | None]:
        """Return the strongest backend that starts, and the worker that proved it with its limits."""
        # A host that cannot give the unusual memory of one cell may well have enough for the next cell.
        usual = replace(limits, memory_bytes=min(limits.memory_bytes, WorkerLimits().memory_bytes))
        reasons: list[str] = []
        for backend in BACKENDS[:-1]:
            try:
                _require_available(backend)
                worker = await Worker.start(backend.name, usual)
            except (UserError, SandboxError) as error:
                reasons.append(str(error))
                continue
            return backend, (worker, usual)
        self.passed_over = " ".join(reasons)
        return BACKENDS[-1], None


def _require_available(backend: Backend) -> None:
    if reason := backend.why_unavailable():
        raise UserError(reason)
