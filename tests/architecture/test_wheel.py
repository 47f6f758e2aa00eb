"""What `pip install` puts on somebody's disk."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from codeact.card import SCRIPTS
from packaging.requirements import Requirement

import codeact_kernel

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this tree. Built with what is installed here, so it takes seconds and no network."""
    missing = [name for name in ("hatchling", "componentize_py") if importlib.util.find_spec(name) is None]
    assert not missing, f"pip install {' '.join(missing)}: the development environment has it"
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"),
            *("--disable-pip-version-check", "--wheel-dir", str(folder), str(ROOT)),
        ],
        capture_output=True, text=True, check=False, env=os.environ | {"PIP_NO_INPUT": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_two_packages_and_nothing_else(wheel):
    top = {name.partition("/")[0] for name in wheel.namelist()}
    info = {name for name in top if name.endswith(".dist-info")}
    data = {name for name in top if name.endswith(".data")}
    assert (len(info), len(data)) == (1, 1)
    assert top - info - data == {"codeact", "codeact_kernel"}


def test_the_kernel_is_laid_where_jupyter_looks_for_kernels_with_its_logos(wheel):
    spec = "share/jupyter/kernels/codeact/"
    files = {name.partition(".data/data/")[2]: name for name in wheel.namelist() if ".data/" in name}
    assert {name for name in files if name.startswith("share/jupyter/kernels/")} == {
        spec + name for name in ("kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg")
    }
    kernel = json.loads(wheel.read(files[spec + "kernel.json"]))
    assert kernel["argv"][:4] == ["python", "-P", "-m", "codeact_kernel"]
    assert kernel["display_name"] == "CodeAct (Python 3)"
    for size in (32, 64):
        png = wheel.read(files[f"{spec}logo-{size}x{size}.png"])
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", png[16:24]) == (size, size)


def test_the_extension_of_jupyterlab_is_laid_where_it_looks_for_prebuilt_ones(wheel):
    place = "share/jupyter/labextensions/codeact-kernel/"
    files = {name.partition(".data/data/")[2]: name for name in wheel.namelist() if ".data/data/" + place in name}
    package = json.loads(wheel.read(files[f"{place}package.json"]))
    assert package["version"] == codeact_kernel.__version__
    assert package["name"] == "codeact-kernel"
    assert set(files) == {
        place + name for name in ("package.json", "install.json", package["jupyterlab"]["_build"]["load"])
    }
    script = wheel.read(files[place + package["jupyterlab"]["_build"]["load"]]).decode()
    assert f'_JUPYTERLAB["{package["name"]}"]' in script
    assert not any(word in script for word in ("http:", "https:", "import ", "innerHTML", "eval("))


def test_every_module_of_the_tree_is_in_the_wheel(wheel):
    tree = {str(path.relative_to(ROOT)) for path in (ROOT / "codeact_kernel").rglob("*.py")}
    tree |= {str(path.relative_to(ROOT / "extension")) for path in (ROOT / "extension").rglob("*.py")}
    assert {name for name in wheel.namelist() if name.endswith(".py")} == tree


def test_both_packages_are_typed(wheel):
    typed = {name for name in wheel.namelist() if name.endswith("py.typed")}
    assert typed == {"codeact/py.typed", "codeact_kernel/py.typed"}


def test_the_guests_prelude_and_standard_library_are_in_the_wheel(wheel):
    names = wheel.namelist()
    assert "codeact_kernel/guest/inside/bootstrap.py" in names
    pack = zipfile.ZipFile(io.BytesIO(wheel.read("codeact_kernel/guest/stdlib.zip")))
    licences = [name for name in pack.namelist() if "licen" in name.lower()]
    assert licences
    assert any("PYTHON SOFTWARE FOUNDATION LICENSE" in pack.read(name).decode().upper() for name in licences)


def test_there_is_no_bytecode_but_in_the_pack(wheel):
    assert not [name for name in wheel.namelist() if name.endswith((".pyc", ".pyo")) or "__pycache__" in name]


def test_what_is_for_developers_alone_stays_out(wheel):
    for name in wheel.namelist():
        assert not {"tests", "extension", "scripts", "benchmarks", "docs"} & set(name.split("/"))
        assert not name.endswith((".toml", ".so", ".ts"))


def test_the_example_that_the_demo_runs_comes_along_as_it_is(wheel):
    for name in ("01_first_prompt.ipynb", "01_first_prompt.answers.json"):
        assert wheel.read(f"codeact_kernel/jupyter/examples/{name}") == (ROOT / "examples" / name).read_bytes()
    assert len([name for name in wheel.namelist() if "/examples/" in name]) == 2


def test_the_command_is_there(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "codeact-kernel = codeact_kernel.__main__:main" in wheel.read(name).decode()


def test_the_card_comes_along_as_it_is_and_loads_nothing_from_elsewhere(wheel):
    for file in (*(f"{name}.js" for name in SCRIPTS), "card.css"):
        text = wheel.read(f"codeact/{file}").decode()
        assert text == (ROOT / "extension" / "codeact" / file).read_text(encoding="utf-8")
        assert not any(word in text for word in ("http:", "https:", "import ", "@import", "url(", "innerHTML", "eval("))


def test_the_licence_comes_along(wheel):
    assert [name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_metadata_name_no_build_tool_as_a_need(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    needs = [
        line
        for line in wheel.read(name).decode().splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]
    assert len(needs) >= 5
    for tool in ("hatchling", "componentize", "pytest", "zstd"):
        assert not [line for line in needs if tool in line]


def test_the_wheel_runs_anywhere(wheel):
    assert Path(wheel.filename).name.endswith("-py3-none-any.whl")


@pytest.mark.parametrize(
    ("system", "machine", "wanted"),
    [
        ("linux", "x86_64", True),
        ("win32", "AMD64", True),
        ("linux", "aarch64", False),
        ("darwin", "arm64", False),
        ("darwin", "x86_64", False),
        ("win32", "ARM64", False),
    ],
)
def test_the_micro_vm_comes_along_exactly_where_its_wheels_exist(wheel, system, machine, wanted):
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    lines = wheel.read(metadata).decode().splitlines()
    requirements = [
        Requirement(line.removeprefix("Requires-Dist: ")) for line in lines if "Requires-Dist: hyper" in line
    ]
    environment = {"sys_platform": system, "platform_machine": machine, "implementation_name": "cpython", "extra": ""}
    names = {
        f"{one.name}{one.specifier}" for one in requirements if one.marker is None or one.marker.evaluate(environment)
    }
    library = {"hyperlight-sandbox==0.8.0", "hyperlight-sandbox-backend-wasm==0.8.0"}
    assert names == {"hyperlight-sandbox-python-guest==0.8.0"} | (library if wanted else set())
