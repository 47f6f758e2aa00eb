"""Nothing can be allowed that was not wholly on the screen: in JupyterLab and Notebook 7, however the page is arranged."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from ..escape.attempts import attempt
from .conftest import Front
from .test_card import LAB, asked, prepared, read_to_the_end

HIDDEN = "SELECT name FROM customers;" + "\\n" * 25 + "DROP TABLE customers;"
WIDE = "customers " * 55 + "AND ALL OTHERS"


def allow(front: Front) -> Locator:
    return front.card(2).get_by_role("button", name="Allow once", exact=True).first


def hide(front: Front, *, on: bool = True) -> None:
    """Take the cell's outputs off the page, as a front end does with another tab's and with collapsed ones."""
    style = "none" if on else ""
    front.cell(2).locator(".jp-Cell-outputWrapper").evaluate("(node, style) => { node.style.display = style; }", style)


def zoom(front: Front, factor: int) -> None:
    """Ctrl and +: the page has less room, in larger pixels."""
    width, height = 1100 // factor, 900 // factor
    screen = {"width": width, "height": height, "deviceScaleFactor": factor, "mobile": False}
    front.page.context.new_cdp_session(front.page).send("Emulation.setDeviceMetricsOverride", screen)


@attempt("E9.background", "asks about a text of many lines while the notebook's tab is in the background")
@pytest.mark.smoke
def test_a_question_that_came_in_the_background_is_measured_when_its_page_comes_to_the_front(front: Front):
    prepared(front, f"import time\ntime.sleep(3)\ndrop(table='{HIDDEN}')")
    front.run(2)
    hide(front)
    front.page.wait_for_function("() => document.querySelector('.ca-row .ca-form .ca-allow')")
    assert front.page.evaluate("document.querySelector('.ca-row .ca-allow').disabled"), (
        "without a height it was not seen"
    )
    hide(front, on=False)
    front.state("waiting for you", 2)
    expect(front.card(2).get_by_role("button", name="Show all 73 characters before you decide")).to_be_visible()
    expect(allow(front)).to_be_disabled()
    front.shot("came-in-the-background")
    front.click("Show all 73 characters before you decide", 2)
    front.click("Allow once", 2)
    front.done(2)
    assert front.get("dropped[0][0].endswith('DROP TABLE customers;')") == "True"


@LAB
def test_a_card_that_does_not_look_whether_a_text_is_cut_lets_it_be_allowed(front: Front):
    """The control: with that one line of the card switched off, the hidden text is allowed with a click."""
    switched_off = (
        "from codeact import card\nlooks = 'this.isCut = this.isTooSmall() && !this.wasScrolled;'\n"
        "assert looks in card._Widget._esm\ncard._Widget._esm = card._Widget._esm.replace(looks, 'this.isCut = false;')"
    )
    program = f"drop(table='{HIDDEN}')"
    front.open(f"{switched_off}\nscript({program!r})", "%%codeact\nGo.", "")
    front.run(1)
    front.done(1)
    front.run(2)
    front.state("waiting for you", 2)
    front.click("Allow once", 2)
    front.done(2)
    assert front.get("len(dropped)") == "1"


@LAB
def test_so_it_is_in_jupyterlab_when_another_tab_was_in_front(front: Front):
    prepared(front, f"import time\ntime.sleep(4)\ndrop(table='{HIDDEN}')")
    front.page.goto(f"{front.server}/lab/tree/{front.name}.ipynb?reset")
    front.page.wait_for_selector(".jp-Notebook .jp-Cell")
    front.until(lambda: front.status == "idle")
    front.run(2)
    expect(front.card(2).locator(".ca-head")).to_be_visible()  # a card that no page has shown would ask with input()
    front.menu("File", "New Launcher")
    expect(front.page.locator(".jp-Launcher")).to_be_visible()
    front.page.wait_for_function("() => document.querySelector('.ca-row .ca-form .ca-allow')")
    front.page.locator(".lm-TabBar-tab", has_text=f"{front.name}.ipynb").first.click()
    front.state("waiting for you", 2)
    expect(front.card(2).get_by_role("button", name="Show all 73 characters before you decide")).to_be_visible()
    expect(allow(front)).to_be_disabled()
    front.click("Deny", 2)
    front.done(2)


@attempt("E9.first-click", "has a click wait until an approval request appears")
def test_a_question_that_has_just_come_to_the_front_takes_no_click_at_once(front: Front):
    asked(front, "drop(table='old')")
    front.page.wait_for_timeout(800)
    hide(front)
    front.page.wait_for_timeout(100)
    hide(front, on=False)
    where = allow(front).bounding_box()
    assert where is not None
    front.page.mouse.click(where["x"] + 5, where["y"] + 5)
    front.page.wait_for_timeout(600)
    front.state("waiting for you", 2)
    assert front.card(2).locator(".ca-row .ca-form").count() == 1
    front.click("Allow once", 2)
    front.done(2)


@attempt("E9.narrow", "asks about a text that fits, on a page that gets narrower before the answer")
def test_a_page_that_gets_narrower_or_is_zoomed_has_its_questions_measured_again(front: Front):
    asked(front, f"drop(table='{WIDE}')")
    expect(allow(front)).to_be_enabled()
    front.page.set_viewport_size({"width": 420, "height": 900})
    expect(allow(front)).to_be_disabled()
    front.shot("narrow")
    front.page.set_viewport_size({"width": 1100, "height": 900})
    expect(allow(front)).to_be_enabled()
    zoom(front, 3)
    expect(allow(front)).to_be_disabled()
    zoom(front, 1)
    expect(allow(front)).to_be_enabled()
    front.click("Deny", 2)
    front.done(2)


@attempt("E9.end", "asks about a text so long that only its beginning is visible when it is opened")
def test_a_text_that_does_not_fit_when_it_is_opened_has_to_be_scrolled_to_its_end(front: Front):
    asked(front, "drop(table='x\\\\n' * 300 + 'end')".replace("\\\\", "\\"))
    front.click("Show all 603 characters before you decide", 2)
    expect(front.card(2).locator("div.ca-all")).to_have_text("Scroll to the end of this text before you decide")
    expect(allow(front)).to_be_disabled()
    read_to_the_end(front)
    expect(allow(front)).to_be_enabled()
    front.click("Allow once", 2)
    front.done(2)
    assert front.get("len(dropped[0][0])") == "603"


@attempt("E9.short", "sends several calls at once whose rows omit the difference between their arguments")
@pytest.mark.parametrize("count", [1, 4, 20])
def test_several_calls_are_one_line_each_only_where_that_line_holds_all_of_their_arguments(front: Front, count: int):
    names = ", ".join(f"a{number}={number}" for number in range(count - 1))
    tool = f"""
