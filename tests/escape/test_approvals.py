"""D13 and E. Decisions: what one is about, how long it holds, and who can give it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from codeact.approvers import CardApprover

from codeact_kernel.access import file_mount
from codeact_kernel.approval import ApprovalRequest
from codeact_kernel.render import bundle
from codeact_kernel.settings import Limits
from codeact_kernel.types import Decision

from .attempts import Attempt, attempt, cases
from .conftest import Kernel, Turn, unlisted, with_limits
from .hosts import RAW, TRIED, User, offering

pytestmark = pytest.mark.asyncio(loop_scope="session")


def edition(kernel: Kernel, number: int, mode: str = "always_require") -> Callable[..., Any]:
    """`destroy`, in another version."""

    def destroy(what: str) -> str:
        kernel.ran.append((f"destroy {number}", what))
        return f"destroyed {number}"

    destroy.__doc__ = f"Destroys it, edition {number}."
    return unlisted(destroy, mode)


async def denied(kernel: Kernel, turn: Turn) -> None:
    """No tool ran, nothing leaked, and the kernel goes on."""
    kernel.contained()
    kernel.silent(turn)
    await kernel.answers()


# -- D13: between the decision and the call ----------------------------------------------------------------------------------


@attempt("D13.redefined", "has the tool redefined during the approval request")
async def test_a_tool_redefined_while_its_question_is_open_does_not_run(kernel):
    with offering(kernel, edition(kernel, 1), mode="always_require") as tools:
        user = User("allow_once", "reject", meanwhile=lambda question: tools.add(edition(kernel, 2)))
        turn = await kernel.turn(
            TRIED + "seen = [tried(lambda: destroy('a')), tried(lambda: destroy('b'))]", approver=user
        )
    assert [question.summary for question in user.asked] == ["Destroys it, edition 1.", "Destroys it, edition 2."]
    assert user.asked[0].tool != user.asked[1].tool
    kernel.contained()
    assert "redefined or removed while the call waited" in turn.seen
    assert "ToolDenied" in turn.seen
    await kernel.answers()


@attempt("D13.grant-of-another-version", "uses a permission for the session after the tool was redefined")
@pytest.mark.parametrize("choice", ["allow_cell", "allow_session", "allow_always"])
async def test_a_permission_for_one_version_is_none_for_the_next(kernel, choice):
    with offering(kernel, edition(kernel, 1), mode="always_require") as tools:
        user = User(choice, "reject")

        def swap(question: ApprovalRequest) -> None:
            tools.add(edition(kernel, 2))

        program = (
            TRIED + "seen = [tried(lambda: destroy('a')), tried(lambda: destroy('a')), tried(lambda: destroy('a'))]"
        )
        user._meanwhile = swap
        turn = await kernel.turn(program, approver=user)
        later = await kernel.turn(program, approver=User("reject"))
    assert len(user.asked) == 3
    assert "ran" not in str(later.result.value)
    kernel.contained()
    assert turn.seen.count("ToolDenied") == 2
    await kernel.answers()


@attempt("D13.mode", "has the tool offered without approval during the approval request, and back again")
async def test_a_call_that_was_asked_about_needs_its_answer_whatever_becomes_of_the_mode(kernel):
    with offering(kernel, edition(kernel, 1), mode="always_require") as tools:
        user = User("reject", meanwhile=lambda question: tools.add(edition(kernel, 2, "never_require")))
        turn = await kernel.turn("seen = destroy('a')", approver=user)
        tools.add(edition(kernel, 3))
        again = await kernel.turn("seen = destroy('a')", approver=user)
    assert "ToolDenied" in turn.seen
    assert "ToolDenied" in again.seen
    assert len(user.asked) == 2
    await denied(kernel, again)


@attempt("D13.removed", "has the tool removed during the approval request, and the call denied")
async def test_a_tool_that_was_removed_meanwhile_and_denied_does_not_run(kernel):
    with offering(kernel, edition(kernel, 1), mode="always_require") as tools:
        user = User("reject", meanwhile=lambda question: tools.remove("destroy"))
        turn = await kernel.turn(
            TRIED + "seen = [tried(lambda: destroy('a')), tried(lambda: destroy('b'))]", approver=user
        )
    assert len(user.asked) == 1
    assert "There is no tool 'destroy'" in turn.seen
    await denied(kernel, turn)


@attempt("D13.arguments", "has the approver change the shown arguments before the call")
async def test_what_runs_is_what_was_sent_whatever_becomes_of_the_shown_arguments(kernel):
    def spoil(question: ApprovalRequest) -> None:
        shown: Any = question.call.arguments
        shown["what"] = "everything"
        shown["more"] = 1

    turn = await kernel.turn("seen = destroy(what='one file')", approver=User("allow_once", meanwhile=spoil))
    assert turn.result.value == "destroyed", turn.seen
    kernel.contained(ran=[("destroy", "one file")])
    await kernel.answers()


@attempt("D13.guest-changes", "changes the arguments in the guest after the call was sent")
async def test_what_a_program_changes_after_it_has_called_changes_no_call(kernel):
    program = """
