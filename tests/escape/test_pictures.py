"""H. What is shown: charts as pictures, which a JavaScript engine draws in a process of its own beside the kernel.

Only checked charts come there. These attempts are past that check, and past the engine as well.
"""

from __future__ import annotations

import importlib
import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact_kernel.capabilities.show import render_chart

from ..show.test_picture import CHART, FLOOD, Server, hostile, reach_through_children, server
from .attempts import attempt

__all__ = ["server"]

MODULE = importlib.import_module(
    "codeact_kernel.capabilities.show.render_png"
)  # the package has a function of this name

pytestmark = pytest.mark.usefixtures("draws_on")

NATIVE = """
import ctypes, json, os, signal, socket, sys, threading
from codeact_kernel.sandbox.lockdown import confine_renderer
from codeact_kernel.capabilities.show import png_worker

libc = ctypes.CDLL(None, use_errno=True)
PORT, FOLDER, CONFINE = PLACES

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def connect(kind, family=socket.AF_INET, address=("127.0.0.1", PORT)):
    with socket.socket(family, kind) as made:
        made.connect(address)

def send():
    with socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0] as made:
        made.sendto(b"", FOLDER + "/socket")

def fork():
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)

def in_a_thread(attempt):
    def run():
        try:
            attempt()
        except OSError as error:
            failed.append(error)
    failed = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]

def opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))

attempts = {
    "sockets": {
        "TCP": lambda: connect(socket.SOCK_STREAM),
        "UDP": lambda: connect(socket.SOCK_DGRAM),
        "of a file": lambda: connect(socket.SOCK_DGRAM, socket.AF_UNIX, FOLDER + "/socket"),
        "a pair, to another": send,
        "in a thread": lambda: in_a_thread(lambda: connect(socket.SOCK_STREAM)),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
        "io_uring": lambda: call(425, 8, ctypes.create_string_buffer(256)),
        "as x32": lambda: call(0x40000000 | 41, 2, 1, 0),
    },
    "files": {
        "read": lambda: opened(FOLDER + "/secret.txt"),
        "through proc": lambda: opened("/proc/self/root" + FOLDER + "/secret.txt"),
        "in a thread": lambda: in_a_thread(lambda: opened(FOLDER + "/secret.txt")),
        "environment of the kernel": lambda: opened(f"/proc/{os.getppid()}/environ"),
        "list": lambda: os.listdir(FOLDER),
        "write": lambda: opened(FOLDER + "/left", os.O_WRONLY | os.O_CREAT),
        "empty": lambda: opened(FOLDER + "/other.txt", os.O_RDONLY | os.O_TRUNC),
        "a font": lambda: opened("/usr/share/fonts", os.O_RDWR | os.O_TMPFILE),
        "move": lambda: os.rename(FOLDER + "/other.txt", FOLDER + "/moved.txt"),
        "link": lambda: os.symlink("/", FOLDER + "/link"),
        "folder": lambda: os.mkdir(FOLDER + "/folder"),
        "rights": lambda: os.chmod(FOLDER, 0o777),
    },
    "processes": {
        "fork": fork,
        "run": lambda: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
        "signal the kernel": lambda: os.kill(os.getppid(), 0),
        "signal all": lambda: os.kill(0, 0),
        "look at the kernel": lambda: call(434, os.getppid(), 0),  # pidfd_open
        "other namespaces": lambda: call(272, 0x10000000),
        "longer": lambda: signal.setitimer(signal.ITIMER_REAL, 0),
    },
}["KIND"]

def draw(chart):
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            found[name] = f"refused: {error.strerror}"
        else:
            found[name] = "allowed"
    return json.dumps(found).encode()

png_worker._load_renderer = lambda: draw
png_worker.main(confine_renderer if CONFINE else lambda files: None)
"""
"""What draws is code of somebody's, as if a chart had broken the engine."""

CONTROL = {
    "sockets": {"TCP", "UDP", "of a file", "a pair, to another", "in a thread", "netlink"},
    "files": {"read", "through proc", "in a thread", "environment of the kernel", "list", "write", "empty", "move", "link", "folder", "rights"},
    "processes": {"fork", "run", "signal the kernel", "signal all", "look at the kernel", "longer"},
}  # fmt: skip
"""What the same process may without being confined, wherever it runs."""


@pytest.fixture(scope="module")
def draws_on() -> Iterator[None]:
    """After the attempts a chart is drawn as before."""
    pytest.importorskip("vl_convert")
    yield
    assert render_chart(CHART)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text(secrets.token_hex(16))
    (tmp_path / "other.txt").write_text("other")
    (tmp_path / "rows.json").write_text(json.dumps([{"region": "North", "total": 3}]))
    return tmp_path


