"""A chart as a picture: drawn in a child process, where vl-convert is installed.

With TEST_CODEACT_RELEASE=1 also with the oldest vl-convert that is supported and with 2.x, each in an environment of its
own, which needs a package index.
"""

from __future__ import annotations

import base64
import functools
import http.server
import importlib
import io
import itertools
import json
import os
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from codeact_kernel.capabilities.show import png_worker, render_chart
from codeact_kernel.capabilities.show.charts import validate_chart
from codeact_kernel.limits import ShowLimits
from codeact_kernel.render.shown_items import item_bundle
from codeact_kernel.sandbox import seccomp
from codeact_kernel.types import DisplayItem

from ..notebook.conftest import bare_environment
from ..ports import listen_apart
from ..sandbox import test_seccomp as filters

MODULE = importlib.import_module(
    "codeact_kernel.capabilities.show.render_png"
)  # the package has a function of this name
ROOT = Path(__file__).parents[2]
VERSIONS = {"installed": "", "oldest": "vl-convert-python==1.7.0", "2.x": "vl-convert-python>=2.0.0rc7,<3"}
BAR, MAGENTA = (0x4C, 0x78, 0xA8), (0xFF, 0, 0xFF)

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
    image = pixels(render_chart(validate_chart(CHART, ShowLimits())))
    assert (0x4C, 0x78, 0xA8) in {colour for _, colour in image.getcolors(1 << 24)}
    assert min(image.size) > 100


def test_what_cannot_be_drawn_or_is_too_large_is_no_picture():
    pytest.importorskip("vl_convert")
    assert render_chart({"mark": "nothing"}) == ""
    assert render_chart(CHART, ShowLimits(image_bytes=100)) == ""
    assert render_chart(CHART, ShowLimits(image_pixels=100)) == ""


def test_a_chart_that_eats_memory_ends_its_child_and_nothing_else():
    pytest.importorskip("vl_convert")
    bomb = {
        "data": {"sequence": {"start": 0, "stop": 3e7, "step": 1}},
        "mark": "bar",
        "encoding": {"x": {"field": "data", "bin": True}, "y": {"aggregate": "count"}},
    }
    assert render_chart(bomb) == ""


def encoding(**more: str) -> dict[str, object]:
    return {"x": {"field": "region", "type": "nominal"}, "y": {"field": "total", "type": "quantitative"}} | {
        name: {"field": field} for name, field in more.items()
    }


def bars(url: str, **data: object) -> dict[str, object]:
    return {"data": {"url": url, **data}, "mark": "bar", "encoding": encoding()}


def image(url: str) -> dict[str, object]:
    return {"data": {"values": [{}]}, "mark": {"type": "image", "url": url, "width": 40, "height": 40}}


def svg(content: str) -> str:
    """The URL of an SVG that has this in it."""
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">{content}</svg>'
    return "data:image/svg+xml," + text.replace("#", "%23")


def topology(url: str) -> dict[str, object]:
    return {"data": {"url": url, "format": {"type": "topojson", "feature": "area"}}, "mark": "geoshape"}


