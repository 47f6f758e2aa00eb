"""Approvers that ask the user: on the card if a page shows it, else with `input()`. Without a user they deny."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from codeact_kernel.approval import ApprovalRequest, Approver, DenyAll, ReviewDecision
from codeact_kernel.approval.request import digest_of
from codeact_kernel.render.escaping import (
    escape_controls,
    escape_hidden,
    escape_strictly,
    has_hidden,
    one_line,
)
from codeact_kernel.render.lookalikes import find_lookalikes
from codeact_kernel.render.values import arguments_text
from codeact_kernel.types import ApprovalChoice, Decision, JSONObject

from .approval_form import make_form, read_edits

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["CardApprover", "FallbackApprover", "StdinApprover", "has_user", "is_append_only", "is_captured"]

_MAX_QUESTION = 1_000
"""Maximum characters of arguments in the line of a question; longer arguments are printed before it."""
_MAX_FORMS = 1 << 20
"""Maximum characters of the forms that a page gets at once. The other forms follow as the user decides."""
_MAX_REASON = 500
_MAX_COMMENT = 4_000
_LEFT_OPEN = "an earlier question of this cell was left open, so no other is asked: run the cell again"
_CHOICES = ("allow_once", "allow_cell", "allow_session", "allow_always", "reject")

OnMain = Callable[[Callable[[], object]], Awaitable[object]]


@dataclass(slots=True)
class _OpenForm:
    request: ApprovalRequest
    form: JSONObject
    size: int
    decision: asyncio.Future[Decision]


class CardApprover:
    """Asks on the card. Used on the loop; `open_forms` and `program` can be read from any thread.

    Args:
        wake: wakes the main thread when there is something new to draw.
        leave: ends the turn when it needs an approval after the card has gone.

    Attributes:
        program: the program that waits for a review, as the card shows it.
    """

    def __init__(self, wake: Callable[[], None], leave: Callable[[], None]) -> None:
        self.program: JSONObject | None = None
        self._wake = wake
        self._leave = leave
        self._is_abandoned = False
        self._waiting: dict[str, _OpenForm] = {}
        self._review_decision: asyncio.Future[ReviewDecision] | None = None
        self._review_count = 0
        self._program_source = ""

    @property
    def open_forms(self) -> list[JSONObject]:
        """The calls that wait for a decision, as the card shows them."""
        forms: list[JSONObject] = []
        budget = _MAX_FORMS
        for item in list(self._waiting.values()):
            if forms and item.size > budget:
                break
            budget -= item.size
            forms.append(item.form)
        return forms

    def abandon(self) -> None:
        """Note that the card has gone, because the user ran the cell again."""
        self._is_abandoned = True
        if self._waiting or self.program is not None:
            self._leave()

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Show the form of a call, and wait for the user's decision."""
        if self._is_abandoned:
            self._leave()
        form = make_form(request)
        item = _OpenForm(request, form, len(json.dumps(form)), asyncio.get_running_loop().create_future())
        self._waiting[request.digest] = item
        self._wake()
        try:
            return await item.decision
        finally:
            del self._waiting[request.digest]
            self._wake()

    async def review(self, program: str, problem: str) -> ReviewDecision:
        """Show a program, and wait for the user's decision."""
        if self._is_abandoned:
            self._leave()
        self._review_count += 1
        self._program_source = program
        self._review_decision = asyncio.get_running_loop().create_future()
        # Hidden characters are shown as escapes, so a program that has any can only run unchanged.
        text = escape_strictly(escape_hidden(program))
        self.program = {
            "digest": digest_of(self._review_count, id(self), program, problem),
            "program": text,
            "editable": text == program,
            "problem": escape_controls(problem),
            "note": find_lookalikes(program),
        }
        self._wake()
        try:
            return await self._review_decision
        finally:
            self.program = None
            self._wake()

    def receive(self, message: Mapping[str, Any]) -> None:
        """Handle a message of the page. A message that does not name an open question exactly as shown is ignored."""
        if message.get("kind") == "decide":
            self._receive_decision(message)
        elif message.get("kind") == "review":
            self._receive_review(message)

    def _receive_decision(self, message: Mapping[str, Any]) -> None:
        digest, choice, reason = message.get("digest"), message.get("choice"), message.get("reason", "")
        item = self._waiting.get(digest) if isinstance(digest, str) else None
        if item is None or item.decision.done() or choice not in _CHOICES or not isinstance(reason, str):
            return
        call_key = (message.get("run"), message.get("call"))
        if any(type(number) is not int for number in call_key):  # because True == 1
            return
        if call_key != (item.request.run, item.request.call.id):
            return
        if choice == "reject":
            reason = escape_controls(reason).strip()[:_MAX_REASON] or _denial_reason(item.request)
            item.decision.set_result(Decision(choice="reject", by="user", reason=reason))
            return
        arguments, problem = read_edits(item.request, _texts(message.get("edits")))
        if problem:
            item.form = _with_problem(item.form, problem)
            self._wake()
            return
        item.decision.set_result(Decision(choice=cast("ApprovalChoice", choice), by="user", arguments=arguments))

    def _receive_review(self, message: Mapping[str, Any]) -> None:
        form, decision, program = self.program, self._review_decision, message.get("program")
        if form is None or decision is None or decision.done() or message.get("digest") != form["digest"]:
            return
        comment = message.get("comment", "")
        if message.get("choice") == "reject" and isinstance(comment, str):
            decision.set_result(ReviewDecision(program=None, comment=escape_controls(comment)[:_MAX_COMMENT]))
        elif message.get("choice") == "run" and isinstance(program, str):
            if form["editable"] and has_hidden(program):
                problem = "The program contains an invisible character: remove it, or write it as an escape."
                self.program = _with_problem(form, problem)
                self._wake()
                return
            decision.set_result(ReviewDecision(program=program if form["editable"] else self._program_source))


