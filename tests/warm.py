"""One warm pool for the sessions of many tests: each turn has a fresh guest in it, as it has in one session."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from codeact_kernel.sandbox.pool import Pool
from codeact_kernel.session import Session
from codeact_kernel.tools import Registry

__all__ = ["WarmPool"]


class WarmPool:
    """Lends its pool to one session after the other, all on one loop.

    A session whose settings want other limits takes another pool, as ever, which is then lent to the next session.
    """

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._lender = Session(tools=())

    @asynccontextmanager
    async def session(
        self, tools: Registry | Iterable[Callable[..., object]], **options: Any
    ) -> AsyncGenerator[Session]:
        async with Session(tools, **options) as session:
            session._pool, session._selectors = self._pool, self._lender._selectors
            self._pool = None
            try:
                yield session
            finally:
                if session._pool is not None and not session._pool._closed:
                    self._pool, session._pool = session._pool, None

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()
