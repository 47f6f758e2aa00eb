"""`python -m codeact_kernel.sandbox.precompile [BACKEND]`: start one sandbox and say which boundary it has.

Where that needs the guest to be compiled it is done now, instead of in the first cell.
"""

from __future__ import annotations

import asyncio
import sys

from ..configuration import from_environment
from ..errors import CodeActError
from ..limits import WorkerLimits
from .backend_selector import BackendSelector

__all__: list[str] = []


async def _prepare(backend: str) -> None:
    choice = BackendSelector(backend)
    worker = await choice.start(WorkerLimits(), print)
    print(f"The sandbox is ready: {worker.isolation}.")
    if choice.passed_over:
        print(f"It is no micro-VM: {choice.passed_over}")
    await worker.kill()


if __name__ == "__main__":
    try:
        asyncio.run(_prepare(sys.argv[1] if len(sys.argv) > 1 else from_environment().backend))
    except CodeActError as error:
        sys.exit(str(error))
