"""A program begins while the model still writes it: what reads happens at once, everything else waits."""

from __future__ import annotations

import ast
import asyncio
import json
import random
import statistics
import textwrap
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from codeact_kernel.errors import ModelError
from codeact_kernel.events import CallRequested, Event, Notice, OutputWritten, ProgramReady, RunFinished, RunStarted
from codeact_kernel.model.base import Delta, Message
from codeact_kernel.session import Session
from codeact_kernel.settings import Settings
from codeact_kernel.tools import Registry, tool
from codeact_kernel.turn.statements import Statements

from .warm import WarmPool

on_one_loop = pytest.mark.asyncio(loop_scope="module")
SOON = 20
"""Seconds after which something that is waited for will not come any more."""


class Writer:
    """A model that stops writing where it is told to wait for something.

    Its answers are lists of texts and events; an event is waited for, before what follows is written.
    """

    name, note = "writer", ""

    def __init__(self, *answers: Sequence[str | asyncio.Event | Exception]) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[Message]] = []

    async def stream(self, messages: Sequence[Message], functions: object = ()) -> AsyncGenerator[Delta, None]:
        self.asked.append(tuple(messages))
        yield Delta(text="```python\n")
        for part in self.answers.pop(0):
            if isinstance(part, asyncio.Event):
                await asyncio.wait_for(part.wait(), SOON)
            elif isinstance(part, Exception):
                raise part
            else:
                yield Delta(text=part)
                await asyncio.sleep(0)
        yield Delta(text="\n```\n")
        yield Delta(finish="stop")


class World:
    """Tools that say when they were called."""

    def __init__(self) -> None:
        self.was_read, self.may_answer, self.changes = asyncio.Event(), asyncio.Event(), list[int]()
        self.may_answer.set()
        self.registry = Registry()

        @tool(read_only=True)
        async def read(key: int = 0) -> int:
            """Read it."""
            self.was_read.set()
            await asyncio.wait_for(self.may_answer.wait(), SOON)
            return key + 1

        @tool
        async def change(key: int) -> int:
            """Change it."""
            self.changes.append(key)
            return key

        for function in (read, change):
            self.registry.add(function)


@pytest.fixture
def world() -> World:
    return World()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def warm() -> AsyncIterator[WarmPool]:
    warm = WarmPool()
    yield warm
    await warm.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def session(warm: WarmPool, world: World) -> AsyncIterator[Session]:
    async with warm.session(world.registry) as session:
        yield session


async def ask(session: Session, model: Writer, **options: Any) -> tuple[Any, list[Event]]:
    events: list[Event] = []
    result = await session.ask("Do it.", model=model, emit=events.append, **options)
    return result, events


@on_one_loop
async def test_a_statement_runs_as_soon_as_the_next_one_has_begun(session, world):
    model = Writer(["one = read(1)\nt", world.was_read, "wo = read(2)\n[one, two]"])
    result, events = await ask(session, model)
    assert result.value == [2, 3]
    kinds = [type(event) for event in events]
    assert kinds.index(CallRequested) < kinds.index(ProgramReady) < kinds.index(RunFinished)
    assert [event.run for event in events if isinstance(event, RunStarted)] == [1]
    assert (result.attempts, result.model_turns, len(result.calls)) == (1, 1, 2)
    assert result.program == "one = read(1)\ntwo = read(2)\n[one, two]"


@on_one_loop
async def test_what_changes_something_waits_until_the_program_is_whole(session, world):
    async def later() -> None:
        await world.was_read.wait()
        await asyncio.sleep(0.3)
        assert world.changes == []
        done.set()

    done = asyncio.Event()
    watch = asyncio.create_task(later())
    result, _ = await ask(session, Writer(["change(read(1))\nx = 1\n", done, "change(3)\n[x]"]))
    await watch
    assert result.value == [1]
    assert world.changes == [2, 3]


@pytest.mark.parametrize("wrong", ["x = = 1", "unknown_tool(1)", "def read(key):\n    return 1"])
@on_one_loop
async def test_a_program_that_is_refused_in_the_end_has_done_nothing(session, world, wrong):
    model = Writer(["left = read(1)\nprint('begun')\nchange(9)\n", world.was_read, wrong], ["'left' in globals()"])
    result, events = await ask(session, model)
    assert result.value is False
    assert world.changes == []
    assert result.stdout == ""
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "The partly written program was stopped. It had only read data."
    ]
    assert "was not run" in model.asked[1][-1].content


@on_one_loop
async def test_what_had_begun_of_a_draft_is_discarded_with_it(session, world):
    draft = ["left = read(1)\nprint('draft')\nchange(9)\nx = 1\n", world.was_read, "```\nNo.\n</think>\n"]
    result, events = await ask(
        session, Writer([*draft, "```python\nchange(2)\n('left' in globals(), 'x' in globals())"])
    )
    assert (result.value, result.stdout, world.changes) == ([False, False], "", [2])
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "The partly written program was stopped. It had only read data."
    ]


