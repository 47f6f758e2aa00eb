"""The compiled guest is native code: it is loaded only from where nobody else could have put it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from codeact_kernel import paths
from codeact_kernel.errors import SandboxError
from codeact_kernel.sandbox.backends import find_backend, guest_cache
from codeact_kernel.sandbox.guest_compiler import compile_guest
from codeact_kernel.sandbox.worker_client import Worker
from codeact_kernel.settings import Limits

from .conftest import run_in

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and owners of files are POSIX's")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    file = tmp_path / "cache" / "guest.cwasm"
    guest_cache.store(b"native code", file)
    return file


@pytest.fixture
def cache_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The path of the compiled guest when the cache is a folder of this test."""
    monkeypatch.setenv("CODEACT_CACHE", str(tmp_path / "cache"))
    guest_cache.path.cache_clear()
    yield guest_cache.path()
    monkeypatch.undo()
    guest_cache.path.cache_clear()


def test_the_compiled_guest_is_stored_for_this_user_alone(stored):
    assert guest_cache.trusted(stored)
    assert oct(stored.stat().st_mode & 0o777) == oct(0o600)
    assert oct(stored.parent.stat().st_mode & 0o777) == oct(0o700)
    assert stored.read_bytes() == b"native code"
    assert list(stored.parent.iterdir()) == [stored]


def test_storing_again_replaces_the_file_and_closes_the_folder(stored):
    stored.parent.chmod(0o777)
    stored.chmod(0o666)
    guest_cache.store(b"newer", stored)
    assert guest_cache.trusted(stored)
    assert stored.read_bytes() == b"newer"
    assert oct(stored.parent.stat().st_mode & 0o777) == oct(0o700)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_a_file_that_others_can_write_is_not_trusted(stored, mode):
    stored.chmod(mode)
    assert not guest_cache.trusted(stored)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_not_trusted(stored, mode):
    stored.parent.chmod(mode)
    assert not guest_cache.trusted(stored)


def test_a_link_is_not_trusted_neither_as_file_nor_as_folder(stored, tmp_path):
    link = stored.with_name("link.cwasm")
    link.symlink_to(stored)
    assert not guest_cache.trusted(link)
    folder = tmp_path / "linked"
    folder.symlink_to(stored.parent)
    assert not guest_cache.trusted(folder / stored.name)


def test_what_is_no_file_is_not_trusted(stored):
    assert not guest_cache.trusted(stored.with_name("missing"))
    assert not guest_cache.trusted(stored.parent)
    fifo = stored.with_name("fifo")
    os.mkfifo(fifo, 0o600)
    assert not guest_cache.trusted(fifo)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_another_user_is_not_trusted(stored, what):
    os.chown(stored if what == "file" else stored.parent, 12_345, -1)
    assert not guest_cache.trusted(stored)


def test_the_name_of_the_file_depends_on_all_that_went_into_it(monkeypatch):
    seen = {guest_cache.path()}
    with monkeypatch.context() as patch:
        for name, value in (("OPTIONS", "other"), ("version", lambda name: "0.0.1")):
            patch.setattr(guest_cache, name, value)
            seen.add(guest_cache.path.__wrapped__())
        patch.setattr("platform.machine", lambda: "other")
        seen.add(guest_cache.path.__wrapped__())
        patch.setattr(guest_cache, "_processor", lambda: "one that can do less")
        seen.add(guest_cache.path.__wrapped__())
    assert len(seen) == 5
    assert guest_cache.path.__wrapped__() == guest_cache.path()


@pytest.mark.parametrize("home", ["/dev/null", "/dev/null/below", ".", "{file}"])
def test_without_a_home_that_can_be_written_the_cache_is_a_private_temporary_folder(home, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", home.format(file=tmp_path / "file"))
    for name in ("CODEACT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if home == ".":  # root could make a folder in /, which stands for no home
        monkeypatch.setattr(paths, "is_writable", lambda folder: False)
    folder = paths.cache_folder()
    assert folder == tmp_path / f"codeact-kernel-{os.getuid()}"
    guest_cache.store(b"native code", folder / "guest-1.cwasm")
    assert guest_cache.trusted(folder / "guest-1.cwasm")


def test_a_temporary_folder_that_somebody_else_put_there_is_not_taken(tmp_path):
    (tmp_path / "theirs").mkdir(mode=0o777)
    (tmp_path / "ours").symlink_to(tmp_path / "theirs")
    with pytest.raises(NotADirectoryError, match="is a link"):
        guest_cache.store(b"native code", tmp_path / "ours" / "guest-1.cwasm")


def test_a_full_cache_that_became_read_only_is_used_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CODEACT_CACHE", raising=False)
    guest_cache.store(b"native code", tmp_path / "codeact-kernel" / "guest-1.cwasm")
    monkeypatch.setattr(paths, "is_writable", lambda folder: False)
    assert paths.cache_folder() == tmp_path / "codeact-kernel"


async def test_a_cache_that_cannot_be_written_is_an_error_that_names_the_way_out(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CODEACT_CACHE", str(tmp_path / "file"))
    guest_cache.path.cache_clear()
    with pytest.raises(SandboxError, match="set CODEACT_CACHE to a folder that you can write"):
        await compile_guest(find_backend("embedded"), lambda said: None)
    guest_cache.path.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems reserve addresses for a process as they like")
def test_a_limit_of_addresses_is_named_where_no_sandbox_starts():
    code = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_AS, (4_000_000_000,) * 2)\n"
        "runpy.run_module('codeact_kernel.sandbox.precompile', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", code, "embedded"], capture_output=True, text=True)
    assert "may have only 3.7 GiB of addresses (ulimit -v), and the sandbox needs 8" in ended.stderr


async def test_a_worker_does_not_load_a_compiled_guest_that_others_can_write(cache_in):
    guest_cache.store(b"planted", cache_in)
    cache_in.chmod(0o666)
    with pytest.raises(SandboxError, match="can be written by others"):
        await Worker.start("embedded", Limits())


@pytest.mark.full
async def test_a_compiled_guest_that_others_could_write_is_compiled_anew_once_and_then_used(cache_in):
    """The only test that compiles: about ten seconds of processor time."""
    guest_cache.store(b"planted", cache_in)
    cache_in.chmod(0o666)
    said: list[str] = []
    await compile_guest(find_backend("embedded"), said.append)
    await compile_guest(find_backend("embedded"), said.append)
    assert said == ["Compiling the sandbox for this machine: once, about ten seconds…"]
    assert guest_cache.trusted(cache_in)
    assert [file.name for file in cache_in.parent.iterdir()] == [cache_in.name]
    worker = await Worker.start("embedded", Limits())
    try:
        assert (await run_in(worker, "1")).value == 1
    finally:
        await worker.kill()


async def test_a_cache_that_cannot_be_written_is_one_sentence(cache_in):
    cache_in.parent.parent.write_text("a file where the folder should be")
    with pytest.raises(SandboxError, match="could not be compiled into") as caught:
        await compile_guest(find_backend("embedded"), lambda text: None)
    assert "\n" not in str(caught.value)
