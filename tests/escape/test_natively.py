"""The control: the same programs where there is no barrier. What a plain Python does not do either proves nothing."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .attempts import Attempt
from .test_files import ATTEMPTS as FILES
from .test_files import planted
from .test_interpreter import ATTEMPTS as INTERPRETER
from .test_interpreter import TOKEN
from .test_network import ATTEMPTS as NETWORK
from .test_resources import ATTEMPTS as RESOURCES

CONTROLLED = [one for one in [*INTERPRETER, *FILES, *NETWORK, *RESOURCES] if one.gets_out]
ON_EVERY_CHANGE = {one.id.partition(".")[0]: one.id for one in reversed(CONTROLLED)}.values()
"""The first attempt of each number of the catalogue."""

PLAIN = """
import pathlib, sys
def kernel(program, secret):
    kept = pathlib.Path(secret).read_text()  # as a kernel has secrets of its own in its variables
    names = {"__name__": "__main__"}
    exec(program, names)
    print(names.get("seen"), flush=True)
program, secret = sys.argv[1:]
del sys.argv[1:]
kernel(program, secret)
"""


@dataclass
class Listener:
    """A port on loopback that anybody may come to: `opened` for each who does."""

    port: int
    opened: threading.Semaphore


@pytest.fixture
def listener() -> Generator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Listener(server.getsockname()[1], threading.Semaphore(0))

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return
                made.opened.release()

        threading.Thread(target=serve, daemon=True).start()
        yield made
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "one",
    [pytest.param(one, id=one.id, marks=() if one.id in ON_EVERY_CHANGE else pytest.mark.full) for one in CONTROLLED],
)
def test_the_same_program_gets_out_of_a_plain_python(one: Attempt, listener: Listener, tmp_path: Path):
    token = secrets.token_hex(16)
    host = tmp_path / "host"
    for folder in (host, tmp_path / "own"):
        folder.mkdir()
    (host / "secret.txt").write_text(token)
    places: dict[str, object] = {"secret": host / "secret.txt", "folder": host, "port": listener.port}
    places |= {"data": planted(tmp_path, host), "allowed": f"127.0.0.1:{listener.port}"}
    program = one.program
    for name, value in places.items():
        program = program.replace(f"{{{name}}}", str(value))
    ended = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", PLAIN, program, str(host / "secret.txt")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path / "own",
        env={"PATH": os.environ["PATH"], "CANARY": token},
    )
    said = f"{ended.stdout}\nexit {ended.returncode}\n{ended.stderr}"
    assert re.search(one.gets_out, said), said[-2_000:]
    if TOKEN in one.gets_out:
        assert token in ended.stdout
    if "{folder}/left" in one.program:
        assert any(path.name == "left" for path in tmp_path.rglob("*"))
    if "{port}" in one.program:
        assert listener.opened.acquire(timeout=60)
