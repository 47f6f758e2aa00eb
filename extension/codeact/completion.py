"""Tab completion: options, `%codeact` commands and their arguments, names of tools, and earlier prompts."""

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

from .cell_hooks import CellHooks

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["Completion"]

_TOOL_OPTIONS = sorted(f"{name}=" for name in ("name", "description", *(field.name for field in fields(ToolOptions))))
_MAX_PROMPTS = 20
"""Earlier prompts that are offered."""
_MAX_HISTORY = 500
"""Cells of earlier sessions that are searched for prompts."""
_PROMPT_START = re.compile(r"(?:> ?|%%codeact\b.*\n)")


class Completion:
    """A matcher of one shell's completer.

    Args:
        shell: IPython.
        cells: know which cells are prompts.
        flags: the options of `%%codeact`.
    """

    def __init__(self, shell: InteractiveShell, cells: CellHooks, flags: Sequence[str]) -> None:
        self._shell = shell
        self._cells = cells
        self._flags = flags

        @context_matcher(identifier="codeact")  # the decorator cannot mark a bound method
        def matcher(context: CompletionContext) -> SimpleMatcherResult:
            return self.match(context)

        self._matcher = matcher
        shell.Completer.custom_matchers.append(matcher)

    def close(self) -> None:
        """Remove the matcher from the completer."""
        if self._matcher in self._shell.Completer.custom_matchers:
            self._shell.Completer.custom_matchers.remove(self._matcher)

    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return what fits at the cursor, or no completions where other matchers have to answer."""
        line = context.line_with_cursor[: context.cursor_position]
        tools = _tool_names()
        for pattern, names in (
            (r"^(?:%%codeact\b|> ).*--allow[= ](\w*)$", tools),
            (r"^(?:%%codeact\b|> ).*--backend[= ](\w*)$", OPTIONS["backend"].choices),
            (r"^(?:%%codeact\b|> ).*?(--[\w-]*)$", self._flags),
            (r"%config\s+CodeAct\.(\w*)$", tuple(OPTIONS)),
            (r"^(?:(?!@tool\().)*@tool\((?:.*(?:[\s,]|@tool\())?(\w*)$", _TOOL_OPTIONS),
            (r"call_tool(?:_async)?\(\s*['\"](\w*)$", tools),
        ):
            if match := re.search(pattern, line):
                return _completions(match[1], names)
        if match := re.search(r"(?<!%)%codeact\s+(?:(\w+)\s+)?(\w*)$", line):
            return _completions(match[2], _command_words(match[1]))
        if self._cells.own_kernel and (match := re.search(r"(?:^|[\s@(,=])(to{1,2}l?)$", line)):
            # Not a variable of the user, so no other matcher offers it.
            return _completions(match[1], ["tool"], alone=False)
        return self._match_in_prompt(context, tools)

    def _match_in_prompt(self, context: CompletionContext, tools: Iterable[str]) -> SimpleMatcherResult:
        text = _text_until_cursor(context)
        start = _PROMPT_START.match(text)
        if start is None or (text[0] == ">" and self._cells.mode == "python"):
            return {"completions": []}
        typed = text[start.end() :]
        if typed.strip() and "\n" not in typed and (prompts := self._earlier_prompts(typed)):
            return _completions(typed, prompts)
        word = re.search(r"(?<!\w)\w*$", typed)
        fragment = word[0] if word else ""
        return _completions(fragment, tools if fragment else ())

    def _earlier_prompts(self, typed: str) -> list[str]:
        """Return earlier prompts that begin with `typed`, the latest first."""
        history = self._shell.history_manager
        if history is None:
            return []
        cells: list[Any] = [*history.input_hist_raw]
        for pattern in ("> *", "%%codeact*"):
            cells = [cell for _, _, cell in history.search(pattern, n=_MAX_HISTORY, unique=True)] + cells
        prompts = [cell[start.end() :].strip() for cell in cells if (start := _PROMPT_START.match(cell))]
        latest_first = dict.fromkeys(reversed(prompts))
        return [text for text in latest_first if text.startswith(typed) and text != typed.strip()][:_MAX_PROMPTS]


def _text_until_cursor(context: CompletionContext) -> str:
    lines = context.full_text.split("\n")
    return "\n".join([*lines[: context.cursor_line], lines[context.cursor_line][: context.cursor_position]])


def _command_words(name: str | None) -> Iterable[str]:
    """Return the names of the commands or, after the name of a command, the words that its argument can be."""
    from .commands import COMMANDS  # the commands import the engine, which a kernel without prompts does not need

    if name is None:
        return COMMANDS
    return COMMANDS[name].complete if name in COMMANDS else ()


def _tool_names() -> tuple[str, ...]:
    registry = sys.modules.get("codeact_kernel.tools.registry")  # it is imported with the first tool
    return () if registry is None else tuple(registry.default_registry)


def _completions(typed: str, names: Iterable[str], *, alone: bool = True) -> SimpleMatcherResult:
    """Offer the names that begin with `typed`; with `alone`, IPython's other matchers add nothing."""
    completions = [SimpleCompletion(name, type="param") for name in names if name.startswith(typed)]
    return {"completions": completions, "matched_fragment": typed, "suppress": alone and bool(completions)}
