"""What a program showed, as a page gets it: no markup of its own, nothing that loads, bounded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from codeact_kernel.render.elements import element, write_html, write_json
from codeact_kernel.render.markdown_elements import read_markdown
from codeact_kernel.render.shown_items import draw_item, item_bundle, item_text
from codeact_kernel.types import DisplayItem

EVIL = '<img src="http://there/x.png" onerror="alert(1)"><script>alert(1)</script>\x1b[31m\u202e$x$'
CHART = {
    "title": "Sales",
    "data": {"values": [{"a": "x", "b": 1}, {"a": "y", "b": 2}]},
    "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "nominal"}},
}
ITEMS = [
    DisplayItem(kind="table", data={"columns": ["n", EVIL], "rows": [[1, EVIL], [2, {"deep": EVIL}]], "total": 9}, title=EVIL),
    DisplayItem(kind="markdown", data=f"# {EVIL}\n\n{EVIL}\n\n```html\n{EVIL}\n```\n\n`{EVIL}`\n\n| {EVIL} |\n|---|\n| {EVIL} |"),
    DisplayItem(kind="text", data=EVIL, title=EVIL),
    DisplayItem(kind="json", data={EVIL: [EVIL, {"a": EVIL}]}),
    DisplayItem(kind="chart", data={**CHART, "data": {"values": [{"a": EVIL}]}}),
    DisplayItem(kind="image", data={"mime": "image/png", "width": 4, "height": 3, "base64": "iVBORw0K"}, title=EVIL),
]  # fmt: skip
TAGS = {
    "div",
    "pre",
    "code",
    "p",
    "h1",
    "h2",
    "h3",
    "ul",
    "ol",
    "li",
    "blockquote",
    "em",
    "strong",
    "s",
    "br",
    "hr",
    "span",
}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}


class Tags(HTMLParser):
    """The tags and attributes of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for one in [*node, *node.values()] if isinstance(node, dict) else node:
            yield from texts(one)


def html_of(item: DisplayItem, picture: str = "") -> str:
    return write_html(draw_item(item, picture))


def markdown_to_html(text: str) -> str | None:
    nodes = read_markdown(text)
    return None if nodes is None else write_html(element("div", "", *nodes))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.kind)
def test_text_from_the_guest_is_never_markup_nor_hidden(item):
    html = html_of(item)
    assert Tags(html).tags <= TAGS | {"img", "details", "summary"}
    assert Tags(html).attributes <= {"style", "start", "open", "src", "alt", "width"}
    data, metadata = item_bundle(item)
    assert data["text/plain"]
    assert not [
        text for text in texts([html, write_json(draw_item(item)), data, metadata]) if re.search("[\x1b\u202e]", text)
    ]
    assert not re.search(r"(?<!<span>)\$", html)


@pytest.mark.parametrize(
    ("item", "kinds"),
    [
        (ITEMS[0], {"text/plain", "text/html"}),
        (ITEMS[4], {"text/plain", "application/vnd.vegalite.v5+json"}),
        (ITEMS[5], {"text/plain", "image/png"}),
    ],
    ids=lambda one: getattr(one, "kind", ""),
)
def test_an_item_alone_has_the_media_types_of_its_kind_and_no_other(item, kinds):
    data, _ = item_bundle(item)
    assert set(data) == kinds


def test_a_table_is_bounded_and_says_how_large_it_is():
    rows = [[n, f"name {n}", None] for n in range(1_000)]
    item = DisplayItem(
        kind="table", data={"columns": ["n", "name", "none"], "rows": rows, "total": 50_000}, title="All"
    )
    html = html_of(item)
    assert "name 99" in html
    assert "name 100" not in html
    assert "50,000 rows × 3 columns; the first 100 rows shown" in html
    assert item_text(item).splitlines()[:3] == [" n  name     none", " 0  name 0", " 1  name 1"]
    assert "(50,000 rows × 3 columns; the first 20 rows shown)" in item_text(item)
    assert html.index("All") < html.index("name 0")


