"""Asking the person: on the card, if a page shows it; else with `input()`; and where nobody is, the answer is no."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from codeact_kernel.approval import ApprovalRequest, Approver, DenyAll, ReviewDecision
from codeact_kernel.approval.request import digest_of
from codeact_kernel.render.escaping import arguments_text, escaped, has_hidden, one_line, plain, strictly
from codeact_kernel.render.lookalikes import find_lookalikes
from codeact_kernel.types import ApprovalChoice, Decision, JSONObject

from .approval_form import edited, form_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["CardApprover", "FallbackApprover", "StdinApprover", "has_user", "is_append_only", "is_captured"]

_ONE_QUESTION = 1_000
"""Characters of arguments that fit into the question's own line."""
_ON_THE_CARD = 1 << 20
"""Characters of open questions that a page is sent at once; the others follow as these are decided."""
_REASON = 500
_LEFT_OPEN = "an earlier question of this cell was left open, so no other is asked: run the cell again"
_CHOICES = ("allow_once", "allow_cell", "allow_session", "allow_always", "reject")

OnMain = Callable[[Callable[[], object]], Awaitable[object]]


@dataclass(slots=True)
class _Open:
    question: ApprovalRequest
    form: JSONObject
    size: int
    decided: asyncio.Future[Decision]


class CardApprover:
    """Asks on the card. Everything here happens on the loop, but for reading `questions` and `program`.

    Args:
        wake: called when there is something new to draw.
        leave: ends the turn; called when it asks and the card is gone for good.

    Attributes:
        program: the one that is asked about, as the card shows it.
    """

    def __init__(self, wake: Callable[[], None], leave: Callable[[], None]) -> None:
        self.program: JSONObject | None = None
        self._wake = wake
        self._leave = leave
        self._forsaken = False
        self._open: dict[str, _Open] = {}
        self._verdict: asyncio.Future[ReviewDecision] | None = None
        self._reviews = 0
        self._exactly = ""

    @property
    def questions(self) -> list[JSONObject]:
        """The calls that wait, as the card shows them."""
        shown: list[JSONObject] = []
        left = _ON_THE_CARD
        for one in list(self._open.values()):
            if shown and one.size > left:
                break
            left -= one.size
            shown.append(one.form)
        return shown

    def abandon(self) -> None:
        """The cell was run again: nobody sees the card any more."""
        self._forsaken = True
        if self._open or self.program is not None:
            self._leave()

    async def decide(self, question: ApprovalRequest) -> Decision:
        if self._forsaken:
            self._leave()
        form = form_of(question)
        one = _Open(question, form, len(json.dumps(form)), asyncio.get_running_loop().create_future())
        self._open[question.digest] = one
        self._wake()
        try:
            return await one.decided
        finally:
            del self._open[question.digest]
            self._wake()

    async def review(self, program: str, problem: str) -> ReviewDecision:
        if self._forsaken:
            self._leave()
        self._reviews += 1
        self._exactly = program
        self._verdict = asyncio.get_running_loop().create_future()
        shown = digest_of(self._reviews, id(self), program, problem)
        # Hidden characters are there as escapes; a program that has some cannot be edited here, but run as it is.
        text = strictly(escaped(program))
        self.program = {
            "seal": shown,
            "program": text,
            "editable": text == program,
            "problem": plain(problem),
            "note": find_lookalikes(program),
        }
        self._wake()
        try:
            return await self._verdict
        finally:
            self.program = None
            self._wake()

    def heard(self, message: Mapping[str, Any]) -> None:
        """What the page sent. What does not name an open question exactly as it was shown changes nothing."""
        if message.get("kind") == "decide":
            self._decided(message)
        elif message.get("kind") == "review":
            self._reviewed(message)

    def _decided(self, message: Mapping[str, Any]) -> None:
        named, choice, reason = message.get("seal"), message.get("choice"), message.get("reason", "")
        one = self._open.get(named) if isinstance(named, str) else None
        if one is None or one.decided.done() or choice not in _CHOICES or not isinstance(reason, str):
            return
        named_call = (message.get("run"), message.get("call"))
        if any(type(number) is not int for number in named_call):  # true is 1 elsewhere, not here
            return
        if named_call != (one.question.run, one.question.call.id):
            return
        if choice == "reject":
            said = plain(reason).strip()[:_REASON] or f"the person denied {one.question.call.name}"
            one.decided.set_result(Decision(choice="reject", by="person", reason=said))
            return
        arguments, problem = edited(one.question, _texts(message.get("edits")))
        if problem:
            one.form = {**one.form, "problem": problem, "tries": cast("int", one.form.get("tries", 0)) + 1}
            self._wake()
            return
        one.decided.set_result(Decision(choice=cast("ApprovalChoice", choice), by="person", arguments=arguments))

    def _reviewed(self, message: Mapping[str, Any]) -> None:
        shown, verdict, program = self.program, self._verdict, message.get("program")
        if shown is None or verdict is None or verdict.done() or message.get("seal") != shown["seal"]:
            return
        comment = message.get("comment", "")
        if message.get("choice") == "reject" and isinstance(comment, str):
            verdict.set_result(ReviewDecision(program=None, comment=plain(comment)[:4_000]))
        elif message.get("choice") == "run" and isinstance(program, str):
            if shown["editable"] and has_hidden(program):
                problem = "There is a character in it that does not show: take it out, or write it as an escape."
                self.program = {**shown, "problem": problem, "tries": cast("int", shown.get("tries", 0)) + 1}
                self._wake()
                return
            verdict.set_result(ReviewDecision(program=program if shown["editable"] else self._exactly))


