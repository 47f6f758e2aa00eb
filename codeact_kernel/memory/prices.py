"""Look up what tokens cost, in the list prices that the package `genai-prices` brings along. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

from .spending import UsedTokens

__all__ = ["add_prices", "price"]


def add_prices(group: Iterable[UsedTokens]) -> tuple[Decimal, Sequence[UsedTokens]]:
    """Return the sum of the known prices, and those whose price is not known."""
    prices = [(used, price(used)) for used in group]
    known = sum((amount for _, amount in prices if amount is not None), Decimal(0))
    return known, [used for used, amount in prices if amount is None]


@lru_cache(maxsize=1_000)
def price(used: UsedTokens) -> Decimal | None:
    """Return the price in US dollars; `None` if it is not known, as for a model on the own machine.

    The endpoint decides who sells the model: the same name can cost nothing elsewhere.
    """
    if not used.is_live or not used.answers:
        return Decimal(0)
    if not used.endpoint:
        return None
    from genai_prices import Usage, calc_price  # slow to import, because it brings all prices along

    # The price of a token can depend on the length of its prompt, so the answers are not added up before.
    average = Usage(
        input_tokens=round(used.usage.prompt_tokens / used.answers),
        output_tokens=round(used.usage.completion_tokens / used.answers),
    )
    try:
        return calc_price(average, used.model, provider_api_url=used.endpoint).total_price * used.answers
    except (LookupError, ValueError):  # neither the provider nor the model is in the list
        return None
