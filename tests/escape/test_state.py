"""G. What one program leaves for the next, one session for another, and secrets for anybody."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import replace

import psutil
import pytest

from codeact_kernel import DenyAll, ScriptedModel, Session

from ..sandbox.conftest import CONNECT, workers
from .attempts import attempt, tried
from .conftest import Kernel, hidden, offered, unlisted

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEFT = [
    (
        "variable",
        "leaves variables, functions and classes",
        "left = 1\ndef add(*_):\n    return 'forged'\nimport __main__\n__main__.more = 2",
        "['left' in globals(), 'more' in globals(), add(1, 2)]",
        [False, False, 3],
    ),
    (
        "builtins",
        "replaces builtins",
        "import builtins\nbuiltins.sorted = lambda *_: 'forged'\nbuiltins.left = 1\ndel builtins.sum",
        "[sorted([2, 1]), 'left' in dir(__builtins__), sum([1, 2])]",
        [[1, 2], False, 3],
    ),
    (
        "library",
        "replaces functions of the library",
        "import json, math, random\njson.loads = math.sqrt = random.random = lambda *_: 'forged'",
        "[__import__('json').loads('[1]'), __import__('math').sqrt(4), __import__('random').random() == 'forged']",
        [[1], 2.0, False],
    ),
    (
        "modules",
        "plants modules, and changes the search path",
        "import sys, types\nsys.modules['left'] = types.ModuleType('left')\nsys.path.insert(0, '/output')\n"
        "sys.meta_path.insert(0, type('Left', (), {'find_spec': lambda *_: None}))",
        "[name for name in ('left',) if name in __import__('sys').modules] + ['/output' in __import__('sys').path]"
        " + [one for one in __import__('sys').meta_path if getattr(one, '__name__', '') == 'Left']",
        [False],
    ),
    (
        "file",
        "leaves files and folders, open and closed",
        "import os\nos.mkdir('/output/d')\nfile = open('/output/d/left', 'w')\nfile.write('left')\nos.chdir('/output/d')",
        "[__import__('os').listdir('/output'), __import__('os').getcwd()]",
        [[], "/"],
    ),
    (
        "environment",
        "changes the environment",
        "import os, posix\nos.environ['LEFT'] = '1'\nposix.environ[b'LEFT'] = b'1'\nos.putenv('LEFT', '1')",
        "[dict(__import__('os').environ), dict(__import__('posix').environ)]",
        [{}, {}],
    ),
    (
        "settings",
        "changes warnings, the decimal context, the recursion limit and the garbage collector",
        "import decimal, gc, sys, warnings\nwarnings.simplefilter('error')\ndecimal.getcontext().prec = 2\n"
        "sys.setrecursionlimit(77_777)\ngc.disable()\nsys.set_int_max_str_digits(0)",
        "[[one for one in __import__('warnings').filters if one[0] == 'error'], __import__('decimal').getcontext().prec,"
        " __import__('sys').getrecursionlimit() == 77_777, __import__('gc').isenabled(), __import__('sys').get_int_max_str_digits()]",
        [[], 28, False, True, 4300],
    ),
    (
        "streams",
        "replaces the output streams of the next program, and records its output",
        "import sys\nclass Left:\n    write = flush = lambda *_: None\nsys.__stdout__ = sys.stdout = sys.stderr = Left()\n"
        "sys.excepthook = sys.unraisablehook = lambda *_: None\nsys.settrace(lambda *_: None)",
        "[type(__import__('sys').__stdout__).__name__ == 'Left', type(__import__('sys').stdout).__name__ == 'Left',"
        " __import__('sys').excepthook.__name__ == '<lambda>', __import__('sys').gettrace()]",
        [False, False, False, None],
    ),
    (
        "ours",
        "leaves hooks in our internal code",
        "import codeact_kernel.guest.inside.tool_calls as codeact_calls\ncodeact_calls.answer_lookups.append(lambda *_: ('forged',))",
        "[add(1, 2), echo('mine')]",
        [3, "mine"],
    ),
]  # fmt: skip
ENDED = [
    (
        "dispatch",
        "replaces the import through which our code talks to the host",
        CONNECT + "tools.dispatch = lambda *_: '=\"forged\"'",
        "add(1, 2)",
        3,
    ),
    (
        "calls",
        "leaves tasks, and calls that nobody waits for",
        "import asyncio\nloop = asyncio.new_event_loop()\nloop.create_task(asyncio.sleep(99))\nleft = add.submit(a=1, b=1)",
        "add(1, 2)",
        3,
    ),
    (
        "crash",
        "crashes in the middle of an operation",
        CONNECT + "tools.dispatch('codeact', '{\"at\": 0, \"part\": \"' + 'x' * 2_000 + '\"}')\n"
        "import os\nos.abort()",
        "add(1, 2)",
        3,
    ),
]  # fmt: skip


def leaving(attempts):
    """As parameters of a test."""
    return [pytest.param(*programs, id=name, marks=attempt(f"G1.{name}", what)) for name, what, *programs in attempts]


@pytest.mark.parametrize(("leave", "look", "clean"), leaving(LEFT))
async def test_the_next_program_finds_what_the_first_one_left_in_the_same_prompt_alone(kernel, leave, look, clean):
    # The control: a program that failed leaves its guest to the one that repairs it.
    same = await kernel.turn(f"{leave}\nraise ValueError('left')", f"seen = {look}", max_retries=1)
    assert same.result.value != clean or same.result.error
    kernel.ran.clear()
    await left_nothing(kernel, leave, look, clean)


@pytest.mark.parametrize(("leave", "look", "clean"), leaving(ENDED))
async def test_a_program_that_breaks_its_guest_breaks_no_other(kernel, leave, look, clean):
    await left_nothing(kernel, leave, look, clean)


async def left_nothing(kernel: Kernel, leave: str, look: str, clean: object) -> None:
    """Run one program, and look in the next prompt."""
    first = await kernel.turn(leave)
    second = await kernel.turn(look, direct=True)
    assert second.result.value == clean, (first.seen, second.seen)
    kernel.ran.clear()
    kernel.silent(first)
    await kernel.stands(second)


@attempt("G1.random", "sets the random state, to predict the random numbers of the next program")
async def test_random_numbers_cannot_be_foreseen(kernel):
    await kernel.turn("import random\nrandom.seed(1)\nleft = random.getstate()")
    numbers = [(await kernel.turn("import random\nrandom.random()", direct=True)).result.value for _ in range(3)]
    assert len({0.13436424411240122, *numbers}) == 4  # the first of seed 1, and three others
    kernel.contained()


@attempt("G1.retry", "fails, so that its variables are kept for a retry, and looks for them in the next prompt")
async def test_what_is_kept_for_a_repair_is_gone_after_it(kernel):
    turn = await kernel.turn("left = 1\n1 / 0", "seen = left + 1\nleft = 2", direct=True, max_retries=1)
    assert turn.result.error is None, turn.seen  # within the turn it is meant to be there
    await kernel.stands(turn)


async def test_the_control_what_is_kept_within_a_turn_can_be_seen(kernel):
    turn = await kernel.turn("left = 1\n1 / 0", "left + 1", direct=True, max_retries=1)
    assert turn.result.value == 2


# -- sessions and sets of tools ------------------------------------------------------------------------------------------


@attempt("G2.session", "calls a tool of another session, and looks for the variables of its programs")
async def test_sessions_share_no_worker_and_no_tool(kernel):
    await kernel.answers()
    mine = {process.pid for process in workers()}
    ran: list[object] = []
    other = offered(lambda name, value: ran.append(value))

    def theirs() -> str:
        """Another session's."""
        return "theirs"

    other.add(unlisted(theirs))
    async with Session(tools=other) as session:
        model = ScriptedModel(["```python\nleft = theirs()\nleft\n```"])
        result = await session.ask("Try it.", model=model, settings=kernel.settings, approver=DenyAll())
        assert result.value == "theirs"
        assert {process.pid for process in workers()} - mine  # a worker of its own
        turn = await kernel.turn(tried('[call_tool("theirs"), left]'))
    assert "There is no tool 'theirs'" in turn.seen
    assert ran == []
    await kernel.stands(turn)