def _with_problem(form: JSONObject, problem: str) -> JSONObject:
    """Add a problem to a form. The number of tries changes, so that the page sees that its message has arrived."""
    return {**form, "problem": problem, "tries": cast("int", form.get("tries", 0)) + 1}


def _denial_reason(request: ApprovalRequest) -> str:
    return f"the user denied {request.call.name}"


def _texts(value: object) -> dict[str, str]:
    items = cast("dict[object, object]", value).items() if isinstance(value, dict) else ()
    return {name: text for name, text in items if isinstance(name, str) and isinstance(text, str)}


class StdinApprover:
    """Asks with `input()` on the main thread, one question at a time.

    Args:
        on_main: runs a function on the main thread.
        before_question: called on the main thread just before each question.
    """

    def __init__(self, on_main: OnMain, before_question: Callable[[], None]) -> None:
        self._on_main = on_main
        self._before_question = before_question
        self._asking = asyncio.Lock()
        self._is_left_open = False

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Ask whether a call is allowed. An answer other than yes or no denies the call, and is the reason."""
        async with self._asking:
            if (decision := request.already_decided()) is not None:
                return decision
            if self._is_left_open:
                return Decision(choice="reject", by="nobody", reason=_LEFT_OPEN)
            if request.is_question:
                return await self._answer(request)
            answer = await self._ask(lambda: self._ask_about_call(request))
        match answer.lower():
            case "y" | "yes":
                return Decision(choice="allow_once", by="user")
            case "c" | "cell":
                return Decision(choice="allow_cell", by="user")
            case "s" | "session":
                return Decision(choice="allow_session", by="user")
            case "" | "n" | "no":
                return Decision(choice="reject", by="user", reason=_denial_reason(request))
            case _:
                return Decision(choice="reject", by="user", reason=escape_controls(answer)[:_MAX_REASON])

    async def _answer(self, request: ApprovalRequest) -> Decision:
        """Ask for one answer after the other. An empty answer keeps the suggestion, and `cancel` gives none at all."""
        lines = [f"{escape_controls(request.call.title)}: {escape_strictly(request.summary)}"]
        texts: dict[str, str] = {}
        for name, value in request.call.arguments.items():
            shown = escape_strictly(json.dumps(value, ensure_ascii=False))
            question = "\n".join([*lines, f"  {escape_strictly(one_line(name))} [{shown}, or cancel]: "])
            text = await self._ask(lambda question=question: _input(question))
            if text.lower() == "cancel":
                return Decision(choice="reject", by="user", reason=_denial_reason(request))
            if text:
                texts[name] = text
            lines = []
        arguments, problem = read_edits(request, texts)
        if problem:
            return Decision(choice="reject", by="user", reason=problem)
        return Decision(choice="allow_once", by="user", arguments=arguments)

    async def review(self, program: str, problem: str) -> ReviewDecision:
        """Ask whether a program runs. An answer other than yes or no is a comment for the model."""
        async with self._asking:
            if self._is_left_open:
                return ReviewDecision(program=None, comment=_LEFT_OPEN, by="nobody")
            answer = await self._ask(lambda: self._ask_about_program(program))
        match answer.lower():
            case "y" | "yes":
                return ReviewDecision(program=program)
            case "" | "n" | "no":
                return ReviewDecision(program=None)
            case _:
                return ReviewDecision(program=None, comment=escape_controls(answer)[:_MAX_COMMENT])

    async def _ask(self, question: Callable[[], str]) -> str:
        try:
            return str(await self._on_main(question)).strip()
        except asyncio.CancelledError:
            self._is_left_open = True  # the input box can remain, and its text must not answer another question
            raise

    def _ask_about_call(self, request: ApprovalRequest) -> str:
        self._before_question()
        call = request.call
        # The user approves the whole text, so all of it is printed, with invisible characters as escapes.
        arguments = escape_strictly(arguments_text(call.arguments, sys.maxsize))
        if len(arguments) > _MAX_QUESTION:
            print(f"{escape_controls(call.title)}:")
            for name, value in call.arguments.items():
                print(escape_strictly(f"  {one_line(name)} = {json.dumps(value, ensure_ascii=False)}"))
            arguments = "the arguments shown above"
        if note := find_lookalikes(arguments_text(call.arguments, sys.maxsize)):
            print(note)
        if request.untrusted:
            print(f"The program has read text that an outsider can write, from {escape_controls(request.untrusted)}:")
        where = f" (line {call.line})" if call.line else ""
        call_text = f"{escape_controls(call.title)}({arguments}){where}"
        return _input(f"Allow {call_text}? [y]es, for this [c]ell, for this [s]ession, [N]o, or a reason to deny: ")

    def _ask_about_program(self, program: str) -> str:
        self._before_question()
        if note := find_lookalikes(program):
            print(note)
        return _input("Run this program? [y]es, [N]o, or a comment for the model: ")


def _input(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""


class FallbackApprover:
    """Asks on the card if a page shows it, else with `input()`, and denies if there is no user.

    Args:
        card_approver: returns the approver of the card, or `None` if no page shows the card.
        stdin: asks with `input()`.
        user_present: whether anybody can answer.
    """

    def __init__(
        self, card_approver: Callable[[], Awaitable[Approver | None]], stdin: Approver, *, user_present: bool
    ) -> None:
        self._card_approver = card_approver
        self._stdin = stdin
        self._user_present = user_present
        self._in_order = asyncio.Lock()

    async def decide(self, request: ApprovalRequest) -> Decision:
        """Ask whether a call is allowed."""
        return await (await self._choose()).decide(request)

    async def review(self, program: str, problem: str) -> ReviewDecision:
        """Ask whether a program runs."""
        return await (await self._choose()).review(program, problem)

    async def _choose(self) -> Approver:
        if not self._user_present:
            return DenyAll()
        async with self._in_order:  # questions that wait for the page keep their order
            return await self._card_approver() or self._stdin


def has_user(shell: InteractiveShell) -> bool:
    """Tell whether anybody can answer a question: the front end says so, or this is a terminal."""
    kernel: Any = getattr(shell, "kernel", None)
    if kernel is None:
        return sys.stdin is not None and sys.stdin.isatty()
    return bool(_request(kernel, "content").get("allow_stdin"))


def is_append_only(shell: InteractiveShell) -> bool:
    """Tell whether outputs cannot be updated, as in a terminal or in Jupyter's console.

    A page's request names its cell, and a console's does not. Programs that execute a notebook apply updates.
    """
    kernel: Any = getattr(shell, "kernel", None)
    return kernel is None or (has_user(shell) and not _request(kernel, "metadata").get("cellId"))


def is_captured(shell: InteractiveShell) -> bool:
    """Tell whether an Output widget takes the cell's outputs: under `with out:`, or in a callback of `interact`.

    Such a widget accepts new outputs, but applies no updates to them.
    """
    widgets, kernel = sys.modules.get("ipywidgets"), getattr(shell, "kernel", None)
    request = _request(kernel, "header").get("msg_id")
    if widgets is None or not request:
        return False
    base = sys.modules.get("ipywidgets.widgets.widget")
    instances: Any = getattr(base, "_instances", None)
    if instances is None:  # ipywidgets 7
        instances = getattr(widgets.Widget, "widgets", {})
    return any(isinstance(item, widgets.Output) and item.msg_id == request for item in list(instances.values()))


def _request(kernel: Any, part: str) -> dict[str, Any]:
    """Return a part of the message that requested the running cell."""
    try:
        value = kernel.get_parent("shell")[part]
    except (AttributeError, KeyError, TypeError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
