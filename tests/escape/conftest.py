"""A kernel with something to lose, and hostile programs in it.

Each attempt has to show four things: it is contained (nothing was read, reached, run or started), the kernel goes on
(the next prompt is answered, in a guest that nobody has touched), whatever is said is one clear sentence, and nothing
has leaked into what a user, a model or a file gets.
"""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
import sys
import textwrap
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

import codeact_kernel
from codeact_kernel import Approver, DenyAll, ScriptedModel, Session, Settings, tool
from codeact_kernel.render import bundle
from codeact_kernel.settings import Limits
from codeact_kernel.tools import Registry
from codeact_kernel.types import TurnResult

from ..ports import listen_apart
from ..sandbox.conftest import BACKENDS, EMULATED
from .attempts import Attempt

LIMITS = Limits(run_seconds=60 if EMULATED else 20, memory_bytes=(64 if EMULATED else 128) << 20)
SELDOM = 6 if EMULATED else 1
"""Of so many attempts one is followed by another prompt; in between the next attempt is that. A prompt takes seconds there."""


SCIENCE_BARRIERS = {
    "A1.ctypes": "refused: OSError: ctypes is unavailable",
    "A1.mmap": "refused: OSError: mmap is unavailable",
    "A1.multiprocessing": "refused: AttributeError: module 'os' has no attribute 'pipe'",
    "A2.builtins": "refused: AttributeError: type object 'BuiltinImporter' has no attribute 'load_module'",
    "A2.loader": "refused: OSError",
    "A3.gc": "RuntimeError: dictionary changed size during iteration",
    "A7.fault": "module 'faulthandler' has no attribute '_read_null'",
    "B1.descriptors": r"^\[True\]",  # the folder of its own library, in memory
}
"""What the science guest says to some attempts, where the standard guest says something else."""


@dataclass
class Port:
    """A port on loopback that nobody may reach."""

    number: int
    reached: int = 0


@dataclass
class Turn:
    """The result of one attempt, and everything that a user, the model or a file got to see of it."""

    result: TurnResult
    visible: str

    @property
    def seen(self) -> str:
        """What the program saw, or why it ended."""
        error = self.result.error
        return f"{error}\n{error.traceback}" if error else f"{self.result.value!r}\n{self.result.stdout}"


@dataclass
class Kernel:
    """A session with tools, a secret file, a secret in the environment, and a port."""

    session: Session
    settings: Settings
    folder: Path
    port: Port
    token: str
    ran: list[tuple[str, object]] = field(default_factory=list[tuple[str, object]])
    attempts: int = 0
    before: set[psutil.Process] = field(default_factory=set[psutil.Process])

    @property
    def secret(self) -> Path:
        return self.folder / "secret.txt"

    def filled(self, program: str) -> str:
        """`program` with this kernel's places in it."""
        places = {"secret": self.secret, "folder": self.folder, "port": self.port.number}
        for name, value in places.items():
            program = program.replace(f"{{{name}}}", str(value))
        return program

    async def turn(
        self, *programs: str, approver: Approver | None = None, direct: bool = False, **changes: Any
    ) -> Turn:
        """A turn in which the model answers with these programs.

        Args:
            approver: by default nobody is there, so every question is a no.
            direct: run it as it is. By default it is run by `exec`: preflight is comfort, and what it would refuse is
                to be tried all the same.
            changes: of the settings.
        """
        self.before = {*psutil.Process().children(recursive=True)}  # others may have a browser there, for example
        written = [self.filled(program) for program in programs]
        answers = [f"```python\n{one if direct else hidden(one)}\n```" for one in written]
        model, events = ScriptedModel(answers), list[object]()
        result = await self.session.ask(
            "Try it.",
            model=model,
            settings=replace(self.settings, **changes),
            approver=approver or DenyAll(),
            emit=events.append,
        )
        visible = replace(result, program=None)
        shown = "".join(bundle(visible, "full").values())
        return Turn(result, f"{visible!r}{shown}{list(model.asked[1:])}{events[3:]!r}")

    def contained(self, *, ran: list[tuple[str, object]] | None = None) -> None:
        """Nothing was read, reached or started, and no tool ran but `ran`."""
        assert self.port.reached == 0, "something connected to the port"
        assert self.ran == (ran or []), "a tool ran"
        self.ran.clear()
        assert sorted(path.name for path in self.folder.iterdir()) == ["secret.txt"], "a file was written"
        assert self.secret.read_text() == self.token
        for process in {*psutil.Process().children(recursive=True)} - self.before:
            with suppress(psutil.NoSuchProcess):
                command = process.cmdline()  # which a copy of a worker that is just ending has no more
                assert not command or "codeact_kernel.sandbox.worker_main" in command, f"a process runs: {command}"

    def silent(self, turn: Turn) -> None:
        """Nothing leaked, and an error is one clear sentence."""
        assert self.token not in turn.visible, "a secret leaked"
        for place in (str(Path(codeact_kernel.__file__).parent), sys.prefix, str(Path.home() / ".")):
            if len(place) > 3:
                assert place not in turn.visible, f"a path of the host leaked: {place}"
        if error := turn.result.error:
            assert str(error)
            assert "\n" not in error.message and "Traceback" not in error.message
            assert "RUST_BACKTRACE" not in error.message
            assert "codeact_kernel" not in error.traceback

    async def answers(self) -> None:
        """The next prompt is answered, in a guest that nobody has touched."""
        turn = await self.turn("[add(a=40, b=2), 'seen' in globals(), 'left' in globals()]", direct=True)
        assert turn.result.value == [42, False, False], turn.seen
        assert self.ran.pop() == ("add", (40, 2))

    async def holds(self, one: Attempt, **options: Any) -> Turn:
        """All four, of one attempt."""
        if self.settings.guest == "science" and "wit_world" in one.program:
            pytest.skip("The science guest is no component, so it has none of these interfaces.")
        turn = await self.turn(one.program, **options)
        reached = SCIENCE_BARRIERS.get(one.id, one.reached) if self.settings.guest == "science" else one.reached
        assert re.search(reached, turn.seen), f"it did not come to the barrier: {turn.seen[:2_000]}"
        await self.stands(turn)
        return turn

    async def stands(self, turn: Turn) -> None:
        """Contained, with one clear sentence, without a leak; and it goes on. Of a turn that came to the barrier."""
        self.contained()
        self.silent(turn)
        self.attempts += 1
        if self.attempts % SELDOM == 0 or turn.result.error is not None:
            await self.answers()


