"""`python -m codeact_kernel.sandbox.precompile [BACKEND]`: start one sandbox and print its boundary.

If the backend has to compile the guest, that happens now instead of in the first cell.
"""

from __future__ import annotations

import asyncio
import sys

from ..configuration import from_environment
from ..errors import CodeActError
from ..limits import WorkerLimits
from .backend_selector import BackendSelector

__all__: list[str] = []


async def _start_once(backend: str) -> None:
    selector = BackendSelector(backend)
    worker = await selector.start(WorkerLimits(), print)
    print(f"The sandbox is ready: {worker.isolation}.")
    if selector.passed_over:
        print(f"It is not a micro-VM: {selector.passed_over}")
    await worker.kill()


if __name__ == "__main__":
    try:
        asyncio.run(_start_once(sys.argv[1] if len(sys.argv) > 1 else from_environment().backend))
    except CodeActError as error:
        sys.exit(str(error))
