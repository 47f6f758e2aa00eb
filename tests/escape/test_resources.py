"""F. Using up what the machine has: time, memory, stack, output, workers."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psutil
import pytest

from codeact_kernel import Approver, DenyAll, ScriptedModel
from codeact_kernel.approval import ApprovalRequest
from codeact_kernel.events import ProgramReady, TurnFinished
from codeact_kernel.types import Decision, TurnResult

from ..sandbox.conftest import CONNECT, EMULATED, workers
from .attempts import Attempt, attempt, cases
from .conftest import Kernel, hidden, unlisted, with_limits

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 4 if EMULATED else 0.4
"""Of a run that is meant to be stopped."""

TIME = [
    Attempt(
        id=f"F1.{name}",
        tries=what,
        program=f"print('before', flush=True)\n{textwrap.dedent(program)}",
        reached="TimedOut: the program was stopped after",
    )
    for name, what, program in (
        ("loop", "computes forever", "while True:\n    pass"),
        (
            "catches",
            "computes forever, and catches every exception",
            """
            def again():
                while True:
                    try:
                        while True:
                            pass
                    except BaseException:
                        continue
                    finally:
                        again()
            again()
            """,
        ),
        ("sleep", "sleeps forever", "import time\nwhile True:\n    time.sleep(3_600)"),
        ("sleep_async", "sleeps in an event loop", "import asyncio\nasyncio.new_event_loop().run_until_complete(asyncio.sleep(3_600))"),
        ("regex", "matches an expression that takes forever", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"),
        (
            "digits",
            "writes out a number of ten million digits",
            "import sys\nsys.set_int_max_str_digits(0)\nlen(str(7 ** 12_000_000))",
        ),
        ("power", "computes a power that no machine can hold", "n = 7 ** 7 ** 8\nfor _ in range(99): n *= n"),
        ("contains", "searches an endless iterator", "import itertools\n'x' in itertools.count()"),
        ("sum", "sums an endless iterator in one call", "sum(range(10 ** 15))"),
        (
            "finalizer",
            "continues after its end, in a finalizer",
            """
            import sys
            class Last:
                def __del__(self):
                    while True:
                        pass
            sys.last_one = Last()
            del sys.last_one
            """,
        ),
        (
            "text",
            "returns a value whose repr never ends",
            """
            class Slow:
                def __repr__(self):
                    while True:
                        pass
            repr(Slow())
            """,
        ),
        ("services", "lists its folder forever", "import os\nwhile True:\n    os.listdir('/')"),
    )
]  # fmt: skip

STACK = [
    Attempt(
        id="F2.recursion",
        tries="calls itself forever",
        program="def f(n):\n    return f(n + 1) + 1\nf(0)",
        reached="RecursionError: maximum recursion depth exceeded",
    ),
    Attempt(
        id="F2.raised_limit",
        tries="raises the recursion limit, and calls itself forever",
        program="import sys\nsys.setrecursionlimit(10**8)\nclass A:\n    def __getattr__(self, name):\n        return getattr(self, name + 'x')\nA().a",
        reached="RecursionError|MemoryError|Crashed|TimedOut",
    ),
    Attempt(
        id="F2.text",
        tries="prints a list with a hundred thousand levels",
        program="x = []\nfor _ in range(10**5):\n    x = [x]\nrepr(x)",
        reached="RecursionError|Crashed",
    ),
    Attempt(
        id="F2.value",
        tries="returns a value with a hundred thousand levels",
        program="seen = []\nfor _ in range(10**5):\n    seen = [seen]",
        reached="repr raises|RecursionError|Crashed",
    ),
    Attempt(
        id="F2.argument",
        tries="passes a value with a hundred thousand levels to a tool",
        program="x = []\nfor _ in range(10**5):\n    x = {'x': x}\ntry:\n    echo(x)\nexcept TypeError as error:\n    seen = f'refused: {error}'",
        reached="refused: .*nested too deeply",
    ),
    Attempt(
        id="F2.circle",
        tries="passes a list that contains itself to a tool",
        program="x = []\nx.append(x)\ntry:\n    echo(x)\nexcept TypeError as error:\n    seen = f'refused: {error}'",
        reached="refused: .*nested too deeply, or in a circle",
    ),
    Attempt(
        id="F2.parser",
        tries="parses ten thousand brackets",
        program="seen = eval('[' * 10_000 + ']' * 10_000)",
        reached="SyntaxError: too many nested|MemoryError|Crashed|RecursionError",
    ),
    Attempt(
        id="F2.regex",
        tries="compiles a regular expression with fifty thousand groups",
        program="import re\nre.compile('(' * 50_000 + ')' * 50_000)",
        reached="RecursionError|OverflowError|MemoryError|error|Crashed",
    ),
]

MEMORY = [
    Attempt(
        id=f"F3.{name}",
        tries=what,
        program=program,
        reached=reached,
        gets_out=out,
    )
    for name, what, program, reached, out in (
        ("bytes", "asks for 300 MB at once", "seen = len(bytearray(300 << 20))", "MemoryError", "^314572800"),
        ("text", "creates a text of 300 MB", "seen = len('x' * (300 << 20))", "MemoryError", ""),
        ("list", "fills a list item by item", "x = []\nwhile len(x) < 6_000_000:\n    x.append([len(x)])\nseen = len(x)", "MemoryError|TimedOut", ""),
        ("doubling", "doubles a text until memory runs out", "x = 'x'\nwhile len(x) < 1 << 28:\n    x += x\nseen = len(x)", "MemoryError", ""),
        ("power", "computes a number of 200 MB", "seen = (1 << (200 << 23)).bit_length()", "MemoryError", "^1677721601"),
        ("bomb", "unpacks a small text to a gigabyte", "import zlib\npacked = zlib.compress(bytes(1 << 20)) \nd = zlib.decompressobj()\nseen = sum(len(x) for x in [zlib.decompress(packed) for _ in range(300)])", "MemoryError", "^314572800"),
        ("format", "formats a number with a width of a billion", "seen = len(f'{1:>300000000}')", "MemoryError", "^300000000"),
        ("caught", "catches the MemoryError, and allocates again and again", "seen = []\nfor _ in range(20):\n    try:\n        seen.append(len(bytearray(1 << 30)))\n    except MemoryError:\n        seen.append('refused')\nseen = sorted(set(seen))", r"^\['refused'\]|MemoryError", ""),
    )
]  # fmt: skip

ENDS = [
    Attempt(id="F5.exit", tries="ends itself", program="import sys\nsys.exit(3)", reached="SystemExit: .*sys.exit"),
    Attempt(id="F5.hard_exit", tries="ends its process at once", program="import os\nos._exit(3)", reached="Crashed", gets_out="exit 3"),
    Attempt(id="F5.abort", tries="aborts its process", program="import os\nos.abort()", reached="Crashed", gets_out="exit -6"),
    Attempt(id="F5.interrupt", tries="raises KeyboardInterrupt", program="raise KeyboardInterrupt", reached="KeyboardInterrupt"),
    Attempt(id="F5.base", tries="raises its own exception that is not an Exception", program="class Evil(BaseException): pass\nraise Evil('left')", reached="Evil: left"),
    Attempt(id="F5.generator", tries="raises exceptions that end generators and tasks", program="import asyncio\nraise GeneratorExit", reached="GeneratorExit"),
    Attempt(id="F5.cancelled", tries="raises CancelledError", program="import asyncio\nraise asyncio.CancelledError", reached="CancelledError"),
    Attempt(id="F5.group", tries="raises a group of such exceptions", program="raise BaseExceptionGroup('left', [SystemExit(1), KeyboardInterrupt()])", reached="BaseExceptionGroup: left"),
    Attempt(id="F5.at_exit", tries="has code run when the interpreter ends, and ends it", program="import atexit, os\natexit.register(lambda: print('left'))\nos._exit(0)", reached="Crashed"),
]  # fmt: skip

BOUNDED = [*STACK, *MEMORY, *ENDS]
ATTEMPTS = [*TIME, *BOUNDED]


@pytest.mark.parametrize("one", cases(TIME))
async def test_no_program_takes_more_time_than_it_has(kernel, one):
    turn = await kernel.holds(one, **with_limits(kernel, run_seconds=SECONDS))
    assert turn.result.stdout == "before\n"


@pytest.mark.parametrize("one", cases(BOUNDED))
async def test_no_program_takes_more_memory_or_the_kernel_with_it(kernel, one):
    before = psutil.Process().memory_info().rss
    await kernel.holds(one)
    assert psutil.Process().memory_info().rss < before + (64 << 20)  # less than half of what the guest may have


# -- output --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "program"),
    [
        pytest.param(stream, program, id=name, marks=attempt(f"F4.{name}", what))
        for name, what, stream, program in (
            ("lines", "prints ten million lines", "stdout", "for n in range(MANY): print('x' * 99)"),
            ("one_line", "prints without a newline", "stdout", "for n in range(MANY // 10): print('x' * 1_000, end='')"),
            ("at_once", "prints a text of 20 MB", "stdout", "print('x' * (20 << 20))"),
            ("error", "prints to stderr", "stderr", "import sys\nfor n in range(MANY): sys.stderr.write('y' * 99)"),
            ("tiny", "writes single characters, and flushes each", "stdout", "for n in range(MANY // 4): print('x', end='', flush=True)"),
        )
    ],
)  # fmt: skip
async def test_output_is_bounded_and_says_what_was_left_out(kernel, stream, program):
    many = 20_000 if EMULATED else 50_000
    limits = with_limits(kernel, output_characters=2_000)
    turn = await kernel.turn(f"{program.replace('MANY', str(many))}\nprint('the end')\nseen = 1", **limits)
    assert turn.result.value == 1, turn.seen[:1_000]
    said = getattr(turn.result, stream)
    assert "left out" in said
    assert len(turn.result.stdout) + len(turn.result.stderr) < 3_000
    assert turn.result.stdout.endswith("the end\n")
    await kernel.stands(turn)


@attempt("F4.services", "floods the host with operations, without our functions")
async def test_a_flood_of_operations_is_bounded(kernel):
    turn = await kernel.turn(
        CONNECT
        + """
