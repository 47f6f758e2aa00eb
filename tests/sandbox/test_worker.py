"""One worker process, seen from the host: what it gets from us, how it ends, and what a hostile one can say."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from codeact_kernel.bridge.messages import Run as Job
from codeact_kernel.errors import SandboxError
from codeact_kernel.sandbox.worker_client import RunClock, Worker
from codeact_kernel.sandbox.worker_main import GAVE_UP
from codeact_kernel.settings import Limits
from codeact_kernel.types import CallOutcome, CallResult, ToolCall

from .conftest import run_in, workers

JOB = Job("1", {}, {}, False)


async def started(**limits: Any) -> tuple[Worker, psutil.Process]:
    """A real worker, and its process."""
    before = {process.pid for process in workers()}
    worker = await Worker.start("embedded", Limits(**limits))
    (process,) = [process for process in workers() if process.pid not in before]
    return worker, process


@pytest.fixture
async def start():
    """Starts real workers, which are killed behind the test."""
    made: list[Worker] = []

    async def make(**limits: Any) -> tuple[Worker, psutil.Process]:
        worker, process = await started(**limits)
        made.append(worker)
        return worker, process

    yield make
    for worker in made:
        await worker.kill()


# -- what a worker gets ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_worker_knows_no_secret_of_the_environment(start, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "canary-too")
    monkeypatch.setenv("MY_TOKEN", "canary-three")
    _, process = await start()
    names = {entry.partition(b"=")[0] for entry in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")}
    assert {b"HOME"} <= names  # the control: it can be read
    assert names <= {b"HOME", b"PYTHONHOME", b"PYTHONPATH", b"LD_LIBRARY_PATH", b""}
    assert "canary" not in " ".join(process.cmdline())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_worker_has_its_pipes_and_no_descriptor_of_the_kernels(start, tmp_path):
    given = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(given, True)  # as a library of the user's may have done
    try:
        _, process = await start()
        (copy,) = process.children() or [process]
        ours = [str(one.readlink()) for one in Path(f"/proc/{copy.pid}/fd").iterdir()]
        others = {what for what in ours if not what.startswith("pipe:")}
        engine = {"/dev/null", "anon_inode:[eventfd]", "anon_inode:[eventpoll]"}
        assert {what for what in others - engine if "memfd" not in what and not what.endswith(".cwasm")} == set()
        assert os.getsid(copy.pid) == process.pid != os.getsid(0)
    finally:
        os.close(given)


async def test_a_folder_of_our_name_in_the_working_folder_is_not_imported(start, monkeypatch, tmp_path):
    for name in ("codeact_kernel", "wasmtime"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\n1 / 0")
    (tmp_path / "json.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    worker, process = await start()
    assert process.cwd() == os.path.abspath(os.sep)
    assert (await run_in(worker)).value == 1
    assert not (tmp_path / "imported").exists()


async def test_a_worker_reports_the_boundary_it_really_has(start):
    worker, _ = await start()
    assert worker.isolation.backend == "embedded"
    assert str(worker.isolation).startswith("WebAssembly in a locked-down process")
    assert {*worker.isolation.layers, *worker.isolation.missing} == {"seccomp", "Landlock"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_worker_holds_no_file_or_socket_but_its_pipes(start, tmp_path):
    with (tmp_path / "open.txt").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        _, process = await start()
        links = {str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
    kinds = {link.split(":")[0] for link in links}
    assert kinds <= {"pipe", "socket", "anon_inode", "/dev/null"} | {link for link in links if "codeact" in link}
    assert str(tmp_path) not in " ".join(links)


# -- how a worker ends --------------------------------------------------------------------------------------------------------


async def test_a_worker_killed_during_a_run_is_a_lost_worker(start):
    worker, process = await start()

    async def answer(call: ToolCall) -> CallOutcome:
        os.kill(process.pid, signal.SIGKILL)
        return CallResult(value=None)

    outcome = await run_in(worker, "tool()\nwhile True: pass", answer=answer)
    assert outcome.failure.kind == "WorkerLost"
    assert outcome.state_lost
    assert not worker.usable
    assert not process.is_running()


async def test_cancelling_a_run_kills_the_process_and_its_open_calls(start):
    worker, process = await start()
    called, ended = asyncio.Event(), []

    async def answer(call: ToolCall) -> CallOutcome:
        called.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            ended.append(error)
            raise
        return CallResult(value=None)

    task = asyncio.create_task(run_in(worker, "tool()", answer=answer))
    await called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(ended) == 1
    assert not worker.usable
    assert not process.is_running()


async def test_cancelling_a_guest_that_computes_kills_the_process(start):
    worker, process = await start()
    printed = asyncio.Event()
    task = asyncio.create_task(
        run_in(worker, "print('x')\nwhile True: print('y')", write=lambda stream, text: printed.set())
    )
    await printed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not process.is_running()


async def test_a_worker_that_uses_too_much_processor_time_ends_although_the_clock_stands(start):
    worker, _ = await start(cpu_seconds=1)
    clock = RunClock(60)

    async def answer(call: ToolCall) -> CallOutcome:
        with clock.paused():  # a decision that nobody takes
            await asyncio.Event().wait()
        return CallResult(value=None)

    program = (
        "import asyncio\nasync def main():\n    call_tool_async('tool')\n    while True: pass\nasyncio.run(main())"
    )
    outcome = await run_in(worker, program, clock, answer=answer)
    assert outcome.failure.kind == "WorkerLost"


async def test_a_worker_that_does_not_come_up_in_time_is_an_error_and_leaves_no_process():
    before = {process.pid for process in workers()}
    with pytest.raises(SandboxError) as caught:
        await Worker.start("embedded", Limits(start_seconds=0.001))
    assert caught.value.timed_out
    assert {process.pid for process in workers()} <= before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_worker_ends_with_its_parent_even_while_its_guest_loops():
    script = textwrap.dedent("""
        import asyncio, os, psutil
        from codeact_kernel.sandbox.pool import Pool
        from codeact_kernel.sandbox.worker_client import RunClock
        from codeact_kernel.settings import Limits

        async def main():
            def write(stream, text):
                print(*[child.pid for child in psutil.Process().children(recursive=True)], flush=True)

            async with Pool("embedded", Limits()).checkout() as sandbox:
                await sandbox.run("print('running')\\nwhile True: pass", tools={}, keep=False, answer=None, write=write,
                                  clock=RunClock(600))

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ends = {pid: os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()}
        assert ends
        for end in ends.values():
            assert select.select([end], [], [], 0)[0] == []  # it lives
        parent.kill()
        for end in ends.values():
            assert select.select([end], [], [], 10)[0] == [end]
            os.close(end)


