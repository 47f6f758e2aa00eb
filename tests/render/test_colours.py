"""The colours of a card. Whether they can be read is measured in a real page: tests/browser/test_card.py."""

from __future__ import annotations

import re
from pathlib import Path

from codeact_kernel.render.colours import COLOURS, VARIABLES, colour_style
from codeact_kernel.render.html import to_html
from codeact_kernel.render.transcript import Transcript

STYLE = (Path(__file__).parents[2] / "extension" / "codeact" / "card.css").read_text(encoding="utf-8")


def test_the_live_card_has_the_colours_of_the_finished_one():
    declared = dict(re.findall(r"(--ca-\w+):\s*(color-mix\([^;]*\))", STYLE))
    assert {name: re.sub(r",\s*", ",", value) for name, value in declared.items()} == dict(
        one.split(":", 1) for one in VARIABLES.split(";")
    )


def test_a_finished_card_declares_its_colours_itself_since_no_style_sheet_goes_with_it():
    assert VARIABLES in to_html(Transcript())


def test_a_page_that_knows_no_variables_shows_the_plain_colour():
    assert colour_style("red") == f"color:{COLOURS['red']};color:var(--ca-red)"
