"""Keep the turns of one thread, and write what a prompt needs to follow up on them.

The model gets earlier prompts, the program of the last one, and the shape of its result. The results themselves stay
in the kernel: a program reads them as `previous` and `results[n]`, and they are sent to the sandbox only then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from ..capabilities.data import Frame, Input
from ..model.usage import CHARACTERS_PER_TOKEN
from ..text import collapse_whitespace, truncate, truncate_middle
from ..types import JSONValue, TurnResult

__all__ = ["EarlierTurn", "FollowUp", "Thread"]

_MAX_TURNS = 100
_MAX_ASK = 80
"""Characters of an earlier prompt, except the last one."""
_MAX_LAST_ASK = 600
_MAX_WORDS = 300
"""Characters of an answer in words."""
_OLDER, _GROUP = 1, 3
"""How many older prompts are always sent, and how many more until the oldest are left out together. Most prompts so
begin like the prompt before, which endpoints cache."""
_NAMES = frozenset({"previous", "results"})
"""The names under which programs read the results of earlier turns."""
_HOW = """\
If the task goes on from there, change that program, or use `previous`, which holds what it gave (results[n]: what
prompt n gave){}. Otherwise ignore the earlier prompts.
"""
_HOW_WITHOUT_VALUES = "If the task goes on from there, change that program. Otherwise ignore the earlier prompts.\n"
_ROWS = re.compile(r"list of \{([^{}]*)\}, [\d,]+ rows?")
_LEFT_OUT = "\n# … {:,} characters left out …\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierTurn:
    """One turn that ended well.

    Attributes:
        number: counts 1, 2, 3 in its thread. A turn that takes the place of another has its number.
        program: the last program; `None` if the model answered in words.
        answer: the words.
        shape: the shape of the value, in words; empty if there is no value.
        value: the value with which a program can go on.
        cell: identifies the cell of the prompt; empty if the front end names no cells.
        inputs: the notebook's variables that its program used. The next prompt has them, too, without any of their
            values being shown to the model.
        has_failed: whether the prompt failed and has no result, but the prompts after it follow it nevertheless.
        tools: the tools that its programs called, the last one first.
    """

    number: int
    ask: str
    program: str | None
    answer: str = ""
    shape: str = ""
    value: Frame | JSONValue = None
    cell: str = ""
    inputs: Sequence[Input] = ()
    has_failed: bool = False
    tools: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUp:
    """What one prompt takes along from the earlier turns of its thread.

    Attributes:
        text: whole lines for the prompt; empty if there are no earlier turns.
        asks: the prompts that are included, the oldest first.
        results: the values that programs can read, by the numbers of their turns.
        shapes: the shapes of these values, in words.
        sources: the prompts that gave these values.
        last_program: the program that the model sees; empty if the last turn has none.
        previous: the number of the value that programs read as `previous`, or `None`.
        missing: the prompts that failed, by the names under which a program would read their values: the number of
            the turn, or `"previous"`.
        inputs: the notebook's variables that the program of the last turn used.
        tools: the tools that the included turns used, those of the last turn first.
    """

    text: str = ""
    asks: Sequence[str] = ()
    results: Mapping[int, Frame | JSONValue] = field(default_factory=dict[int, "Frame | JSONValue"])
    shapes: Mapping[int, str] = field(default_factory=dict[int, str])
    sources: Mapping[int, str] = field(default_factory=dict[int, str])
    last_program: str = ""
    previous: int | None = None
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    inputs: Sequence[Input] = ()
    tools: Sequence[str] = ()


@dataclass(slots=True)
class Thread:
    """The turns of a notebook or session, in which each prompt can follow up on those before.

    A prompt that runs again takes the place of its earlier run, and follows the prompts before that place.

    Attributes:
        turns: the turns that ended well, in the order of their prompts.
    """

    turns: list[EarlierTurn] = field(default_factory=list[EarlierTurn])
    _count: int = 0
    _latest: int = 0

    def turns_before(self, ask: str, cell: str = "") -> list[EarlierTurn]:
        """Return the turns that a prompt can follow up on; the last one is the turn that it follows."""
        place = self._find_place(ask, cell)
        if place is not None:
            return self.turns[:place]
        return sorted(self.turns, key=lambda turn: turn.number == self._latest)  # the user has just seen the latest

    def _find_place(self, ask: str, cell: str) -> int | None:
        """Return the place of the turn that a prompt runs again, or `None` if the prompt is new."""
        ask = collapse_whitespace(ask)
        for place, turn in enumerate(self.turns):
            if (cell and turn.cell == cell) or (
                not cell and turn.number == self._latest and collapse_whitespace(turn.ask) == ask
            ):
                return place
        return None

    def remember(self, result: TurnResult, inputs: Sequence[Input] = (), cell: str = "") -> None:
        """Add a turn, unless it failed, was stopped, or gave no answer.

        Args:
            inputs: the notebook's variables that the program could use.
            cell: identifies the cell of the prompt.
        """
        if result.error is not None or result.stopped or not (result.program or result.answer):
            return
        program = result.program or ""
        turn = EarlierTurn(
            number=0,
            ask=result.ask,
            program=result.program,
            answer=result.answer,
            shape=result.shape,
            value=_copy(cast("Frame | JSONValue", result.data)),
            cell=cell,
            inputs=[_hand_on(variable) for variable in inputs if variable.name in program],
            tools=[*dict.fromkeys(record.call.name for record in reversed(result.calls))],
        )
        self._put(turn)

    def keep_place(self, ask: str, inputs: Sequence[Input], cell: str = "") -> None:
        """Add a turn that failed. The prompts after it follow it as if it had a result.

        Args:
            inputs: the notebook's variables that its program uses.
            cell: identifies the cell of the prompt.
        """
        handed_on = [_hand_on(variable) for variable in inputs]
        self._put(EarlierTurn(number=0, ask=ask, program=None, cell=cell, inputs=handed_on, has_failed=True))

    def _put(self, turn: EarlierTurn) -> None:
        """Add a turn, or put it into the place of the turn that it runs again, and give it its number."""
        place = self._find_place(turn.ask, turn.cell)
        self._count += place is None
        self._latest = self._count if place is None else self.turns[place].number
        turn = replace(turn, number=self._latest)
        if place is None:
            self.turns = [*self.turns, turn][-_MAX_TURNS:]
        else:
            self.turns[place] = turn

    def drop(self, number: int) -> bool:
        """Forget one turn, and return whether there was one with this number."""
        kept = [turn for turn in self.turns if turn.number != number]
        is_dropped = len(kept) < len(self.turns)
        self.turns = kept
        return is_dropped

    def clear(self) -> None:
        """Forget all turns."""
        self.turns = []

    def follow_up(self, max_tokens: int, taken: Collection[str] = (), *, ask: str = "", cell: str = "") -> FollowUp:
        """Write what the next prompt takes along.

        Args:
            max_tokens: about how many tokens of the prompt to use at most; with 0 the prompt takes nothing along.
            taken: the names of tools and variables of the prompt. The results cannot have these names, too.
            ask, cell: the prompt and its cell.
        """
        turns = self.turns_before(ask, cell) if max_tokens > 0 else []
        if not turns:
            return FollowUp()
        last = turns[-1]
        budget = max_tokens * CHARACTERS_PER_TOKEN - len(_HOW)
        text = _describe_last(last, budget)
        older = _choose_older(turns[:-1], budget - len(text))
        lines = "".join(f"{turn.number}. {truncate(collapse_whitespace(turn.ask), _MAX_ASK)}\n" for turn in older)
        inputs = [variable for variable in last.inputs if variable.name not in taken]
        is_free = _NAMES.isdisjoint([*taken, *(variable.name for variable in inputs)])
        results = {turn.number: turn for turn in turns if turn.shape and is_free}
        previous = next(reversed(results.values()), None)
        if previous is not None and previous is not last:
            text += f"`previous` is what prompt {previous.number} gave: {previous.shape}\n"
        how = _HOW.format(_show_plot(previous)) if previous is not None else _HOW_WITHOUT_VALUES
        heading = "Earlier prompts:" if lines else "The prompt before this one:"
        return FollowUp(
            text=f"{heading}\n{lines}{text}{how}",
            asks=[turn.ask for turn in [*older, last]],
            results={number: turn.value for number, turn in results.items()},
            shapes={number: turn.shape for number, turn in results.items()},
            sources={number: collapse_whitespace(turn.ask) for number, turn in results.items()},
            last_program=last.program or "",
            previous=previous and previous.number,
            missing=_find_missing(turns, previous),
            inputs=inputs,
            tools=[*dict.fromkeys(name for turn in [last, *reversed(older)] for name in turn.tools)],
        )


def _find_missing(turns: Sequence[EarlierTurn], previous: EarlierTurn | None) -> Mapping[str, str]:
    missing = {str(turn.number): turn.ask for turn in turns if turn.has_failed}
    for turn in reversed(turns):
        if turn.has_failed:
            missing["previous"] = turn.ask
        if turn.has_failed or turn is previous:
            break
    return missing


def _hand_on(variable: Input) -> Input:
    """Return a variable for the next prompt, without its values for the model."""
    return replace(variable, schema_only=True, is_handed_on=True)


def _copy(value: Frame | JSONValue) -> Frame | JSONValue:
    """Copy the lists and objects in a value, which the user can change under another name, such as `Out[n]`."""
    if isinstance(value, list):
        return [cast("JSONValue", _copy(item)) for item in value]
    if isinstance(value, dict):
        return {name: cast("JSONValue", _copy(item)) for name, item in value.items()}
    return value


def _choose_older(older: Sequence[EarlierTurn], budget: int) -> Sequence[EarlierTurn]:
    """Return the turns before the last one of which the prompt is sent."""
    dropped = max(0, len(older) - _OLDER) // _GROUP * _GROUP
    older = older[dropped:]
    while older and sum(min(len(turn.ask), _MAX_ASK) + 5 for turn in older) > budget:
        older = older[1:]
    return older


def _show_plot(turn: EarlierTurn) -> str:
    """Show how to plot names with numbers, with the columns that they have, because models copy examples."""
    if turn.shape in ("dict[str, float]", "dict[str, int]"):
        return (
            "; to plot it: show([{'name': name, 'value': value} for name, value in previous.items()], "
            "chart='bar', x='name', y='value')"
        )
    if (found := _ROWS.fullmatch(turn.shape)) is None:
        return ""
    columns = (column.partition(": ") for column in found[1].split(", "))
    kinds = {name: kind for name, _, kind in columns if name.isidentifier()}
    x = next((name for name, kind in kinds.items() if kind == "str"), "")
    y = next((name for name, kind in kinds.items() if kind in ("int", "float")), "")
    return f"; to plot it: show(previous, chart='bar', x='{x}', y='{y}')" if x and y else ""


def _describe_last(turn: EarlierTurn, budget: int) -> str:
    ask = truncate(collapse_whitespace(turn.ask), _MAX_LAST_ASK)
    if turn.program is None:
        return f"{turn.number}. {ask}\nAnswer: {truncate(collapse_whitespace(turn.answer), _MAX_WORDS)}\n"
    program = truncate_middle(turn.program.strip(), max(200, budget - len(ask) - len(turn.shape)), _LEFT_OUT)
    gave = f"It gave: {turn.shape}\n" if turn.shape else "It gave no value.\n"
    fence = "```"
    while fence in program:
        fence += "`"
    return f"{turn.number}. {ask}\n{fence}python\n{program}\n{fence}\n{gave}"
