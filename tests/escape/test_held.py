"""D and E, once more: ways to a tool, to a yes, and to the host's memory that were open when they were first tried."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from codeact_kernel.access import AllowedDomain
from codeact_kernel.approval import ApprovalRequest
from codeact_kernel.types import Decision

from .attempts import attempt
from .conftest import Kernel, unlisted, with_limits
from .hosts import TRIED, User, offering

pytestmark = pytest.mark.asyncio(loop_scope="session")


def cached(kernel: Kernel, place: str) -> Callable[..., Any]:
    @functools.lru_cache
    def destroy(what: str) -> str:
        """Destroys it."""
        kernel.ran.append((place, what))
        return place

    return destroy


class Around:
    """A decorator that is an object."""

    def __init__(self, function: Callable[..., Any], place: str) -> None:
        functools.update_wrapper(self, function)
        self._function, self._place = function, place

    def __call__(self, what: str) -> str:
        return self._function(f"{self._place}: {what}")


def wrapped(kernel: Kernel, place: str) -> Callable[..., Any]:
    inner = plain(kernel)
    return Around(inner, place)


def plain(kernel: Kernel, ran: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Without a closure, so that its text is all there is."""
    scope: dict[str, Any] = {"ran": kernel.ran}
    exec(
        "def destroy(what: str) -> str:\n    'Destroys it.'\n    ran.append(('destroy', what))\n    return 'destroyed'",
        scope,
    )
    return scope["destroy"]


@pytest.mark.parametrize("make", [cached, wrapped])
@attempt(
    "D13.wrapped",
    "uses a permission for a cached or wrapped tool on another tool with the same text and a different closure",
)
async def test_what_is_wrapped_around_a_tool_is_part_of_what_was_allowed(kernel, make):
    with offering(kernel, make(kernel, "test"), mode="always_require") as tools:
        user = User("allow_session", "reject")
        await kernel.turn("seen = destroy('a')", approver=user)
        tools.add(unlisted(make(kernel, "production"), "always_require"))
        turn = await kernel.turn("seen = destroy('a')", approver=user)
    assert "ToolDenied" in turn.seen
    assert len(user.asked) == 2
    assert len(kernel.ran) == 1
    kernel.ran.clear()
    kernel.contained()
    await kernel.answers()


@pytest.mark.parametrize("part", ["__code__", "__defaults__", "__kwdefaults__"])
@attempt(
    "D13.in-place",
    "has new code put into the tool's function, as autoreload does, during the approval request and later",
)
async def test_a_tool_whose_function_was_changed_in_place_does_not_run(kernel, part):
    def other(what: str) -> str:
        return "another"

    values = {"__code__": other.__code__, "__defaults__": ("everything",), "__kwdefaults__": {"what": "everything"}}
    function = plain(kernel)
    with offering(kernel, function, mode="always_require"):
        user = User("allow_session", meanwhile=lambda question: setattr(function, part, values[part]))
        turn = await kernel.turn(
            TRIED + "seen = [tried(lambda: destroy('a')), tried(lambda: destroy('a'))]", approver=user
        )
    assert turn.seen.count("destroy was changed after it was offered") == 2, turn.seen
    kernel.contained()
    kernel.silent(turn)
    await kernel.answers()


@attempt("E1.unknown-choices", "is answered with an unknown choice: deny, no, nothing")
async def test_only_a_known_yes_is_a_yes(kernel):
    for choice in ("deny", "no", "", None, "REJECT", "allow", True, ["allow_once"]):
        turn = await kernel.turn(TRIED + "seen = tried(lambda: destroy('a'))", approver=User(choice))
        assert "ToolDenied" in turn.seen, choice
        kernel.contained()
    kernel.silent(turn)
    await kernel.answers()


@attempt("E5.no-decision", "asks an approver that returns something other than a decision")
async def test_what_is_no_decision_is_a_no_and_is_recorded(kernel):
    class Broken(User):
        def __init__(self, given: Any) -> None:
            super().__init__("reject")
            self._given = given

        async def decide(self, question: ApprovalRequest) -> Decision:
            return self._given

    for given in (None, True, "allow_once", {"choice": "allow_once"}, Decision):
        turn = await kernel.turn(TRIED + "seen = tried(lambda: destroy('a'))", approver=Broken(given))
        assert "ToolDenied: asking failed: no decision came of it" in turn.seen
        assert len(turn.result.calls) == 1
        kernel.contained()
    kernel.silent(turn)
    await kernel.answers()