def test_the_widest_and_longest_table_stays_small():
    rows = [["x" * 5_000] * 200] * 1_000
    item = DisplayItem(kind="table", data={"columns": ["c" * 5_000] * 200, "rows": rows, "total": 1_000})
    assert len(html_of(item)) < 500_000
    assert len(item_text(item)) < 50_000
    assert "1,000 rows × 200 columns; the first 20 rows and 100 columns shown" in html_of(item)


def test_an_empty_table_is_a_table():
    assert "<table" in html_of(DisplayItem(kind="table", data={"columns": [], "rows": [], "total": 0}))


def test_the_alternative_text_of_a_picture_is_its_own_or_its_title_or_its_size():
    data = {"mime": "image/png", "width": 4, "height": 3, "base64": "iVBORw0K"}
    assert 'alt="Sales &lt;x&gt;"' in html_of(DisplayItem(kind="image", data={**data, "alternative": "Sales <x>"}))
    titled = html_of(DisplayItem(kind="image", data=data, title="Sales"))
    assert 'alt="Sales"' in titled
    assert ">Sales</div>" in titled
    assert 'alt="PNG picture, 4 × 3 pixels, 6 bytes"' in html_of(DisplayItem(kind="image", data=data))


def test_a_chart_that_could_not_be_drawn_shows_its_data():
    html = html_of(DisplayItem(kind="chart", data=CHART))
    assert "Chart: Sales\na  b\nx  1\ny  2" in html
    assert "<img" not in html


def test_a_chart_is_drawn_with_plain_tooltips_without_scripts_and_sends_its_data_nowhere():
    data, metadata = item_bundle(DisplayItem(kind="chart", data=CHART))
    assert data["application/vnd.vegalite.v5+json"] == CHART
    assert data["text/plain"] == "Chart: Sales\na  b\nx  1\ny  2"
    options = metadata["application/vnd.vegalite.v5+json"]["embed_options"]
    assert options["tooltip"] is False
    assert options["ast"] is True
    assert options["actions"]["editor"] is False


def test_markdown_keeps_what_markdown_is_for():
    html = markdown_to_html(
        "# Head\n\nSome **bold**, *slanted*, ~~gone~~ and `code`.\n\n- one\n  1. two\n\n> said\n\n---\n\n"
        "| a | b |\n|:-:|--:|\n| 1 | 2 |\n\n3. three\n\nline  \nbreak"
    )
    for piece in (
        "<h1>Head</h1>", "<strong>bold</strong>", "<em>slanted</em>", "<s>gone</s>", ">code</code>", "<li>one<ol>",
        "<blockquote><p>said</p></blockquote>", "<hr>", "text-align:center", "text-align:right", '<ol start="3">', "<br>",
    ):  # fmt: skip
        assert piece in html


def test_links_and_pictures_of_markdown_are_text_with_their_addresses():
    html = markdown_to_html(
        "[site](https://there/a?b=1&c=2 'title') <https://auto.there> [js](javascript:alert(1)) [d](data:text/html,x)\n\n"
        "![pic](http://there/x.png) [![in](http://there/y.png)](http://there) [ref]\n\n[ref]: http://there/ref\n"
    )
    assert Tags(html).tags == {"div", "p"}
    assert "site (https://there/a?b=1&amp;c=2)" in html
    assert html.count("https://auto.there") == 1
    assert "[pic] (http://there/x.png)" in html
    assert "ref (http://there/ref)" in html
    assert "[js](javascript:alert(1))" in html


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000, "![" * 25_000, "*a **a " * 7_000, "|a" * 12_000 + "\n" + "|-" * 12_000, "> " * 25_000, "- " * 25_000,
        "`" * 50_000, "\\" * 50_000, "[a]: x\n" * 7_000, "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n" + "|\n" * 15_000,
    ],
    ids=lambda text: text[:6].strip(),
)  # fmt: skip
def test_hostile_markdown_takes_no_long_time_and_makes_no_large_page(text):
    started = time.monotonic()
    html = markdown_to_html(text)
    assert time.monotonic() - started < 20
    assert html is None or len(html) < 1_100_000


def test_markdown_that_would_make_too_large_a_page_is_shown_as_it_was_written():
    text = "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n" + "|\n" * 9_000
    html = html_of(DisplayItem(kind="markdown", data=text))
    assert "<table" not in html
    assert html.count("|") > 9_000
