"""What a program showed, as a page gets it: no markup of its own, nothing that loads, bounded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from codeact_kernel.render.display_items import shown_bundle, title_bundle
from codeact_kernel.render.markdown_html import markdown_to_html
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


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.kind)
def test_text_from_the_guest_is_never_markup_nor_hidden(item):
    bundles = [shown_bundle(item), *filter(None, [title_bundle(item)])]
    for data, metadata in bundles:
        html = Tags(data.get("text/html", ""))
        assert html.tags <= TAGS
        assert html.attributes <= {"style", "start"}
        assert data["text/plain"]
        assert not [text for text in texts([data, metadata]) if re.search("[\x1b\u202e]", text)]
        if "text/html" in data:
            assert not re.search(r"(?<!<span>)\$", data["text/html"])


@pytest.mark.parametrize(
    ("item", "kinds"),
    [
        (ITEMS[0], {"text/plain", "text/html"}),
        (ITEMS[1], {"text/plain", "text/html"}),
        (ITEMS[2], {"text/plain", "text/html"}),
        (ITEMS[3], {"text/plain", "application/json"}),
        (ITEMS[4], {"text/plain", "application/vnd.vegalite.v5+json"}),
        (ITEMS[5], {"text/plain", "image/png"}),
    ],
    ids=lambda one: getattr(one, "kind", ""),
)
def test_each_kind_has_its_media_types_and_no_other(item, kinds):
    data, _ = shown_bundle(item)
    assert set(data) == kinds


def test_a_table_is_bounded_and_says_what_is_left_out():
    rows = [[n, f"name {n}", None] for n in range(1_000)]
    item = DisplayItem(
        kind="table", data={"columns": ["n", "name", "none"], "rows": rows, "total": 50_000}, title="All"
    )
    data, _ = shown_bundle(item)
    assert "name 199" in data["text/html"]
    assert "name 200" not in data["text/html"]
    assert "… 49,800 more rows" in data["text/html"]
    assert data["text/plain"].splitlines()[:3] == [" n  name     none", " 0  name 0", " 1  name 1"]
    assert "… 49,980 more rows" in data["text/plain"]
    assert "All" in title_bundle(item)[0]["text/html"]


def test_the_widest_and_longest_table_stays_small():
    rows = [["x" * 5_000] * 200] * 1_000
    data, _ = shown_bundle(
        DisplayItem(kind="table", data={"columns": ["c" * 5_000] * 200, "rows": rows, "total": 1_000})
    )
    assert len(data["text/html"]) < 1_500_000
    assert len(data["text/plain"]) < 50_000
    assert "180 more columns" in data["text/html"]


def test_an_empty_table_is_a_table():
    data, _ = shown_bundle(DisplayItem(kind="table", data={"columns": [], "rows": [], "total": 0}))
    assert "<table" in data["text/html"]


def test_a_chart_is_drawn_with_plain_tooltips_without_scripts_and_sends_its_data_nowhere():
    data, metadata = shown_bundle(DisplayItem(kind="chart", data=CHART), "iVBORw0K")
    assert data["application/vnd.vegalite.v5+json"] == CHART
    assert data["image/png"] == "iVBORw0K"
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
    assert Tags(html).tags == {"p"}
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
    data, _ = shown_bundle(DisplayItem(kind="markdown", data=text))
    assert "<table" not in data["text/html"]
    assert data["text/html"].count("|") == text.count("|")