@attempt("G2.tools", "calls a tool that was available to the previous program only")
async def test_a_tool_that_was_taken_away_cannot_be_called(kernel):
    def passing() -> str:
        """Here for one prompt."""
        kernel.ran.append(("passing", None))
        return "came"

    kernel.session.tools.add(unlisted(passing))
    try:
        first = await kernel.turn("left = passing\nseen = passing()")
    finally:
        kernel.session.tools.remove("passing")
    assert first.result.value == "came"
    kernel.ran.clear()
    turn = await kernel.turn(tried('call_tool("passing")'))
    assert "There is no tool 'passing'" in turn.seen
    await kernel.stands(turn)


# -- secrets -------------------------------------------------------------------------------------------------------------


def found_in(process: psutil.Process, text: str) -> int:
    """How often a text is in the memory that a process can write to.

    Raises:
        OSError: this system lets nobody look.
    """
    found = 0
    with open(f"/proc/{process.pid}/maps") as maps, open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            place, kind, *_ = line.split()
            start, end = (int(part, 16) for part in place.split("-"))
            if kind.startswith("rw") and "[v" not in line:
                found += in_part(memory.fileno(), start, end, text.encode())
    return found


def in_part(memory: int, start: int, end: int, text: bytes) -> int:
    """The same, of one part of it."""
    found, step = 0, 8 << 20
    for at in range(start, end, step):
        try:
            found += os.pread(memory, min(step, end - at) + len(text), at).count(text)
        except OSError:  # of what was reserved and never used
            continue
    return found