HOSTILE: Mapping[str, tuple[dict[str, Any], str]] = {
    "data": (bars("WEB/data.json"), "1 2"),
    "topojson": (topology("WEB/topojson.json"), "1 2"),
    "lookup": (
        {
            **CHART,
            "transform": [
                {"lookup": "region", "from": {"data": {"url": "WEB/lookup.json"}, "key": "region", "fields": ["more"]}}
            ],
        },
        "1 2",
    ),
    "layer": ({"layer": [CHART, bars("WEB/layer.json")]}, "1 2"),
    "image": (image("WEB/image.png"), "1 2"),
    "image-of-a-column": (
        {
            "data": {"values": [{"u": "WEB/image-of-a-column.png"}]},
            "mark": "image",
            "encoding": {"url": {"field": "u"}},
        },
        "1 2",
    ),
    "image-in-a-box": (
        {
            **CHART,
            "mark": {"type": "boxplot", "extent": "min-max", "box": {"type": "image", "url": "WEB/image-in-a-box.png"}},
        },
        "1 2",
    ),
    "image-in-a-layer": ({"hconcat": [{"layer": [image("WEB/image-in-a-layer.png")]}]}, "1 2"),
    "data-file": (bars("file://FOLDER/rows.json"), "2"),
    "data-path": (bars("FOLDER/rows.json"), "2"),
    "image-file": (image("file://FOLDER/secret.png"), "1 2"),
    "image-path": (image("FOLDER/secret.png"), "2"),
    # Not loaded from the server or the folder by these versions: they are here for one that would.
    "data-relative": (bars("rows.json"), ""),
    "data-climbs": (bars("../" * 20 + "FOLDER/rows.json"), ""),
    "data-embedded": (topology('data:application/json,{"type":"Topology","url":"WEB/data-embedded.json"}'), ""),
    "image-in-an-svg": (image(svg('<image href="WEB/image-in-an-svg.png" width="16" height="16"/>')), ""),
    "file-in-an-svg": (image(svg('<image href="FOLDER/secret.png" width="16" height="16"/>')), ""),
    "style-in-an-svg": (image(svg('<style>@import url("WEB/style-in-an-svg.css");</style>')), ""),
    "font": ({**CHART, "config": {"font": "url(WEB/font.ttf)", "axis": {"labelFont": "WEB/font.ttf"}}}, ""),
    "font-of-google": (
        {**CHART, "config": {"font": "Lobster"}, "usermeta": {"vlConvert": {"autoGoogleFonts": True}}},
        "",
    ),
    "colour": (
        {**CHART, "mark": {"type": "bar", "color": "url(WEB/colour.png)"}, "background": "url(WEB/back.png)"},
        "",
    ),
    "options": ({**CHART, "usermeta": {"embedOptions": {"patch": "WEB/patch.json", "loader": {"baseURL": "WEB"}}}}, ""),
    "schema": ({**CHART, "$schema": "WEB/schema.json"}, ""),
    "link": ({**CHART, "mark": {"type": "bar", "href": "WEB/link"}}, ""),
}
"""Charts that name a place, and the versions of vl-convert that load it when they may."""

ALONE = """
import base64, json, os, sys
from codeact_kernel.sandbox.lockdown import confine_renderer
from codeact_kernel.capabilities.show import png_worker
import vl_convert

how, charts = sys.argv[1], json.load(sys.stdin)
if how == "told":
    draw = png_worker._load_renderer()
else:
    if hasattr(vl_convert, "configure"):
        vl_convert.configure(allowed_base_urls=["*"])
    draw = lambda chart: vl_convert.vegalite_to_png(chart, vl_version=png_worker._VERSION, scale=2)
if how == "confined":
    # 2.x ends the process if it may load and finds no certificates: with them it comes as far as the network.
    confine_renderer([path for path in (*png_worker._READABLE, "/etc/ssl", "/etc/pki") if os.path.exists(path)])
drawn = {}
for name, chart in charts.items():
    try:
        drawn[name] = base64.b64encode(draw(chart)).decode()
    except Exception:
        drawn[name] = ""
print(json.dumps(drawn))
"""
"""Draws with one layer alone: what vl-convert is told, what the kernel is told, or none of the two."""