import asyncio
class Late(dict):
    pass
arguments = {"what": "one file"}
async def all():
    call = call_tool_async("destroy", **arguments)
    arguments["what"] = "everything"
    await asyncio.sleep(0)
    arguments.clear()
    return await call
seen = asyncio.run(all())
"""
    user = User("allow_once")
    turn = await kernel.turn(program, approver=user)
    assert turn.result.value == "destroyed", turn.seen
    assert user.shown == [{"what": "one file"}]
    kernel.contained(ran=[("destroy", "one file")])
    await kernel.answers()


@attempt("D13.tool-changes", "has a tool change its own arguments, and a default that all its calls share")
async def test_what_a_tool_does_with_its_arguments_reaches_no_later_call(kernel):
    got: list[Any] = []

    def clean(rows: list[dict[str, int]], also: list[str] = []) -> int:  # noqa: B006
        """Cleans."""
        got.append(json.dumps(rows))
        rows[0]["all"] = 1
        rows.append({"everything": 1})
        return len(rows)

    user = User("allow_cell")
    with offering(kernel, clean, mode="always_require"):
        turn = await kernel.turn(
            "rows = [{'one': 1}]\nseen = [clean(rows=rows), clean(rows=rows), rows]", approver=user
        )
    assert got == ['[{"one": 1}]'] * 2
    assert turn.result.value == [2, 2, [{"one": 1}]], turn.seen
    kernel.contained()
    await kernel.answers()


@attempt("D13.edit", "is allowed with changed arguments that the tool does not accept")
async def test_an_edit_that_does_not_fit_runs_neither_the_old_nor_the_new_call(kernel):
    for wrong in ({"what": 1}, {"what": "x", "more": 1}, {}, {"what": float("nan")}, {"what": "x" * (2 << 20)}):
        turn = await kernel.turn(
            TRIED + "seen = tried(lambda: destroy('a'))", approver=User("allow_once", arguments=wrong)
        )
        assert "ToolFailed" in turn.seen, wrong
        kernel.contained()
    await denied(kernel, turn)


@attempt("D13.edit-remembered", "is always allowed with changed arguments, and then calls with its own arguments")
async def test_a_permission_with_changed_arguments_is_for_the_changed_ones(kernel):
    with offering(kernel, edition(kernel, 1), mode="always_require"):
        user = User("allow_always", "reject", arguments={"what": "a copy"})
        turn = await kernel.turn(
            TRIED + "seen = [tried(lambda: destroy('a')), tried(lambda: destroy('a'))]", approver=user
        )
    assert len(user.asked) == 2
    assert "ToolDenied" in turn.seen
    kernel.contained(ran=[("destroy 1", "a copy")])
    await kernel.answers()


@attempt("D13.closure", "uses a permission for a tool on another tool with the same text and a different closure")
async def test_two_tools_of_the_same_text_with_other_variables_are_two_tools(kernel):
    def on(place: str) -> Callable[..., Any]:
        def destroy(what: str) -> str:
            """Destroys it."""
            kernel.ran.append((place, what))
            return place

        return unlisted(destroy, "always_require")

    with offering(kernel, on("test"), mode="always_require") as tools:
        user = User("allow_session", "reject")
        first = await kernel.turn("seen = destroy('a')", approver=user)
        tools.add(on("production"))
        second = await kernel.turn("seen = destroy('a')", approver=user)
    assert first.result.value == "test"
    assert "ToolDenied" in second.seen
    kernel.contained(ran=[("test", "a")])
    await kernel.answers()


@attempt("D13.default", "uses a permission for a tool on another tool with the same text and a different default")
async def test_a_default_is_part_of_what_was_allowed(kernel):
    def on(place: str) -> Callable[..., Any]:
        def destroy(what: str, where: str = place) -> str:
            """Destroys it."""
            kernel.ran.append((where, what))
            return where

        destroy.__closure__  # noqa: B018  # there is none: only the default differs
        return unlisted(destroy, "always_require")

    with offering(kernel, on("test"), mode="always_require") as tools:
        user = User("allow_session", "reject")
        first = await kernel.turn("seen = destroy('a')", approver=user)
        tools.add(on("production"))
        second = await kernel.turn("seen = destroy('a')", approver=user)
    assert first.result.value == "test"
    assert "ToolDenied" in second.seen
    kernel.contained(ran=[("test", "a")])
    await kernel.answers()


# -- E1: a decision is for one call, once -------------------------------------------------------------------------------------


def clicked(form: dict[str, Any], choice: str = "allow_once", **changes: Any) -> dict[str, Any]:
    """What a page sends."""
    return {"kind": "decide", "choice": choice, "reason": "", "edits": {}, "run": form["run"], "call": form["call"],
            "digest": form["digest"], **changes}  # fmt: skip


class Page(CardApprover):
    """The card, and a page that sends what `clicks` says as soon as a question is open."""

    def __init__(self, clicks: Callable[[Page], None]) -> None:
        super().__init__(lambda: asyncio.get_running_loop().call_soon(self._look), lambda: None)
        self.forms: list[dict[str, Any]] = []
        self._clicks = clicks

    def _look(self) -> None:
        new = [form for form in self.open_forms if form not in self.forms]
        self.forms += new
        if new:
            self._clicks(self)


@attempt("E1.replayed", "sends the click that allowed one call again, for the next calls of the same turn")
async def test_a_click_that_is_sent_again_decides_nothing(kernel):
    def click(page: Page) -> None:
        if len(page.forms) == 1:
            page.receive(clicked(page.forms[0]))
            page.receive(clicked(page.forms[0]))
        else:
            page.receive(clicked(page.forms[0]))  # the first one, again
            page.receive(clicked(page.forms[-1], "reject"))

    page = Page(click)
    turn = await kernel.turn(TRIED + "seen = [tried(lambda: destroy('a')) for _ in range(3)]", approver=page)
    assert len(page.forms) == 3
    assert len({form["digest"] for form in page.forms}) == 3
    assert [str(one)[:6] for one in turn.result.value or ()] == ["ran: '", "ToolDe", "ToolDe"]
    kernel.contained(ran=[("destroy", "a")])
    await kernel.answers()


@attempt(
    "E1.forged", "sends clicks with a made-up digest, another call, another run, another choice, and half of a click"
)
async def test_a_click_that_does_not_name_what_was_shown_decides_nothing(kernel):
    forged = [
        {"digest": "0" * 64}, {"digest": None}, {"digest": ["x"]}, {"call": 7}, {"call": True}, {"call": "1"}, {"run": 9}, {"run": None},
        {"choice": "allow"}, {"choice": "ALLOW_ONCE"}, {"choice": None}, {"choice": ["allow_once"]}, {"kind": "review"}, {"kind": None},
        {"reason": 1}, {"edits": {"more": "x"}},
    ]  # fmt: skip

    def click(page: Page) -> None:
        form = page.forms[-1]
        for changes in forged:
            page.receive(clicked(form, **changes))
        for missing in ("digest", "call", "run", "choice", "kind"):
            page.receive({name: value for name, value in clicked(form).items() if name != missing})
        page.receive({})
        page.receive(clicked(form, "reject"))

    turn = await kernel.turn("seen = destroy('a')", approver=(page := Page(click)))
    assert len({form["digest"] for form in page.forms}) == 1
    assert "ToolDenied" in turn.seen
    await denied(kernel, turn)


@attempt("E1.two-pages", "denies a call on one page and allows it on another")
async def test_the_first_click_of_two_pages_counts_and_the_other_changes_nothing(kernel):
    def click(page: Page) -> None:
        page.receive(clicked(page.forms[-1], "reject", reason="the first page"))
        page.receive(clicked(page.forms[-1], "allow_always"))

    turn = await kernel.turn(TRIED + "seen = tried(lambda: destroy('a'))", approver=Page(click))
    assert "ToolDenied: the first page" in turn.seen
    assert not kernel.session.grants.always
    await denied(kernel, turn)


@attempt("E1.other-turn", "sends a click from an earlier turn to the same call of a later one")
async def test_a_click_for_the_call_of_another_turn_decides_nothing(kernel):
    first = Page(lambda page: page.receive(clicked(page.forms[-1], "reject")))
    await kernel.turn("seen = destroy('a')", approver=first)

    def click(page: Page) -> None:
        page.receive(clicked(first.forms[0]))
        page.receive(clicked({**page.forms[-1], "digest": first.forms[0]["digest"]}))
        page.receive(clicked(page.forms[-1], "reject"))

    turn = await kernel.turn("seen = destroy('a')", approver=(second := Page(click)))
    assert (first.forms[0]["run"], first.forms[0]["call"]) == (second.forms[0]["run"], second.forms[0]["call"])
    first.receive(clicked(second.forms[0]))
    assert "ToolDenied" in turn.seen
    await denied(kernel, turn)


# -- E3: what is shown --------------------------------------------------------------------------------------------------------

SHOWN = {
    "markup": "<script>alert(1)</script><button>Allow</button>![x](http://evil.example/p.png)[Allow](javascript:x)",
    "bidi": "delete \u202egpj.exe\u202c \u2066x\u2069",
    "zero-width": "o\u200bl\u200dd\ufeff\u00ad\u2060",
    "lines": "one\n\n\n\n[Allow]\r\x1b[2J\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "long": "x" * 50_000 + "and this, too",
    "many": [{"key": n} for n in range(3_000)],
}


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(name, id=name, marks=attempt(f"E3.{name}", f"hides a part of the approval request: {name}"))
        for name in SHOWN
    ],
)
async def test_all_that_is_asked_is_shown_and_nothing_in_it_is_hidden(kernel, what):
    def keep(value: Any) -> str:
        """Keeps it."""
        kernel.ran.append(("keep", value))
        return "kept"

    value, page = SHOWN[what], Page(lambda page: page.receive(clicked(page.forms[-1], "reject")))
    with offering(kernel, keep, mode="always_require"):
        turn = await kernel.turn(f"seen = keep(value={value!r})", approver=page)
    (form,) = page.forms
    (shown,) = form["fields"]
    text = shown["text"]
    assert text.isprintable() or set(filter(lambda one: not one.isprintable(), text)) <= set("\n\t")
    assert (json.loads(text) if shown["kind"] == "json" else text) == value, "what is shown is not what would run"
    assert shown["long"] is (len(text) > 600)
    assert not (form["fits_row"] and shown["long"])
    assert "ToolDenied" in turn.seen
    await denied(kernel, turn)


@attempt("E3.the-source", "has another line of its text shown as the line that makes the call")
async def test_the_line_that_is_shown_is_never_code_that_is_not_the_programs(kernel):
    user = User("reject")
    program = (
        "# only reads\n"
        + RAW
        + "seen = [call('destroy', {'what': 'x'}, line=n, wait=True) for n in (-3, 10**9, 10**400, 2)]"
    )
    turn = await kernel.turn(program, approver=user)
    assert [question.call.line for question in user.asked] == [None, None, None]
    assert all(question.source == "" for question in user.asked)
    await denied(kernel, turn)


# -- E4: for how long ---------------------------------------------------------------------------------------------------------


@attempt("E4.variants", "has one value always allowed, and calls with values that look similar or begin alike")
async def test_always_is_for_the_exact_value(kernel):
    values = ["old", "old ", "Old", "ol", "old2", "o\u200bld", "\u043eld", "old\u0000", "", " old", "old\n"]
    nfc = ["caf\u00e9", "cafe\u0301"]
    user = User("allow_always", "reject", "allow_always", "reject")
    with offering(kernel, edition(kernel, 1), mode="always_require"):
        turn = await kernel.turn(
            TRIED + f"seen = [tried(lambda: destroy(one)) for one in {values!r}]", approver=user,
            **with_limits(kernel, denials_per_tool=100),
        )  # fmt: skip
        accents = User("allow_always", "reject")
        await kernel.turn(TRIED + f"seen = [tried(lambda: destroy(one)) for one in {nfc!r}]", approver=accents)
        again = User("reject")
        unasked = await kernel.turn("seen = destroy('old')", approver=again)
    assert len(user.asked) == len(values)
    assert len(accents.asked) == 2
    assert (again.asked, unasked.result.value) == ([], "destroyed 1")
    ran = [what for _, what in kernel.ran]
    assert ran == ["old", "Old", "caf\u00e9", "old"], turn.seen
    kernel.ran.clear()
    await denied(kernel, turn)


@attempt("E4.types", "has a number always allowed, and calls with true, 1.0 and the number as text")
async def test_always_is_for_the_exact_kind_of_value(kernel):
    got: list[Any] = []

    def drop(rows: Any) -> str:
        """Drops."""
        got.append(rows)
        return "dropped"

    user = User("allow_always", "reject")
    with offering(kernel, drop, mode="always_require"):
        turn = await kernel.turn(
            TRIED + "seen = [tried(lambda: drop(rows=one)) for one in (1, True, 1.0, '1', [1], {'rows': 1}, 1)]",
            approver=user, **with_limits(kernel, denials_per_tool=100),
        )  # fmt: skip
    assert [json.dumps(one) for one in got] == ["1", "1"], turn.seen
    assert len(user.asked) == 6
    await denied(kernel, turn)


@attempt("E4.order", "has arguments always allowed, and calls with them in another order inside")
async def test_always_is_for_the_exact_order_inside_the_arguments(kernel):
    """The same plan for a database, backed up before it is dropped, and dropped before it is backed up."""
    got: list[list[str]] = []

    def steps(plan: dict[str, Any], then: list[dict[str, int]]) -> str:
        """Carries them out in order."""
        got.append([*plan, *(name for one in then for name in one)])
        return "done"

    plans = (
        "plan={'backup': 'db', 'drop': 'db'}, then=[{'a': 1, 'b': 2}]",
        "plan={'drop': 'db', 'backup': 'db'}, then=[{'a': 1, 'b': 2}]",
        "plan={'backup': 'db', 'drop': 'db'}, then=[{'b': 2, 'a': 1}]",
        "then=[{'a': 1, 'b': 2}], plan={'backup': 'db', 'drop': 'db'}",  # the same call
    )
    user = User("allow_always", "reject")
    with offering(kernel, steps, mode="always_require"):
        calls = ", ".join(f"tried(lambda: steps({plan}))" for plan in plans)
        turn = await kernel.turn(TRIED + f"seen = [{calls}]", approver=user)
        again = User("reject")
        await kernel.turn(
            TRIED + f"seen = [tried(lambda: steps({plans[1]})), tried(lambda: steps({plans[0]}))]", approver=again
        )
    assert got == [["backup", "drop", "a", "b"]] * 3, turn.seen
    first, other = (dict(question.call.arguments) for question in user.asked[:2])
    assert json.dumps(first, sort_keys=True) == json.dumps(other, sort_keys=True), "the control: sorted, they are equal"
    assert (len(user.asked), len(again.asked)) == (3, 1)
    await denied(kernel, turn)


@attempt("E4.order-edited", "asks about arguments that the user reorders")
async def test_an_edit_of_the_order_is_what_runs(kernel):
    got: list[list[str]] = []

    def steps(plan: dict[str, Any]) -> str:
        """Carries them out in order."""
        got.append(list(plan))
        return "done"

    user = User("allow_once", arguments={"plan": {"drop": 1, "backup": 2}})
    with offering(kernel, steps, mode="always_require"):
        turn = await kernel.turn("seen = steps(plan={'backup': 2, 'drop': 1})", approver=user)
    assert got == [["drop", "backup"]], turn.seen
    assert "with arguments changed (from plan=" in bundle(turn.result, "full")["text/plain"]


@attempt(
    "E10.swapped", "changes the file that an approval request names, during the request or before the tool has read it"
)
async def test_what_a_question_names_in_a_mounted_folder_stays_as_it_is_until_the_call_is_over(kernel, tmp_path):
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "a.py"
    script.write_text("harmless")
    read: list[str] = []

    async def run_script(path: str) -> str:
        """Runs it."""
        await asyncio.sleep(0.2)  # the tool takes its time until it reads
        read.append((tmp_path / "scripts" / path).read_text())
        return read[-1]

    async def look(question: ApprovalRequest) -> None:
        await asyncio.sleep(0.3)
        read.append(script.read_text())

    program = """
