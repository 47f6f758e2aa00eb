"""The commands that read the history: `%codeact history`, `%codeact show` and `%codeact usage`."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# IPython has next to no types.

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from IPython.core.error import UsageError
from IPython.display import display

from codeact_kernel.memory.history_queries import History, PastTurn
from codeact_kernel.memory.prices import add_prices
from codeact_kernel.memory.spending import UsedTokens
from codeact_kernel.render import Transcript, bundle
from codeact_kernel.render.escaping import escape_controls, one_line
from codeact_kernel.text import format_dollars, plural, truncate
from codeact_kernel.types import Usage

from .chart_pictures import draw_all
from .frontend import Frontend

__all__ = ["list_turns", "print_usage", "show_turn"]

_LISTED = 20
"""Turns that are listed."""
_CELLS, _DAYS = 10, 7
"""Cells and days whose use is listed."""
_ASK, _NAME = 80, 40
"""Characters of a prompt, and of the name of a notebook or model, in a list."""


def list_turns(frontend: Frontend, argument: str) -> None:
    """List the last turns, or those that contain the words of `argument`."""
    history = _open(frontend)
    if history is None:
        return
    turns = history.search(argument, _LISTED + 1) if argument else history.latest(_LISTED + 1)
    if not turns:
        print(
            f"No turn in your history contains {escape_controls(argument)!r}." if argument else "Your history is empty."
        )
        return
    rows = [_list_columns(turn) for turn in reversed(turns[:_LISTED])]
    _print_table(rows, right=(True, False, False, False, False))
    if len(turns) > _LISTED:
        more = "Add words to find" if argument else "%codeact history TEXT finds"
        print(f"These are the last {_LISTED}. {more} others.")


def show_turn(frontend: Frontend, argument: str) -> None:
    """Show the card of an earlier turn, below a line that says when and where it was asked."""
    number = argument.lstrip("#")
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        raise UsageError("Name the turn by its number: %codeact show N. %codeact history lists the numbers.")
    history = _open(frontend)
    if history is None:
        return
    turn, result = history.find(int(number))
    name, cell = _name_notebook(turn), "" if turn.cell is None else f"cell {turn.cell}"
    where = f" in {', '.join(filter(None, (name, cell)))}" if name or cell else ""
    print(f"Turn {turn.number}, asked on {_when(turn)}{where}: {_describe_state(turn)}.")
    display(bundle(draw_all(Transcript.from_result(result)), frontend.card_style), raw=True)


def print_usage(frontend: Frontend, argument: str) -> None:
    """Print the tokens, the seconds and the money of the last cells, of this session and of the last days."""
    history = _open(frontend)
    if history is None:
        return
    session = frontend.journal.session
    cells = history.used_by_turns(session, _CELLS)
    numbers = {str(turn.number): turn for turn in history.latest_of_session(session, _CELLS)}
    groups = [(_name_cell(numbers.get(used.group), used), [used]) for used in reversed(cells)]
    if of_session := history.used_by_session(session):
        groups.append(("this session", of_session))
    by_day: dict[str, list[UsedTokens]] = {}
    for used in history.used_by_days(_DAYS):
        by_day.setdefault(used.group, []).append(used)
    groups += by_day.items()
    if not groups:
        print(f"Your history has no turn of the last {plural(_DAYS, 'day')}.")
        return
    head = ["", "turns", "tokens in", "tokens out", "seconds", "money"]
    _print_table([head, *(_usage_columns(name, used) for name, used in groups)], right=(False, *[True] * 5))
    _print_footnotes([used for _, group in groups for used in group])


def _open(frontend: Frontend) -> History | None:
    """Return the history. If there is none, say so."""
    file = frontend.journal.file
    if not file.exists():
        is_on = frontend.resolved().values["history"]
        print("Your history is empty." if is_on else "Your history is empty, and switched off: see %codeact config.")
        return None
    return History(file)


def _list_columns(turn: PastTurn) -> list[str]:
    ask = truncate(one_line(truncate(turn.ask, _ASK)), _ASK)
    return [str(turn.number), _when(turn), _where(turn), ask, _describe_state(turn)]


def _when(turn: PastTurn) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(turn.started))


def _where(turn: PastTurn) -> str:
    cell = "" if turn.cell is None else f"[{turn.cell}]"
    return f"{_name_notebook(turn)} {cell}".strip()


def _name_notebook(turn: PastTurn) -> str:
    return truncate(one_line(turn.notebook.replace("\\", "/").rpartition("/")[2]), _NAME)


def _describe_state(turn: PastTurn) -> str:
    state = "unknown how it ended" if turn.state == "unknown" else one_line(turn.state)
    return f"{state}, {plural(turn.calls, 'call')}" if turn.calls else state


def _name_cell(turn: PastTurn | None, used: UsedTokens) -> str:
    return f"[{turn.cell}] turn {used.group}" if turn is not None and turn.cell is not None else f"turn {used.group}"


def _usage_columns(name: str, group: Sequence[UsedTokens]) -> list[str]:
    usage = sum((used.usage for used in group), Usage())
    about = "~" if usage.estimated else ""
    return [
        one_line(name),
        f"{sum(used.turns for used in group):,}",
        f"{about}{usage.prompt_tokens:,}",
        f"{about}{usage.completion_tokens:,}",
        f"{sum(used.seconds for used in group):,.1f}",
        _money(group, about),
    ]


def _money(group: Iterable[UsedTokens], about: str) -> str:
    total, unpriced = add_prices(group)
    text = f"{about}{format_dollars(total)}" if total else "$0"
    if not unpriced:
        return text
    return f"{text} + ?" if total else "?"


def _print_footnotes(every: Sequence[UsedTokens]) -> None:
    if any(used.usage.estimated for used in every):
        print("~ estimated from the length of the texts: the endpoint did not report all tokens.")
    total, unpriced = add_prices(every)
    names = dict.fromkeys(f"{used.model} at {used.endpoint}" if used.endpoint else used.model for used in unpriced)
    if names:
        print(f"? no price is known for {'; '.join(truncate(one_line(name), 2 * _NAME) for name in names)}.")
    if total:
        print("Money is by the list prices of genai-prices, without discounts, for example for cached prompts.")


def _print_table(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, right, strict=True)
        print(
            "  ".join(cell.rjust(width) if is_right else cell.ljust(width) for cell, width, is_right in cells).rstrip()
        )
