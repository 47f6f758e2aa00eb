"""An answer that takes the place of the model's first answers in a turn: a recorded one, or a program of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .replay import Replay

__all__ = ["RecordedTurn"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedTurn:
    """What a turn starts with instead of asking the model.

    Attributes:
        programs: the programs to run one after the other; none if the model answered in words.
        answer: the words.
        model: the model that wrote them.
        note: a sentence for the user.
        is_final: whether the turn fails if a program fails, instead of asking the model to correct it.
        is_given: whether a caller of the engine wrote the program. It also sees what the program observes.
        replay: answers the calls from the record; with `None` the tools run.
    """

    programs: Sequence[str] = ()
    answer: str = ""
    model: str = ""
    note: str = ""
    is_final: bool = False
    is_given: bool = False
    replay: Replay | None = None
