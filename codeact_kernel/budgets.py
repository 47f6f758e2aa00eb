"""Budgets: how many tokens, how much money and how many calls a cell or a session may use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from .errors import UserError
from .text import format_dollars, plural, replace_unprintable, truncate

__all__ = ["Budget", "BudgetUse", "Scope", "Unit", "parse_budget", "write_amount"]

Scope: TypeAlias = Literal["cell", "session"]
Unit: TypeAlias = Literal["tokens", "dollars", "calls"]

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,13})"
_PART = rf"(?:\$ ?{_NUMBER}(?:\.[0-9]{{1,4}})?|{_NUMBER} ?(?:token|call)s?)"
_PARTS = re.compile(rf"{_PART}(?: *, *{_PART})*")
_ONE_PART = re.compile(_PART)
_MAX_TEXT = 200
_MAXIMUM = 1 << 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What may be used of each unit; `None` does not limit it. `parse_budget` makes it from text."""

    tokens: int | None = None
    dollars: Decimal | None = None
    calls: int | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in self.limits.values())

    def __str__(self) -> str:
        parts = [write_amount(unit, limit) for unit, limit in self.limits.items() if limit is not None]
        return ", ".join(parts) or "none"

    @property
    def limits(self) -> dict[Unit, int | Decimal | None]:
        """The limit of each unit."""
        return {"tokens": self.tokens, "dollars": self.dollars, "calls": self.calls}

    def is_within(self, other: Budget) -> bool:
        """Return whether this budget allows nothing that the other one does not."""
        ours, theirs = self.limits, other.limits
        return all(
            limit is None or ((own := ours[unit]) is not None and own <= limit) for unit, limit in theirs.items()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetUse:
    """How much of one limit of a budget is used."""

    scope: Scope
    unit: Unit
    used: int | Decimal
    limit: int | Decimal
    is_estimated: bool = False

    def __str__(self) -> str:
        about = "about " if self.is_estimated and self.used else ""
        used = format_dollars(self.used) if self.unit == "dollars" else f"{self.used:,}"
        place = " in this session" if self.scope == "session" else ""
        return f"{about}{used} of {write_amount(self.unit, self.limit)}{place}"


def parse_budget(given: object) -> Budget:
    """Parse a budget: `"20000tokens"`, `"$0.05"`, `"50 calls"`, several with commas between them, or `"none"`.

    A number can have commas, too: `"20,000 tokens, 50 calls"`.

    Raises:
        UserError: if it is not a budget.
    """
    if isinstance(given, Budget):
        return given
    text = given.strip().lower() if isinstance(given, str) else ""
    if text == "none":
        return Budget()
    parts = _ONE_PART.findall(text) if len(text) <= _MAX_TEXT and _PARTS.fullmatch(text) else []
    limits = dict(map(_read_part, parts))
    if not parts or not all(0 < limit <= _MAXIMUM for limit in limits.values()):
        raise UserError(
            f"{_quote(given)} is not a budget: write 20000tokens, $0.05 or 50calls, several with commas between them, "
            "or none."
        )
    if len(limits) < len(parts):
        raise UserError(f"{_quote(given)} limits something twice: leave one of the two out.")
    return Budget(**limits)  # type: ignore[arg-type]


def write_amount(unit: Unit, amount: int | Decimal) -> str:
    """Write an amount of a unit, as `parse_budget` reads it."""
    return format_dollars(amount) if unit == "dollars" else plural(int(amount), unit.removesuffix("s"))


def _read_part(part: str) -> tuple[Unit, int | Decimal]:
    text = part.replace(",", "").replace(" ", "")
    if text.startswith("$"):
        return "dollars", Decimal(text[1:])
    unit: Unit = "tokens" if "token" in text else "calls"
    return unit, int(text.partition(unit[0])[0])


def _quote(given: object) -> str:
    return repr(truncate(replace_unprintable(str(given)[: _MAX_TEXT + 1]), 60))