class Server(http.server.ThreadingHTTPServer):
    """Has what anybody asks for, and remembers who came."""

    def __init__(self) -> None:
        with listen_apart() as free:
            address = free.getsockname()
        super().__init__(address, Handler)
        self.connections = 0
        self.asked: list[str] = []

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(png() if self.path.endswith(".png") else json.dumps(ROWS).encode())

    def log_message(self, *args: object) -> None:
        pass


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), MAGENTA).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with rows and an image in it. Drawn, they have a colour of their own."""
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "secret.png").write_bytes(png())
    return tmp_path


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has this version of vl-convert."""
    wanted = VERSIONS[request.param]
    if not wanted:
        pytest.importorskip("vl_convert")
        return sys.executable
    if not os.environ.get("TEST_CODEACT_RELEASE"):
        pytest.skip("scripts/test --release makes an environment for it")
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    path = str(folder / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    subprocess.run([path, "-m", "pip", "install", "--quiet", wanted], check=True, timeout=600)
    packages = subprocess.check_output(
        [path, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    (Path(packages.strip()) / "codeact.pth").write_text(str(ROOT))
    return path


@pytest.fixture
def in_python(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`render_chart` starts that Python."""
    monkeypatch.setattr(sys, "executable", python)


def major(python: str) -> str:
    code = "import vl_convert; print(vl_convert.__version__.split('.')[0])"
    return subprocess.check_output([python, "-P", "-c", code], text=True).strip()


def hostile(server: Server, folder: Path) -> dict[str, dict[str, Any]]:
    """The charts, with this server and this folder in them."""
    text = json.dumps({name: chart for name, (chart, _) in HOSTILE.items()})
    return json.loads(text.replace("WEB", f"http://127.0.0.1:{server.server_port}").replace("FOLDER", str(folder)))


def reached(name: str, drawn: str, server: Server) -> bool:
    """Whether the chart loaded what it names: the server was asked, or the picture shows what only a file has."""
    if any(path.startswith(f"/{name}.") for path in server.asked):
        return True
    colours = {colour for _, colour in pixels(drawn).getcolors(1 << 24)} if drawn else set()
    return MAGENTA in colours or (BAR in colours and name.startswith("data-"))


def reach_with(how: str, python: str, server: Server, folder: Path, names: Iterable[str] = HOSTILE) -> set[str]:
    """Which of these charts reach something when only one layer holds them, or none."""
    charts = {name: chart for name, chart in hostile(server, folder).items() if name in names}
    done = subprocess.run(
        [python, "-P", "-c", ALONE, how],
        input=json.dumps(charts),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {name for name, drawn in json.loads(done.stdout).items() if reached(name, drawn, server)}


def loaded_by(version: str) -> set[str]:
    """The charts whose places this version of vl-convert loads when it may."""
    return {name for name, (_, versions) in HOSTILE.items() if version in versions}


def reach_through_children(charts: Mapping[str, dict[str, Any]], server: Server) -> list[str]:
    """Which of these charts reach something, each drawn as `render_chart` does it."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        drawn = dict(zip(charts, pool.map(render_chart, charts.values()), strict=True))
    return [name for name in charts if reached(name, drawn[name], server)]


def test_charts_are_drawn_with_each_version(in_python):
    image = pixels(render_chart(validate_chart(CHART, ShowLimits())))
    assert BAR in {colour for _, colour in image.getcolors(1 << 24)}


def test_a_chart_that_was_not_checked_loads_nothing(in_python, server, secrets):
    assert reach_through_children(hostile(server, secrets), server) == []
    assert server.connections == 0


def test_the_same_charts_load_what_they_name_where_they_may(python, server, secrets):
    """The control: with none of the layers."""
    names = loaded_by(major(python))
    assert len(names) > 8
    assert reach_with("free", python, server, secrets, names) == names


@pytest.mark.skipif(sys.platform != "linux", reason="the layer is made of Linux's parts")
@pytest.mark.full
def test_the_kernel_alone_lets_them_load_nothing(python, server, secrets):
    """vl-convert is told here that it may load everything."""
    assert reach_with("confined", python, server, secrets) == set()
    assert server.connections == 0


@pytest.mark.full
def test_vl_convert_alone_lets_them_load_nothing_except_the_images_of_1_x(python, server, secrets):
    version = major(python)
    images = {name for name in loaded_by(version) if name.startswith("image")}
    assert reach_with("told", python, server, secrets) == (images if version == "1" else set())


@pytest.mark.full
def test_without_the_layer_of_the_kernel_they_load_nothing_either(in_python, python, server, secrets, monkeypatch):
    """As on a system that has none."""
    monkeypatch.setattr(
        MODULE,
        "_PROGRAM",
        "from codeact_kernel.capabilities.show import png_worker\npng_worker.main(lambda files: None)",
    )
    names = loaded_by(major(python))
    charts = {name: chart for name, chart in hostile(server, secrets).items() if name in names}
    assert reach_through_children(charts, server) == []
    assert server.connections == 0
    assert render_chart(CHART)


def test_charts_with_image_marks_are_refused_and_rows_can_say_what_they_like():
    for name in HOSTILE:
        assert png_worker._has_image_marks(HOSTILE[name][0]) == ("image" in name or name.endswith("-svg")), name
    assert not png_worker._has_image_marks({**CHART, "data": {"values": [{"type": "image", "mark": "image"}]}})


@pytest.mark.parametrize(
    "renderer",
    [
        SimpleNamespace(__version__="3.0.0"),
        SimpleNamespace(__version__="0.14.0"),
        SimpleNamespace(),
        SimpleNamespace(__version__="2.0.0"),
        SimpleNamespace(__version__="2.0.0", configure=lambda **settings: None),
        SimpleNamespace(__version__="2.0.0", configure=lambda: None, get_config=lambda: {**png_worker._DENIED}),
        SimpleNamespace(__version__="2.0.0", configure=lambda **settings: None, get_config=dict),
        SimpleNamespace(
            __version__="2.0.0",
            configure=lambda **settings: None,
            get_config=lambda: {**png_worker._DENIED, "allowed_base_urls": ["https:"]},
        ),
        SimpleNamespace(
            __version__="2.1.0", configure=lambda **settings: None, get_config=lambda: {**png_worker._DENIED, "new": []}
        ),
        SimpleNamespace(__version__="1.99.0", takes_no_list=True),
    ],
    ids=["3.x", "0.x", "no-version", "no-configure", "no-get_config", "refuses", "forgets", "ignores", "knows-more", "1.x-without"],
)  # fmt: skip
def test_nothing_is_drawn_where_vl_convert_cannot_be_told_to_load_nothing(renderer, monkeypatch):
    calls: list[object] = []

    def draw(chart: object, *, vl_version: str, scale: float) -> bytes:
        calls.append(chart)
        return b""

    renderer.vegalite_to_png = draw
    monkeypatch.setitem(sys.modules, "vl_convert", renderer)
    with pytest.raises((SystemExit, AttributeError, TypeError)):
        png_worker._load_renderer()(CHART)
    assert calls == []


def test_a_version_2_that_does_as_it_was_told_draws(monkeypatch):
    """So what the test above has refused is refused for the reason it gives."""
    kept: dict[str, object] = {"num_workers": 1}
    renderer = SimpleNamespace(
        __version__="2.0.0", configure=kept.update, get_config=lambda: kept, vegalite_to_png=lambda *_, **__: b"drawn"
    )
    monkeypatch.setitem(sys.modules, "vl_convert", renderer)
    assert png_worker._load_renderer()(CHART) == b"drawn"


def test_nothing_is_drawn_where_the_kernel_refuses_to_confine_it(monkeypatch):
    pytest.importorskip("vl_convert")
    program = """
from codeact_kernel.capabilities.show.png_worker import main
def confine(files):
    raise OSError
main(confine)
"""
    monkeypatch.setattr(MODULE, "_PROGRAM", program)
    assert render_chart(CHART) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the layer is made of Linux's parts")
def test_a_confined_process_draws_the_same_picture(python):
    """With the fonts of the system, and the time zone of the machine."""
    chart = {
        "title": "Größe 漢字",
        "data": {"values": [{"day": "2026-03-29T01:30:00", "total": 3}, {"day": "2026-11-22", "total": 5}]},
        "mark": "line",
        "encoding": {"x": {"field": "day", "type": "temporal"}, "y": {"field": "total", "type": "quantitative"}},
        "config": {"font": "DejaVu Serif"},
    }
    draw = functools.partial(
        subprocess.run, input=json.dumps({"one": chart}), capture_output=True, text=True, timeout=60
    )
    told, confined = (draw([python, "-P", "-c", ALONE, how]).stdout for how in ("told", "confined"))
    assert json.loads(told)["one"]
    assert confined == told


STATE = """
import json, os, sys
print(json.dumps({"path": sys.path, "folder": os.getcwd(), "environment": dict(os.environ), "safe": sys.flags.safe_path}))
"""


def test_the_child_looks_for_modules_in_no_folder_of_the_notebook(in_python, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(MODULE, "_PROGRAM", STATE)
    state = json.loads(MODULE._draw(b"", 1 << 20))
    assert state["safe"]
    assert state["folder"] == os.path.abspath(os.sep)
    assert state["environment"].keys() <= {"TZ", "SYSTEMROOT", "LC_CTYPE"}  # Python sets the last one by itself
    for entry in state["path"]:
        assert Path(entry).is_absolute()
        assert Path(entry) != Path(state["folder"])
        assert not Path(entry).is_relative_to(tmp_path)


FLOOD = "import os\nwhile True: os.write(1, bytes(1 << 16))"


def test_what_a_child_writes_is_read_to_a_limit(monkeypatch):
    monkeypatch.setattr(MODULE, "_PROGRAM", FLOOD)
    started = time.monotonic()
    assert len(MODULE._draw(b"{}", 1 << 20)) == 1 << 20
    assert render_chart(CHART) == ""
    assert time.monotonic() - started < MODULE._SECONDS / 2


@pytest.mark.parametrize("program", ["import time; time.sleep(60)", FLOOD], ids=["silent", "flood"])
def test_a_child_that_does_not_read_is_ended_in_time(program, monkeypatch):
    monkeypatch.setattr(MODULE, "_PROGRAM", program)
    monkeypatch.setattr(MODULE, "_SECONDS", 1.0)
    started = time.monotonic()
    assert render_chart({**CHART, "description": "x" * (4 << 20)}) == ""  # more than a pipe holds
    assert time.monotonic() - started < 10


def test_a_stop_ends_the_child_while_it_draws(monkeypatch):
    monkeypatch.setattr(MODULE, "_PROGRAM", "import time; time.sleep(60)")
    looked = iter([False, True])
    started = time.monotonic()
    assert render_chart(CHART, should_stop=lambda: next(looked)) == ""
    assert time.monotonic() - started < MODULE._SECONDS / 2


def test_a_chart_that_is_never_done_is_ended_in_time(in_python, monkeypatch):
    monkeypatch.setattr(MODULE, "_SECONDS", 2.0)
    endless = {
        "data": {"values": [{"a": "a" * 40 + "!"}]},
        "transform": [{"calculate": "test(/^(a+)+$/, datum.a)", "as": "b"}],  # tries 2 ** 40 ways
        "mark": "bar",
        "encoding": {"x": {"field": "b"}},
    }
    started = time.monotonic()
    assert render_chart(endless) == ""
    assert 1.9 < time.monotonic() - started < 10


def test_a_renderers_filter_allows_files_to_be_read_memory_to_be_run_and_no_socket(monkeypatch):
    for machine, files in itertools.product(seccomp.MACHINES, (True, False)):
        monkeypatch.setattr(
            filters, "filter_for", lambda machine, *, hypervisor, files=files: seccomp.renderer_filter_for(machine, files=files)
        )  # fmt: skip
        judged = functools.partial(filters.judged, machine)
        for allowed in (("read",), ("statx",), ("mmap", 0, 4096, 7), ("mprotect", 0, 4096, 7), ("clone", 0x3D0F00)):
            assert judged(*allowed) == filters.ALLOW
        for refused in (("clone", 0x1200011), ("prctl", 22), ("ioctl", 0, 0x5401), ("fcntl", 0, 8)):
            assert judged(*refused) == filters.REFUSE
        for flags, may in ((0, True), (0o2000000, True), (1, False), (2, False), (0o100, False), (0o1000, False)):
            assert judged("openat", 0, 0, flags) == (filters.ALLOW if may and files else filters.REFUSE)
        assert judged("socketpair", 1) == filters.ALLOW  # AF_UNIX: an engine wakes its threads with it
        assert judged("socketpair", 16) == filters.REFUSE
        known = {numbers[seccomp.MACHINES[machine][1]] for numbers in seccomp.NUMBERS.values()}
        for number in (*range(600), 0x40000000, 0xFFFFFFFF):
            assert number in known or judged(number) == filters.REFUSE
        (other,) = set(seccomp.MACHINES) - {machine}
        assert judged("read", of=other) == filters.KILL
    assert seccomp.renderer_filter_for("riscv64", files=True) is None


def test_a_workers_filter_has_nothing_of_a_renderers():
    for machine in seccomp.MACHINES:
        for name in ("openat", "socketpair", *seccomp._RENDERER):
            number = seccomp.NUMBERS[name][seccomp.MACHINES[machine][1]]
            assert number is None or filters.judged(machine, number) == filters.REFUSE


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
    (card,) = [one for one in notebook.cells[0].outputs if "text/html" in one.get("data", {})]
    assert "application/vnd.vegalite.v5+json" not in card.data
    html = exported(notebook)
    assert 'src="data:image/png;base64,' in html
    assert "<strong>bold</strong>" in html


def test_without_a_picture_an_export_has_the_charts_data():
    data, metadata = item_bundle(DisplayItem(kind="chart", data=validate_chart(CHART, ShowLimits())))
    cell = new_code_cell("", outputs=[new_output("display_data", data, metadata=metadata)])
    html = exported(new_notebook(cells=[cell]))
    assert "Chart: Totals" in html
    assert "North" in html
    assert 'src="data:image/png' not in html
