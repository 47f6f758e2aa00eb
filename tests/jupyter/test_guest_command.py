"""`codeact-kernel guest` says what is ready, and shows how far a compilation is."""

from __future__ import annotations

import asyncio
import io

import pytest

from codeact_kernel.errors import SandboxError, UserError
from codeact_kernel.jupyter import cli, guest_command
from codeact_kernel.sandbox.backends import SCIENCE_BACKEND, guest_cache


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr(type(SCIENCE_BACKEND), "why_unavailable", lambda self: "")
    monkeypatch.setattr(type(SCIENCE_BACKEND), "guest_file", lambda self: tmp_path / "science-1.cwasm")
    return tmp_path


def test_a_guest_that_is_compiled_is_not_compiled_again(cache, capsys):
    guest_cache.store(b"native code", cache / "science-1.cwasm")
    assert cli.main(["guest", "install", "science"]) == 0
    assert capsys.readouterr().out.startswith("The science guest is ready: ")


def test_what_is_missing_or_short_is_one_sentence_and_an_exit_code(cache, monkeypatch, capsys):
    monkeypatch.setattr(guest_command, "explain_shortage", lambda: "Compiling it takes 3 GiB.")
    assert cli.main(["guest", "install"]) == 1
    assert capsys.readouterr().err == "Compiling it takes 3 GiB.\n"
    monkeypatch.setattr(type(SCIENCE_BACKEND), "why_unavailable", lambda self: "It is not installed.")
    assert cli.main(["guest", "install"]) == 1
    with pytest.raises((UserError, SandboxError)):
        guest_command.install()


def test_the_guests_are_listed_with_their_state(cache, capsys):
    assert cli.main(["guest"]) == 0
    assert "science   not compiled yet" in capsys.readouterr().out
    guest_cache.store(b"native code", cache / "science-1.cwasm")
    cli.main(["guest", "list"])
    assert "science   ready, 11 bytes" in capsys.readouterr().out


def test_removing_leaves_nothing_of_the_guest(cache, capsys):
    guest_cache.store(b"native code", cache / "science-1.cwasm")
    with guest_cache.locked(cache / "science-1.cwasm"):
        pass
    cli.main(["guest", "remove"])
    assert list(cache.iterdir()) == []
    cli.main(["guest", "remove"])
    assert capsys.readouterr().out.endswith("No science guest was compiled.\n")


async def test_the_bar_grows_with_the_processor_time_and_ends_with_the_work(monkeypatch):
    used = iter([1.0, 30.0, 500.0, 500.0, 500.0])
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(guest_command, "_measure_speed", lambda: 1.0)
    monkeypatch.setattr(guest_command, "_processor_seconds", lambda process: next(used))
    steps = asyncio.Event()
    count = 0

    async def sleep(seconds: float) -> None:
        nonlocal count
        count += 1
        if count == 3:
            steps.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(guest_command.asyncio, "sleep", sleep)
    watching = asyncio.ensure_future(guest_command._show_progress(1))
    await steps.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    drawn = terminal.getvalue().split("\r")
    assert [text.split("%")[0].split()[-1] for text in drawn if "%" in text] == ["2", "53", "99"]
    assert "about" in drawn[1] and "nearly done" in drawn[3]
    assert drawn[-1] == ""
