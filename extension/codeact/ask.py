"""Asking the person about a call. So far on stdin, with `input()`; where nobody can answer, the answer is no."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from codeact_kernel.approval import DenyAll
from codeact_kernel.render.safe import arguments_text, plain
from codeact_kernel.values import Decision, ToolCall

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["StdinApprover", "somebody_is_there"]

_ONE_QUESTION = 1_000
"""Characters of arguments that fit into the question's own line."""


class StdinApprover:
    """Asks on the main thread; remembers what was allowed for the session.

    Args:
        on_main: runs a function on the main thread.
        present: whether somebody can answer.
        before: called on the main thread just before the question.
        allowed: names and versions of tools allowed for the session; grows with the person's answers.
    """

    def __init__(
        self,
        on_main: Callable[[Callable[[], object]], Awaitable[object]],
        *,
        present: bool,
        before: Callable[[], None],
        allowed: set[tuple[str, str]],
    ) -> None:
        self._on_main = on_main
        self._present = present
        self._before = before
        self._allowed = allowed

    async def decide(self, call: ToolCall) -> Decision:
        """The person's word on `call`, or a denial where nobody is there."""
        tool = (call.name, call.version)  # a tool that was changed is another one
        if tool in self._allowed:
            return Decision(allowed=True, by="person", reason="allowed for this session")
        if not self._present:
            return await DenyAll().decide(call)
        answer = str(await self._on_main(lambda: self._question(call))).strip()
        match answer.lower():
            case "y" | "yes":
                return Decision(allowed=True, by="person")
            case "s" | "session":
                self._allowed.add(tool)
                return Decision(allowed=True, by="person", reason="allowed for this session")
            case "" | "n" | "no":
                return Decision(allowed=False, by="person", reason=f"the person denied {call.name}")
            case _:
                return Decision(allowed=False, by="person", reason=plain(answer)[:500])

    def _question(self, call: ToolCall) -> str:
        self._before()
        arguments = arguments_text(call.arguments, sys.maxsize)  # what is approved must have been seen, all of it
        if len(arguments) > _ONE_QUESTION:
            print(f"{plain(call.name)}:")
            for name, value in call.arguments.items():
                print(f"  {plain(name)} = {plain(json.dumps(value, ensure_ascii=False))}")
            arguments = "the arguments shown above"
        where = f" (line {call.line})" if call.line else ""
        try:
            return input(f"Allow {plain(call.name)}({arguments}){where}? [y]es, [s]ession, [N]o, or a reason to deny: ")
        except EOFError:
            return ""


def somebody_is_there(shell: InteractiveShell) -> bool:
    """Whether a question on stdin can be answered: the front end says so, or this is a terminal."""
    kernel: Any = getattr(shell, "kernel", None)
    if kernel is None:
        return sys.stdin is not None and sys.stdin.isatty()
    try:
        return bool(kernel.get_parent("shell")["content"]["allow_stdin"])
    except (AttributeError, KeyError, TypeError):
        return False
