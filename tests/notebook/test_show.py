"""`show(...)` in a notebook: outputs of the cell like any other, in order, kept on the result."""

from __future__ import annotations

import pytest

SHOW = """
rows = [{"region": "north", "total": 3}, {"region": "south", "total": 4}]
show("**Totals** per region")
show(rows, title="Totals")
show(rows, chart="bar", x="region", y="total")
len(rows)
""".strip()


def shown(cell):
    return [content["data"] for content in cell.of("display_data")]


def test_what_a_program_shows_is_in_the_card_in_order(nb):
    cell = nb.ask(SHOW)
    assert cell.status == "ok"
    assert len(cell.of("display_data")) == 1
    html = cell.shown["text/html"]
    parts = ["<strong>Totals</strong>", "north", "<img "]
    assert [html.index(part) for part in parts] == sorted(html.index(part) for part in parts)
    assert nb.get("[item.kind for item in codeact.results[-1].shown]") == ["markdown", "table", "chart"]
    assert "show(" in "".join(nb.asked[0])


def test_an_item_alone_is_a_chart_that_the_page_draws(nb):
    nb.ask(SHOW)
    (output,) = nb.do("codeact.results[-1].shown[2]").of("execute_result")
    assert output["data"]["application/vnd.vegalite.v5+json"]["mark"]


FIGURES = """
import matplotlib; matplotlib.use("agg")
import matplotlib.pyplot as plt
from PIL import Image
@tool
def plot(kind: str) -> object:
    "Draw something."
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.set_title("Sales")
    return {"figure": figure, "axes": axes, "list": [figure], "image": Image.new("RGB", (3, 2))}[kind]
"""


@pytest.mark.parametrize(
    ("kind", "alternative"),
    [("figure", "Sales"), ("axes", "Sales"), ("list", "Sales"), ("image", "PNG picture, 3 × 2 pixels, ")],
)
def test_a_figure_that_a_tool_returns_is_in_the_card_and_a_text_in_the_program(nb, kind, alternative):
    nb.do(FIGURES)
    cell = nb.ask(f"seen = plot(kind={kind!r})\nstr(seen)")
    assert cell.status == "ok", cell.errors
    assert f'alt="{alternative}' in cell.shown["text/html"]
    assert cell.shown["text/html"].count("<img ") == 1
    assert "pixels, shown to the user>" in nb.get("codeact.results[-1].value")
    assert len(cell.of("display_data")) == 1


def test_what_cannot_be_shown_goes_back_to_the_model_and_is_not_there_twice(nb):
    cell = nb.ask("show('first')\nshow([{'a': 1}], chart={'mark': 'image'})", "show('first')\n1")
    assert cell.status == "ok"
    assert nb.get("[item.data for item in codeact.results[-1].shown]") == ["first"]
    assert "ToolFailed" in nb.asked[-1][-1]


def test_a_picture_that_was_written_is_shown_as_well(nb, tmp_path):
    nb.do(f"import os\nos.chdir({str(tmp_path)!r})")
    program = """
import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0))
png += chunk(b"IDAT", zlib.compress(b"\\0" + bytes(6) + b"\\0" + bytes(6))) + chunk(b"IEND", b"")
open("/output/dot.png", "wb").write(png)
open("/output/fake.png", "wb").write(b"not a picture")
"done"
""".strip()
    cell = nb.ask(program)
    assert cell.status == "ok", cell.errors
    assert cell.shown["text/html"].count('src="data:image/png;base64,iVBORw0K') == 1
    assert nb.get("[(f.name, f.media_type) for f in codeact.results[-1].files]") == [
        ("dot.png", "image/png"), ("fake.png", "application/octet-stream"),
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["--quiet"])
def test_a_quiet_cell_shows_nothing_of_it(nb, option):
    cell = nb.ask(SHOW, options=option)
    assert shown(cell) == []
    assert nb.get("len(codeact.results[-1].shown)") == 3
