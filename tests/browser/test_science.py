"""A DataFrame and a figure of a program in the science guest, on a real page."""

from __future__ import annotations

import pytest

from .conftest import Front

pytestmark = pytest.mark.science

SET_UP = """
import pandas as pd
orders = pd.DataFrame({
    "day": pd.date_range("2026-01-01", periods=200),
    "region": ["North", "South", "East", "West"] * 50,
    "amount": range(200),
})
"""
PROGRAM = (
    "totals = orders.groupby('region').amount.sum()\ntotals.plot.bar(title='Amount per region')\ntotals.reset_index()"
)


def test_a_program_with_pandas_shows_its_table_and_its_figure_and_the_card_names_the_guest(front: Front):
    front.open(
        f"{SET_UP}\nscript({PROGRAM!r})",
        "%%codeact --in orders --guest science\nAmount per region, as a table and as a chart.",
        "_codeact.df",
    )
    for cell in (1, 2):
        front.run(cell)
    front.done(2, 120)
    text = front.text(2)
    assert "science guest" in text
    assert "North" in text and "4900" in text
    picture = front.cell(2).locator("img")
    front.until(lambda: picture.count() == 1)
    front.shot("science")
    assert picture.get_attribute("alt") == "Amount per region"
    assert "Amount per region" not in front.text(2), "the title is in the picture"
