"""The command `%codeact budget`: what the session and the last cell have used of their budgets."""

from __future__ import annotations

from codeact_kernel.budgets import Budget, write_amount
from codeact_kernel.configuration import OPTIONS
from codeact_kernel.memory.prices import add_prices
from codeact_kernel.memory.spending import Spending
from codeact_kernel.text import format_dollars

from .frontend import Frontend

__all__ = ["show_or_set_budget"]


def show_or_set_budget(frontend: Frontend, argument: str) -> None:
    """Show the budgets with what is used. Set the budget of the session first, or let its count begin again."""
    session, argument = frontend.session, argument.partition("#")[0].strip()  # a comment may follow
    if argument == "reset":
        session.spending.clear()
    elif argument:
        frontend.choose("session_budget", OPTIONS["session_budget"].value(argument, "%codeact budget"))
    settings = frontend.settings
    columns = [
        ["this session", *_describe(session.spending, settings.session_budget)],
        ["last cell", *_describe(session.turn_spending, settings.budget)],
    ]
    width = max(map(len, columns[0]))
    for name, of_session, of_cell in zip(("", "tokens", "money", "calls"), *columns, strict=True):
        print(f"{name:8}{of_session:{width}}  {of_cell}".rstrip())


def _describe(spending: Spending, budget: Budget) -> list[str]:
    """Write the tokens, the money and the calls that were used, each with its limit if it has one."""
    dollars, unpriced = add_prices(spending.by_model)
    about = "~" if spending.usage.estimated else ""
    money = f"{about}{format_dollars(dollars)}" if dollars or not unpriced else ""
    money = " + ".join(filter(None, (money, "? (no price is known)" if unpriced else "")))
    used = {"tokens": f"{about}{spending.tokens:,}", "dollars": money, "calls": f"{spending.calls:,}"}
    return [
        used[unit] if limit is None else f"{used[unit]} of {write_amount(unit, limit)}"
        for unit, limit in budget.limits.items()
    ]
