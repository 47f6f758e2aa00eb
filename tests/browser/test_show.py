"""What a program shows, in a real JupyterLab and Notebook 7: drawn in order, live, saved, and never alive itself."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from .conftest import PATIENCE, Front

LAB = pytest.mark.parametrize("kind", ["lab"], indirect=True)
PNG = """
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
pixels = b"".join(b"\\0" + bytes(value for x in range(120) for value in (2 * x, 3 * y, 160)) for y in range(80))
png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 120, 80, 8, 2, 0, 0, 0))
png += chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
"""
ALL = f"""{PNG}
rows = [{{"region": name, "sales": 10 * n + 5}} for n, name in enumerate(["North", "East", "South", "West"])]
show("# Sales\\n\\nThe **West** leads, with `35`:\\n\\n| region | sales |\\n|---|---:|\\n| West | 35 |")
show(rows, title="By region")
show(rows, chart="bar", x="region", y="sales", title="Sales by region")
show(png, title="A picture")
show({{"best": "West", "all": [5, 15, 25, 35]}})
"that was all"
"""
CHARTS = """
days = [{"day": f"2026-01-{n + 1:02}", "North": n * n % 17, "South": 20 - n, "size": n} for n in range(28)]
show(days, chart="line", x="day", y=["North", "South"], title="Two lines")
show(days, chart="point", x="North", y="South", color="size")
show(days, chart="area", x="day", y="North")
show(days[:4], chart="pie", x="day", y="South")
show(days, chart="hist", x="North")
show(days, chart={"mark": {"type": "rect", "tooltip": True}, "width": 300, "encoding": {
    "x": {"field": "day", "timeUnit": "utcday", "type": "ordinal"}, "y": {"field": "North", "bin": True},
    "color": {"aggregate": "count"}}})
"""
HOSTILE = r"""
evil = '<img src="http://127.0.0.2:9/pixel.png" onerror="window.hacked=1"><script>window.hacked=1</script>'
show(f'{evil}\n\n![x](http://127.0.0.2:9/y.png) [js](javascript:window.hacked=1) <http://127.0.0.2:9/auto>\n\n'
     f'```\n{evil}\n```\n\n<details open ontoggle="window.hacked=1">\n\n$\\href{{javascript:window.hacked=1}}{{x}}$')
show([{"a" + evil: evil, "image": 'x" onerror="window.hacked=1'}], title=evil)
show({"constructor": {"prototype": evil}, evil: [evil]}, title="\x1b[31m\u202egpj.exe")
show(evil, kind="text")
rows = [{"image": 'x" onerror="window.hacked=1', "n": 1}, {"image": "http://127.0.0.2:9/z.png", "n": 2}]
show(rows, chart="bar", x="image", y="n", title=evil)
for spec in [{"mark": "image"}, {"mark": "bar", "usermeta": {"embedOptions": {"patch": "http://127.0.0.2:9/p.json"}}},
             {"mark": {"type": "bar", "tooltip": True}, "encoding": {"x": {"field": "image"}}}]:
    try:
        show(rows, chart=spec)
    except ToolFailed as error:
        print(error)