def hidden(program: str) -> str:
    """The same program, where nobody can read it."""
    program = textwrap.dedent(program)
    return f"seen = None\nexec({program!r}, globals())\nseen"


def offered(kernel_ran: Callable[[str, object], object]) -> Registry:
    """The tools: two that run unasked, and one that nobody allows."""
    tools = Registry()

    def add(a: int, b: int) -> int:
        """Sum."""
        kernel_ran("add", (a, b))
        return a + b

    def echo(value: Any) -> Any:
        """The same value."""
        kernel_ran("echo", value)
        return value

    def make(size: int) -> str:
        """A text of this many characters."""
        return "x" * size

    def destroy(what: str) -> str:
        """Destroys it."""
        kernel_ran("destroy", what)
        return "destroyed"

    for function, mode in (
        (add, "never_require"),
        (echo, "never_require"),
        (make, "never_require"),
        (destroy, "always_require"),
    ):
        tools.add(unlisted(function, mode))
    return tools


def unlisted(function: Callable[..., Any], mode: str = "never_require", **options: Any) -> Callable[..., Any]:
    """`function` as a tool that is in no list but the one it is added to."""
    from codeact_kernel.tools import default_registry

    tool(approval_mode=mode, **options)(function)  # type: ignore[call-overload]
    default_registry.remove(options.get("name") or function.__name__)
    return function


@pytest.fixture(scope="session")
def port() -> Generator[Port]:
    with listen_apart() as server:
        found = Port(server.getsockname()[1])

        def count() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return
                found.reached += 1

        threading.Thread(target=count, daemon=True).start()
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BACKENDS)
async def kernel(
    request: pytest.FixtureRequest, port: Port, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Kernel]:
    """One for the whole session: an attempt on one turn must not be felt in the next."""
    token = secrets.token_hex(16)
    folder = tmp_path_factory.mktemp("host")
    (folder / "secret.txt").write_text(token)
    names = ("CANARY", "OPENAI_API_KEY")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, token))
    guest = "science" if request.param == "science" else "standard"
    backend = "embedded" if guest == "science" else request.param
    settings = Settings(backend=backend, guest=guest, max_retries=0, limits=LIMITS)
    ran: list[tuple[str, object]] = []
    async with Session(tools=offered(lambda name, value: ran.append((name, value)))) as session:
        yield Kernel(session, settings, folder, port, token, ran)
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def others(request: pytest.FixtureRequest) -> None:
    """Processes that run before an attempt, such as the browser of other tests, are none that it started."""
    if "kernel" in request.fixturenames:
        request.getfixturevalue("kernel").before = {*psutil.Process().children(recursive=True)}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a turn writes for the user is in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


def with_limits(kernel: Kernel, **limits: Any) -> dict[str, Settings | Limits]:
    """Changes of settings for `Kernel.turn`."""
    return {"limits": dataclasses.replace(kernel.settings.limits, **limits)}