import json
message = json.dumps({"op": "write", "stream": "stdout", "text": "x" * 1_000})
for _ in range(5_000):
    tools.dispatch("codeact", message)
seen = 1
""",
        **with_limits(kernel, output_characters=8_000),
    )
    assert turn.result.value == 1, turn.seen[:1_000]
    assert len(turn.result.stdout) < 9_000
    await kernel.stands(turn)


# -- what is too large before it runs -----------------------------------------------------------------------------------


@attempt("F6.source", "is a program of ten megabytes")
async def test_a_program_that_is_too_large_is_not_run(kernel):
    with pytest.raises(Exception, match="too long|too large|longer|bytes"):
        await kernel.turn("seen = 1\n" + "# filler\n" * (10 << 20 >> 3), direct=True)
    kernel.contained()
    await kernel.answers()


@attempt("F6.source_inside", "creates a program of 50 MB, and compiles it")
async def test_a_program_made_by_a_program_is_bounded_by_its_memory(kernel):
    turn = await kernel.turn("exec('x = [' + '1, ' * (16 << 20) + ']')")
    assert "MemoryError" in turn.seen or "Crashed" in turn.seen or "TimedOut" in turn.seen
    await kernel.stands(turn)


@attempt("F6.zip", "opens an archive of the user that unpacks to a thousand times its size")
async def test_an_archive_that_is_a_bomb_harms_the_guest_alone(kernel, tmp_path):
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data" / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("zeros", bytes(200 << 20))
    assert (tmp_path / "data" / "bomb.zip").stat().st_size < 1 << 20
    turn = await kernel.turn(
        """
