"""Charge what a turn uses to the budgets of its cell and of the session, and say when one of them is used up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal

from ..budgets import Budget, BudgetUse, Scope, Unit, write_amount
from ..events import BudgetCharged, Emit, Notice
from ..memory.prices import add_prices, price
from ..memory.spending import Spending, UsedTokens
from ..model.base import Message, ModelClient, RemoteModelClient, describe_client
from ..model.usage import estimate
from ..settings import Settings
from ..tools import ToolCallError
from ..types import Usage

__all__ = ["Accounts"]

_SHORTEST_ANSWER = 50
"""Tokens that must be left for an answer, because no program fits into less."""
_PRICED_TOKENS = 1_000
"""Tokens of an answer from which the price of one is taken."""


@dataclass(frozen=True, slots=True)
class Account:
    """A budget, and what is used of it."""

    scope: Scope
    budget: Budget
    spending: Spending

    def uses(self) -> Iterator[BudgetUse]:
        """Yield how much of each limit is used."""
        for unit, limit in self.budget.limits.items():
            if limit is not None:
                is_estimated = unit != "calls" and self.spending.usage.estimated
                yield BudgetUse(
                    scope=self.scope, unit=unit, used=self.used(unit), limit=limit, is_estimated=is_estimated
                )

    def used(self, unit: Unit) -> int | Decimal:
        """Return how much of a unit is used. Tokens without a known price cost nothing."""
        match unit:
            case "tokens":
                return self.spending.tokens
            case "dollars":
                return add_prices(self.spending.by_model)[0]
            case "calls":
                return self.spending.calls

    def left(self, unit: Unit) -> int | Decimal | None:
        """Return how much of a unit is left; `None` if the budget does not limit it."""
        limit = self.budget.limits[unit]
        return None if limit is None else max(limit - self.used(unit), 0)

    def explain(self, unit: Unit, needed: int | Decimal) -> str:
        """Say that less is left than is needed, and how to raise the budget."""
        limit = self.budget.limits[unit]
        assert limit is not None
        used = self.used(unit)
        more = replace(self.budget, **{unit: _round_up(2 * max(limit, used + needed))})  # type: ignore[arg-type]
        advice = (
            f'--budget "{more}"'
            if self.scope == "cell"
            else f"%codeact budget {more}, or start again at zero with %codeact budget reset"
        )
        amount = next(str(use) for use in self.uses() if use.unit == unit).removesuffix(" in this session")
        if unit != "calls":
            amount += f", and the next request takes about {write_amount(unit, needed)}"
        return f"this {self.scope} has used {amount}: raise its budget, for example with {advice}"


class Accounts:
    """The accounts of one turn.

    Args:
        session: what the turns of the session have used; this turn adds to it.
        cell: what this turn has used.
        emit: takes an event after each charge if there is a budget.
    """

    def __init__(self, settings: Settings, session: Spending, cell: Spending, emit: Emit) -> None:
        self.cell = cell
        self._session = session
        self._accounts = (Account("cell", settings.budget, cell), Account("session", settings.session_budget, session))
        self._max_tokens = settings.limits.turn_tokens
        self._emit = emit

    @property
    def limits_calls(self) -> bool:
        """Whether a budget limits the calls."""
        return any(account.budget.calls is not None for account in self._accounts)

    def report(self) -> None:
        """Report how much is used of each budget."""
        if uses := [use for account in self._accounts for use in account.uses()]:
            self._emit(BudgetCharged(uses=tuple(uses)))

    def charge_answer(self, model: ModelClient, usage: Usage) -> None:
        """Charge the tokens of one answer."""
        answer = _priced(model, usage)
        for account in self._accounts:
            account.spending.add_answer(answer)
        self.report()

    def charge_call(self) -> None:
        """Charge one call.

        Raises:
            ToolCallError: if no call is left. No other program can change that.
        """
        if why_not := self.why_no_call():
            raise ToolCallError(why_not, is_final=True)
        for account in self._accounts:
            account.spending.calls += 1
        self.report()

    def why_no_call(self) -> str:
        """Return why no further call may be made, or an empty text."""
        return next((account.explain("calls", 1) for account in self._accounts if account.left("calls") == 0), "")

    def why_no_request(self, messages: Sequence[Message], model: ModelClient) -> str:
        """Return why the model may not be asked, or an empty text.

        A budget must have enough for the request and a short answer. If the model has no known price, the user is told
        once that a budget of money does not limit it.
        """
        used = self.cell.tokens
        if used >= self._max_tokens:
            limit = f"{self._max_tokens:,} (--limits turn_tokens=… allows more)"
            return f"the turn used {used:,} tokens and may use {limit}"
        needed = self._estimate(messages, model, _SHORTEST_ANSWER)
        for account in self._accounts:
            for unit, amount in needed.items():
                if (left := account.left(unit)) is not None and left < amount:
                    return account.explain(unit, amount)
        return ""

    def max_answer_tokens(self, messages: Sequence[Message], model: ModelClient) -> int | None:
        """Return how many tokens the answer to a request may have; `None` if no budget limits it."""
        asked = self._estimate(messages, model, 0)
        one = {unit: amount - asked[unit] for unit, amount in self._estimate(messages, model, _PRICED_TOKENS).items()}
        return min(
            (
                int((left - asked[unit]) * _PRICED_TOKENS / one[unit])
                for account in self._accounts
                for unit in asked
                if (left := account.left(unit)) is not None and one[unit]
            ),
            default=None,
        )

    def _estimate(self, messages: Sequence[Message], model: ModelClient, answer: int) -> dict[Unit, int | Decimal]:
        """Estimate what a request takes of each unit that a budget limits, with so many tokens of an answer."""
        usage = replace(estimate(messages, ""), completion_tokens=answer)
        needed: dict[Unit, int | Decimal] = {"tokens": usage.prompt_tokens + answer}
        if any(account.budget.dollars is not None for account in self._accounts):
            amount = price(_priced(model, usage))
            if amount is None:
                self._report_unpriced(describe_client(model))
            else:
                needed["dollars"] = amount
        return needed

    def _report_unpriced(self, name: str) -> None:
        if name not in self._session.unpriced:
            self._session.unpriced.add(name)
            self._emit(
                Notice(
                    text=f"No price is known for {name}, so a budget of money does not limit it: set a budget of "
                    "tokens, for example --budget 20000tokens."
                )
            )


def _priced(model: ModelClient, usage: Usage) -> UsedTokens:
    endpoint = model.endpoint if isinstance(model, RemoteModelClient) else ""
    return UsedTokens(model=model.name, endpoint=endpoint, is_live=not model.note, usage=usage)


def _round_up(amount: int | Decimal) -> int | Decimal:
    """Round up to one or two digits other than zero."""
    number = Decimal(amount)
    step = Decimal(10) ** (number.adjusted() - 1)
    rounded = (number / step).to_integral_value(ROUND_CEILING) * step
    return int(rounded) if isinstance(amount, int) else rounded
