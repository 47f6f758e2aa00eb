"""The CodeAct kernel in a real JupyterLab and Notebook 7, from the launcher on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import Front

LAB = pytest.mark.parametrize("kind", ["lab"], indirect=True)
BOTH = pytest.mark.parametrize("kind", ["lab", "notebook"], indirect=True)
TOOL = '''
ORDERS = {"Alice": [29.97, 19.99], "Bob": [9.99]}

@tool
def get_orders(customer: str) -> list[float]:
    """What a customer paid for each order."""
    return ORDERS[customer]

@tool(approval_mode="always_require")
def send_voucher(customer: str, percent: int) -> str:
    """Send a voucher to a customer."""
    return f"{customer} gets {percent} %"
'''
MODEL = """
import codeact
codeact.use(codeact.ScriptedModel([
    'totals = [{"customer": name, "total": round(sum(get_orders(customer=name)), 2)} for name in ("Alice", "Bob")]\\ntotals',
    'send_voucher(customer="Alice", percent=10)',
]))
"""
PROMPTS = ("> How much did Alice and Bob spend?", "> Send a voucher of 10 percent\nto the one who spent the most.")


@LAB
def test_the_launcher_offers_the_kernel_with_its_logo_and_a_notebook_opens_with_it(front: Front):
    page = front.page
    page.goto(f"{front.server}/lab?reset")
    card = page.locator(".jp-LauncherCard[data-category=Notebook]", has_text="CodeAct (Python 3)")
    card.wait_for(timeout=60_000)
    logo = card.locator("img")
    expect(logo).to_have_attribute("src", re.compile(r"kernelspecs/codeact/logo-svg\.svg"))
    front.until(lambda: logo.evaluate("image => image.complete && image.naturalWidth > 0"))
    front.shot("launcher")
    card.click()
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    front.until(lambda: front.status == "idle", 60)
    expect(page.locator(".jp-Toolbar-kernelName")).to_have_text("CodeAct (Python 3)")
    front.type(0, "tool")
    front.run(0)
    assert "codeact_kernel.tools.decorator.tool" in front.done(0)


@pytest.mark.smoke
@BOTH
def test_a_notebook_with_prompts_is_python_but_for_the_prompts(front: Front):
    front.write(TOOL, MODEL, *PROMPTS, "codeact.results[-1].value", kernel="codeact")
    front.goto()
    for index in (0, 1):
        front.run(index)
        front.done(index)
    front.run(2)
    text = front.done(2)
    assert re.search(r"Alice\s+49\.96", text)
    front.shot("first-prompt")
    front.run(3)
    front.state("waiting for you", 3)
    front.card(3).scroll_into_view_if_needed()
    front.shot("approval")
    front.click("Allow once", 3)
    assert "allowed by you" in front.whole(3)
    front.run(4)
    assert "'Alice gets 10 %'" in front.done(4)
    assert not front.foreign


def test_without_a_model_the_prompt_says_what_to_set(front: Front):
    front.write(TOOL, "> How much did Alice spend?", "Show me the totals", "%codeact doctor", kernel="codeact")
    front.goto()
    front.run(0)
    front.done(0)
    front.run(1)
    text = front.done(1)
    assert "ModelError: No model is configured: set OPENAI_API_KEY" in text
    assert "Traceback" not in text
    front.shot("no-model")
    front.run(2)
    text = front.done(2)
    assert "SyntaxError" in text
    assert "To ask the model, begin the cell with > and a space." in text
    front.shot("hint")
    front.run(3)
    text = front.done(3)
    assert "front end           shows the live card, answers input()" in text
    assert re.search(r"problem +model +No model is configured", text)
    front.shot("doctor")