@on_one_loop
async def test_what_has_begun_of_the_first_of_two_blocks_goes_on_with_the_second(session, world):
    model = Writer(["one = read(1)\ntwo = read(2)\n", world.was_read, "```\nand\n```python\n[one, two]"])
    result, _ = await ask(session, model)
    assert result.value == [2, 3]
    assert len(result.calls) == 2


@on_one_loop
async def test_what_has_begun_of_two_programs_that_are_not_one_is_stopped(session, world):
    two = ["one = read(1)\nchange(one)\n", world.was_read, "```\nor\n```python\nchange(3)"]
    result, _ = await ask(session, Writer(two, ["'one' in globals()"]))
    assert (result.value, world.changes) == (False, [])


@on_one_loop
async def test_what_is_printed_is_shown_when_the_program_is_whole(session, world):
    result, events = await ask(session, Writer(["print('before')\nread()\nx = 1\n", world.was_read, "print('after')"]))
    kinds = [type(event) for event in events if isinstance(event, OutputWritten | ProgramReady)]
    assert kinds[0] is ProgramReady
    assert result.stdout == "before\nafter\n"


@on_one_loop
async def test_files_and_charts_wait_as_well(session, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    beginning = "read()\nopen('/output/a.txt', 'w').write('a')\nshow('# A')\nx = 1\n"
    result, _ = await ask(session, Writer([beginning, world.was_read, "y = = 1"], ["2"]))
    assert (result.value, result.files, result.shown) == (2, (), ())
    world.was_read.clear()
    result, _ = await ask(session, Writer([beginning, world.was_read, "3"]))
    assert (result.value, len(result.files), len(result.shown)) == (3, 1, 1)


@on_one_loop
async def test_nothing_begins_early_where_that_was_switched_off_or_the_program_is_reviewed(session, world):
    for settings in (Settings(wait=True), Settings(review=True)):
        never = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, never.set)
        _, events = await ask(session, Writer(["read(1)\nx = 1\n", never, "x"]), settings=settings)
        kinds = [type(event) for event in events]
        assert CallRequested not in kinds or kinds.index(ProgramReady) < kinds.index(CallRequested)


@on_one_loop
async def test_a_tool_that_a_user_is_asked_about_waits_for_the_whole_program(world):
    @tool(read_only=True, approval_mode="always_require")
    async def secret() -> int:
        """Read a secret."""
        return 7

    world.registry.add(secret)
    async with Session(world.registry) as session:
        model = Writer(["read()\nsecret()\nx = 1\n", world.was_read, "x"])
        _, events = await ask(session, model, settings=Settings(max_retries=0))
    ready = next(index for index, event in enumerate(events) if isinstance(event, ProgramReady))
    opened = [(index, event.call.name) for index, event in enumerate(events) if isinstance(event, CallRequested)]
    assert all(index > ready for index, name in opened if name == "secret")
    assert "secret" in [name for _, name in opened]


@on_one_loop
async def test_an_error_names_its_line_in_the_whole_program(session, world):
    model = Writer(["one = read(1)\n\n# a comment\ntwo = 2\n", world.was_read, "def f():\n    return 1 / 0\n\nf()"])
    result, _ = await ask(session, model, settings=Settings(max_retries=0))
    assert result.error.line == 6
    assert 'File "<program 1>", line 8, in <module>\n    f()' in result.error.traceback


@on_one_loop
async def test_what_fails_early_is_mended_like_any_other(session, world):
    model = Writer(["one = read(1)\n1 / 0\nx = 1\n", world.was_read, "x"], ["one"])
    result, _ = await ask(session, model)
    assert result.value == 2
    assert "ZeroDivisionError" in model.asked[1][-1].content
    assert "variables are still there" in model.asked[1][-1].content


@on_one_loop
async def test_a_program_with_an_event_loop_of_its_own_is_one_piece_from_there_on(session, world):
    text = """\
        import asyncio
        task = asyncio.ensure_future(call_tool_async("read", key=4))
        await asyncio.sleep(0)
        [await task, read(1)]
    """
    result, _ = await ask(session, Writer([textwrap.dedent(text)]))
    assert result.value == [5, 2]


@on_one_loop
async def test_a_function_from_an_earlier_piece_is_known_to_loops_of_a_later_one(session, world):
    model = Writer(
        [
            "def twice(key):\n    return 2 * read(key)\n\nread()\n",
            "keys = [1, 2, 3]\n",
            world.was_read,
            "[twice(key) for key in keys]",
        ]
    )
    result, _ = await ask(session, model)
    assert result.value == [4, 6, 8]
    assert max(record.call.batch_size for record in result.calls) == 3