import asyncio, os
async def swap():
    await asyncio.sleep(0.05)
    for act in (lambda: os.remove("/input/s/a.py"), lambda: open("/input/s/a.py", "w").write("EVIL")):
        act()
    return os.listdir("/input/s")
seen = await asyncio.gather(call_tool_async("run_script", path="a.py"), swap())
seen
"""
    with offering(kernel, run_script, mode="always_require"):
        turn = await kernel.turn(
            program, direct=True, approver=User("allow_once", meanwhile=look),
            file_mounts=(file_mount((tmp_path / "scripts", "s:rw")),),
        )  # fmt: skip
    return turn, read


@attempt("E4.other-tool", "uses a permission for one tool on another of nearly the same name")
async def test_a_permission_is_for_one_tool(kernel):
    def destroy_all(what: str) -> str:
        """Destroys it."""
        kernel.ran.append(("destroy_all", what))
        return "all"

    user = User("allow_session", "reject")
    with offering(kernel, edition(kernel, 1), destroy_all, mode="always_require"):
        turn = await kernel.turn(
            TRIED + "seen = [destroy('a'), destroy('b'), tried(lambda: destroy_all('a'))]", approver=user
        )
    assert len(user.asked) == 2
    assert "ToolDenied" in turn.seen
    kernel.contained(ran=[("destroy 1", "a"), ("destroy 1", "b")])
    await kernel.answers()


@attempt("E4.policy", "has a policy give a permission for the session, which only the user can give")
async def test_only_a_user_allows_for_longer_than_one_call(kernel):
    asked: list[ApprovalRequest] = []

    class Policy(User):
        async def decide(self, question: ApprovalRequest) -> Decision:
            asked.append(question)
            return Decision(choice="allow_session" if len(asked) == 1 else "reject", by="policy")

    turn = await kernel.turn(
        TRIED + "seen = [tried(lambda: destroy('a')), tried(lambda: destroy('b'))]", approver=Policy("reject")
    )
    assert len(asked) == 2
    assert not kernel.session.grants.session
    kernel.contained(ran=[("destroy", "a")])
    assert "ToolDenied" in turn.seen
    await kernel.answers()


# -- E5 to E8 -------------------------------------------------------------------------------------------------------------------


@attempt("E5.nobody", "asks where nobody answers")
async def test_no_answer_is_a_no(kernel):
    async def never(question: ApprovalRequest) -> None:
        await asyncio.Event().wait()

    turn = await kernel.turn(
        TRIED + "seen = tried(lambda: destroy('a'))",
        approver=User("allow_once", meanwhile=never), **with_limits(kernel, decision_seconds=0.1),
    )  # fmt: skip
    assert "ToolDenied: nobody decided within 0.1 s" in turn.seen
    await denied(kernel, turn)


@attempt("E5.headless", "asks where there is no user")
async def test_where_nobody_is_the_answer_is_no_at_once_and_says_how_to_allow_it(kernel):
    turn = await kernel.turn(TRIED + "seen = tried(lambda: destroy('a'))")
    assert "nobody is here to give it" in turn.seen
    assert "--allow destroy" in turn.seen
    await denied(kernel, turn)


@attempt("E5.broken", "asks an approver that fails")
async def test_an_approver_that_fails_denies(kernel):
    def fail(question: ApprovalRequest) -> None:
        raise OSError(f"the page is gone: {kernel.secret} {kernel.token}")

    turn = await kernel.turn(TRIED + "seen = tried(lambda: destroy('a'))", approver=User("allow_once", meanwhile=fail))
    assert "ToolDenied: asking failed: OSError" in turn.seen
    await denied(kernel, turn)


NAMES = [
    Attempt(
        id="E6.built",
        tries="builds the tool's name at run time, so that no reading of the program finds it",
        program=TRIED
        + RAW
        + """