import zipfile
try:
    seen = len(zipfile.ZipFile("/input/data/bomb.zip").read("zeros"))
except MemoryError:
    seen = "refused"
""",
        file_mounts=[f"{tmp_path / 'data'}:/data"],
    )
    assert turn.result.value == "refused" or "MemoryError" in turn.seen
    await kernel.stands(turn)


# -- interrupts ----------------------------------------------------------------------------------------------------------


class Waiting(DenyAll):
    """Somebody who looks at the question, and never decides."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def decide(self, question: ApprovalRequest) -> Decision:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody decides")


async def stopped(
    kernel: Kernel, program: str, when: asyncio.Event, at: type[object] = TurnFinished, approver: Approver | None = None
) -> TurnResult:
    """Run it, and stop it as a user does: `when` that is set, or `at` that event. What came of it."""
    events: list[object] = []

    def emit(event: object) -> None:
        events.append(event)
        if isinstance(event, at):
            when.set()

    model = ScriptedModel([f"```python\n{hidden(program)}\n```"])
    asked = asyncio.ensure_future(
        kernel.session.ask("Try it.", model=model, settings=kernel.settings, approver=approver or DenyAll(), emit=emit)
    )
    await when.wait()
    assert not asked.done()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    (result,) = [event.result for event in events if isinstance(event, TurnFinished)]
    assert result.stopped
    return result


@contextmanager
def offering(kernel: Kernel, function: Callable[..., object]) -> Generator[None]:
    """One more tool."""
    kernel.session.tools.add(unlisted(function))
    try:
        yield
    finally:
        kernel.session.tools.remove(function.__name__)


@attempt("F7.computing", "computes forever and catches everything when the user stops the turn")
async def test_a_program_that_computes_can_be_stopped(kernel):
    called = asyncio.Event()

    def begun() -> None:
        """It has begun."""
        called.set()

    with offering(kernel, begun):
        program = "begun()\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass"
        await stopped(kernel, program, called)
    kernel.contained()
    await kernel.answers()