@on_one_loop
async def test_a_cell_that_is_stopped_while_the_model_writes_leaves_nothing_behind(session, world):
    world.may_answer.clear()
    turn = asyncio.create_task(ask(session, Writer(["read()\nx = 1\n", asyncio.Event()])))
    await asyncio.wait_for(world.was_read.wait(), SOON)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    world.may_answer.set()
    result, _ = await ask(session, Writer(["'x' in globals()"]))
    assert result.value is False


@on_one_loop
async def test_a_model_that_breaks_off_leaves_nothing_behind(session, world):
    with pytest.raises(ModelError):
        await ask(session, Writer(["change(read())\nx = 1\n", world.was_read, ModelError("gone")]))
    assert world.changes == []
    result, _ = await ask(session, Writer(["'x' in globals()"]))
    assert result.value is False


@on_one_loop
async def test_a_repair_does_not_begin_while_variables_are_kept_that_it_could_lose(session, world):
    model = Writer(["x = read(1)\n1 / 0"], ["y = x + read(1)\nz = 2\n", "unknown_tool(1)"], ["x"])
    result, _ = await ask(session, model)
    assert result.value == 2
    assert len(model.asked) == 3


@on_one_loop
async def test_a_program_that_failed_early_and_is_refused_leaves_nothing_behind(session, world):
    soon = asyncio.Event()
    asyncio.get_running_loop().call_later(0.5, soon.set)
    model = Writer(["left = read(1)\n1 / 0\nx = 1\n", soon, "unknown_tool(1)"], ["'left' in globals()"])
    result, _ = await ask(session, model)
    assert result.value is False


@on_one_loop
async def test_a_read_does_not_overtake_a_change_that_was_sent_before_it(session, world):
    model = Writer(["change_ = change.submit(read(1))\nv = read(9)\nw = 1\n", world.was_read, "change_.result()"])
    result, _ = await ask(session, model)
    assert [record.call.arguments["key"] for record in result.calls] == [1, 2, 9]


@on_one_loop
async def test_a_name_of_the_programs_own_is_the_same_in_every_piece(session, world):
    result, _ = await ask(session, Writer(["_, b = 5, read(1)\nread(2)\nx = 1\n", world.was_read, "_"]))
    assert result.value == 5


@on_one_loop
async def test_loops_of_an_earlier_piece_keep_their_own_shadows(session, world):
    first = "def f(xs):\n    out = []\n    if xs:\n        for x in xs:\n            out.append(read(x))\n    return out\n\n"
    model = Writer([f"{first}read()\ny", world.was_read, "s = [read(y * 100) for y in [1, 2, 3]]\nf([7, 8])"])
    result, _ = await ask(session, model)
    assert result.value == [8, 9]
    assert sorted(record.call.arguments.get("key", 0) for record in result.calls) == [0, 7, 8, 100, 200, 300]


# -- which statements are complete -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("a = 1", ""),
        ("a = 1\n", ""),
        ("a = 1\nb", "a = 1\n"),
        ("a = 1\ne", ""),
        ("a = 1\nex", ""),
        ("a = 1\nexp", "a = 1\n"),
        ("if a:\n    b\nel", ""),
        ("if a:\n    b\nelse:\n    c\nd", "if a:\n    b\nelse:\n    c\n"),
        ("if a:\n    b\n\n# why\nelse:\n    c\n", ""),
        ("try:\n    a\nfinally:\n    b\nc", "try:\n    a\nfinally:\n    b\n"),
        ("a = '''\nb\nc\n'''\nd", "a = '''\nb\nc\n'''\n"),
        ("a = f(\n1,\n)\nb", "a = f(\n1,\n)\n"),
        ("a = 1 + \\\n2\nb", "a = 1 + \\\n2\n"),
        ("@f\ndef g(): pass\nb", "@f\ndef g(): pass\n"),
        ("# nothing\nb", ""),
        ("a = = 1\nb", ""),
        ("if a:\n    b\n\x0celse:\n    c\n", ""),
        ("a = 1\nawait b\nc = 2\nd", "a = 1\n"),
    ],
)
def test_a_statement_is_complete_when_the_next_one_has_begun(text: str, complete: str):
    statements = Statements()
    statements.feed(text)
    assert text[: statements.complete] == complete


@pytest.mark.parametrize("module", [ast, json, random, statistics, textwrap], ids=lambda module: module.__name__)
def test_what_is_complete_is_the_beginning_of_the_whole_however_it_comes(module):
    with open(module.__file__, encoding="utf-8") as file:
        text = file.read()
    whole = [ast.dump(node) for node in ast.parse(text).body]
    chance = random.Random(5)
    statements, at = Statements(), 0
    while at < len(text):
        size = chance.randint(1, 40)
        if statements.feed(text[at : at + size]):
            begun = [ast.dump(node) for node in ast.parse(text[: statements.complete]).body]
            assert begun == whole[: len(begun)]
        at += size
    assert statements.complete > len(text) // 20
