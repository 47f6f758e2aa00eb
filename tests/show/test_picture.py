"""A chart as a picture: drawn in a child process, where vl-convert is installed."""

from __future__ import annotations

import base64
import http.server
import io
import subprocess
import sys
import threading

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from codeact_kernel.limits import ShowLimits
from codeact_kernel.render.shown import shown_bundle
from codeact_kernel.show import picture
from codeact_kernel.show.charts import checked_chart
from codeact_kernel.values import Shown

from ..notebook.conftest import bare_environment

ROWS = [{"region": "North", "total": 3}, {"region": "South", "total": 5}]
CHART = {
    "title": "Totals",
    "data": {"values": ROWS},
    "mark": "bar",
    "encoding": {"x": {"field": "region", "type": "nominal"}, "y": {"field": "total", "type": "quantitative"}},
}
CELL = f"""
%load_ext codeact
import codeact
program = "show({ROWS!r}, chart='bar', x='region', y='total', title='Totals')\\nshow('**bold**')"
codeact.use(codeact.ScriptedModel([f"```python\\n{{program}}\\n```"]))
get_ipython().run_cell_magic("codeact", "", "Go.")
"""
NBCLIENT = """
import sys, nbformat, nbclient
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[1])
"""


def pixels(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")


def test_a_chart_becomes_a_picture_with_its_bars():
    pytest.importorskip("vl_convert")
    image = pixels(picture(checked_chart(CHART, ShowLimits())))
    assert (0x4C, 0x78, 0xA8) in {colour for _, colour in image.getcolors(1 << 24)}
    assert min(image.size) > 100


def test_what_cannot_be_drawn_or_is_too_large_is_no_picture():
    pytest.importorskip("vl_convert")
    assert picture({"mark": "nothing"}) == ""
    assert picture(CHART, ShowLimits(image_bytes=100)) == ""
    assert picture(CHART, ShowLimits(image_pixels=100)) == ""


def test_a_chart_that_eats_memory_ends_its_child_and_nothing_else():
    pytest.importorskip("vl_convert")
    bomb = {
        "data": {"sequence": {"start": 0, "stop": 3e7, "step": 1}},
        "mark": "bar",
        "encoding": {"x": {"field": "data", "bin": True}, "y": {"aggregate": "count"}},
    }
    assert picture(bomb) == ""


def test_the_child_is_told_to_load_nothing():
    """For a chart that was not checked: a second line of defence."""
    pytest.importorskip("vl_convert")
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'[{"region": "North", "total": 3}]')

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert picture({**CHART, "data": {"url": f"http://127.0.0.1:{server.server_port}/rows.json"}}) == ""
    finally:
        server.shutdown()
        server.server_close()
    assert asked == []


def exported(notebook: nbformat.NotebookNode) -> str:
    return HTMLExporter().from_notebook_node(notebook)[0]


def test_a_notebook_that_is_executed_without_a_page_has_the_picture_in_its_export(tmp_path):
    pytest.importorskip("vl_convert")
    file = tmp_path / "notebook.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(CELL.strip())]), file)
    done = subprocess.run(
        [sys.executable, "-c", NBCLIENT, str(file)],
        env=bare_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    notebook = nbformat.read(file, 4)
    chart = next(one for one in notebook.cells[0].outputs if "image/png" in one.get("data", {}))
    assert chart.data["application/vnd.vegalite.v5+json"]["mark"]["type"] == "bar"
    html = exported(notebook)
    assert 'src="data:image/png;base64,' in html
    assert "<strong>bold</strong>" in html


def test_without_a_picture_an_export_has_the_charts_data():
    data, metadata = shown_bundle(Shown(kind="chart", data=checked_chart(CHART, ShowLimits())))
    cell = new_code_cell("", outputs=[new_output("display_data", data, metadata=metadata)])
    html = exported(new_notebook(cells=[cell]))
    assert "Chart: Totals" in html
    assert "North" in html
    assert 'src="data:image/png' not in html