"""


SHOW_ITEMS = "from IPython.display import display\nfor item in codeact.results[-1].shown: display(item)"


def drawn(front: Front, count: int, index: int = 1) -> None:
    """Wait until the card has this number of pictures of charts."""
    expect(front.cell(index).locator("img[alt^='Chart']")).to_have_count(count, timeout=1_000 * PATIENCE)


@pytest.mark.smoke
def test_all_kinds_are_shown_in_order_in_the_card_and_stay(front: Front):
    front.open("", "")
    front.ask(ALL)
    assert "that was all" in front.done(1)
    drawn(front, 1)
    kinds = ["h1", "table", "img[alt='Chart: Sales by region']", "img[alt='A picture']", "pre"]
    tops = [front.cell(1).locator(kind).last.bounding_box()["y"] for kind in kinds]
    assert tops == sorted(tops)
    assert front.cell(1).get_by_text("1 program").bounding_box()["y"] > tops[-1]
    assert "By region" in front.text()
    assert "A picture" in front.text()
    front.shot("shown")
    (output,) = front.saved_cell(1)
    notebook = json.loads(front.folder.joinpath(f"{front.name}.ipynb").read_text(encoding="utf-8"))
    html, _ = HTMLExporter().from_notebook_node(nbformat.reads(json.dumps(notebook), as_version=4))
    assert html.count('src="data:image/png;base64,') == 2
    assert "The <strong>West</strong> leads" in html
    assert "image/png" not in output["data"]
    front.goto_again()
    drawn(front, 1)
    front.shot("shown-reloaded")


def test_every_chart_is_drawn_with_plain_tooltips(front: Front):
    front.open("", "")
    front.ask(CHARTS)
    front.done(1)
    drawn(front, 6)
    for number in range(6):
        front.cell(1).locator("img[alt^='Chart']").nth(number).scroll_into_view_if_needed()
        front.shot(f"chart-{number}")
    front.type(2, SHOW_ITEMS)
    front.run(2)
    front.done(2)
    expect(front.cell(2).locator(".vega-embed canvas")).to_have_count(6, timeout=1_000 * PATIENCE)
    pie = front.cell(2).locator("canvas").nth(3)
    pie.scroll_into_view_if_needed()
    box = pie.bounding_box()
    front.page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 3)
    front.until(lambda: "South: " in str(pie.locator("..").get_attribute("title")))
    assert front.page.locator("#vg-tooltip-element").count() == 0
    assert not [error for error in front.errors if "Vega" in error or "Error" in error]


def test_nothing_of_it_loads_or_runs(front: Front):
    front.open("", "")
    front.ask(HOSTILE)
    text = front.whole(1)
    drawn(front, 1)
    assert "give the column or title 'image' another name" in text
    assert "usermeta is not allowed" in text
    front.type(2, SHOW_ITEMS)
    front.run(2)
    front.done(2)
    canvas = front.cell(2).locator(".vega-embed canvas")
    expect(canvas).to_have_count(1, timeout=1_000 * PATIENCE)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for part in range(1, 20):
        front.page.mouse.move(box["x"] + box["width"] * part / 20, box["y"] + box["height"] * 0.4)
    front.shot("shown-hostile")
    assert front.page.evaluate("window.hacked") is None
    for index in (1, 2):
        rogue = "img:not([src^='data:image/png']), script, iframe, a[href]:not([download])"
        assert front.cell(index).locator(rogue).count() == 0
    assert front.page.evaluate("({}).polluted") is None
    assert front.foreign == []


def test_an_item_is_there_while_the_program_still_runs(front: Front):
    front.open("", "")
    front.ask('show("# First")\nshow([{"a": 1}], chart="bar", x="a")\ndrop(table="old")\nshow("# Then")')
    front.state("waiting for you")
    drawn(front, 1)
    heads = front.cell(1).locator("h1")
    assert heads.all_inner_texts() == ["First"]
    front.shot("shown-live")
    front.click("Allow once")
    front.done(1)
    expect(heads).to_have_text(["First", "Then"])


def test_what_a_failed_program_had_shown_does_not_stand_there_twice(front: Front):
    front.open("", "")
    front.ask('show("# Mine")\nshow([{"a": 1}], chart="bar", x="a")\n1 / 0', 'show("# Mine")\n"fixed"')
    assert "fixed" in front.done(1)
    assert front.cell(1).locator("h1").all_inner_texts() == ["Mine"]
    drawn(front, 0)
    front.shot("shown-fixed")
    (result,) = [
        json.loads(line) for line in front.get("__import__('json').dumps(codeact.results[-1].attempts)").splitlines()
    ]
    assert result == 2


@LAB
def test_what_is_shown_follows_the_dark_theme(front: Front):
    front.open("", "")
    front.menu("Settings", "Theme")
    front.page.get_by_text("JupyterLab Dark", exact=True).first.click()
    front.until(lambda: front.page.evaluate("document.body.dataset.jpThemeLight") == "false")
    front.ask(ALL)
    front.done(1)
    drawn(front, 1)
    front.shot("shown-dark")
    front.cell(1).locator("img[alt^='Chart']").scroll_into_view_if_needed()
    front.shot("shown-dark-chart")
    front.menu("Settings", "Theme")
    front.page.get_by_text("JupyterLab Light", exact=True).first.click()
    front.until(lambda: front.page.evaluate("document.body.dataset.jpThemeLight") == "true")