# -- the clock -----------------------------------------------------------------------------------------------------------------


async def test_a_clock_begins_with_its_run_however_long_the_start_took(start):
    clock = RunClock(0.3)
    worker, _ = await start()
    await asyncio.sleep(0.4)
    assert (await run_in(worker, "7", clock)).value == 7


async def test_a_clock_that_is_paused_stands_still_and_goes_on_afterwards(start):
    worker, _ = await start()
    clock = RunClock(0.5)

    async def answer(call: ToolCall) -> CallOutcome:
        with clock.paused(), clock.paused():
            await asyncio.sleep(0.6)
        return CallResult(value=None)

    outcome = await run_in(worker, "tool()\n7", clock, answer=answer)
    assert outcome.value == 7
    clock = RunClock(0.5)
    outcome = await run_in(worker, "tool()\nwhile True: pass", clock, answer=answer)
    assert outcome.failure.kind == "TimedOut"


async def test_a_run_that_ends_while_a_user_decides_cancels_the_question_and_nothing_else(start):
    worker, _ = await start()
    clock, asked, ended = RunClock(30), asyncio.Event(), []

    async def answer(call: ToolCall) -> CallOutcome:
        try:
            with clock.paused():
                asked.set()
                await asyncio.Event().wait()
        except BaseException as error:
            ended.append(type(error))
            raise
        return CallResult(value=None)

    task = asyncio.create_task(run_in(worker, "tool()", clock, answer=answer))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [asyncio.CancelledError]


async def test_a_fault_of_ours_in_answering_is_told_to_the_program(start):
    worker, _ = await start()

    async def answer(call: ToolCall) -> CallOutcome:
        raise ZeroDivisionError("ours")

    outcome = await run_in(
        worker, "try:\n    tool()\nexcept ToolFailed as error:\n    seen = str(error)\nseen", answer=answer
    )
    assert outcome.value == "internal error (ZeroDivisionError)"


# -- hostile workers: real processes that speak the protocol, until they do not ---------------------------------------------------

Hostile = Callable[[str], Any]


async def test_a_worker_that_keeps_the_rules_is_believed(hostile: Hostile):
    """The control: what follows fails for what it says, and not for how it is started."""
    worker = await hostile("""
        ready(); assert hear()["says"] == "Run"
        call(1); assert hear() == {"says": "CallReturned", "call": 1, "value": None, "stored": False}
        finished(); ready(); stay()
    """)
    outcome = await run_in(worker)
    assert outcome.value == 1
    await worker.wait_ready()
    assert worker.usable


