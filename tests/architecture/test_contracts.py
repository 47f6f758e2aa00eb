"""Which package may import which: the contracts of pyproject.toml, and a proof that they bite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A module, a line that somebody might add to it, and what has to be reported.
BREAKS = [
    ("codeact_kernel.turn.turn", "import IPython", "IPython"),
    ("codeact_kernel.events", "from .model import base", "codeact_kernel.model.base"),
    ("codeact_kernel.tools.redaction", "from ..bridge import messages", "codeact_kernel.bridge.messages"),
    ("codeact_kernel.sandbox.worker_main", "from ..tools import registry", "codeact_kernel.tools.registry"),
    ("codeact_kernel.turn.turn", "import openai", "openai"),
    ("codeact_kernel.tools.foreign", "import agent_framework", "agent_framework"),
    ("codeact_kernel.bridge.protocol", "import pickle", "pickle"),
    ("codeact_kernel.guest.inside.bootstrap", "import codeact_kernel.events", "codeact_kernel.events"),
    ("codeact_kernel.guest.inside.tool_calls", "from .runner import run", "codeact_kernel.guest.inside.runner"),
]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    # The packages are found in the folder that is checked, and not where they are installed.
    code = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/extension']; "
        "from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename=sys.argv[1] + '/pyproject.toml', no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(root)], cwd=root, capture_output=True, text=True, check=False
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("codeact_kernel", "extension"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.zip"))
    return folder


def test_every_import_goes_the_way_it_may():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


def test_a_forbidden_import_is_reported_and_each_contract_can_be_broken(clone):
    for module, line, _ in BREAKS:
        file = clone / (module.replace(".", "/") + ".py")
        file.write_text(f"{file.read_text()}\n{line}\n")
    done = lint(clone)
    assert done.returncode == 1, done.stdout
    assert " 0 kept" in done.stdout
    report = " ".join(done.stdout.split())  # long lines are wrapped
    for module, _, target in BREAKS:
        assert f"{module} -> {target} (l." in report


def test_a_module_that_has_no_place_is_reported(clone):
    assert lint(clone).returncode == 0
    (clone / "codeact_kernel" / "helpers.py").write_text("")
    done = lint(clone)
    assert done.returncode != 0
    assert "helpers" in done.stdout
