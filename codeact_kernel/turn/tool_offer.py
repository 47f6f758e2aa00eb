"""Choose the tools whose stubs are in a prompt, if the stubs of all tools are too long for it.

The prompt then has the stubs of the tools that fit it best, and below them the names of the other tools. All tools can
be called, and a program finds the stubs of the others with `find_tools` (`capabilities/discovery`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..memory.thread import FollowUp
from ..model.usage import CHARACTERS_PER_TOKEN
from ..text import collapse_whitespace, truncate
from ..tools import ToolIndex, ToolSpec, join_stubs, take_fitting
from ..tools.notes import make_printable

__all__ = ["ToolOffer", "offer_tools"]

_HOW = 'More tools. To see their parameters, end a program with observe(find_tools("words about the task")):\n'
_MAX_USED = 10
"""Tools of earlier turns that come before those that fit the prompt."""
_SUMMARIES = (120, 60, 30, 0)
"""Characters of the summary of a tool, in the order in which they are tried. With 0 a list has only names."""
_MAX_ORIGIN = 60


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """What a prompt says about the tools.

    Attributes:
        shown: the tools whose stubs are in the prompt, in the order in which they were defined.
        others: whole lines about the other tools; empty if there are none.
    """

    shown: Sequence[ToolSpec]
    others: str = ""


def offer_tools(specs: Mapping[str, ToolSpec], ask: str, follow_up: FollowUp, max_tokens: int) -> ToolOffer:
    """Choose the tools whose stubs are in a prompt. Direct tools always are, because no program can find them.

    Args:
        ask: the prompt.
        follow_up: what it takes along from earlier turns: their prompts count, and their tools come first.
        max_tokens: about how many tokens the stubs and the names of the other tools may have together.
    """
    findable = [spec for spec in specs.values() if not spec.direct]
    max_characters = max_tokens * CHARACTERS_PER_TOKEN
    if len(join_stubs(findable)) <= max_characters:
        return ToolOffer([*specs.values()])
    used = [specs[name] for name in follow_up.tools if name in specs and not specs[name].direct][:_MAX_USED]
    fitting_best = ToolIndex(findable).rank("\n".join([ask, *reversed(follow_up.asks)]))
    ranked = [*{spec.name: spec for spec in [*used, *fitting_best, *findable]}.values()]
    room = max(0, max_characters - len(_HOW))
    listing, shown = _list_others(ranked, room // 2), set[str]()
    for _ in range(2):  # a tool with a stub is not listed, which leaves room for further stubs
        fitting = take_fitting(ranked, room - len(listing))
        shown = {spec.name for spec in fitting}
        others = [spec for spec in ranked if spec.name not in shown]
        listing = _list_others(others, room - len(join_stubs(fitting)))
    return ToolOffer([spec for spec in specs.values() if spec.direct or spec.name in shown], _HOW + listing)


def _list_others(specs: Sequence[ToolSpec], max_characters: int) -> str:
    """List tools with summaries that are as long as possible. If even the names are too many, leave out the last."""
    text = ""
    for characters in _SUMMARIES:
        text = _list_all(specs, characters)
        if len(text) <= max_characters:
            return text
    named = specs
    while named and len(text) > max_characters:
        named = named[: len(named) * 19 // 20]
        text = f"{_list_all(named, 0)}and {len(specs) - len(named)} others\n"
    return text


def _list_all(specs: Iterable[ToolSpec], summary_characters: int) -> str:
    """List the user's own tools, then the others below their origins."""
    groups: dict[str, list[ToolSpec]] = {"": []}
    for spec in specs:
        groups.setdefault(_on_one_line(spec.origin, _MAX_ORIGIN), []).append(spec)
    return "".join(_list_group(origin, group, summary_characters) for origin, group in groups.items() if group)


def _list_group(origin: str, specs: Iterable[ToolSpec], summary_characters: int) -> str:
    if not summary_characters:
        names = ", ".join(spec.name for spec in specs)
        return f"{origin}: {names}\n" if origin else f"{names}\n"
    lines = [f"{origin}:\n"] if origin else []
    for spec in specs:
        summary = _on_one_line(spec.description, summary_characters)
        lines.append(f"- {spec.name}: {summary}\n" if summary else f"- {spec.name}\n")
    return "".join(lines)


def _on_one_line(text: str, max_characters: int) -> str:
    first, *_ = make_printable(text).strip().splitlines() or [""]
    return truncate(collapse_whitespace(first), max_characters)