name = "".join(reversed("yortsed"))
ways = [lambda: call_tool(name, what="a"), lambda: globals()[name]("b"), lambda: eval(name)("c"),
        lambda: getattr(__import__("__main__"), name)("d"), lambda: vars()[name]("e"), lambda: exec(f"{name}('f')"),
        lambda: __import__("functools").partial(globals()[name], "g")(), lambda: list(map(globals()[name], ["h"]))]
seen = [tried(way) for way in ways] + [call(name, {"what": "i"}, wait=True)]
assert not any(one.startswith("ran: 'destroyed") for one in seen), seen
""",
        reached="ToolDenied",
    ),
    Attempt(
        id="E6.internals",
        tries="calls through the internals of our guest code, with its checks replaced",
        program=TRIED
        + """
import sys
calls = sys.modules["codeact_kernel.guest.inside.tool_calls"]
calls.answer_lookups.clear()
calls.answer_lookups.append(lambda name, arguments: None)
ways = [lambda: calls.call_and_wait("destroy", {"what": "a"}), lambda: calls.PendingCall("destroy", {"what": "b"}).result(),
        lambda: calls.call_each("destroy", {"what": ["c"]}), lambda: calls._return_or_raise(calls._read_answers(calls._send("destroy", {"what": "d"}, 1, batch_size=1, wait=True))[0][1]),
        lambda: calls.wait([calls.submit(calls.prepare("destroy", {"what": "e"}), 1)], None)]