paid = []
@tool(approval_mode="always_require")
async def pay(to: str, {", ".join(f"a{number}: int" for number in range(count - 1))}) -> str:
    "Pay."
    paid.append(to)
    return to
"""
    program = (
        "import asyncio\nawait asyncio.gather(*[call_tool_async('pay', to=t"
        + (f", {names}" if names else "")
        + ") for t in ('acct-111122223333EVIL5555', 'acct-111122220000EVIL5555')])"
    )
    front.open(tool + f"script({program!r})", "%%codeact\nGo.", "")
    front.run(1)
    front.done(1)
    front.run(2)
    front.state("waiting for you", 2)
    rows, forms = front.card(2).locator(".ca-row .ca-text"), front.card(2).locator(".ca-row .ca-form")
    expect(forms).to_have_count(2)
    front.shot(f"pay-{count}")
    for number, account in enumerate(("acct-111122223333EVIL5555", "acct-111122220000EVIL5555")):
        if forms.nth(number).evaluate("node => node.matches('.ca-compact')"):
            assert account in rows.nth(number).inner_text()
            assert f"a{count - 2}={count - 2}" in rows.nth(number).inner_text() or count == 1
        else:
            expect(forms.nth(number).get_by_label("to", exact=True)).to_have_value(account)
            expect(forms.nth(number).get_by_label("to", exact=True)).to_be_visible()
    allow_all(front)
    front.done(2)
    assert front.get("len(paid)") == "2"


def allow_all(front: Front) -> None:
    """Scroll through all of the questions, as a user has to, then decide them together."""
    batch_form = front.card(2).locator(".ca-batch-decision")
    for area in front.card(2).locator(".ca-fields textarea, .ca-row summary").all():
        if area.is_visible():
            area.scroll_into_view_if_needed()
            front.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(batch_form.get_by_role("button", name="Allow once")).to_be_enabled()
    expect(batch_form).not_to_contain_text("not on the screen yet")
    front.click("Allow once", 2, batch_form)


@attempt("E9.away", "sends so many calls at once that most of them are below the visible part of the page")
@LAB
def test_calls_that_were_never_on_the_screen_are_not_allowed_together(front: Front):
    names = "[f'{letter}{number}' for letter in 'abc' for number in range(10)]"
    asked(
        front, f"import asyncio\nr = await asyncio.gather(*[call_tool_async('drop', table=t) for t in {names}])\nlen(r)"
    )
    batch_form = front.card(2).locator(".ca-batch-decision")
    batch_form.scroll_into_view_if_needed()
    expect(batch_form).to_contain_text("were not on the screen yet")
    front.shot("most-are-away")
    front.click("Allow once", 2, batch_form)
    front.page.wait_for_timeout(600)
    front.state("waiting for you", 2)
    assert front.card(2).locator(".ca-batch-decision").is_visible(), "nothing was decided"
    allow_all(front)
    front.done(2)
    assert front.get("len(dropped)") == "30"


@attempt("E9.lookalike", "asks about an address with letters of another alphabet")
@LAB
def test_lookalike_letters_are_pointed_out_beside_the_field(front: Front):
    asked(front, "drop(table='\u0430dmin@\u0440aypal.com')")
    expect(front.card(2).locator(".ca-fields .ca-untrusted")).to_have_text(
        "Look-alike letters in \\u0430dmin@\\u0440aypal.com"
    )
    front.shot("lookalikes")
    front.click("Deny", 2)
    front.done(2)
