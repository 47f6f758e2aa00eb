"""`show(...)` in the guest: what it takes each thing for, and what a chart becomes."""

from __future__ import annotations

import base64

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROWS = '[{"region": "North", "total": 3.5}, {"region": "South", "total": 7}]'


@pytest.mark.smoke
async def test_text_is_markdown_and_rows_are_a_table(shows):
    run = await shows.run(f'show("# Hello", title="A title")\nshow({ROWS})\nshow(3.5)\n"done"')
    text, table, number = shows.items
    assert (text.kind, text.data, text.title) == ("markdown", "# Hello", "A title")
    assert table.kind == "table"
    assert table.data == {"columns": ["region", "total"], "rows": [["North", 3.5], ["South", 7]], "total": 2}
    assert (number.kind, number.data) == ("text", "3.5")
    assert run.value == "done"


async def test_columns_that_a_row_lacks_and_cells_that_are_no_json_are_shown_too(shows):
    item = await shows.one("""
    import datetime, decimal
    class Thing:
        def __str__(self): return "a thing"
    show([{"a": datetime.date(2026, 1, 2), 5: Thing()}, {"b": [1, {"x": None}], "a": decimal.Decimal("1.5")}])
    """)
    assert item.data["columns"] == ["a", "5", "b"]
    assert item.data["rows"] == [["2026-01-02", "a thing", None], [1.5, None, [1, {"x": None}]]]


async def test_of_a_long_table_the_first_rows_are_sent_and_all_are_counted(shows):
    item = await shows.one('show([{"n": n} for n in range(20_000)])')
    assert len(item.data["rows"]) == 1_000
    assert item.data["rows"][-1] == [999]
    assert item.data["total"] == 20_000


async def test_anything_with_columns_and_rows_is_a_table(shows):
    await shows.run("""
    class Light:
        columns = ["a", "b"]
        def __init__(self, rows): self.rows = rows
    show(Light([(1, 2), (3, 4)]))
    show(Light([{"a": 1, "b": 2}, {"a": 3, "b": 4}]))
    show(Light([(1, 2), (3, 4)]), chart="line", x="a", y="b")
    """)
    assert [item.kind for item in shows.items] == ["table", "table", "chart"]
    assert shows.items[0].data == shows.items[1].data == {"columns": ["a", "b"], "rows": [[1, 2], [3, 4]], "total": 2}
    assert shows.items[2].data["data"]["values"] == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


async def test_dicts_and_lists_of_other_things_are_json(shows):
    await shows.run('show({"a": [1, 2, {"b": None}]})\nshow([1, "two"])\nshow([{"a": 1}], kind="json")')
    assert [item.kind for item in shows.items] == ["json"] * 3
    assert [item.data for item in shows.items] == [{"a": [1, 2, {"b": None}]}, [1, "two"], [{"a": 1}]]


@pytest.mark.smoke
async def test_an_image_is_sent_whole_however_large(shows):
    item = await shows.one("""
    import struct, zlib, random
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\\0" + random.randbytes(3 * 300) for _ in range(300))
    png = b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 300, 300, 8, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    show(png, title="Noise")
    """)
    assert item.kind == "image"
    assert (item.data["mime"], item.data["width"], item.data["height"]) == ("image/png", 300, 300)
    assert len(base64.b64decode(item.data["base64"])) > 250_000


async def test_what_was_printed_before_comes_before(shows):
    run = await shows.run('print("one", end="")\nshow("two")\nprint("three", end="")')
    assert [what if kind == "stdout" else what.data for kind, what in run.seen] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("call", "mark", "channels"),
    [
        ('chart="bar", x="region", y="total"', "bar", {"x": "nominal", "y": "quantitative"}),
        ('chart="bar", x="total", y="region"', "bar", {"x": "quantitative", "y": "nominal"}),
        ('chart="bar", x="year", y="total"', "bar", {"x": "ordinal", "y": "quantitative"}),
        ('chart="bar", x="day", y="total"', "bar", {"x": "ordinal", "y": "quantitative"}),
        ('chart="bar", x="region"', "bar", {"x": "nominal", "y": "quantitative"}),
        ('chart="line", x="day", y="total", color="region"', "line", {"x": "temporal", "y": "quantitative", "color": "nominal"}),
        ('chart="area", x="year", y="total"', "area", {"x": "quantitative", "y": "quantitative"}),
        ('chart="point", x="total", y="year", color="total"', "point", {"x": "quantitative", "y": "quantitative", "color": "quantitative"}),
        ('chart="pie", x="region", y="total"', "arc", {"theta": "quantitative", "color": "nominal"}),
        ('chart="line", x="day", y=["total", "year"]', "line", {"x": "temporal", "y": "quantitative", "color": "nominal"}),
    ],
)  # fmt: skip
async def test_a_chart_guesses_types_from_the_values(shows, call, mark, channels):
    rows = [
        {"region": "North", "total": 1.5, "year": 2025, "day": "2025-01-31", "unused": "x"},
        {"region": "South", "total": None, "year": 2026, "day": "2025-02-28", "unused": "y"},
    ]
    item = await shows.one(f'show({rows!r}, {call}, title="A title")')
    assert (item.kind, item.title) == ("chart", "")
    assert item.data["title"] == "A title"
    assert item.data["mark"]["type"] == mark
    assert {name: channel["type"] for name, channel in item.data["encoding"].items()} == channels
    assert all("unused" not in row for row in item.data["data"]["values"])