def _texts(value: object) -> dict[str, str]:
    items = cast("dict[object, object]", value).items() if isinstance(value, dict) else ()
    return {name: text for name, text in items if isinstance(name, str) and isinstance(text, str)}


class StdinApprover:
    """Asks with `input()`, on the main thread, one question after the other.

    Args:
        before: called on the main thread just before a question.
    """

    def __init__(self, on_main: OnMain, before: Callable[[], None]) -> None:
        self._on_main = on_main
        self._before = before
        self._one = asyncio.Lock()
        self._left_open = False

    async def decide(self, question: ApprovalRequest) -> Decision:
        async with self._one:
            if (settled := question.already_decided()) is not None:
                return settled
            if self._left_open:
                return Decision(choice="reject", by="nobody", reason=_LEFT_OPEN)
            answer = await self._ask(lambda: self._question(question))
        match answer.lower():
            case "y" | "yes":
                return Decision(choice="allow_once", by="person")
            case "c" | "cell":
                return Decision(choice="allow_cell", by="person")
            case "s" | "session":
                return Decision(choice="allow_session", by="person")
            case "" | "n" | "no":
                return Decision(choice="reject", by="person", reason=f"the person denied {question.call.name}")
            case _:
                return Decision(choice="reject", by="person", reason=plain(answer)[:_REASON])

    async def review(self, program: str, problem: str) -> ReviewDecision:
        async with self._one:
            if self._left_open:
                return ReviewDecision(program=None, comment=_LEFT_OPEN, by="nobody")
            answer = await self._ask(lambda: self._review(program))
        match answer.lower():
            case "y" | "yes":
                return ReviewDecision(program=program)
            case "" | "n" | "no":
                return ReviewDecision(program=None)
            case _:
                return ReviewDecision(program=None, comment=plain(answer)[:4_000])

    async def _ask(self, question: Callable[[], str]) -> str:
        try:
            return str(await self._on_main(question)).strip()
        except asyncio.CancelledError:
            self._left_open = True  # its box may still be there: what is typed into it must not answer another
            raise

    def _question(self, question: ApprovalRequest) -> str:
        self._before()
        call = question.call
        # What is approved must have been seen, all of it, and nothing that does not show.
        arguments = strictly(arguments_text(call.arguments, sys.maxsize))
        if len(arguments) > _ONE_QUESTION:
            print(f"{plain(call.name)}:")
            for name, value in call.arguments.items():
                print(strictly(f"  {one_line(name)} = {json.dumps(value, ensure_ascii=False)}"))
            arguments = "the arguments shown above"
        if note := find_lookalikes(arguments_text(call.arguments, sys.maxsize)):
            print(note)
        if question.untrusted:
            print(f"After text that an outsider can write, from {plain(question.untrusted)}:")
        where = f" (line {call.line})" if call.line else ""
        call_text = f"{plain(call.name)}({arguments}){where}"
        return _input(f"Allow {call_text}? [y]es, for this [c]ell, for this [s]ession, [N]o, or a reason to deny: ")

    def _review(self, program: str) -> str:
        self._before()
        if note := find_lookalikes(program):
            print(note)
        return _input("Run this program? [y]es, [N]o, or a comment for the model: ")


def _input(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""


class _Page(Protocol):
    """What the ladder wants to know of the view."""

    async def approver(self) -> CardApprover | None:
        """The card's, if a page shows it."""
        ...


class FallbackApprover:
    """The card that a page shows, else `input()`, else no."""

    def __init__(self, page: _Page, stdin: StdinApprover, *, present: bool) -> None:
        self._page = page
        self._stdin: Approver = stdin
        self._present = present
        self._in_turn = asyncio.Lock()

    async def decide(self, question: ApprovalRequest) -> Decision:
        return await (await self._approver()).decide(question)

    async def review(self, program: str, problem: str) -> ReviewDecision:
        return await (await self._approver()).review(program, problem)

    async def _approver(self) -> Approver:
        if not self._present:
            return DenyAll()
        async with self._in_turn:  # who waits for the page is not overtaken by who comes when it is there
            return await self._page.approver() or self._stdin


def has_user(shell: InteractiveShell) -> bool:
    """Whether a question can be answered: the front end says so, or this is a terminal."""
    kernel: Any = getattr(shell, "kernel", None)
    if kernel is None:
        return sys.stdin is not None and sys.stdin.isatty()
    return bool(_request(kernel, "content").get("allow_stdin"))


def is_append_only(shell: InteractiveShell) -> bool:
    """Whether what was shown stays as it was: a terminal, or a console of Jupyter, which knows nothing of updates.

    A page's request names the cell that it runs; a console has none. What executes a notebook by itself takes updates.
    """
    kernel: Any = getattr(shell, "kernel", None)
    return kernel is None or (has_user(shell) and not _request(kernel, "metadata").get("cellId"))


def is_captured(shell: InteractiveShell) -> bool:
    """Say whether an Output widget takes what the cell shows: under `with out:`, or in a callback of `interact`.

    Such a widget takes in new outputs and applies no updates to them.
    """
    widgets, kernel = sys.modules.get("ipywidgets"), getattr(shell, "kernel", None)
    request = _request(kernel, "header").get("msg_id")
    if widgets is None or not request:
        return False
    base = sys.modules.get("ipywidgets.widgets.widget")
    instances: Any = getattr(base, "_instances", None)
    if instances is None:  # ipywidgets 7
        instances = getattr(widgets.Widget, "widgets", {})
    return any(isinstance(one, widgets.Output) and one.msg_id == request for one in list(instances.values()))


def _request(kernel: Any, part: str) -> dict[str, Any]:
    """A part of the message that asked for the present cell."""
    try:
        found = kernel.get_parent("shell")[part]
    except (AttributeError, KeyError, TypeError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