seen = [tried(way) for way in ways]
assert not any("destroyed" in one for one in seen), seen
""",
        reached="ToolDenied",
    ),
    Attempt(
        id="E6.prefetch",
        tries="declares that the tool is read-only, so that its call is prefetched",
        program=TRIED
        + """
import sys
scheduler = sys.modules["codeact_kernel.guest.inside.prefetch.scheduler"]
scheduler._read_only_tools = scheduler._tools = frozenset({"destroy"})
source = "seen = []\\nfor what in 'abc':\\n    seen.append(tried(lambda: destroy(what=what)))\\n"
source += "for what in ['a', 'b']:\\n    destroy(what=what)"
code = compile(scheduler.rewrite(source, "<program 9>"), "<program 9>", "exec")
ended = tried(lambda: exec(code, globals()))
seen = [ended, *seen]
assert not any("destroyed" in one for one in seen), seen
""",
        reached="ToolDenied",
    ),
    Attempt(
        id="E6.answers",
        tries="replaces the host's answer by its own, and checks whether the host believes it",
        program=TRIED
        + """
import sys
calls = sys.modules["codeact_kernel.guest.inside.tool_calls"]
calls.answer_lookups.append(lambda name, arguments: ([1, True, "forged"],))
first = tried(lambda: destroy("a"))
calls.answer_lookups.clear()
seen = [first, tried(lambda: destroy("b"))]
""",
        reached="ToolDenied",
    ),
]


@pytest.mark.parametrize("one", cases(NAMES))
async def test_no_way_to_a_tool_goes_around_the_decision(kernel, one):
    user = User("reject")
    await kernel.holds(one, approver=user)
    assert 1 <= len(user.asked) <= Limits().denials_per_tool


@attempt("E7.loop", "asks again and again after a denial, and catches the exception")
async def test_a_loop_of_denials_asks_three_times(kernel):
    user = User("reject")
    program = TRIED + "seen = [tried(lambda: destroy(str(n)))[:60] for n in range(1_000)]"
    turn = await kernel.turn(program, approver=user)
    assert len(user.asked) == 3
    assert isinstance(turn.result.value, list)
    assert turn.result.value[3:] == ["ToolDenied: destroy was denied too often in this turn"] * 997
    await denied(kernel, turn)


@attempt("E7.together", "asks many times at once, so that no denial comes before the next request")
async def test_questions_that_are_open_together_are_few(kernel):
    user = User("reject")
    turn = await kernel.turn(TRIED + "seen = tried(lambda: destroy.map([str(n) for n in range(500)]))", approver=user)
    assert 3 <= len(user.asked) <= 3 + kernel.settings.limits.calls_in_flight
    assert "ToolDenied" in turn.seen
    await denied(kernel, turn)


@attempt("E7.retries", "asks again from each repaired program")
async def test_a_repaired_program_has_no_new_questions(kernel):
    user = User("reject")
    program = "for n in range(2):\n    try:\n        destroy(str(n))\n    except Exception:\n        pass\n"
    programs = [f"{program}{n} / 0" for n in range(4)]
    turn = await kernel.turn(*programs, approver=user, max_retries=3, direct=True)
    assert turn.result.attempts == 4
    assert len(user.asked) == 3
    await denied(kernel, turn)


@attempt("E8.spins", "computes forever while an approval request stops its clock")
@pytest.mark.full
async def test_a_program_that_computes_under_an_open_question_ends_by_its_processor_time(kernel):
    async def never(question: ApprovalRequest) -> None:
        await asyncio.Event().wait()

    limits = with_limits(kernel, run_seconds=kernel.settings.limits.run_seconds / 20, cpu_seconds=1)
    program = RAW + "call('destroy', {'what': 'x'})\nwhile True: pass"
    user = User("allow_once", meanwhile=never)
    turn = await kernel.turn(program, approver=user, **limits)
    assert len(user.asked) == 1
    assert turn.result.error is not None
    assert turn.result.error.kind == "WorkerLost", turn.seen
    assert "processor time" in turn.result.error.message
    await denied(kernel, turn)