@attempt("F7.call", "waits for a tool that hangs when the user stops the turn, and tries to call another tool then")
async def test_a_program_that_waits_for_a_call_can_be_stopped_and_what_it_did_is_in_the_record(kernel):
    called = asyncio.Event()

    async def hang() -> str:
        """Never answers."""
        called.set()
        await asyncio.Event().wait()
        return ""

    with offering(kernel, hang):
        program = "add(1, 2)\ntry:\n    hang()\nexcept BaseException:\n    pass\nadd(3, 4)"
        result = await stopped(kernel, program, called)
    assert [call.call.name for call in result.calls][:1] == ["add"]
    kernel.contained(ran=[("add", (1, 2))])
    await kernel.answers()


@attempt("F7.card", "waits for a decision of the user, who stops the turn instead")
async def test_a_question_that_is_stopped_is_no_yes(kernel):
    user = Waiting()
    await stopped(kernel, "try:\n    destroy('it')\nexcept BaseException:\n    pass", user.asked, approver=user)
    kernel.contained()
    await kernel.answers()


@attempt("F7.start", "is stopped while its sandbox starts")
async def test_a_program_can_be_stopped_while_its_sandbox_starts(kernel):
    await kernel.session.reset()
    result = await stopped(kernel, "add(1, 2)\nwhile True: pass", asyncio.Event(), at=ProgramReady)
    assert not result.calls
    kernel.contained()
    await kernel.answers()


# -- processes -----------------------------------------------------------------------------------------------------------

KERNEL = """
import asyncio, sys
from codeact_kernel import ScriptedModel, Session, Settings

def begun() -> None:
    "It has begun."
    print("begun", flush=True)

async def main():
    program = "begun()\\nwhile True:\\n    try:\\n        while True: pass\\n    except BaseException: pass"
    async with Session(tools=[begun]) as session:
        model = ScriptedModel([f"```python\\n{program}\\n```"])
        await session.ask("Try it.", model=model, settings=Settings(backend=sys.argv[1]))

asyncio.run(main())
"""


@attempt("F8.killed", "computes forever while the kernel is killed")
async def test_no_worker_outlives_its_kernel(kernel):
    with subprocess.Popen(
        [sys.executable, "-P", "-c", KERNEL, kernel.settings.backend], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive


@attempt("F8.flat", "crashes, hangs, floods and fails repeatedly")
@pytest.mark.full
async def test_many_bad_endings_leave_no_process_no_descriptor_and_no_memory(kernel):
    programs = [
        "import os\nos.abort()",
        "while True: pass",
        "x = bytearray(1 << 30)",
        "print('x' * 1_000_000)\ndestroy('it')",
        "open('/output/a', 'w').write('x' * 100_000)",
        "seen = [echo(list(range(100))) for _ in range(20)]",
    ]
    before = len(workers())
    descriptors, memory, left = [], [], []
    for number in range(18):
        await kernel.turn(programs[number % len(programs)], **with_limits(kernel, run_seconds=SECONDS))
        kernel.ran.clear()
        if number % len(programs) == len(programs) - 1:
            await kernel.answers()
            gc.collect()
            descriptors.append(psutil.Process().num_fds())
            memory.append(psutil.Process().memory_info().rss >> 20)
            left.append(len(workers()))
    assert max(descriptors[1:]) <= descriptors[0] + 6, descriptors  # of a second worker that is just coming up
    assert memory[-1] <= memory[1] + 32, memory
    assert max(left) <= before + 1, left
    kernel.contained()


@attempt("F3.refused_calls", "sends large arguments with rejected calls, which the kernel records")
async def test_calls_that_are_not_made_fill_no_memory_either(kernel):
    limits = with_limits(kernel, turn_arguments_bytes=1 << 20)
    turn = await kernel.turn(
        """
said = set()
for name, given in (("no_such_tool", "value"), ("add", "value"), ("echo", "value"), ("echo", "wrong"), ("destroy", "what")) * 8:
    try:
        call_tool(name, **{given: "x" * 100_000})
    except (ToolFailed, ToolDenied) as error:
        said.add(type(error).__name__)
seen = sorted(said)
""",
        **limits,
    )
    assert "ToolFailed" in turn.seen
    assert len(turn.result.calls) == 40
    kept = sum(len(str(call.call.arguments)) for call in turn.result.calls)
    assert kept <= 1 << 20
    kernel.ran.clear()
    await kernel.stands(turn)
