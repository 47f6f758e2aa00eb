"""Follow-up prompts and recorded programs, as a user sees them in JupyterLab."""

from __future__ import annotations

import re

import pytest

from .conftest import Front

LAB = pytest.mark.parametrize("kind", ["lab"], indirect=True)
SETUP = '''
%load_ext codeact
%config CodeAct.reuse = "auto"
import codeact
from codeact import tool

@tool
def get_orders(year: int) -> list[dict]:
    """Orders of a year: region, category, revenue."""
    rows = [("Europe", "Tech", 10.0), ("Europe", "Books", 5.0), ("Asia", "Tech", 7.0)]
    return [{"region": region, "category": category, "revenue": revenue} for region, category, revenue in rows]
'''
MODEL = '''
TOTALS = """totals = {}
for order in get_orders(2025):
    totals[order["category"]] = totals.get(order["category"], 0) + order["revenue"]
[{"category": category, "revenue": revenue} for category, revenue in totals.items()]"""
model = codeact.ScriptedModel([TOTALS, "[row for row in previous if row['category'] == 'Tech']",
                               "show(results[1], chart='bar', x='category', y='revenue')"])
codeact.use(model)
'''
PROMPTS = ("> Revenue per category in 2025.", "> Now only Tech.", "> Plot the categories.")


@LAB
def test_prompts_follow_each_other_and_a_restarted_kernel_asks_no_model(front: Front):
    cells = [
        SETUP.strip(),
        MODEL.strip(),
        *PROMPTS,
        "[len(model.asked), len(codeact.results[0].df), len(codeact.results)]",
    ]
    front.write(*cells, kernel="codeact")
    front.goto()
    for index in range(5):
        front.run(index)
        front.done(index)
    assert re.search(r"continues: Revenue per category in 2025\.", front.text(3))
    assert re.search(r"continues: Now only Tech\. and 1 earlier prompt", front.text(4))
    front.cell(2).scroll_into_view_if_needed()
    front.shot("follow-ups")
    front.run(5)
    assert "[3, 2, 3]" in front.done(5)
    front.page.get_by_role("menuitem", name="Kernel").click()
    front.page.get_by_role("menuitem", name="Restart Kernel and Run All Cells…").click()
    front.page.locator(".jp-Dialog .jp-mod-accept").click()
    front.until(lambda: "no model was asked" in front.text(4), 60)
    for index in (2, 3, 4):
        assert "The recorded program of" in front.text(index)
    front.until(lambda: "[0, 2, 3]" in front.text(5), 30)
    front.shot("run-all-without-a-model")