def state(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def native(kind: str, folder: Path, port: int, monkeypatch: pytest.MonkeyPatch, *, confine: bool) -> dict[str, str]:
    program = NATIVE.replace("PLACES", repr((port, str(folder), confine))).replace("KIND", kind)
    with monkeypatch.context() as changed:
        changed.setattr(MODULE, "_PROGRAM", program)
        return json.loads(MODULE._draw(b"{}", 1 << 20))


@attempt("H5.chart", "refers to external data, images, fonts and options in an unchecked chart")
@pytest.mark.full
def test_a_chart_that_was_not_checked_reaches_nothing(server, folder):
    assert reach_through_children(hostile(server, folder), server) == []
    assert server.connections == 0


@attempt("H5.loads", "turns off the restrictions of the engine that draws charts, and has it load data and images")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel holds it")
def test_an_engine_that_loads_everything_reaches_nothing(server, folder, monkeypatch):
    program = """
from functools import partial
import vl_convert
from codeact_kernel.sandbox.lockdown import confine_renderer
from codeact_kernel.capabilities.show import png_worker
png_worker._load_renderer = lambda: partial(vl_convert.vegalite_to_png, vl_version=png_worker._VERSION)
png_worker._has_image_marks = lambda chart: False
png_worker.main(CONFINE)
"""
    charts = {name: hostile(server, folder)[name] for name in ("data", "image", "image-in-a-box")}
    monkeypatch.setattr(MODULE, "_PROGRAM", program.replace("CONFINE", "confine_renderer"))
    assert reach_through_children(charts, server) == []
    assert server.connections == 0
    monkeypatch.setattr(MODULE, "_PROGRAM", program.replace("CONFINE", "lambda files: None"))
    assert reach_through_children(charts, server) == [*charts]
    monkeypatch.undo()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel holds it")
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=attempt(f"H5.{kind}", f"runs its own code in the process that draws charts: {tries}"))
        for kind, tries in (
            ("sockets", "connects to the network and to other processes"),
            ("files", "reads, writes and lists files"),
            ("processes", "starts programs, and sends signals to the kernel"),
        )
    ],
)
def test_code_in_the_process_that_draws_reaches_nothing(kind, server: Server, folder, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(folder / "socket"))
        other.setblocking(False)
        before = state(folder)
        found = native(kind, folder, server.server_port, monkeypatch, confine=True)
        assert {name for name, result in found.items() if not result.startswith("refused: ")} == set()
        assert state(folder) == before
        assert server.connections == 0
        with pytest.raises(BlockingIOError):  # nothing came
            other.recv(1)
        found = native(kind, folder, server.server_port, monkeypatch, confine=False)
        assert {name for name, result in found.items() if result == "allowed"} >= CONTROL[kind]


@attempt("H5.planted", "puts modules next to the notebook for the process that draws charts")
def test_modules_beside_the_notebook_are_not_those_of_the_process_that_draws(tmp_path, monkeypatch):
    packages = (
        tmp_path / "~" / ".local" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    )
    packages.mkdir(parents=True)
    for place in (tmp_path, packages):
        for name in ("vl_convert", "codeact_kernel", "json", "signal", "sitecustomize", "usercustomize"):
            (place / f"{name}.py").write_text(f"open({str(tmp_path / f'ran-{name}')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    for name in ("PYTHONPATH", "PYTHONUSERBASE", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert render_chart(CHART)
    assert not [*tmp_path.glob("ran-*")]
    subprocess.run([sys.executable, "-c", "import vl_convert"], timeout=60, check=False, capture_output=True)
    assert {path.name for path in tmp_path.glob("ran-*")} >= {"ran-vl_convert", "ran-sitecustomize"}


@attempt("H5.flood", "has the process that draws charts write endlessly")
def test_a_picture_without_end_is_none(monkeypatch):
    with monkeypatch.context() as changed:
        changed.setattr(MODULE, "_PROGRAM", FLOOD)
        assert render_chart(CHART) == ""


@attempt("H5.deaf", "has the process that draws charts read nothing and run forever")
def test_a_process_that_does_nothing_is_ended(monkeypatch):
    started = time.monotonic()
    with monkeypatch.context() as changed:
        changed.setattr(MODULE, "_PROGRAM", "import time\ntime.sleep(600)")
        changed.setattr(MODULE, "_SECONDS", 1.0)
        assert render_chart({**CHART, "description": "x" * (4 << 20)}) == ""
    assert time.monotonic() - started < 30


@attempt("H5.computes", "has a chart compute forever")
def test_a_chart_that_computes_without_end_is_ended(monkeypatch):
    chart = {
        "data": {"values": [{"a": "a" * 40 + "!"}]},
        "transform": [{"calculate": "test(/^(a+)+$/, datum.a)", "as": "b"}],  # tries 2 ** 40 ways
        "mark": "bar",
        "encoding": {"x": {"field": "b"}},
    }
    with monkeypatch.context() as changed:
        changed.setattr(MODULE, "_SECONDS", 2.0)
        assert render_chart(chart) == ""


@attempt("H5.memory", "has a chart fill the memory")
def test_a_chart_that_fills_the_memory_ends_its_process_alone():
    chart = {
        "data": {"sequence": {"start": 0, "stop": 3e7, "step": 1}},
        "mark": "bar",
        "encoding": {"x": {"field": "data", "bin": True}, "y": {"aggregate": "count"}},
    }
    assert render_chart(chart) == ""
