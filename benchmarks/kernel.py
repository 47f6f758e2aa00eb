"""What the CodeAct kernel costs beside the stock Python kernel, as ratios of one run: its start, and plain cells.

python benchmarks/kernel.py [STARTS] [CELLS]

A start is the time from starting the process to the answer of the first cell. The two kernels take turns, so that
whatever else the machine does meets both; each figure is a median.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

KERNELS = ("python3", "codeact")
CELLS = {
    "an expression": "1 + 1",
    "an assignment": "x = 3",
    "a print": "print('hello')",
    "ten lines": "\n".join(f"y{n} = {n} > 1 and 'Some words, here.'" for n in range(10)),
    "a string that begins like a prompt": "'''\n> not a prompt\n'''",
}


@contextmanager
def kernel(name: str, folder: Path) -> Iterator[tuple[BlockingKernelClient, float]]:
    """A kernel that has answered once, and the seconds that it took."""
    manager = KernelManager(kernel_name=name)
    began = time.perf_counter()
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    cell(client, "1 + 1")
    try:
        yield client, time.perf_counter() - began
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def cell(client: BlockingKernelClient, code: str) -> float:
    """Seconds from sending a cell to its kernel's being idle again."""
    began = time.perf_counter()
    sent = client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=60)
        idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
        if idle and message["parent_header"].get("msg_id") == sent:
            took = time.perf_counter() - began
            client.get_shell_msg(timeout=60)
            return took


def starts(number: int, folder: Path) -> None:
    """Print what a start takes."""
    took: dict[str, list[float]] = {name: [] for name in KERNELS}
    for turn in range(number):
        for name in KERNELS if turn % 2 else KERNELS[::-1]:
            with kernel(name, folder) as (_, seconds):
                took[name].append(seconds)
    tell("start and first cell", took)


def cells(number: int, folder: Path) -> None:
    """Print what plain cells take, also once the engine is there."""
    with kernel(KERNELS[0], folder) as (stock, _), kernel(KERNELS[1], folder) as (ours, _):
        clients = dict(zip(KERNELS, (stock, ours), strict=True))
        for setup in ("", "@tool\ndef f(x: int) -> int:\n    'F.'\n    return x"):
            if setup:
                cell(ours, setup)
                time.sleep(3)  # the sandbox warms up once, behind the cell that defined the first tool
                print("\nwith a tool, and a sandbox that waits:")
            for what, code in CELLS.items():
                took: dict[str, list[float]] = {name: [] for name in KERNELS}
                for turn in range(number):
                    for name in KERNELS if turn % 2 else KERNELS[::-1]:
                        took[name].append(cell(clients[name], code))
                tell(what, took)


def tell(what: str, took: dict[str, list[float]]) -> None:
    """One line of the table."""
    stock, ours = (statistics.median(took[name]) for name in KERNELS)
    ratios = sorted(b / a for a, b in zip(*(took[name] for name in KERNELS), strict=True))
    low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
    print(
        f"{what:36} stock {1000 * stock:8.2f} ms   ours {1000 * ours:8.2f} ms   ratio {ours / stock:.3f}   (pairs {low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    times = [int(word) for word in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as own:
        starts((times or [15])[0], Path(own))
        cells((times[1:] or [300])[0], Path(own))
