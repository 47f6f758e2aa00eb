"""The only handler of the capability, with a program that does not go through `show(...)`."""

from __future__ import annotations

import base64
import io
import json
import struct
import time
import zlib
from typing import Any

import pytest
from PIL import Image

from codeact_kernel.capabilities.show import Show
from codeact_kernel.errors import ProgramError
from codeact_kernel.limits import ShowLimits
from codeact_kernel.types import DisplayItem


class Sending:
    """Sends what it likes to a capability."""

    def __init__(self, **limits: int) -> None:
        self.items: list[DisplayItem] = []
        self.capability = Show(self.items.append, ShowLimits(**limits))

    async def send(self, kind: Any, text: Any = "", title: Any = "", last: Any = True) -> None:
        await self.capability.handlers["item"]({"kind": kind, "text": text, "title": title, "last": last})

    async def refused(self, *args: Any, **arguments: Any) -> str:
        before = len(self.items)
        with pytest.raises(ProgramError) as caught:
            await self.send(*args, **arguments)
        assert len(self.items) == before
        return str(caught.value)


def picture(form: str, width: int = 4, height: int = 3) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, form)
    return file.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def header(width: int, height: int) -> bytes:
    """A PNG that is whole, and says that it is this large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "kind", ["html", "svg", "text/html", "application/javascript", "application/vnd.jupyter.widget-view+json", "", None, 1, [], {}]
)  # fmt: skip
async def test_there_are_six_kinds_and_no_other(kind):
    assert "one of table, text, markdown, chart, image, json" in await Sending().refused(kind, "<script>")


@pytest.mark.parametrize(
    "arguments",
    [{"text": 1}, {"text": None}, {"text": b"x"}, {"title": 1}, {"title": None}, {"last": 1}, {"last": "yes"}, {"last": None}],
)  # fmt: skip
async def test_arguments_of_another_type_are_refused(arguments):
    assert "with a title and text" in await Sending().refused("text", **{"text": "x", **arguments})


async def test_a_service_without_arguments_is_refused():
    with pytest.raises(ProgramError):
        await Sending().capability.handlers["item"]({})


async def test_pieces_are_joined_and_a_new_run_forgets_those_of_the_last():
    sending = Sending()
    await sending.send("text", "one ", last=False)
    await sending.send("text", "two")
    await sending.send("text", "lost", last=False)
    sending.capability.start_run()
    await sending.send("text", "three")
    assert [item.data for item in sending.items] == ["one two", "three"]


async def test_what_was_refused_leaves_nothing_for_the_next():
    sending = Sending()
    await sending.send("json", '{"a":', last=False)
    assert "cannot be shown" in await sending.refused("json", "]")
    await sending.send("json", '{"a":', last=False)
    await sending.refused("nothing")
    await sending.send("json", "[1]")
    assert [item.data for item in sending.items] == [[1]]


async def test_caps_hold_piece_by_piece_over_all_runs_of_a_turn():
    sending = Sending(items=3, json_bytes=100, turn_bytes=150, title_characters=10)
    assert "a json to show has at most 100 bytes" in await sending.refused("json", '"' + "x" * 100 + '"')
    await sending.send("json", '"' + "x" * 60, last=False)
    assert "at most 100 bytes" in await sending.refused("json", "x" * 60, last=False)
    assert "a title has at most 10 characters" in await sending.refused("text", "x", title="t" * 11)
    await sending.send("json", '"' + "x" * 90 + '"')
    sending.capability.start_run()
    await sending.send("text", "x" * 50)
    assert "bytes in all" in await sending.refused("text", "x" * 20)
    await sending.send("text", "x")
    assert "a turn may show 3 items" in await sending.refused("text", "")


async def test_many_small_pieces_cost_no_more_than_their_number():
    sending = Sending()
    started = time.monotonic()
    for _ in range(100_000):
        await sending.send("text", "x", last=False)
    assert time.monotonic() - started < 20  # a piece that looks at all before it would take minutes


async def test_long_text_is_refused_by_characters():
    sending = Sending()
    assert "at most 50,000 characters" in await sending.refused("markdown", "é" * 50_001)
    await sending.send("text", "é" * 50_000)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ([], "a table must be a list of dicts"),
        ({"columns": [], "rows": []}, "a table must be a list of dicts"),
        ({"columns": ["a"], "rows": [[1]], "total": True}, "a table must be a list of dicts"),
        ({"columns": ["a"], "rows": [[1]], "total": 1.0}, "a table must be a list of dicts"),
        ({"columns": ["a"], "rows": [[1]], "total": 0}, "at most 1,000 rows"),
        ({"columns": ["a"], "rows": [[1]], "total": -1}, "at most 1,000 rows"),
        ({"columns": ["a"], "rows": [[1]] * 1_001, "total": 1_001}, "at most 1,000 rows"),
        ({"columns": [1], "rows": [], "total": 0}, "with text as names"),
        ({"columns": ["a"] * 201, "rows": [], "total": 0}, "at most 200 columns"),
        ({"columns": ["a"], "rows": [[1, 2]], "total": 1}, "as many cells as columns"),
        ({"columns": ["a"], "rows": [{"a": 1}], "total": 1}, "as many cells as columns"),
        ({"columns": ["a"], "rows": ["x"], "total": 1}, "as many cells as columns"),
    ],
)
async def test_a_table_is_columns_and_rows_of_cells(table, why):
    assert why in await Sending().refused("table", json.dumps(table))


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "[1e999]", '{"a": 1, "a": 2}', '["\\ud800"]', "[" * 40 + "]" * 40, '{"a": {"__proto__": {}}}']
)  # fmt: skip
async def test_json_is_strict_and_touches_no_prototype(text):
    assert "shown" in await Sending().refused("json", text)


@pytest.mark.parametrize(("form", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
async def test_an_image_is_known_by_its_bytes(form, mime):
    sending = Sending()
    data = picture(form, 40, 30)
    await sending.send("image", encoded(data))
    assert sending.items[0].data == {"mime": mime, "width": 40, "height": 30, "base64": encoded(data)}


PNG, JPEG = picture("PNG"), picture("JPEG")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither"),
        (picture("GIF"), "neither"),
        (picture("BMP"), "neither"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "neither"),
        (PNG[:20], "damaged"),
        (PNG[:-4], "damaged"),
        (PNG + b"<script>", "damaged"),
        (PNG.replace(b"IDAT", b"IDAX"), "damaged"),
        (PNG[:16] + b"\0\0\1\0" + PNG[20:], "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, "damaged"),
        (JPEG[:10], "damaged"),
        (JPEG[:-2], "damaged"),
        (b"\xff\xd8\xff\xe0\0\0" * 20 + b"\xff\xd9", "damaged"),
        (header(0, 10), "too large"),
        (header(10_000, 10_000), "an image of 10000 × 10000 pixels is too large: the maximum is 25,000,000"),
        (header(2**31 - 1, 2**31 - 1), "too large"),
    ],
)
async def test_an_image_that_is_none_or_not_whole_or_huge_is_refused(data, why):
    assert why in await Sending().refused("image", encoded(data))


@pytest.mark.parametrize("text", ["nonsense!", "iVBOR", "aGk=\n", " aGk=", "data:image/png;base64,aGk=", "é"])
async def test_an_image_is_base64_and_nothing_else(text):
    why = await Sending().refused("image", text)
    assert "base64" in why or "neither" in why


async def test_a_chart_is_checked_like_all_else():
    sending = Sending()
    assert "mark has to be one of" in await sending.refused("chart", '{"mark": "image", "data": {"values": []}}')
    await sending.send("chart", '{"mark": "bar", "data": {"values": [{"a": 1}]}, "encoding": {"x": {"field": "a"}}}')
    assert sending.items[0].data["$schema"].endswith("/v5.json")