@pytest.mark.parametrize(
    "script",
    [
        "write(b'Traceback (most recent call last):')",
        "write(b'\\xff' * 10_000_000)",
        "write(b'\\x00' * 100_000)",
        "frame(b'[' * 20_000)",
        "frame(b'[' * 40 + b'\"' + b'\\\\\\\\\"' * 1_000_000)",
        "frame(b'', length=9 << 20); write(b'x' * (9 << 20))",
        "frame(b'{\"says\"', length=100); sys.exit()",
        "write(b'\\x00\\x00'); sys.exit()",
        "sys.exit('last words')",
        "os.kill(os.getpid(), 9)",
        "os.close(1)",
        "ready()",
        "say('Run', program='1', tools={}, capabilities={}, keep=False)",
        "say('CallReturned', call=1, value=1)",
        "call(1); say('CallReturned', call=1, value=1)",
        "call(2)",
        "call(0)",
        "call(1); call(1)",
        "call(1); hear(); call(1)",
        "for number in range(1, 40): call(number)",
        "call(1); finished()",
        "finished(); finished()",
        "finished(value=[float('nan')])",
        "finished(observed=[1])",
        "finished(failure={'kind': 'E'})",
        "say('Output', stream='log', text='')",
        "for _ in range(10): say('Output', stream='stdout', text='x' * (1 << 20))",
    ],
)
async def test_a_worker_that_breaks_a_rule_is_discarded(hostile: Hostile, script):
    async def never(call: ToolCall) -> CallOutcome:
        await asyncio.Event().wait()
        return CallResult(value=None)

    worker = await hostile(f"ready(); hear()\n{script}\nstay()")
    outcome = await (run_in(worker) if "hear()" in script else run_in(worker, answer=never))
    if script.startswith("finished(); finished()"):  # the run itself went well, what came after it did not
        assert outcome.value == 1
        with pytest.raises(SandboxError):
            await worker.wait_ready()
        await worker.kill()
    else:
        assert outcome.failure.kind == "WorkerLost"
        assert outcome.state_lost
        assert len(outcome.failure.message) < 500
    assert not worker.usable


async def test_a_worker_that_floods_while_nobody_reads_can_still_be_killed(hostile: Hostile, tmp_path):
    go, begun = tmp_path / "go", tmp_path / "begun"
    worker = await hostile(f"""
        import time
        ready(); hear(); finished(); ready()
        while not os.path.exists({str(go)!r}): time.sleep(0.001)
        write(b"x" * 1_000); open({str(begun)!r}, "w").close(); write(b"x" * 1_000_000)
    """)
    assert (await run_in(worker)).value == 1
    await worker.wait_ready()
    go.touch()
    while not begun.exists():  # and meanwhile the loop hears nothing
        time.sleep(0.001)
    async with asyncio.timeout(20):
        await worker.kill()


async def test_a_worker_that_breaks_a_rule_while_nobody_asks_it_is_not_used_again(hostile: Hostile):
    worker = await hostile("ready(); write(b'\\xff' * 100); stay()")
    await worker.wait_ready()
    async with asyncio.timeout(20):
        while worker.usable:
            await asyncio.sleep(0.01)
    outcome = await run_in(worker)
    assert str(outcome.failure).startswith("WorkerLost: a frame of 4,294,967,295 bytes")


async def test_what_a_worker_says_after_a_call_is_seen_after_it(hostile: Hostile):
    seen: list[object] = []

    async def answer(call: ToolCall) -> CallOutcome:
        seen.append(call.id)
        return CallResult(value=None)

    worker = await hostile("""
        ready(); hear()
        frames, write = [], lambda data: frames.append(data)
        for number in (1, 2, 3):
            call(number); say("Output", stream="stdout", text=str(number))
        os.write(1, b"".join(frames))
        write = lambda data: os.write(1, data)
        hear(); hear(); hear(); finished(); stay()
    """)
    await run_in(worker, answer=answer, write=lambda stream, text: seen.append(text))
    assert seen == [1, "1", 2, "2", 3, "3"]


async def test_the_last_words_of_a_worker_are_told(hostile: Hostile):
    outcome = await run_in(await hostile("ready(); hear(); print('noise', file=sys.stderr); sys.exit('disk on fire')"))
    assert outcome.failure.message == "the sandbox's process ended by itself (1). disk on fire"


@pytest.mark.parametrize(
    "script", ["write(b'hello world'); stay()", "sys.exit(1)", "finished(); stay()", "call(1); stay()"]
)
async def test_a_worker_that_is_never_ready_is_an_error(hostile: Hostile, script):
    worker = await hostile(script)
    with pytest.raises(SandboxError):
        await worker.wait_ready()


async def test_noise_on_stderr_without_end_does_not_hold_a_worker_up(hostile: Hostile):
    worker = await hostile("""
        ready(); hear()
        for _ in range(1_000): os.write(2, b"x" * 10_000)
        finished(); stay()
    """)
    assert (await run_in(worker)).value == 1


def test_a_worker_with_a_broken_configuration_says_why_and_ends():
    configuration = {"backend": "nothing", "kind": "standard", "guest": "", "limits": {}, "parent": os.getpid()}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel.sandbox.worker_main", json.dumps(configuration)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == GAVE_UP
    (line,) = done.stderr.splitlines()
    assert line.startswith("There is no backend 'nothing'")


async def test_a_worker_that_gives_up_is_quoted_and_one_that_just_ends_is_not_taken_at_its_word(hostile: Hostile):
    for code, said in ((GAVE_UP, "the reason"), (3, "the sandbox's process ended by itself (3). the reason")):
        worker = await hostile(f"os.write(2, b'noise\\nthe reason\\n'); os._exit({code})")
        with pytest.raises(SandboxError) as caught:
            await worker.wait_ready()
        assert str(caught.value) == said


def test_a_worker_whose_parent_is_gone_already_ends_at_once():
    configuration = {
        "backend": "embedded",
        "kind": "standard",
        "guest": "",
        "limits": {},
        "parent": 1 if os.getpid() != 1 else 2,
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel.sandbox.worker_main", json.dumps(configuration)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"")