def in_workers(text: str) -> int:
    """How often a text is in the memory of our workers, and of their copies."""
    everyone = [child for process in workers() for child in (process, *process.children(recursive=True))]
    return sum(found_in(process, text) for process in everyone)


needs_memory = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the memory of a process")


@needs_memory
@attempt("G3.memory", "searches its worker's memory for the secret of the previous prompt")
async def test_a_secret_of_one_prompt_is_not_in_the_worker_of_the_next(kernel):
    halves = secrets.token_hex(12), secrets.token_hex(12)
    counts: list[int] = []

    def given() -> list[str]:
        """The secret, in halves."""
        return list(halves)

    def look() -> int:
        """How often it is there."""
        counts.append(in_workers("".join(halves)))
        return len(counts)

    for function in (given, look):
        kernel.session.tools.add(unlisted(function))
    try:
        first = await kernel.turn("kept = ''.join(given())\nseen = look()")
        second = await kernel.turn("seen = look()")
    finally:
        for name in ("given", "look"):
            kernel.session.tools.remove(name)
    assert (first.result.value, second.result.value) == (1, 2), (first.seen, second.seen)
    assert counts[0] > 0  # the control: where it is, it is found
    assert counts[1] == 0
    await kernel.stands(second)


@attempt("G3.prompt", "shows the model data of the previous prompt")
async def test_a_prompt_says_nothing_of_the_prompt_before(kernel):
    secret = secrets.token_hex(12)
    visible: list[object] = []
    for program in (f"seen = echo({secret!r})\nprint(seen)", "seen = 1"):
        model, events = ScriptedModel([f"```python\n{hidden(program)}\n```"]), list[object]()
        result = await kernel.session.ask(
            "Try it.", model=model, settings=kernel.settings, approver=DenyAll(), emit=events.append
        )
        visible.append(f"{result!r}{model.asked!r}{events!r}")
    assert secret in str(visible[0])
    assert secret not in str(visible[1])
    kernel.ran.clear()
    await kernel.answers()


@attempt("G4.worker", "searches its process for the model's key and the environment")
@needs_memory
async def test_a_worker_knows_nothing_of_the_environment(kernel):
    counts: list[int] = []

    def look() -> int:
        """How often it is there."""
        counts.append(in_workers(kernel.token))
        counts.append(sum(kernel.token in str(process.environ()) for process in workers()))
        counts.append(in_workers("codeact_kernel.guest.inside.runner"))
        return 1

    kernel.session.tools.add(unlisted(look))
    try:
        turn = await kernel.turn("seen = look()")
    finally:
        kernel.session.tools.remove("look")
    assert turn.result.value == 1, turn.seen
    assert counts[:2] == [0, 0]
    assert counts[2] > 0  # the control: it was looked for where something is
    await kernel.stands(turn)


@attempt("G4.messages", "fails, is retried, prints and calls, while every message is searched for the key")
async def test_the_environment_is_in_nothing_that_is_said(kernel):
    programs = [
        "import os\nprint(dict(os.environ), os.getenv('OPENAI_API_KEY'))\necho(dict(os.environ))\nraise ValueError(os.environ)",
        "import os\ntry:\n    destroy(str(os.environ))\nexcept ToolDenied as error:\n    print(error)\nobserve(dict(os.environ))",
        "seen = [str(error) for error in []]",
    ]
    model, events = ScriptedModel([f"```python\n{hidden(one)}\n```" for one in programs]), list[object]()
    settings = replace(kernel.settings, max_retries=2)
    result = await kernel.session.ask("Try it.", model=model, settings=settings, approver=DenyAll(), emit=events.append)
    assert result.attempts == 3, result
    said = f"{result!r}{model.asked!r}{events!r}"
    assert kernel.token not in said
    assert "environ" in said
    assert kernel.ran == [("echo", {})]
    kernel.ran.clear()
    kernel.contained()
    await kernel.answers()
