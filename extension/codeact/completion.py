"""Tab: options after `%%codeact --` and `> --`, verbs after `%codeact`, names of tools, and prompts of before."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUntypedFunctionDecorator=false
# IPython has next to no types.

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from codeact_kernel.configuration import OPTIONS
from codeact_kernel.tools import ToolOptions

from .help import VERB_NAMES

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .magics import CodeAct

__all__ = ["Completion"]

_TOOL_OPTIONS = sorted(f"{name}=" for name in ("name", "description", *(field.name for field in fields(ToolOptions))))
_REMEMBERED = 20
_SEARCHED = 500
"""Cells of other sessions that are looked through."""
_CELL = re.compile(r"(?:> ?|%%codeact\b.*\n)")
"""What stands before a prompt."""


class Completion:
    """A matcher of one shell's completer.

    Args:
        flags: the options of `%%codeact`.
    """

    def __init__(self, magics: CodeAct, shell: InteractiveShell, flags: Sequence[str]) -> None:
        self._magics = magics
        self._shell = shell
        self._flags = flags

        @context_matcher(identifier="codeact")  # it marks plain functions only
        def matcher(context: CompletionContext) -> SimpleMatcherResult:
            return self.match(context)

        self._matcher = matcher
        shell.Completer.custom_matchers.append(matcher)

    def close(self) -> None:
        """Leave the completer as it was."""
        if self._matcher in self._shell.Completer.custom_matchers:
            self._shell.Completer.custom_matchers.remove(self._matcher)

    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """What can stand at the cursor; empty where it is not our business."""
        line = context.line_with_cursor[: context.cursor_position]
        tools = _tools()
        for pattern, names in (
            (r"^(?:%%codeact\b|> ).*--allow[= ](\w*)$", tools),
            (r"^(?:%%codeact\b|> ).*--backend[= ](\w*)$", OPTIONS["backend"].choices),
            (r"(?<!%)%codeact\s+backend\s+(\w*)$", OPTIONS["backend"].choices),
            (r"(?<!%)%codeact\s+kernel\s+(\w*)$", OPTIONS["kernel"].choices),
            (r"(?<!%)%codeact\s+config\s+(\w*)$", ("trust", "distrust")),
            (r"^(?:%%codeact\b|> ).*?(--[\w-]*)$", self._flags),
            (r"(?<!%)%codeact\s+(\w*)$", VERB_NAMES),
            (r"%config\s+CodeAct\.(\w*)$", tuple(OPTIONS)),
            (r"^(?:(?!@tool\().)*@tool\((?:.*(?:[\s,]|@tool\())?(\w*)$", _TOOL_OPTIONS),
            (r"call_tool(?:_async)?\(\s*['\"](\w*)$", tools),
        ):
            if found := re.search(pattern, line):
                return _result(found[1], (name for name in names if name.startswith(found[1])))
        if self._magics.own_kernel and (found := re.search(r"(?:^|[\s@(,=])(to{1,2}l?)$", line)):
            return _result(found[1], ["tool"], alone=False)  # no variable, so nobody else knows of it
        return self._in_a_prompt(context, tools)

    def _in_a_prompt(self, context: CompletionContext, tools: Iterable[str]) -> SimpleMatcherResult:
        written = _until_cursor(context)
        before = _CELL.match(written)
        if before is None or (written[0] == ">" and self._magics.cells.mode == "python"):
            return {"completions": []}
        typed = written[before.end() :]
        if typed.strip() and "\n" not in typed and (remembered := self._remembered(typed)):
            return _result(typed, remembered)
        word = re.search(r"(?<!\w)\w*$", typed)
        fragment = word[0] if word else ""
        return _result(fragment, (name for name in tools if fragment and name.startswith(fragment)))

    def _remembered(self, typed: str) -> list[str]:
        """Prompts of before that begin like this one, the latest first."""
        history = self._shell.history_manager
        if history is None:
            return []
        cells: list[Any] = [*history.input_hist_raw]
        for pattern in ("> *", "%%codeact*"):
            cells = [cell for _, _, cell in history.search(pattern, n=_SEARCHED, unique=True)] + cells
        prompts = [cell[before.end() :].strip() for cell in cells if (before := _CELL.match(cell))]
        return list(dict.fromkeys(one for one in reversed(prompts) if one.startswith(typed) and one != typed.strip()))[
            :_REMEMBERED
        ]


def _until_cursor(context: CompletionContext) -> str:
    lines = context.full_text.split("\n")
    return "\n".join([*lines[: context.cursor_line], lines[context.cursor_line][: context.cursor_position]])


def _tools() -> tuple[str, ...]:
    registry = sys.modules.get("codeact_kernel.tools.registry")  # it is imported with the first tool
    return () if registry is None else tuple(registry.default_registry)


def _result(typed: str, names: Iterable[str], *, alone: bool = True) -> SimpleMatcherResult:
    completions = [SimpleCompletion(name, type="param") for name in names]
    return {"completions": completions, "matched_fragment": typed, "suppress": alone and bool(completions)}
