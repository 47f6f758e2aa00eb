"""K. Loading and supply: what runs when nothing was run yet, and what the sandbox is made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

import codeact_kernel
from codeact_kernel import Session, UserError
from codeact_kernel.access import file_mount
from codeact_kernel.configuration import environment, find, resolve
from codeact_kernel.errors import SandboxError
from codeact_kernel.jupyter.cli import main
from codeact_kernel.sandbox.backend_selector import BackendSelector
from codeact_kernel.sandbox.backends import guest_cache, guest_files, micro_vm_support
from codeact_kernel.sandbox.worker_client import Worker
from codeact_kernel.settings import Limits

from .attempts import attempt

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODULES = ("codeact_kernel", "codeact", "openai", "json", "pydantic", "wasmtime", "sitecustomize", "usercustomize")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a stranger sends it, and the working folder. What of it runs leaves a file there: `ran-...`."""
    folder = tmp_path / "from a stranger"
    folder.mkdir()
    for name in MODULES:
        leaves = f"open({str(folder / f'ran-{name}')!r}, 'w').close()\n"
        (folder / f"{name}.py").write_text(leaves)
        (folder / f"{name}_package").mkdir()
    for name in ("codeact_kernel", "codeact"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text((folder / f"{name}.py").read_text())
        (folder / name / "__main__.py").write_text((folder / f"{name}.py").read_text())
    (folder / ".env").write_text("CODEACT_ALLOW=destroy\nCODEACT_BACKEND=inline\nOPENAI_BASE_URL=http://evil.example\n")
    (folder / "codeact.toml").write_text('allow = ["destroy"]\n')
    (folder / "pyproject.toml").write_text('[tool.codeact]\nallow = ["destroy"]\n')
    (folder / "ipython_config.py").write_text((folder / "json.py").read_text())
    (folder / "startup.pth").write_text(f"import os; {(folder / 'json.py').read_text()}")
    monkeypatch.chdir(folder)
    return folder


def ran(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("ran-*"))


async def test_what_lies_in_that_folder_does_run_where_python_is_started_as_usual(hostile):
    """The control."""
    subprocess.run([sys.executable, "-c", "import json, codeact_kernel"], timeout=60, check=False, capture_output=True)
    assert ran(hostile) == ["ran-codeact_kernel", "ran-json"]


@attempt("K1.command", "has our command started in a folder with a stranger's modules, settings and startup file")
async def test_our_command_runs_nothing_of_the_folder_it_is_started_in(kernel, hostile):
    place = str(Path(codeact_kernel.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "codeact_kernel", "list"],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PYTHONPATH": place},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ran(hostile) == []
    await kernel.answers()


@attempt("K1.worker", "has a prompt answered by a new worker in such a folder")
async def test_a_first_prompt_and_its_worker_run_nothing_of_the_folder(kernel, hostile):
    async with Session(tools=kernel.session.tools) as session:
        turn = await replace(kernel, session=session).turn("import json\nseen = json.dumps([add(a=40, b=2)])")
        assert turn.result.value == "[42]", turn.seen
        assert kernel.ran.pop() == ("add", (40, 2))
    assert ran(hostile) == []
    kernel.contained()
    await kernel.answers()


@attempt("K1.settings", "brings settings that allow a tool, and a file of environment variables")
async def test_settings_of_a_folder_allow_nothing_without_the_users_word(kernel, hostile, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    found = find(hostile)
    assert found is not None
    assert found.path.name == "codeact.toml"
    assert "destroy" in found.layer().values["allow"]
    settings = resolve([environment(), found.layer()]).settings
    assert "destroy" not in settings.allow
    assert settings.backend != "inline"
    turn = await kernel.turn("seen = destroy('x')", allow=settings.allow)
    assert "ToolDenied" in turn.seen
    kernel.contained()
    await kernel.answers()


@attempt("K1.mounted", "brings modules with the names of ours in a mounted folder, and has a program import them")
async def test_a_mounted_folder_is_no_place_for_modules_of_the_host(kernel, hostile):
    turn = await kernel.turn(
        "import sys\nsys.path.insert(0, '/input/data')\nimport json\nfrom codeact_kernel.guest.inside.tool_calls import call_tool\nseen = call_tool('add', a=1, b=2)",
        file_mounts=(file_mount((hostile, "data")),),
    )
    assert turn.result.value == 3 or turn.result.error is not None
    assert ran(hostile) == []
    kernel.ran.clear()
    kernel.contained()
    await kernel.answers()


@pytest.fixture
def jupyter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Jupyter that knows no place but these."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_PATH", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "JUPYTER_DATA_DIR" / "kernels" / "codeact" / "kernel.json"


@pytest.mark.skipif(os.name != "posix", reason="owners and modes of POSIX")
@attempt("K7.planted", "plants the marker by which the user trusts a folder, as another user or writable by others")
async def test_a_word_that_another_could_have_written_is_none(kernel, hostile, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    found = find(hostile)
    assert found is not None
    found.trust()
    assert found.trusted
    (word,) = (tmp_path / "data" / "codeact-kernel" / "trusted").iterdir()
    assert word.stat().st_mode & 0o777 == 0o600
    for place, mode in ((word, 0o666), (word, 0o620), (word.parent, 0o777), (word.parent, 0o770)):
        before = place.stat().st_mode
        place.chmod(mode)
        assert not found.trusted, oct(mode)
        assert "destroy" not in resolve([found.layer()]).settings.allow
        place.chmod(before)
    assert found.trusted
    if os.getuid() == 0:
        os.chown(word, 1234, -1)
        assert not found.trusted
        word.unlink()
    word.unlink(missing_ok=True)
    (tmp_path / "elsewhere").write_text("planted")
    word.symlink_to(tmp_path / "elsewhere")
    assert not found.trusted
    await kernel.answers()


@attempt("K7.wide-open", "has the user trust a file while everyone can write the marker")
async def test_trusting_where_others_can_write_is_an_error_with_the_next_step(kernel, hostile, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "data" / "codeact-kernel" / "trusted").mkdir(parents=True)
    (tmp_path / "data" / "codeact-kernel" / "trusted").chmod(0o777)
    found = find(hostile)
    with pytest.raises(UserError, match="can be written by others: allow that only for yourself"):
        found.trust()
    assert not found.trusted
    await kernel.answers()


@attempt("K2.argv", "injects arguments into the command with which Jupyter starts us")
async def test_the_command_that_jupyter_starts_is_ours_and_nothing_of_the_folder_is_in_it(kernel, hostile, jupyter):
    assert main(["install", "--user"]) == 0
    spec = json.loads(jupyter.read_text())
    assert spec["argv"] == [sys.executable, "-P", "-m", "codeact_kernel", "-f", "{connection_file}"]
    assert not spec.get("env")
    assert str(hostile) not in jupyter.read_text()
    assert ran(hostile) == []
    await kernel.answers()


@attempt("K2.name", "has the kernel spec installed under a name that leads out of its folder")
async def test_a_name_that_leads_elsewhere_installs_nothing(kernel, jupyter, tmp_path):
    for name in ("../up", "a/b", "..", ".", "", "/etc/x", "a\nb", "-x", "a\x00b"):
        assert main(["install", "--user", f"--name={name}"]) == 1
    assert not jupyter.parent.parent.exists() or not list(jupyter.parent.parent.iterdir())
    await kernel.answers()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Where the compiled guest lies, in a cache of the test's own."""
    monkeypatch.setenv("CODEACT_CACHE", str(tmp_path / "cache"))
    guest_cache.path.cache_clear()
    yield guest_cache.path()
    monkeypatch.undo()
    guest_cache.path.cache_clear()


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
@attempt("K3.planted", "replaces our compiled guest by its own, in a file or folder that others can write")
async def test_a_compiled_guest_that_another_could_have_written_is_not_loaded(kernel, cache):
    guest_cache.store(b"planted", cache)
    assert guest_cache.trusted(cache)
    for place, mode in (
        (cache, 0o620),
        (cache, 0o602),
        (cache.parent, 0o720),
        (cache.parent, 0o777),
        (cache.parent, 0o1777),
    ):
        before = place.stat().st_mode
        place.chmod(mode)
        assert not guest_cache.trusted(cache)
        with pytest.raises(SandboxError, match="can be written by others"):
            await Worker.start("embedded", Limits())
        place.chmod(before)
    kernel.contained()
    await kernel.answers()


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
@attempt("K3.linked", "replaces our compiled guest, or its folder, by a link to its own")
async def test_a_compiled_guest_behind_a_link_is_not_loaded(kernel, cache, tmp_path):
    (tmp_path / "planted").write_bytes(b"planted")
    cache.parent.mkdir(mode=0o700, parents=True)
    cache.symlink_to(tmp_path / "planted")
    assert not guest_cache.trusted(cache)
    with pytest.raises(SandboxError):
        await Worker.start("embedded", Limits())
    cache.unlink()
    cache.parent.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "elsewhere" / cache.name).write_bytes(b"planted")
    cache.parent.symlink_to(tmp_path / "elsewhere")
    assert not guest_cache.trusted(cache)
    await kernel.answers()


@attempt("K3.damaged", "damages the compiled guest in a folder that only the user can write")
async def test_a_damaged_compiled_guest_is_one_sentence_and_no_crash(kernel, cache):
    guest_cache.store(b"\x7fELF damaged" * 1_000, cache)
    with pytest.raises(SandboxError) as caught:
        await Worker.start("embedded", Limits())
    assert len(str(caught.value).splitlines()) == 1
    assert "Traceback" not in str(caught.value)
    kernel.contained()
    await kernel.answers()


@attempt("K3.stored-over", "places a link where the compiled guest is written before it is moved into place")
async def test_the_compiled_guest_is_not_written_through_a_link(kernel, cache, tmp_path):
    (tmp_path / "mine").write_text("mine")
    cache.parent.mkdir(mode=0o700, parents=True)
    cache.with_name(f"{cache.name}.{os.getpid()}").symlink_to(tmp_path / "mine")
    guest_cache.store(b"guest", cache)
    assert (tmp_path / "mine").read_text() == "mine"
    assert cache.read_bytes() == b"guest"
    assert guest_cache.trusted(cache)
    await kernel.answers()


@attempt("K4.missing", "requests a backend that does not exist, or whose part is missing")
async def test_a_backend_that_is_not_there_is_a_sentence_and_never_another_one(kernel, monkeypatch):
    for name in ("inline", "none", "", "EMBEDDED", "embedded ", "docker", "../embedded"):
        with pytest.raises(UserError, match="There is no backend"):
            await kernel.turn("1", backend=name)
    monkeypatch.setattr(micro_vm_support, "missing", lambda: "There is no hypervisor.")
    with pytest.raises(UserError, match="The hyperlight backend cannot run here. There is no hypervisor."):
        async with Session(tools=kernel.session.tools) as session:
            await replace(kernel, session=session).turn("1", backend="hyperlight")
    kernel.contained()
    await kernel.answers()


@attempt("K4.unusable", "provides all parts of a micro-VM, which does not start")
async def test_a_hypervisor_that_refuses_is_an_error_and_no_silent_downgrade(kernel, monkeypatch, tmp_path):
    monkeypatch.setattr(micro_vm_support, "missing", lambda: "")
    (tmp_path / "broken.aot").write_bytes(b"no guest")
    monkeypatch.setattr(guest_files, "native", lambda: tmp_path / "broken.aot")
    wanted = BackendSelector("hyperlight")
    with pytest.raises(SandboxError, match="The hyperlight backend did not start: .*choose --backend embedded"):
        await wanted.start(kernel.settings.limits, lambda text: None)
    assert wanted.name == "hyperlight"
    kernel.contained()
    await kernel.answers()
