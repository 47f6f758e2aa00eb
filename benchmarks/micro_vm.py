"""Real micro-VMs, ours beside those of agent-framework-hyperlight: what abuse does to each, and what things cost.

    python -m venv build/reference
    build/reference/bin/pip install --pre agent-framework-hyperlight
    scripts/in-vm -- .venv/bin/python benchmarks/micro_vm.py --reference build/reference/bin/python

Where a micro-VM starts without it, leave out scripts/in-vm. Both arms run in turn on the same machine. Each case of abuse
is a process of its own: one program, then a harmless one, with a heartbeat beside them; a process that does not answer is
interrupted as Ctrl-C would do it, and killed if that does not help. Costs are medians, and to be read as ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

ABUSE = {
    "sleeps 0.2 s": "import time\ntime.sleep(0.2)\nprint('slept')",
    "prints 20,000 characters": "print('x' * 20_000)",
    "sends a 20,000 character argument": "print(len(call_tool('echo', value='x' * 20_000)))",
    "sends 4,000 times é": "print(len(call_tool('echo', value='\\xe9' * 4_000)))",
    "prints a lone surrogate": "print('\\ud800')",
    "raises KeyboardInterrupt": "raise KeyboardInterrupt",
    "exits with a text": "import sys\nsys.exit('done')",
    "uses all memory": "rows = []\nwhile True:\n    rows.append(bytearray(1 << 20))",
    "uses 20 MB": "print(len(bytearray(20 << 20)))",
    "asks for input": "input()",
    "imports asyncio": "import asyncio\nasync def main():\n    await asyncio.sleep(0.1)\n    print('ran')\nasyncio.run(main())",
    "imports statistics": "import statistics\nprint(statistics.median([1, 2, 3]))",
    "takes random numbers": "import random\nprint(random.random())",
    "loops": "while True: pass",
}
AFTER = "print('alive')"
INTERRUPT_AFTER, GIVE_UP_AFTER = 12.0, 30.0
"""Seconds without an end after which a case gets Ctrl-C, and after which it is killed."""
CALLS = "for i in range(200):\n    call_tool('echo', value=i)\nprint('done')"


class Arm(Protocol):
    """One way to run a program: its printed text, or what went wrong in words."""

    async def run(self, program: str) -> str: ...

    async def close(self) -> None: ...


class Ours:
    def __init__(self, memory: int = 256) -> None:
        from codeact_kernel.sandbox.pool import Pool
        from codeact_kernel.settings import Limits

        self.pool = Pool("hyperlight", Limits(memory_bytes=memory << 20))

    async def run(self, program: str) -> str:
        from codeact_kernel.sandbox.worker_client import RunClock
        from codeact_kernel.types import CallOutcome, CallResult, ToolCall

        async def answer(call: ToolCall) -> CallOutcome:
            return CallResult(value=call.arguments["value"])

        printed: list[str] = []
        async with self.pool.checkout() as sandbox:
            outcome = await sandbox.run(
                program,
                tools={"echo": ["value"]},
                keep=False,
                answer=answer,
                write=lambda stream, text: printed.append(text),
                clock=RunClock(8),
            )
        return "".join(printed) if outcome.failure is None else str(outcome.failure)

    async def close(self) -> None:
        await self.pool.aclose()


class Reference:
    def __init__(self) -> None:
        from agent_framework import tool
        from agent_framework_hyperlight import HyperlightExecuteCodeTool

        @tool(approval_mode="never_require")
        def echo(value: Any) -> Any:
            """The value itself."""
            return value

        self.tool = HyperlightExecuteCodeTool(tools=[echo])

    async def run(self, program: str) -> str:
        contents = await self.tool.invoke(arguments={"code": program})
        said = [item.text or f"{item.message}: {item.error_details}" for item in contents]
        return "\n".join(said).strip()

    async def close(self) -> None:
        self.tool._registry.close()


ARMS: dict[str, Callable[[], Arm]] = {"ours": Ours, "ours, 64Mi": lambda: Ours(64), "reference": Reference}


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def abuse(arm: Arm, program: str) -> None:
    """In the child: warm up, then the program and a harmless one, told as they end."""
    await arm.run(AFTER)
    say(ready=True)
    gaps, beating = [0.0], True

    def beat() -> None:
        last = time.monotonic()
        while beating:
            time.sleep(0.01)
            now = time.monotonic()
            gaps[0], last = max(gaps[0], now - last), now

    threading.Thread(target=beat, daemon=True).start()
    for name, code in (("first", program), ("again", program), ("after", AFTER)):
        start = time.monotonic()
        try:
            text = await arm.run(code)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
        say(**{name: text.strip()[:160], "seconds": time.monotonic() - start, "frozen": gaps[0]})
    beating = False
    await arm.close()


async def costs(make: Callable[[], Arm], rounds: int = 9) -> None:
    """In the child: seconds of each thing, told at the end."""
    start = time.monotonic()
    arm = make()

    async def timed(work: Callable[[], Awaitable[str]], expected: str) -> float:
        start = time.monotonic()
        text = (await work()).strip()
        if text != expected:
            await arm.close()
            raise RuntimeError(f"{text!r} instead of {expected!r}")
        return time.monotonic() - start

    await timed(lambda: arm.run(AFTER), "alive")
    first = time.monotonic() - start
    await arm.run(AFTER)  # the first restore takes several times as long
    in_a_row = [await timed(lambda: arm.run(AFTER), "alive") for _ in range(rounds)]
    rested: list[float] = []
    for _ in range(rounds):
        await asyncio.sleep(1.5)  # a user or a model takes longer than that
        rested.append(await timed(lambda: arm.run(AFTER), "alive"))
    calls = [await timed(lambda: arm.run(CALLS), "done") for _ in range(3)]
    memory = resident()
    await arm.close()
    say(
        first_start=first,
        in_a_row=statistics.median(in_a_row),
        rested=statistics.median(rested),
        call=(statistics.median(calls) - statistics.median(in_a_row)) / 200,
        memory_mb=memory,
    )


def resident() -> int:
    """MB that this process and those it started hold."""
    pids = [str(Path("/proc/self").resolve().name)]
    pids += Path(f"/proc/self/task/{pids[0]}/children").read_text().split()
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


def observed(python: str, arm: str, case: str) -> dict[str, Any]:
    """What came of one case, with the interrupt and the kill that it needed."""
    command = [python, __file__, "--arm", arm, "--case", case]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    facts: dict[str, Any] = {}
    ready, ended = threading.Event(), threading.Event()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            facts.update(json.loads(line) if line.startswith("{") else {})
            ready.set()
        ready.set()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    ready.wait(120)
    start = time.monotonic()
    if not ended.wait(INTERRUPT_AFTER + (GIVE_UP_AFTER if "ours" in arm else 0)):
        child.send_signal(signal.SIGINT)
        if not ended.wait(GIVE_UP_AFTER - INTERRUPT_AFTER):
            facts["killed after"] = round(time.monotonic() - start)
            child.kill()
            ended.wait()
    child.wait()
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", help="a Python that has agent-framework-hyperlight")
    parser.add_argument("--json", help="also write what was found to this file")
    parser.add_argument("--only", choices=["abuse", "costs"])
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        make = ARMS[options.arm]
        asyncio.run(costs(make) if options.case == "costs" else abuse(make(), ABUSE[options.case]))
        return
    arms = {"ours": sys.executable, "ours, 64Mi": sys.executable}
    arms |= {"reference": options.reference} if options.reference else {}
    found: dict[str, Any] = {"abuse": {}, "costs": {}}
    if options.only != "abuse":
        for arm, python in arms.items():
            done = subprocess.run(
                [python, __file__, "--arm", arm, "--case", "costs"], stdout=subprocess.PIPE, text=True
            )
            found["costs"][arm] = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
            print(arm, json.dumps(found["costs"][arm]), flush=True)
    if options.only != "costs":
        for case in ABUSE:
            print(f"\nA program that {case}:", flush=True)
            for arm in ("ours", "reference"):
                if arm in arms:
                    facts = found["abuse"].setdefault(case, {})[arm] = observed(arms[arm], arm, case)
                    print(f"  {arm:9} {json.dumps(facts)}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
