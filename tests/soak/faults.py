"""One turn each, in which something goes wrong. A fault says how its turn ended; `soak.py` asks for a good one after it."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from random import Random
from typing import TypeAlias

import psutil

from codeact_kernel.model.openai_client import OpenAIClient

from ..model.conftest import FakeEndpoint, Reply
from .bench import Bench, children
from .misdeeds import MISDEEDS
from .relay import __file__ as RELAY

__all__ = ["FAULTS", "Fault"]

Fault: TypeAlias = "Callable[[Bench], Awaitable[str]]"


async def killed_before_ready(bench: Bench) -> str:
    await bench.session.reset()
    number = bench.number()
    turn = asyncio.ensure_future(bench.ask(*[f"add({number})"] * 3, expected=number))
    while not children() and not turn.done():
        await asyncio.sleep(0)
    for _ in range(bench.random.randrange(200)):  # somewhere on its way up
        await asyncio.sleep(0.001)
    if not turn.done():
        bench.kill()
    return await turn


async def killed_idle(bench: Bench) -> str:
    await asyncio.sleep(bench.random.random() * 0.3)  # while its guest is made clean, or after that
    bench.kill()
    number = bench.number()
    return await bench.ask(*[f"add({number})"] * 3, expected=number)


async def killed_while_running(bench: Bench) -> str:
    async def hook() -> None:
        bench.later(bench.kill)

    return await bench.with_hook("fault()\nwhile True: pass", hook)


async def killed_with_a_call_open(bench: Bench) -> str:
    async def hook() -> None:
        bench.kill()
        await asyncio.sleep(bench.random.random() * 0.1)

    return await bench.with_hook("fault()", hook)


async def killed_while_answered(bench: Bench) -> str:
    """The worker takes nothing of a long answer, and is killed while the kernel holds what does not fit the pipe."""

    async def hook() -> str:
        bench.kill(signal.SIGSTOP)
        bench.later(_kill_all)
        return "x" * 3_000_000

    return await bench.with_hook("fault()", hook)


async def killed_between_calls(bench: Bench) -> str:
    async def hook() -> None:
        bench.later(bench.kill)

    return await bench.with_hook("fault()\nfor i in range(1000): add(i)\nwhile True: add(1)", hook)


async def stopped_for_good(bench: Bench) -> str:
    """Nobody kills it but the clock of the run."""

    async def hook() -> None:
        bench.kill(signal.SIGSTOP)

    return await bench.with_hook("fault()\nwhile True: print('x' * 1000)", hook)


async def flooded_output(bench: Bench) -> str:
    number = bench.number()
    return await bench.ask(f"for i in range(3000): print('x' * 1000)\nadd({number})", expected=number)


async def full_pipe_of_answers(bench: Bench) -> str:
    async def hook() -> str:
        return "y" * 1_000_000

    many = "import asyncio\nr = await asyncio.gather(*[call_tool_async('fault') for _ in range(8)])\nassert len(r) == 8"
    return await bench.with_hook(many, hook, retried=False)


async def killed_in_a_flood(bench: Bench) -> str:
    async def hook() -> None:
        bench.later(bench.kill)

    return await bench.with_hook("fault()\nwhile True: print('x' * 1000)", hook)


async def stream_of_the_worker_damaged(bench: Bench) -> str:
    how = bench.random.choice(["cut", "garbage", "flip", "drop", "again", "stall"])
    at = bench.random.randrange(
        {"drop": 100, "stall": 100, "flip": 4}.get(how, 0), 900
    )  # not what only the start's limit ends
    return await bench.interposing(RELAY, how, str(at))


async def worker_of_its_own_mind(bench: Bench) -> str:
    return await bench.interposing("-c", bench.random.choice(MISDEEDS))


async def guest_ends_itself(bench: Bench) -> str:
    end = bench.random.choice([
        "import os\nos.abort()", "import os\nos._exit(3)", "raise SystemExit(1)", "raise KeyboardInterrupt",
        "x = []\nwhile True: x.append(bytearray(1 << 20))", "def f(): f()\nf()", "eval('(' * 9999)", "1 / 0",
    ])  # fmt: skip
    number = bench.number()
    good = f"add({number})"
    return await bench.ask(end, good, good, expected=number)


async def guest_never_ends(bench: Bench) -> str:
    number = bench.number()
    return await bench.ask("while True: pass", f"add({number})", expected=number)


async def tool_raises(bench: Bench) -> str:
    kind = bench.random.choice([ValueError, SystemExit, KeyboardInterrupt, RecursionError, BaseException, OSError])

    async def hook() -> None:
        raise kind("no")

    return await bench.with_hook("fault()", hook)


async def tool_hangs(bench: Bench) -> str:
    async def hook() -> None:
        await asyncio.Event().wait()

    return await bench.with_hook("fault()", hook)


async def stopped_by_the_user(bench: Bench) -> str:
    async def hook() -> None:
        await asyncio.sleep(bench.random.random())

    program = bench.random.choice(["fault()", "while True: print(1)", "fault()\nwhile True: add(1)", "add(1)"])
    if bench.random.random() < 0.3:
        await bench.session.reset()  # while the sandbox comes up, too
    turn = asyncio.ensure_future(bench.with_hook(program, hook))
    return await _stopped(turn, after=bench.random.random() * 0.6)


async def endpoint_dies(bench: Bench) -> str:
    """In the middle of its answer, of a line of it, or of a character."""
    number = bench.number()
    text = f"```python\n# é\nadd({number})\n```\n"
    events = [FakeEndpoint.chunk(part) for part in text.splitlines(keepends=True)]
    body = FakeEndpoint.stream(*events, FakeEndpoint.chunk(finish="stop"), FakeEndpoint.usage(10, 5))
    headers = {"Content-Type": "text/event-stream", "Content-Length": str(len(body))}
    broken = Reply(body=body[: bench.random.randrange(len(body))], headers=headers, afterwards=_cut(bench.random))
    busy = Reply(status=500, body=b"{", headers={"retry-after-ms": "1"})
    silent = Reply(body=body[:200], headers=headers, afterwards=bench.endpoint.say_nothing)
    first = bench.random.choice([broken, broken, busy, silent])
    bench.endpoint.replies = [first, Reply(body=body, headers=headers)]
    turn = asyncio.ensure_future(
        bench.ask(model=OpenAIClient("m", base_url=bench.endpoint.url, api_key="k"), expected=number)
    )
    if first is silent or bench.random.random() < 0.2:
        return await _stopped(turn, after=0.2 + bench.random.random())
    return await turn


async def _stopped(turn: asyncio.Future[str], after: float) -> str:
    await asyncio.wait([turn], timeout=after)
    turn.cancel()
    await asyncio.wait([turn])
    return "stopped" if turn.cancelled() else turn.result()


def _cut(random: Random) -> Callable[[BaseHTTPRequestHandler], None]:
    reset = random.random() < 0.5

    def cut(handler: BaseHTTPRequestHandler) -> None:
        if reset:  # no goodbye: what is on its way is lost
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        with suppress(OSError):
            handler.connection.close()

    return cut


def _kill_all() -> None:
    for process in children():
        with suppress(psutil.NoSuchProcess):
            process.kill()


RECOVERED = frozenset({"right"})
FAULTS: Mapping[Fault, frozenset[str]] = {
    killed_before_ready: frozenset({"right", "SandboxError"}),
    killed_idle: RECOVERED,
    killed_while_running: RECOVERED,
    killed_with_a_call_open: RECOVERED,
    killed_while_answered: RECOVERED,
    killed_between_calls: RECOVERED,
    stopped_for_good: RECOVERED,
    flooded_output: RECOVERED,
    full_pipe_of_answers: RECOVERED,
    killed_in_a_flood: RECOVERED,
    stream_of_the_worker_damaged: frozenset({"right", "another value", "SandboxError", "BridgeError", "WorkerLost"}),
    worker_of_its_own_mind: frozenset({"right", "another value", "SandboxError", "BridgeError", "WorkerLost"}),
    guest_ends_itself: RECOVERED,
    guest_never_ends: RECOVERED,
    tool_raises: frozenset({"right", "ToolFailed"}),  # the model is not asked about a fault of the tool itself
    tool_hangs: RECOVERED,
    stopped_by_the_user: frozenset({"right", "stopped"}),
    endpoint_dies: frozenset({"right", "stopped", "ModelError"}),
}
"""How the turn of each may end."""