async def test_days_are_drawn_on_their_day_in_every_time_zone(shows):
    item = await shows.one('show([{"d": "2026-01-01", "n": 1}], chart="line", x="d", y="n")')
    assert item.data["encoding"]["x"]["scale"] == {"type": "utc"}


async def test_columns_that_vega_lite_would_misread_are_renamed_and_keep_their_titles(shows):
    rows = [{"a.b": "x", 'say "hi"': 1, "image": "http://there/x.png"}]
    item = await shows.one(f"show({rows!r}, chart='bar', x='a.b', y='say \"hi\"', color='image')")
    titles = {channel["title"] for channel in item.data["encoding"].values()}
    assert titles == {"a.b", "say ”hi”", "Image"}
    (row,) = item.data["data"]["values"]
    assert sorted(row.values(), key=str) == [1, "http://there/x.png", "x"]
    assert not {"a.b", 'say "hi"', "image"} & row.keys()


async def test_a_histogram_counts_any_number_of_rows_in_the_guest(shows):
    item = await shows.one("""
    import random
    show([{"n": random.gauss(100, 15)} for _ in range(30_000)], chart="hist", x="n")
    """)
    bins = item.data["data"]["values"]
    assert 15 <= len(bins) <= 80
    assert sum(row["count"] for row in bins) == 30_000
    assert all(row["from"] < row["to"] for row in bins)


async def test_a_histogram_of_one_number_or_of_extremes_is_one(shows):
    await shows.run("""
    for numbers in ([5, 5, 5], [0], [-1e-9, 1e-9], [1e15, 1e15 + 1]):
        show([{"n": n} for n in numbers], chart="hist", x="n")
    """)
    assert [sum(row["count"] for row in item.data["data"]["values"]) for item in shows.items] == [3, 1, 2, 2]


async def test_vega_lite_of_the_program_gets_its_rows_and_the_types_it_left_out(shows):
    await shows.run(f"""
    rows = {ROWS}
    encoding = {{"x": {{"field": "region"}}, "y": {{"aggregate": "sum", "field": "total"}}}}
    show({{"mark": "bar", "encoding": encoding, "data": rows}})
    show({{"mark": "bar", "encoding": encoding, "data": {{"values": rows}}}}, title="Beside")
    show(rows, chart={{"mark": "bar", "encoding": encoding}}, title="Inside")
    show(rows, chart={{"layer": [{{"mark": "bar", "encoding": encoding}}, {{"mark": "rule", "encoding": {{"y": {{"datum": 5}}}}}}]}})
    """)
    assert [item.kind for item in shows.items] == ["chart"] * 4
    for item in shows.items[:3]:
        assert item.data["encoding"]["x"]["type"] == "nominal"
        assert item.data["data"]["values"][1] == {"region": "South", "total": 7}
    assert shows.items[2].data["title"] == "Inside"


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (f'show({ROWS}, chart="bar", x="regoin", y="total")', "there is no column 'regoin': the columns are region, total"),
        (f'show({ROWS}, chart="line", x="region")', "y is missing"),
        (f'show({ROWS}, chart="donut", x="region")', "chart must be one of bar, line, point, area, pie, hist"),
        ('show([{"n": n} for n in range(5_001)], chart="line", x="n", y="n")', "a chart takes 5,000 rows, not 5,001: aggregate"),
        ('show({"mark": "bar", "data": [{"n": n} for n in range(5_001)]})', "a chart takes 5,000 rows, not 5,001: aggregate"),
        ('show("text", chart="bar", x="a")', "takes a list of dicts"),
        ('show(b"GIF89a...")', "an image must be the bytes of a PNG or JPEG file"),
        ('show("x", kind="html")', "kind must be one of table, text, markdown"),
        ('show({"a": object()})', "has no JSON form"),
        ('show({"mark": "bar", "encoding": {"x": {"field": "a", "type": "nominal"}}, "data": [{"b": 1}]})', "names the column 'a', and its data has b"),
        ('show({"mark": "bar", "params": [], "data": []})', "params is not allowed"),
    ],
)  # fmt: skip
async def test_what_cannot_be_shown_is_an_error_of_the_program_that_says_why(shows, call, why):
    assert why in await shows.refused(call)


@pytest.mark.smoke
async def test_a_program_can_catch_a_refusal_and_go_on(shows):
    run = await shows.run("""
    try:
        show(b"nothing")
    except ToolFailed as error:
        print(error)
    show("fine")
    """)
    assert "PNG or JPEG" in run.stdout
    assert [item.data for item in shows.items] == ["fine"]
