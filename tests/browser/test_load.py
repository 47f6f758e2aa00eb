"""The card under load: the page still answers, and the notebook stays small."""

from __future__ import annotations

import json

import pytest

from .conftest import Front

pytestmark = pytest.mark.parametrize("kind", ["lab"], indirect=True)

TOOLS = """
@tool
def big() -> str:
    "Five megabytes."
    return "x" * 5_000_000
"""
LOADS = {
    "2,000 calls": "sum(len(look_up(key=str(n))) for n in range(2_000))",
    "2,000 calls at once": (
        "import asyncio\nlen(await asyncio.gather(*[call_tool_async('look_up', key=str(n)) for n in range(2_000)]))"
    ),
    "a 5 MB result": "text = big()\nprint(len(text))\nlen(text)",
    "10,000 printed lines": "for n in range(10_000): print('line', n)\nn",
}


@pytest.mark.parametrize("what", LOADS)
def test_the_page_answers_meanwhile_and_the_notebook_stays_small(front: Front, what):
    front.open(f"{TOOLS}\nscript({LOADS[what]!r})", "%%codeact\nGo.", "")
    front.run(1)
    front.done(1)
    front.watch_frames()
    front.run(2)
    front.cell(3).locator(".cm-content").first.click()
    front.page.keyboard.type("typed while it ran")
    assert "typed while it ran" in front.cell(3).inner_text()
    front.whole(2, 120)
    pause = front.longest_pause()
    front.shot(f"load-{what.replace(' ', '-').replace(',', '')}")
    saved = json.dumps(front.saved_cell(2))
    size = len(saved)
    print(f"{what}: longest pause of the page {pause:.0f} ms, cell in the file {size:,} bytes")
    assert size < (60_000 if "calls" in what else 120_000)
    if "calls" in what:
        assert "1,980 more calls" in saved
    if "lines" in what:
        assert "some output is not shown here" in saved