@attempt("E5.does-not-let-go", "has the turn stopped during the approval request, which the user allows nevertheless")
async def test_a_yes_of_who_does_not_let_go_runs_nothing(kernel):
    asked = asyncio.Event()

    async def wait(question: ApprovalRequest) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    task = asyncio.ensure_future(kernel.turn("seen = destroy('x')", approver=User("allow_once", meanwhile=wait)))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    kernel.contained()
    await kernel.answers()


@attempt("E7.unanswered", "asks again and again where nobody answers in time")
async def test_a_loop_that_nobody_answers_asks_three_times(kernel):
    async def never(question: ApprovalRequest) -> None:
        await asyncio.Event().wait()

    user = User("reject", meanwhile=never)
    program = TRIED + "seen = [tried(lambda: destroy(str(n))) for n in range(30)]"
    turn = await kernel.turn(program, approver=user, **with_limits(kernel, decision_seconds=0.05))
    assert len(user.asked) == 3
    assert isinstance(turn.result.value, list)
    assert all(str(one).startswith("ToolDenied") for one in turn.result.value)
    kernel.contained()
    kernel.silent(turn)
    await kernel.answers()


@pytest.mark.parametrize("name", ["nope", "echo", "destroy"])
@attempt("D3.refused-calls", "fills the host's memory with the arguments of rejected calls, which are also recorded")
async def test_what_is_over_the_limit_of_a_turn_is_not_kept_with_its_record(kernel, name):
    program = TRIED + f"seen = [tried(lambda: call_tool('{name}', value='x' * 200_000))[:40] for _ in range(30)]"
    turn = await kernel.turn(program, **with_limits(kernel, turn_arguments_bytes=1 << 20))
    kept = sum(len(str(record.call.arguments)) for record in turn.result.calls)
    assert len(turn.result.calls) == 30
    assert kept < 2 << 20, turn.seen[:500]
    kernel.ran.clear()
    kernel.contained()
    await kernel.answers()


@attempt("D9.validator", "reads a secret from the error of an argument's validator")
async def test_what_a_validator_says_is_cleaned_like_any_error(kernel):
    def check(value: str) -> str:
        raise ValueError(f"{value} is not below {kernel.folder}: {kernel.token}")

    def read(path: Annotated[str, AfterValidator(check)]) -> str:
        """Reads."""
        return path

    read.__annotations__["path"] = Annotated[str, AfterValidator(check)]
    with offering(kernel, read):
        turn = await kernel.turn(TRIED + "seen = tried(lambda: read(path='mine'))")
    assert "ToolFailed: read: argument path Value error, mine is not below <path>" in turn.seen
    assert str(kernel.folder) not in turn.visible
    kernel.silent(turn)
    kernel.contained()
    await kernel.answers()


@attempt("D13.edit-elsewhere", "is allowed for the session with a request that the user changed to another host")
async def test_a_permission_is_for_the_host_that_was_allowed_and_not_for_the_one_that_was_asked_about(
    kernel, two_sites
):
    asked, edited, hits = two_sites
    user = User("allow_session", "reject")
    user._arguments = {"method": "GET", "url": f"{edited}/edited"}
    domains = tuple(AllowedDomain(site, approval_mode="always_require") for site in (asked, edited))
    program = (
        TRIED
        + f"""
import urllib.request
def fetch(url):
    return tried(lambda: urllib.request.urlopen(url).status)
seen = [fetch("{asked}/one"), fetch("{asked}/two"), fetch("{edited}/three")]
"""
    )
    turn = await kernel.turn(program, approver=user, allowed_domains=domains)
    kernel.session.grants.revoke()
    assert hits == ["/edited", "/three"], turn.seen
    assert len(user.asked) == 2
    kernel.contained()
    await kernel.answers()


@pytest.fixture
def two_sites() -> Generator[tuple[str, str, list[str]]]:
    """Two web servers, and the paths they were asked for."""
    hits: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ExitStack() as stack:
        servers = [stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Page)) for _ in range(2)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        one, two = (f"http://127.0.0.1:{server.server_port}" for server in servers)
        yield one, two, hits
